"""Files that nobody reads half of: each is written beside its place, synced and renamed. And locks on folders."""

import errno
import fcntl
import json
import os
import platform
import re
import stat
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cliptrase.common.errors import InputError

_ASIDE = re.compile(r"\..+\.[a-z0-9_]{8}\.part")  # names that `write_bytes` gives to what is not whole yet
_UNSUPPORTED = (errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY)


class OutputError(InputError, OSError):
    """A file cannot be written: the disk is full, or its folder is not to be written."""


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside its place, syncs and renames it: nobody reads half of it, also after a power cut.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        _write_bytes(path, content)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); make room or name another place. What was written "
            "before is kept"
        ) from error


def _write_bytes(path: Path, content: bytes) -> None:
    with beside(path) as aside, aside.open("wb") as file:
        file.write(content)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A file beside another's place, which takes that place, synced, when all is written, or else is taken away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    aside = Path(name)
    try:
        yield aside
        _sync(handle)
        umask = os.umask(0)
        os.umask(umask)
        aside.chmod(0o666 & ~umask)  # mkstemp makes files that only the owner reads
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    sync_folder(path.parent)


def require_other(out: Path, inputs: Iterable[Path]) -> None:
    """Checks that what is to be written replaces nothing that is read, and no folder, device or pipe.

    Raises:
        InputError: it does.
    """
    if out.exists() and not out.is_file():
        raise InputError(f"--out {out}: a folder, device or pipe has this name; name another file")
    for given in inputs:
        if out.exists() and given.exists() and out.samefile(given):
            raise InputError(f"--out {out} would replace what is read, {given}; name another file")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes JSON that a person can read."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder last through a power cut, where the file system can do that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _sync(handle)
    finally:
        os.close(handle)


def remove_half_written(folder: Path) -> None:
    """Takes away what a killed process had not finished writing in a folder and below."""
    for path in folder.rglob(".*.part"):
        if _ASIDE.fullmatch(path.name) and path.is_file():
            path.unlink(missing_ok=True)


def read_regular(path: Path) -> bytes:
    """Content of a file; whatever else has that name (a folder, a pipe that nobody writes) is not waited for.

    Raises:
        OSError: it cannot be read or is no regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return path.read_bytes()


class FolderLock:
    """A file that stands in a folder while a process writes there, and is locked by that process.

    A process that dies leaves the file, and the kernel releases the lock. Processes forked from its owner do not hold
    it. It keeps other processes out, not other parts of the same one.

    Args:
        path: the file.

    Raises:
        BlockingIOError: another process holds it.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        try:
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                self.release()
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise BlockingIOError(error.errno, "another process writes there", str(path)) from error
                raise
            warnings.warn(
                f"{path.parent} lies on a file system without locks: do not go on with one run twice at once",
                stacklevel=2,
            )
        try:
            os.ftruncate(self._handle, 0)
            os.write(self._handle, f"{platform.node()} {os.getpid()}\n".encode())
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Lets others write; the file stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def remove(self) -> None:
        """Takes the file away: nothing is left to be written."""
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)
        self.release()


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
