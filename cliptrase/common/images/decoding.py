"""Files opened and decoded by Pillow, and why one cannot be."""

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from cliptrase.common.errors import InputError, one_line
from cliptrase.common.images.formats import LIMIT_VARIABLE, cure_of, foreign_endings, readable_endings
from cliptrase.common.images.scaling import to_8_bits
from cliptrase.common.images.turning import Size, orientation_of

_LOCK = threading.Lock()
_PIXELS = 1 << 22  # of a picture that are converted at a time


@contextmanager
def opened(path: Path, what: str) -> Iterator[IO[bytes]]:
    """An image file; nothing within does more than decode it.

    Raises:
        InputError: whatever its opening and decoding raise.
    """
    try:
        with quiet(), open(path, "rb", opener=_at_once) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise _RefusedError("it is no regular file")
            yield stream
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file.
        reason, cure = _reason(error, path)
        raise InputError(f"{path} cannot be read as a {what} ({reason}); {cure}") from error


def require_pixels(path: Path, size: Size, limit: int) -> None:
    """Refuses a picture of more pixels than may be read.

    Raises:
        InputError: (height, width) hold more.
    """
    height, width = size
    pixels = width * height
    if pixels > limit:
        raise InputError(
            f"{path} has {width} x {height} pixels, and more than {limit} are not read; allow them "
            f"by --data.max_pixels {pixels} or by {LIMIT_VARIABLE}={pixels} in the environment, or reduce it"
        )


class _RefusedError(Exception):
    """A file is none that is read; the message is the reason."""


def _at_once(path: str, flags: int) -> int:
    """Opens a file; a pipe that nobody writes to would be waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def identified(stream: IO[bytes]) -> Image.Image:
    """The image, not decoded yet. Its size is for the caller to check: Pillow would not tell it."""
    readable_endings()  # formats that are registered on the first call
    stream.peek(1)  # type: ignore[attr-defined]  # Reads ahead, so that no other thread waits for this disk.
    with _LOCK:
        pillows, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(stream)
        finally:
            Image.MAX_IMAGE_PIXELS = pillows


class _Silence:
    """How many readers are at work, and what restores the filters of warnings after the last."""

    readers = 0
    restore = ExitStack()


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Pillow's warnings of odd metadata, odd transparency and size away; what it decodes is what is wanted.

    `warnings.catch_warnings` changes what all threads share, so the first reader enters it and the last one leaves it.
    """
    with _LOCK:
        if not _Silence.readers:
            _Silence.restore.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.|cliptrase\.common\.images\.")
        _Silence.readers += 1
    try:
        yield
    finally:
        with _LOCK:
            _Silence.readers -= 1
            if not _Silence.readers:
                _Silence.restore.close()


def _reason(error: Exception, path: Path) -> tuple[str, str]:
    """Why a file cannot be read, and the cure."""
    ending = Path(path).suffix.lower()
    if isinstance(error, UnidentifiedImageError):
        if ending in foreign_endings():
            return f"Pillow reads no {ending[1:].upper()} files", cure_of(ending)
        return "it is of no format that Pillow reads", "replace it or take it away"
    if isinstance(error, OSError) and error.strerror:
        gone = isinstance(error, FileNotFoundError)
        return error.strerror, "give the path of one that is there" if gone else "replace it or take it away"
    if isinstance(error, MemoryError):
        return "there is not memory enough for it", "reduce it or take it away"
    return one_line(error), "replace it or take it away"


def load(file: Image.Image) -> int:
    """Decodes an image and gives its orientation. Pillow turns TIFF files itself, then forgets their orientation."""
    turned = file.format == "TIFF"
    orientation = orientation_of(file) if turned else 1
    widened = {"L;2": 85, "L;4": 17}.get(raw_mode(file)[:3], 1)
    file.load()
    clear = file.info.get("transparency")
    if widened > 1 and isinstance(clear, int):
        file.info["transparency"] = clear * widened  # Pillow widens the pixels, but not the value that is see-through
    elif raw_mode(file) == "RGB;16B" and isinstance(clear, tuple):
        file.info["transparency"] = tuple(value >> 8 for value in clear)
    return orientation if turned else orientation_of(file)


def has_late_metadata(file: Image.Image) -> bool | None:
    """Whether a PNG file has metadata after its pixels, for which Pillow decodes them; None for other files."""
    if not isinstance(file, ImageFile.ImageFile) or file.fp is None:
        return None
    if file.format != "PNG" or "exif" in file.info:
        return None
    if any(name in file.info for name in ("Raw profile type exif", "XML:com.adobe.xmp")):
        return None
    place = file.fp.tell()
    try:
        file.fp.seek(8)
        pixels = False
        while len(head := file.fp.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if pixels and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
                return True
            pixels |= kind == b"IDAT"
            file.fp.seek(length + 4, os.SEEK_CUR)
        return False
    finally:
        file.fp.seek(place)


def raw_mode(file: Image.Image) -> str:
    """How the pixels lie in the file, in Pillow's words, such as "L;4"."""
    tiles = getattr(file, "tile", None) or getattr(file, "_read_tiles", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    if isinstance(arguments, tuple):
        arguments = arguments[0] if arguments else ""
    return arguments if isinstance(arguments, str) else ""


def colours_of(image: Image.Image, flatten: bool) -> NDArray[np.uint8]:
    """(H, W, 3) uint8; see-through parts white where `flatten`, else as if they were not see-through."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        grey = to_8_bits(values)
        clear = image.info.get("transparency")
        if flatten and isinstance(clear, int):
            grey[values == clear] = 255
        return np.repeat(grey[..., None], 3, axis=2)
    rows = max(1, _PIXELS // image.width)
    if image.height <= rows:
        return _rgb(image, flatten)
    colours = np.empty((image.height, image.width, 3), dtype=np.uint8)
    for top in range(0, image.height, rows):  # Pillow's copies of a large picture would take a gigabyte
        bottom = min(top + rows, image.height)
        colours[top:bottom] = _rgb(image.crop((0, top, image.width, bottom)), flatten)
    return colours


def _rgb(image: Image.Image, flatten: bool) -> NDArray[np.uint8]:
    if flatten and image.has_transparency_data:
        image = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))
