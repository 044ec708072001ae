"""Files that nobody reads half of: each is written beside its place and renamed."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cliptrase.errors import InputError


class OutputError(InputError, OSError):
    """A file cannot be written: the disk is full, or its folder is not to be written."""


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside its place and renames it, so that nobody reads half of it.

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
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(aside).chmod(0o666 & ~umask)  # mkstemp makes files that only the owner reads
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes JSON that a person can read."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
