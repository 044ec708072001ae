"""Reads files of other people's run folders: nothing but regular files of bounded size, inside the folder."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from cliptrase.common.errors import one_line

MIB = 1 << 20
UNBOUNDED = 1e15  # no number of a run is as large
_LARGEST_DOCUMENT = 64 * MIB
_DEEPEST = 16  # levels of a document; a run's has eight
_LONGEST_TEXT = 1_000_000


class ShapeError(Exception):
    """Something of a document is not as a run writes it."""


class SchemaError(ShapeError):
    """A document is of another schema than this version reads."""


def read_json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: it cannot be read.
        ShapeError: it is no regular file, too large, no JSON, or holds what no run writes.
    """
    try:
        document = json.loads(read_regular(file, _LARGEST_DOCUMENT).decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise ShapeError("it is nested too deeply") from None
    except ValueError as error:
        raise ShapeError(one_line(error)) from None
    _check_plain(document)
    return document


def read_regular(file: Path, most: int) -> bytes:
    """Content of a regular file: others may wait for ever or never end.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is no regular file, or larger than `most` bytes.
    """
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no regular file")
        content = opened.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most // MIB} MiB")
    return content


def _refuse(constant: str) -> float:
    raise ShapeError(f"it holds {constant}, which is no number")


def _check_plain(document: Any) -> None:
    """Refuses what no run writes anywhere: endless nesting, numbers beyond all bounds, text that is no Unicode."""
    level = [document]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value, *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                _check_text(value)
            elif isinstance(value, int | float) and not abs(value) < UNBOUNDED:
                raise ShapeError("it holds a number beyond all bounds")
        level = below
    if level:
        raise ShapeError("it is nested too deeply")


def _check_text(text: str) -> None:
    if len(text) > _LONGEST_TEXT:
        raise ShapeError("it holds a text of more than a million letters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ShapeError("it holds text that is no Unicode") from None


def path_inside(folder: Path, name: str) -> Path:
    """A file of a folder, by its real path.

    Raises:
        ValueError: it lies elsewhere, by its name or by a link.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name!r} lies outside of {folder}")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} leads out of {folder}")
    return path


def sentence_of(fault: Exception) -> str:
    """What a fault says, in one line."""
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.filename}: {fault.strerror}"
    return one_line(fault)
