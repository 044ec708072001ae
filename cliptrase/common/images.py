"""The one reader of pictures and label maps: the same file gives the same pixels wherever it is read."""

import importlib
import importlib.util
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from cliptrase.common.errors import InputError, one_line

Size = tuple[int, int]  # (height, width)
# `upright`: as people see a picture, turned by its EXIF orientation, see-through parts white. `released`: as the
# released codes see it by `Image.convert("RGB")`, as it is stored, alpha dropped.
Decoding = Literal["upright", "released"]

LIMIT_VARIABLE = "CLIPTRASE_MAX_PIXELS"
SAFE_PIXELS = 178_956_970  # above it Pillow takes a file for a trap; a picture of 8-bit RGB then takes 0.5 GB

# Formats of Pillow's that are no pictures, or that it opens only with a program or a system that is hardly ever there.
_NO_PICTURES = frozenset({"BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"})
# Endings of pictures of people's folders that Pillow cannot read, or only where it was built so.
_FOREIGN = frozenset(
    {".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw"}
    | {".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}  # of cameras
    | {".avif", ".heic", ".heics", ".heif", ".hif", ".jp2", ".jxl", ".jxr", ".wdp", ".webp"}
    | {".ai", ".emf", ".eps", ".kra", ".ps", ".psb", ".psd", ".svg", ".svgz", ".wmf", ".xcf"}  # of drawing programs
    | {".dcm", ".exr", ".fits", ".hdr"}
)
_HEIF = frozenset({".heic", ".heics", ".heif", ".hif"})
# Formats that give a label map other values than were written: near ones, or the numbers of a palette made anew.
_UNSURE = frozenset({"AVIF", "GIF", "JPEG", "JPEG2000", "MPO", "WEBP"})
_WIDENED = 257  # 255 * 257 = 65535: 8 bits as 16
_ODD_TURNS = frozenset({5, 6, 7, 8})  # orientations that exchange height and width
_INVERSE = {6: 8, 8: 6}  # the other turns undo themselves
_LOCK = threading.Lock()
# What callers give for a picture: a path, a PIL image of any mode, or an array of uint8, (H, W, 3) RGB or (H, W) grey.
PictureLike = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]


class Header(NamedTuple):
    """What a picture's file says before it is decoded."""

    stored: Size
    orientation: int  # 1 to 8, as in EXIF; 1 is upright
    mode: str = "RGB"  # Pillow's

    @property
    def upright(self) -> Size:
        """(height, width) of the turned picture."""
        return self.stored[::-1] if self.orientation in _ODD_TURNS else self.stored

    def is_turned(self, decoding: Decoding, size: Size | None = None) -> bool:
        """Whether the picture is turned: as `decoding` says, but where only the other way has `size`, that way."""
        if self.orientation == 1:
            return False
        if size in (self.stored, self.upright) and self.stored != self.upright:
            return size == self.upright
        return decoding == "upright"


class ColoursError(InputError):
    """A label map holds colours where indices were expected.

    Attributes:
        mode: Pillow's mode of the file.
    """

    def __init__(self, message: str, mode: str) -> None:
        super().__init__(message, mode)
        self.message, self.mode = message, mode

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Reader:
    """How files are decoded.

    Attributes:
        decoding: see `Decoding`.
        max_pixels: pictures of more pixels are refused before they are decoded; None takes the environment variable
            CLIPTRASE_MAX_PIXELS, or 178,956,970.
    """

    decoding: Decoding = "upright"
    max_pixels: int | None = None

    def picture(self, path: Path, size: Size | None = None) -> NDArray[np.uint8]:
        """A picture of any format, mode and depth, its first frame.

        Args:
            path: of the file.
            size: of its label map. Where the picture has it only turned, or only as stored, it is read so.

        Returns:
            (H, W, 3) uint8 RGB; numbers of 16 or 32 bits and floating-point ones are scaled, see `to_8_bits`.

        Raises:
            InputError: the file cannot be read, or the picture is too large.
        """
        with _opened(path, "picture", self._limit()) as file:
            orientation = _load(file)
            colours = _colours(file, flatten=self.decoding == "upright")
        return _placed(colours, orientation, file.format == "TIFF", self.decoding, size)

    def header(self, path: Path) -> Header:
        """Size and orientation, without decoding.

        Raises:
            InputError: the file cannot be read, or the picture is too large.
        """
        with _opened(path, "picture", self._limit()) as file:
            orientation = 1 if _has_late_metadata(file) is False else _orientation(file)
            height, width = file.height, file.width
            if file.format != "TIFF":
                return Header((height, width), orientation, file.mode)
            # Pillow gives the size of a TIFF file turned, as it gives the pixels.
            if self.decoding == "released":
                return Header((height, width), 1, file.mode)
            return Header((width, height) if orientation in _ODD_TURNS else (height, width), orientation, file.mode)

    def index_map(self, path: Path) -> NDArray[np.integer[Any]]:
        """A label map's stored values: of one channel and any depth, or of equal channels.

        Palette maps give their indices, grey maps of 1, 2 and 4 bits the values that the file holds, whole
        floating-point numbers themselves.

        Returns:
            (H, W) uint8, uint16 or int32, as wide as in the file.

        Raises:
            ColoursError: the channels differ.
            InputError: the file cannot be read, is too large, has several pages, or its values are no whole numbers.
        """
        with _opened(path, "label map", self._limit()) as file:
            if (pages := getattr(file, "n_frames", 1)) > 1:
                raise InputError(
                    f"{path} holds {pages} pages, of which a label map can be one only; export that one as PNG"
                )
            kept = _raw_mode(file), f"{file.format}", str(file.info.get("compression", ""))
            file.load()
            image = file
        return _indices(image, path, *kept)

    def _limit(self) -> int:
        return self.max_pixels or max_pixels()


RELEASED = Reader("released")


def max_pixels() -> int:
    """Pixels that a picture may have: CLIPTRASE_MAX_PIXELS of the environment, or 178,956,970.

    Raises:
        InputError: the variable is not a number of pixels.
    """
    given = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not given:
        return SAFE_PIXELS
    if not re.fullmatch(r"[0-9_]+", given) or int(given) < 1:
        raise InputError(f"{LIMIT_VARIABLE}={given!r} is not a number of pixels; give one like {SAFE_PIXELS}")
    return int(given)


@cache
def readable_endings() -> frozenset[str]:
    """Endings of the picture files that the installed Pillow reads, in small letters: ".jpg"; pillow-heif's too."""
    _prepare_pillow()
    endings = Image.registered_extensions()
    return frozenset(
        ending for ending, name in endings.items() if name in Image.OPEN and name.upper() not in _NO_PICTURES
    )


@cache
def foreign_endings() -> frozenset[str]:
    """Endings of picture files that cannot be read here."""
    return _FOREIGN - readable_endings()


def cure_of(ending: str) -> str:
    """What to do with a file that cannot be read here, by its ending."""
    return "install pillow-heif or convert it" if ending.lower() in _HEIF else "convert it to PNG or JPEG"


def to_rgb(picture: PictureLike) -> NDArray[np.uint8]:
    """A picture as a caller has it: upright (H, W, 3) uint8 RGB.

    Args:
        picture: a path, a PIL image of any mode, or an array of uint8: (H, W, 3) RGB or (H, W) grey.

    Raises:
        InputError: a file that cannot be read, an array of another shape or type, or anything else.
    """
    wanted = "give a path, a PIL image, or an array of uint8 and of shape (H, W, 3) or (H, W)"
    if isinstance(picture, str | os.PathLike):
        path = Path(os.fsdecode(picture)).expanduser()
        return Reader().picture(path)
    if isinstance(picture, Image.Image):
        if not all(picture.size):
            raise InputError(f"the picture has {picture.width} x {picture.height} pixels; give one that has some")
        try:
            with _quiet():
                orientation = _load(picture)
                colours = _colours(picture, flatten=True)
        except Exception as error:  # As in `_opened`: an image that was opened may not be decoded yet.
            name = getattr(picture, "filename", "") or f"the PIL image of mode {picture.mode}"
            raise InputError(f"{name} cannot be read as a picture ({one_line(error)}); give another") from error
        return _placed(colours, orientation, picture.format == "TIFF", "upright", None)
    if isinstance(picture, np.ndarray):
        three = picture.ndim == 3 and picture.shape[2] == 3
        if picture.dtype != np.uint8 or not (three or picture.ndim == 2) or not picture.size:
            raise InputError(f"an array of {picture.dtype} and of shape {picture.shape} is no picture; {wanted}")
        return np.array(picture) if three else np.repeat(picture[..., None], 3, axis=2)
    kind = type(picture)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise InputError(f"an object of type {name} is no picture; {wanted}")


def to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers (H, W) of a one-channel picture as 0..255, by the least usual range that holds them.

    The ranges are 0..1 (floating point), 0..255, 0..4095 (12 bits, as cameras and scanners store them in 16) and
    0..65535, or else up to the highest number. Whole multiples of 257 are 8 bits widened to 16 and give these 8 bits,
    however dark. What is no number, infinite or less than 0 is black.
    """
    numbers = np.nan_to_num(values.astype(np.float32), nan=0, posinf=0, neginf=0).clip(0)
    highest = float(numbers.max(initial=0))
    ranges = [*([1.0] if values.dtype.kind == "f" else []), 255.0, 4095.0, 65535.0]
    most = next((end for end in ranges if highest <= end), highest)
    if most == 4095 and not (numbers % _WIDENED).any():
        most = 65535.0
    return (numbers * (255 / most)).clip(0, 255).round().astype(np.uint8)


def _prepare_pillow() -> None:
    Image.init()
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()


@contextmanager
def _opened(path: Path, what: str, limit: int) -> Iterator[Image.Image]:
    """An image file, its size checked; nothing within does more than decode it.

    Raises:
        InputError: whatever its opening and decoding raise.
    """
    try:
        with _quiet(), open(path, "rb", opener=_at_once) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise _RefusedError("it is no regular file")
            file = _identified(stream)
            pixels = file.width * file.height
            if pixels > limit:
                raise InputError(
                    f"{path} has {file.width} x {file.height} pixels, and more than {limit} are not read; allow them "
                    f"by --data.max_pixels {pixels} or by {LIMIT_VARIABLE}={pixels} in the environment, or reduce it"
                )
            yield file
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file.
        reason, cure = _reason(error, path)
        raise InputError(f"{path} cannot be read as a {what} ({reason}); {cure}") from error


class _RefusedError(Exception):
    """A file is none that is read; the message is the reason."""


def _at_once(path: str, flags: int) -> int:
    """Opens a file; a pipe that nobody writes to would be waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _identified(stream: IO[bytes]) -> Image.Image:
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
def _quiet() -> Iterator[None]:
    """Keeps Pillow's warnings of odd metadata, odd transparency and size away; what it decodes is what is wanted.

    `warnings.catch_warnings` changes what all threads share, so the first reader enters it and the last one leaves it.
    """
    with _LOCK:
        if not _Silence.readers:
            _Silence.restore.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.|cliptrase\.images$")
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
        return error.strerror, "replace it or take it away"
    if isinstance(error, MemoryError):
        return "there is not memory enough for it", "reduce it or take it away"
    return one_line(error), "replace it or take it away"


def _load(file: Image.Image) -> int:
    """Decodes an image and gives its orientation. Pillow turns TIFF files itself, then forgets their orientation."""
    turned = file.format == "TIFF"
    orientation = _orientation(file) if turned else 1
    widened = {"L;2": 85, "L;4": 17}.get(_raw_mode(file)[:3], 1)
    file.load()
    clear = file.info.get("transparency")
    if widened > 1 and isinstance(clear, int):
        file.info["transparency"] = clear * widened  # Pillow widens the pixels, but not the value that is see-through
    elif _raw_mode(file) == "RGB;16B" and isinstance(clear, tuple):
        file.info["transparency"] = tuple(value >> 8 for value in clear)
    return orientation if turned else _orientation(file)


def _orientation(file: Image.Image) -> int:
    """1 to 8; 1 where nothing that can be read says another."""
    try:
        value = file.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Metadata that Pillow cannot read are no metadata.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _has_late_metadata(file: Image.Image) -> bool | None:
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


def _raw_mode(file: Image.Image) -> str:
    """How the pixels lie in the file, in Pillow's words, such as "L;4"."""
    tiles = getattr(file, "tile", None) or getattr(file, "_read_tiles", None)
    if not tiles:
        return ""
    arguments = tiles[0][3]
    if isinstance(arguments, tuple):
        arguments = arguments[0] if arguments else ""
    return arguments if isinstance(arguments, str) else ""


def _placed(
    colours: NDArray[np.uint8], orientation: int, turned: bool, decoding: Decoding, size: Size | None
) -> NDArray[np.uint8]:
    """(H, W, 3) turned, or turned back, as is wanted; `turned` says whether Pillow has turned it."""
    if turned and decoding == "released":
        return colours  # what the released codes see, too
    height, width = colours.shape[:2]
    stored = (width, height) if turned and orientation in _ODD_TURNS else (height, width)
    turn = Header(stored, orientation).is_turned(decoding, size)
    if turn == turned:
        return colours
    return np.ascontiguousarray(_turn(colours, orientation if turn else _INVERSE.get(orientation, orientation)))


def _turn(stored: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) turned from how it is stored to upright."""
    flipped = {
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        6: stored[::-1],
        7: stored[::-1, ::-1],
        8: stored[:, ::-1],
    }.get(orientation, stored)
    return flipped.swapaxes(0, 1) if orientation in _ODD_TURNS else flipped


def _colours(image: Image.Image, flatten: bool) -> NDArray[np.uint8]:
    """(H, W, 3) uint8; see-through parts white where `flatten`, else as if they were not see-through."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        grey = to_8_bits(values)
        clear = image.info.get("transparency")
        if flatten and isinstance(clear, int):
            grey[values == clear] = 255
        return np.repeat(grey[..., None], 3, axis=2)
    if flatten and image.has_transparency_data:
        image = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _indices(image: Image.Image, path: Path, raw: str, kind: str, compression: str) -> NDArray[np.integer[Any]]:
    if kind in _UNSURE or compression == "jpeg":
        named = "JPEG" if compression == "jpeg" else kind
        raise InputError(
            f"{path} is a label map in {named}, which may change the values that are written; export it anew as PNG"
        )
    bands = image.getbands()
    values: NDArray[Any] = np.array(image)
    if len(bands) > 1:
        return _one_channel(values, image.mode, raw, path)
    if image.mode == "F":
        if not np.isfinite(values).all() or (values != np.round(values)).any() or np.abs(values).max() >= 2**31:
            raise InputError(
                f"{path} holds floating-point values that are no label indices, such as {_strangest(values)}; "
                "convert it to an index map"
            )
        return values.astype(np.int32)
    if raw.startswith(("L;2", "L;4")):
        values = values // (85 if raw.startswith("L;2") else 17)  # Pillow widens them to 0..255
    return values.astype(np.uint8 if values.itemsize == 1 else values.dtype.newbyteorder("="))


def _one_channel(values: NDArray[Any], mode: str, raw: str, path: Path) -> NDArray[np.uint8]:
    """The channel that all of (H, W, C) equal, where alpha is opaque."""
    colours = values[..., :-1] if mode in ("LA", "PA", "RGBA") else values
    opaque = colours is values or bool((values[..., -1] == 255).all())
    known = mode in ("LA", "PA", "RGB", "RGBA")
    if known and opaque and ";16" not in raw and bool((colours == colours[..., :1]).all()):
        return np.ascontiguousarray(colours[..., 0])
    held = f"{mode} colours" + (" of 16 bits" if ";16" in raw else "")
    raise ColoursError(f"{path} holds {held} where label indices were expected; convert it to an index map", mode)


def _strangest(values: NDArray[Any]) -> float:
    """A value that is no label."""
    wrong = values[~np.isfinite(values) | (values != np.round(values))]
    return float(wrong[0]) if wrong.size else float(np.abs(values).max())
