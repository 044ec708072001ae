"""TIFF files of several bands, or of more bits than Pillow shows: read part by part, three bands as a picture.

Satellites' and aerial pictures hold more than red, green and blue, of 16 bits each. Pillow reads none of these files,
or the upper 8 bits of three bands. tifffile reads them; for compressions that it does not know rasterio does.
"""

import importlib.util
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.errors import InputError, counted, first_few
from cliptrase.common.images.scaling import Part, Stretch, scaled_parts

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # of TIFF and BigTIFF
_GREY, _RGB = 1, 2  # photometric interpretations whose numbers are brightness
_ORIENTATION, _GEOGRAPHIC = 274, (33550, 33922, 34264, 34735)  # tags
NODATA = 42113  # the tag of the number of pixels that hold nothing
_ALPHA = (1, 2)  # kinds of extra samples
_VALUES = 1 << 22  # read at a time where the file does not say how it is cut
_BYTES = 1 << 24  # of strips and tiles, read at a time


class BandsError(InputError):
    """A band is asked for that a picture has not."""


class Bands(NamedTuple):
    """What a TIFF file says of its first page.

    Attributes:
        height: pixels.
        width: pixels.
        number: of bands.
        dtype: of the stored numbers.
        orientation: as in EXIF.
        usual: whether Pillow shows the page as it is: of 8 bits, or of one band.
        brightness: whether the numbers are brightness, not colours of a palette or of printing.
        georeferenced: whether the file says where on earth it lies.
        page: tifffile's.
    """

    height: int
    width: int
    number: int
    dtype: np.dtype[Any]
    orientation: int
    usual: bool
    brightness: bool
    georeferenced: bool
    page: Any


def parse_bands(text: str) -> tuple[int, ...]:
    """Numbers of bands, from 1: "4,3,2" for red, green and blue, "1" for grey; nothing for what a file shows first.

    Raises:
        InputError: not three numbers, or one.

    >>> parse_bands("4,3,2")
    (4, 3, 2)
    """
    words = text.replace(",", " ").split()
    if not words and not text.strip():
        return ()
    if len(words) not in (1, 3) or not all(re.fullmatch("[1-9][0-9]{0,4}", word) for word in words):
        raise InputError(
            f"--data.bands {text!r}: give three bands as red, green and blue, or one, by their numbers from 1 on, such "
            "as '4,3,2'"
        )
    return tuple(map(int, words))


def find_bands(stream: IO[bytes]) -> Bands | None:
    """The first page of a TIFF file; None for other files, and for those that tifffile cannot make out."""
    stream.seek(0)
    magic = stream.read(4)
    stream.seek(0)
    if magic not in _MAGIC:
        return None
    import tifffile

    try:
        page: Any = tifffile.TiffFile(stream).pages.first
        tags = page.tags
        orientation = int(tags[_ORIENTATION].value) if _ORIENTATION in tags else 1
        alpha = sum(int(kind) in _ALPHA for kind in page.extrasamples)
        numbers = page.dtype is not None and page.dtype.kind in "uif" and page.imagedepth == 1
        photometric, count = int(page.photometric), int(page.samplesperpixel)
        deep = page.dtype is not None and page.dtype.itemsize > 1
        return Bands(
            int(page.imagelength),
            int(page.imagewidth),
            count,
            np.dtype(page.dtype if page.dtype is not None else np.uint8),
            orientation if 1 <= orientation <= 8 else 1,
            not numbers
            or (count == 1)
            or bool(alpha and not deep)
            or bool(alpha and photometric == _RGB)
            or (photometric != _GREY and not deep),
            numbers and photometric in (_GREY, _RGB),
            any(tag in tags for tag in _GEOGRAPHIC),
            page,
        )
    except Exception:  # tifffile raises what it likes on a damaged file; Pillow then says what is wrong.
        return None
    finally:
        stream.seek(0)


def whole_pages(stream: IO[bytes]) -> int:
    """How many pages a TIFF file has, without smaller copies of them; 0 for other files, and damaged ones."""
    stream.seek(0)
    if stream.read(4) not in _MAGIC:
        return 0
    import tifffile

    stream.seek(0)
    try:
        pages: Any = tifffile.TiffFile(stream).pages
        return sum(not page.is_reduced for page in pages)
    except Exception:  # see `find_bands`
        return 0


def shown_bands(found: Bands, chosen: Sequence[int], path: Path) -> tuple[int, ...]:
    """Numbers of the one or three bands that are shown: those chosen, or the first.

    Raises:
        BandsError: there is none of that number.
    """
    return checked_bands(chosen or ((1, 2, 3) if found.number >= 3 else (1,)), found.number, path)


def checked_bands(chosen: Sequence[int], count: int, path: Path) -> tuple[int, ...]:
    """Numbers of bands that a picture of `count` bands has.

    Raises:
        BandsError: it has none of that number.
    """
    if missing := [str(band) for band in chosen if band > count]:
        raise BandsError(
            f"{path} has {counted(count, 'band')}, and --data.bands asks for {first_few(missing)}; "
            + (f"give numbers from 1 to {count}" if count > 1 else "give 1, or leave it out")
        )
    return tuple(chosen)


def read_bands(found: Bands, chosen: Sequence[int], stretch: Stretch, path: Path) -> NDArray[np.uint8]:
    """Bands of a file as a picture.

    Args:
        found: from `find_bands`, its stream still open.
        chosen: numbers of bands; see `shown_bands`.
        stretch: over what each band holds.
        path: of the file.

    Returns:
        (H, W, 3) uint8 as stored, not turned.

    Raises:
        BandsError: a band that there is not.
        InputError: a compression that nothing installed reads.
    """
    shown = shown_bands(found, chosen, path)
    wanted = [band - 1 for band in dict.fromkeys(shown)]  # each is read once
    shape = (found.height, found.width, len(wanted))
    source = _Source(found, wanted, path)
    tags = found.page.tags
    nodata = number_of_nothing(tags[NODATA].value) if NODATA in tags else None
    scaled = scaled_parts(source.parts, shape, found.dtype, stretch, nodata)
    order = [wanted.index(band - 1) for band in (shown if len(shown) == 3 else shown * 3)]
    return scaled if order == [0, 1, 2] else np.ascontiguousarray(scaled[..., order])


def number_of_nothing(value: Any) -> float | None:
    """The number of pixels that hold nothing, of the tag `NODATA` as GDAL writes it; None where it says none."""
    with suppress(ValueError):
        return float(str(value).strip("\0 "))
    return None


class _Source:
    """Parts of some bands of a page, however the file holds them.

    Args:
        found: the page.
        wanted: numbers of bands from 0 on, in the order of channels.
        path: of the file.
    """

    def __init__(self, found: Bands, wanted: Sequence[int], path: Path) -> None:
        self.found, self.wanted, self.path = found, wanted, path
        page = found.page
        self.planar = int(page.planarconfig) == 2 and found.number > 1
        if page.is_memmappable:
            self.parts = self._plain
        elif _decodes(page):
            self.parts = self._segments
        elif importlib.util.find_spec("rasterio"):
            self.parts = self._by_rasterio
        else:
            raise InputError(
                f"{path} is compressed by {page.compression.name}, which needs rasterio; "
                "`pip install 'cliptrase[geo]'` brings it"
            )

    def _plain(self) -> Iterator[Part]:
        """Rows of a file that holds its numbers one after the other."""
        page, found = self.found.page, self.found
        file, start = page.parent.filehandle, page.dataoffsets[0]
        dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
        planes, samples = (self.wanted, 1) if self.planar else ((0,), found.number)
        row = found.width * samples
        step = max(1, _VALUES // row)
        for channel, plane in enumerate(planes):
            for top in range(0, found.height, step):
                rows = slice(top, min(top + step, found.height))
                offset = start + (plane * found.height + top) * row * dtype.itemsize
                count = (rows.stop - top) * row
                file.seek(offset)
                content = file.read(count * dtype.itemsize)
                if len(content) < count * dtype.itemsize:
                    raise ValueError("the file is cut off")
                values = np.frombuffer(content, dtype).reshape(rows.stop - top, found.width, samples)
                yield from self._channels(values, rows, slice(found.width), channel)

    def _segments(self) -> Iterator[Part]:
        """Strips or tiles of a file, decoded one by one."""
        found = self.found
        channels = {band: channel for channel, band in enumerate(self.wanted)}
        for values, (plane, _, top, left, _), shape in found.page.segments(maxworkers=1, buffersize=_BYTES):
            if self.planar and plane not in channels:
                continue
            rows = slice(top, min(top + shape[1], found.height))
            columns = slice(left, min(left + shape[2], found.width))
            size = (rows.stop - top, columns.stop - left)
            samples = 1 if self.planar else found.number
            if values is None:  # a tile that holds nothing
                held: NDArray[Any] = np.zeros((*size, samples), dtype=found.dtype)
            else:
                held = values[0, : size[0], : size[1]]
            yield from self._channels(held, rows, columns, channels.get(plane, 0) if self.planar else 0)

    def _by_rasterio(self) -> Iterator[Part]:
        """Blocks of a file as GDAL decodes them, whose own cache is kept small."""
        import rasterio

        with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=64):
            warnings.simplefilter("ignore")  # of files without a place on earth
            with rasterio.open(self.path) as file:
                for _, window in file.block_windows(1):
                    rows, columns = window.toslices()
                    values = file.read([band + 1 for band in self.wanted], window=window)
                    for channel, plane in enumerate(values):
                        yield Part(channel, rows, columns, plane)

    def _channels(self, values: NDArray[Any], rows: slice, columns: slice, first: int) -> Iterator[Part]:
        """One part for each wanted band of (h, w, samples)."""
        if self.planar:
            yield Part(first, rows, columns, values[..., 0])
            return
        for channel, band in enumerate(self.wanted):
            yield Part(channel, rows, columns, values[..., band])


def _decodes(page: Any) -> bool:
    """Whether tifffile knows the compression with what is installed; other faults show where the page is read."""
    try:
        next(iter(page.segments(maxworkers=1, buffersize=_BYTES)), None)
    except ImportError:
        return False
    except Exception as error:
        return "imagecodecs" not in str(error)
    return True
