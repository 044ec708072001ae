"""The page on a socket of this machine: nothing of it is fetched from elsewhere, and a signal ends it."""

import logging
import os
import re
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from cliptrase.app.address import address_of
from cliptrase.app.limits import MEGABYTES
from cliptrase.app.page import CSS

# Nothing but the page's own address is asked, whatever Gradio's files name. It compiles templates, hence eval.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
_ADDRESS = re.compile(rb"https?://([^/\"'\s<>\\\\]*)[^\"'\s<>\\\\]*")
_NAMESPACE = b"www.w3.org"  # of drawings; nothing is loaded from there
_WAIT = 10.0  # seconds until the server has seen that it is to end; Gradio may keep it busy

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Any]


class Local:
    """Around a web application: its pages name no other address, and browsers are told to ask none.

    Args:
        app: the application, ASGI.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Pages are read here, and nothing is gained by packing on the way to the same machine.
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        host = dict(headers).get(b"host", b"")
        started: dict[str, Any] | None = None
        body = b""

        async def answer(message: dict[str, Any]) -> None:
            nonlocal started, body
            if message["type"] == "http.response.start":
                fields = [*message["headers"], (b"content-security-policy", POLICY.encode())]
                message = {**message, "headers": fields}
                kind = dict(fields).get(b"content-type", b"")
                if kind.startswith(b"text/html"):
                    started = message
                    return
            elif started is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                page = without_outside(body, host)
                fields = [(name, value) for name, value in started["headers"] if name != b"content-length"]
                await send({**started, "headers": [*fields, (b"content-length", str(len(page)).encode())]})
                message = {"type": "http.response.body", "body": page}
            await send(message)

        await self._app({**scope, "headers": headers}, receive, answer)


def without_outside(page: bytes, host: bytes) -> bytes:
    """A page without the addresses of other places that Gradio writes into it, such as those of its own examples.

    Args:
        page: HTML.
        host: the page's own, with its port.

    >>> without_outside(b'<meta content="https://a.org/b.png"/><a href="http://localhost:1/c">', b"localhost:1")
    b'<meta content=""/><a href="http://localhost:1/c">'
    """
    return _ADDRESS.sub(lambda found: found[0] if found[1] in (host, _NAMESPACE) else b"", page)


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for uploads and downloads that goes with the page; to be entered before Gradio's parts are made."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="cliptrase-app-", ignore_cleanup_errors=True) as name:
        os.environ["GRADIO_TEMP_DIR"] = name
        try:
            yield Path(name).resolve()
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


def application(page: gr.Blocks, folder: Path) -> Local:
    """The page as a web application.

    Args:
        page: of `page.build`.
        folder: whose files it gives away.
    """
    bare: dict[str, Any] = {"docs_url": None, "redoc_url": None, "openapi_url": None}
    fonts = ["ui-sans-serif", "system-ui", "sans-serif"]
    theme = gr.themes.Default(primary_hue="teal", font=fonts, font_mono=["ui-monospace", "monospace"]).set(
        # Gradio's own greys and its white on light teal are too faint to read.
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
    )
    mounted = gr.mount_gradio_app(
        FastAPI(**bare),
        page,
        "/",
        app_kwargs=bare,
        allowed_paths=[str(folder)],
        show_error=False,
        max_file_size=f"{MEGABYTES}mb",
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        ssr_mode=False,
        mcp_server=False,
        theme=theme,
        css=CSS,
    )
    return Local(mounted)


def serve(app: Local, server: socket.socket, open_browser: bool, stop: Callable[[], None]) -> int:
    """Serves until a signal comes.

    Args:
        app: from `application`.
        server: from `address.bound`.
        open_browser: whether to show the page.
        stop: ends what is computed.

    Returns:
        exit status; a signal is raised as the process's own handler has it.
    """
    address = address_of(server)
    running = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))

    # An event, not the thread, is waited for: a signal amid `Thread.join` makes Python take the thread for ended.
    ended = threading.Event()

    def run() -> None:
        try:
            running.run([server])
        except Exception:
            if not running.should_exit:  # of what was broken off nothing is to be told
                raise
        finally:
            ended.set()

    threading.Thread(target=run, daemon=True, name="page").start()
    try:
        while not running.started and not ended.wait(0.05):
            pass
        print(f"page: {address} (Ctrl-C ends it)", flush=True)
        if open_browser:
            webbrowser.open(address)
        while not ended.wait(1):
            pass
    finally:
        # What browsers still wait for is broken off, and every such end would be told by a traceback.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        running.should_exit = running.force_exit = True
        stop()
        ended.wait(_WAIT)
    print("the page has ended by itself", file=sys.stderr)
    return 1
