"""Where the page is served; known before anything large is loaded."""

import errno
import socket

from cliptrase.common.errors import InputError


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        InputError: it is taken, or no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
    except OverflowError as error:
        server.close()
        raise InputError(f"`port` {port} is no port; give 1 to 65535, or 0 for any that is free") from error
    except OSError as error:
        server.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"`port` {port} is taken by another program; name another, or 0 for any that is free"
            ) from error
        if error.errno == errno.EACCES:
            raise InputError(f"`port` {port} is not for everybody; name one from 1024 on") from error
        raise InputError(f"`host` {host!r} is no address of this machine ({error.strerror or error})") from error
    return server


def address_of(server: socket.socket) -> str:
    """What a browser on this machine is told to reach a socket."""
    host, port = server.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # of all addresses one
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
