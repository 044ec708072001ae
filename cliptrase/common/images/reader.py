"""The reader: how files are decoded, as data."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cliptrase.common.errors import InputError, one_line
from cliptrase.common.images.bands import (
    NODATA,
    Bands,
    checked_bands,
    find_bands,
    number_of_nothing,
    read_bands,
)
from cliptrase.common.images.decoding import (
    colours_of,
    has_late_metadata,
    identified,
    load,
    opened,
    quiet,
    raw_mode,
    require_pixels,
)
from cliptrase.common.images.formats import max_pixels
from cliptrase.common.images.index_maps import indices_of, map_colours_of
from cliptrase.common.images.scaling import UNSTRETCHED, Part, Stretch, scaled_parts
from cliptrase.common.images.turning import ODD_TURNS, Decoding, Header, Size, orientation_of, placed

# What callers give for a picture: a path, a PIL image of any mode, or an array of uint8, (H, W, 3) RGB or (H, W) grey.
PictureLike = str | os.PathLike[str] | Image.Image | NDArray[np.uint8]


@dataclass(frozen=True)
class Reader:
    """How files are decoded.

    Attributes:
        decoding: see `Decoding`.
        max_pixels: pictures of more pixels are refused before they are decoded; None takes the environment variable
            CLIPTRASE_MAX_PIXELS, or 178,956,970.
        bands: of pictures that have several: numbers, from 1 on, of three as red, green and blue, or of one; nothing
            for the first.
        stretch: which numbers of a picture become black and white.
    """

    decoding: Decoding = "upright"
    max_pixels: int | None = None
    bands: tuple[int, ...] = ()
    stretch: Stretch = UNSTRETCHED

    def picture(self, path: Path, size: Size | None = None) -> NDArray[np.uint8]:
        """A picture of any format, mode and depth, its first frame.

        Args:
            path: of the file.
            size: of its label map. Where the picture has it only turned, or only as stored, it is read so.

        Returns:
            (H, W, 3) uint8 RGB; numbers of 16 or 32 bits and floating-point ones are scaled, see `to_8_bits` and
            `stretch`.

        Raises:
            BandsError: one of `bands` is not there.
            InputError: the file cannot be read, or the picture is too large.
        """
        with opened(path, "picture") as stream:
            file = self._file(stream, path)
            if isinstance(file, Bands):
                colours = read_bands(file, self.bands, self.stretch, path)
                return placed(colours, file.orientation, False, self.decoding, size)
            orientation = load(file)
            deep = file.mode.startswith("I") or file.mode == "F"
            nodata = number_of_nothing(getattr(file, "tag_v2", {}).get(NODATA)) if deep else None
            if self._chooses or (nodata is not None and self.decoding == "upright"):
                colours = self._chosen(file, path, deep, nodata)
            else:
                colours = colours_of(file, flatten=self.decoding == "upright")
        return placed(colours, orientation, file.format == "TIFF", self.decoding, size)

    def bands_of(self, path: Path) -> Bands | None:
        """What there is to choose from in a TIFF file that is read by bands; None for other files.

        Raises:
            InputError: the file cannot be opened, or the picture is too large.
        """
        with opened(path, "picture") as stream:
            file = self._file(stream, path)
            return file if isinstance(file, Bands) else None

    def header(self, path: Path) -> Header:
        """Size and orientation, without decoding.

        Raises:
            InputError: the file cannot be read, or the picture is too large.
        """
        with opened(path, "picture") as stream:
            file = self._file(stream, path)
            if isinstance(file, Bands):
                return Header((file.height, file.width), file.orientation, f"{file.number} x {file.dtype}")
            orientation = 1 if has_late_metadata(file) is False else orientation_of(file)
            height, width = file.height, file.width
            if file.format != "TIFF":
                return Header((height, width), orientation, file.mode)
            # Pillow gives the size of a TIFF file turned, as it gives the pixels.
            if self.decoding == "released":
                return Header((height, width), 1, file.mode)
            return Header((width, height) if orientation in ODD_TURNS else (height, width), orientation, file.mode)

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
        return indices_of(*self._label_map(path))

    def colour_map(self, path: Path) -> NDArray[np.uint8]:
        """A label map's colours, those of its palette where it has one.

        Returns:
            (H, W, 3) uint8 RGB as in the file.

        Raises:
            InputError: the file cannot be read, is too large, has several pages, or its colours are not 8-bit RGB.
        """
        return map_colours_of(*self._label_map(path))

    def _label_map(self, path: Path) -> tuple[Image.Image, Path, str, str, str]:
        """A label map, decoded, and what else `indices_of` asks for.

        Raises:
            InputError: the file cannot be read, is too large, or has several pages.
        """
        with opened(path, "label map") as stream:
            file = identified(stream)
            require_pixels(path, (file.height, file.width), self._limit)
            if (pages := getattr(file, "n_frames", 1)) > 1:
                raise InputError(
                    f"{path} holds {pages} pages, of which a label map can be one only; export that one as PNG"
                )
            kept = raw_mode(file), f"{file.format}", str(file.info.get("compression", ""))
            file.load()
        return file, path, *kept

    @property
    def _limit(self) -> int:
        return self.max_pixels or max_pixels()

    @property
    def _chooses(self) -> bool:
        return bool(self.bands) or self.stretch != UNSTRETCHED

    def _file(self, stream: IO[bytes], path: Path) -> Image.Image | Bands:
        """The picture as Pillow opens it, or a TIFF file to be read by bands; its size is checked."""
        found = find_bands(stream)
        file: Image.Image | Bands
        # The released codes read what Pillow reads.
        preferred = self._chooses or (self.decoding == "upright" and found is not None and not found.usual)
        if found is not None and found.brightness and preferred:
            file = found
        else:
            try:
                file = identified(stream)
            except UnidentifiedImageError:
                if found is None or not found.brightness:
                    raise
                file = found
        require_pixels(path, (file.height, file.width), self._limit)
        return file

    def _chosen(self, file: Image.Image, path: Path, deep: bool, nodata: float | None) -> NDArray[np.uint8]:
        """Bands of a picture that Pillow has decoded: its colours, or the one of a deep grey picture."""
        held = np.asarray(file)[..., None] if deep else colours_of(file, flatten=self.decoding == "upright")
        height, width, count = held.shape
        shown = checked_bands(self.bands or ((1,) if deep else (1, 2, 3)), count, path)
        wanted = shown if len(shown) == 3 else shown * 3

        def parts() -> Iterator[Part]:
            for channel, band in enumerate(wanted):
                yield Part(channel, slice(height), slice(width), held[..., band - 1])

        return scaled_parts(parts, (height, width, 3), held.dtype, self.stretch, nodata)


RELEASED = Reader("released")


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
            with quiet():
                orientation = load(picture)
                colours = colours_of(picture, flatten=True)
        except Exception as error:  # As in `_opened`: an image that was opened may not be decoded yet.
            name = getattr(picture, "filename", "") or f"the PIL image of mode {picture.mode}"
            raise InputError(f"{name} cannot be read as a picture ({one_line(error)}); give another") from error
        return placed(colours, orientation, picture.format == "TIFF", "upright", None)
    if isinstance(picture, np.ndarray):
        three = picture.ndim == 3 and picture.shape[2] == 3
        if picture.dtype != np.uint8 or not (three or picture.ndim == 2) or not picture.size:
            raise InputError(f"an array of {picture.dtype} and of shape {picture.shape} is no picture; {wanted}")
        return np.array(picture) if three else np.repeat(picture[..., None], 3, axis=2)
    kind = type(picture)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise InputError(f"an object of type {name} is no picture; {wanted}")
