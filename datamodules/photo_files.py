"""Own pictures on disk: found, named, decoded whatever their mode."""

import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Sequence
from glob import escape, glob
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from datamodules.errors import DataError, one_line
from datamodules.files import IMAGE_EXTENSIONS, group_files

OVERLAY = "_overlay"  # what the name of a picture's overlay has after its mask's
_LONGEST_NAME = 180  # bytes; file systems take 255 with endings and with what a file has while it is written
# What Pillow's decoders raise on broken files.
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    EOFError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
)


def find_pictures(places: list[str], root: Path) -> list[Path]:
    """Picture files of folders, globs and single names, each once, in order; folders' hidden files are passed over.

    Raises:
        DataError: a place that names no picture.
    """
    found: dict[Path, None] = {}
    for place in places:
        given = Path(place).expanduser()
        path = root / given
        if path.is_dir():
            here = sorted(file for files in group_files(path, IMAGE_EXTENSIONS).values() for file in files)
        elif path.is_file():
            here = [path]
        else:
            pattern = str(given if given.is_absolute() else Path(escape(str(root))) / given)
            here = sorted(Path(name) for name in glob(pattern, recursive=True) if Path(name).is_file())
        if not here:
            raise DataError(f"--data.images {place!r} names no picture; give a folder, a file, or a quoted glob")
        found |= dict.fromkeys(here)
    return list(found)


def name_files(files: Sequence[Path]) -> dict[str, Path]:
    """A name for each picture's files, whatever the file system takes for equal names.

    It is the stem, or the full name where two share a stem, or the folder's and the file's, or the whole path; a number
    is added where that is not enough. No name's mask is the file of another name's overlay.
    """
    names = [[_writable(name) for name in _candidates(file)] for file in files]
    counts = [Counter(row[level].casefold() for row in names) for level in range(len(names[0]))] if names else []
    named: dict[str, Path] = {}
    taken: set[str] = set()
    for row, file in zip(names, files, strict=True):
        alone = [name for name, count in zip(row, counts, strict=True) if count[name.casefold()] == 1]
        numbered = (f"{row[-1]}-{number}" for number in range(2, len(files) + 3))
        name = next(name for name in chain(alone, numbered) if not taken & _outputs(name))
        taken |= _outputs(name)
        named[name] = file
    return named


def _candidates(file: Path) -> tuple[str, str, str, str]:
    return file.stem, file.name, "_".join(file.parts[-2:]), str(file).strip("/").replace("/", "_")


def _outputs(name: str) -> set[str]:
    """What stands for the files written under a name, to be compared with those of others."""
    return {name.casefold(), f"{name}{OVERLAY}".casefold()}


def _writable(name: str) -> str:
    """A name as valid text, its end kept and short enough for a file system to take it with what is added to it."""
    encoded = os.fsencode(name)[-_LONGEST_NAME:]
    text = encoded.decode("utf-8", errors="ignore" if len(os.fsencode(name)) > _LONGEST_NAME else "replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Any picture as (H, W, 3) uint8 RGB: upright, first frame, see-through parts white, numbers scaled to 8 bits.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata, of odd transparency and of size; what it decodes is what is wanted.
            warnings.simplefilter("ignore")
            with Image.open(path) as file:
                return _rgb(_upright(file))
    except (Image.DecompressionBombError, *_UNREADABLE) as error:
        raise DataError(f"{path} cannot be read as a picture ({one_line(error)})") from error


def _upright(file: Image.Image) -> Image.Image:
    """The decoded picture, turned as its EXIF data says where they can be read."""
    file.load()
    try:
        return ImageOps.exif_transpose(file)
    except _UNREADABLE:
        return file


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I") or image.mode == "F":
        image = Image.fromarray(_to_8_bits(np.asarray(image), image.mode))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _to_8_bits(values: NDArray[Any], mode: str) -> NDArray[np.uint8]:
    """Numbers (H, W) of a one-channel picture as 0..255: 16 bits by their range, others by the least usual range.

    Integers of 32 bits and floating-point numbers come from 0..1, 0..255 or 0..65535, or else up to their highest.
    """
    numbers = np.nan_to_num(values.astype(np.float32), nan=0, posinf=0, neginf=0)
    highest = float(numbers.max(initial=0))
    ranges = [65535.0] if mode.startswith("I;16") else [*([1.0] if mode == "F" else []), 255.0, 65535.0]
    most = next((end for end in ranges if highest <= end), highest)
    return (numbers * (255 / most)).clip(0, 255).round().astype(np.uint8)
