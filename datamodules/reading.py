"""Pictures and label maps of data sets: `cliptrase.common.images` with the errors of data sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.errors import InputError
from cliptrase.common.images import RELEASED, Header, Reader, Size, max_pixels
from datamodules.errors import DataError


@contextmanager
def _errors_of_data() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise DataError(str(error)) from error


def checked_max_pixels(number: int | None) -> int | None:
    """The option, or where it is not given what the environment says is checked.

    Raises:
        DataError: it is less than 1, or the environment's value is no number.
    """
    if number is not None and number < 1:
        raise DataError(f"--data.max_pixels must be at least 1, not {number}")
    with _errors_of_data():
        max_pixels()
    return number


def read_image(path: Path, reader: Reader = RELEASED, size: Size | None = None) -> NDArray[np.uint8]:
    """An RGB picture, (H, W, 3) uint8; `size` is (height, width) of its label map, see `Reader.picture`.

    Raises:
        DataError: the file cannot be read.
    """
    with _errors_of_data():
        return reader.picture(path, size)


def read_header(path: Path, reader: Reader = RELEASED) -> Header:
    """A picture's size and orientation.

    Raises:
        DataError: the file cannot be read.
    """
    with _errors_of_data():
        return reader.header(path)


def read_labels(path: Path, reader: Reader = RELEASED) -> NDArray[np.int32]:
    """A raw label map as numbers to reckon with, (H, W) int32; see `read_index_map`."""
    return read_index_map(path, reader).astype(np.int32)


def read_index_map(path: Path, reader: Reader = RELEASED) -> NDArray[np.integer[Any]]:
    """A raw label map, (H, W) uint8, uint16 or int32 as in the file; see `Reader.index_map`.

    Raises:
        DataError: the file cannot be read or holds colours.
    """
    with _errors_of_data():
        return reader.index_map(path)
