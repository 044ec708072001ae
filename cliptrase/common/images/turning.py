"""Which way up a picture is: EXIF orientations."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

Size = tuple[int, int]  # (height, width)
# `upright`: as people see a picture, turned by its EXIF orientation, see-through parts white. `released`: as the
# released codes see it by `Image.convert("RGB")`, as it is stored, alpha dropped.
Decoding = Literal["upright", "released"]

ODD_TURNS = frozenset({5, 6, 7, 8})  # orientations that exchange height and width
_INVERSE = {6: 8, 8: 6}  # the other turns undo themselves


class Header(NamedTuple):
    """What a picture's file says before it is decoded."""

    stored: Size
    orientation: int  # 1 to 8, as in EXIF; 1 is upright
    mode: str = "RGB"  # Pillow's

    @property
    def upright(self) -> Size:
        """(height, width) of the turned picture."""
        return self.stored[::-1] if self.orientation in ODD_TURNS else self.stored

    def is_turned(self, decoding: Decoding, size: Size | None = None) -> bool:
        """Whether the picture is turned: as `decoding` says, but where only the other way has `size`, that way."""
        if self.orientation == 1:
            return False
        if size in (self.stored, self.upright) and self.stored != self.upright:
            return size == self.upright
        return decoding == "upright"


def orientation_of(file: Image.Image) -> int:
    """1 to 8; 1 where nothing that can be read says another."""
    try:
        value = file.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # Metadata that Pillow cannot read are no metadata.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def placed(
    colours: NDArray[np.uint8], orientation: int, turned: bool, decoding: Decoding, size: Size | None
) -> NDArray[np.uint8]:
    """(H, W, 3) turned, or turned back, as is wanted; `turned` says whether Pillow has turned it."""
    if turned and decoding == "released":
        return colours  # what the released codes see, too
    height, width = colours.shape[:2]
    stored = (width, height) if turned and orientation in ODD_TURNS else (height, width)
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
    return flipped.swapaxes(0, 1) if orientation in ODD_TURNS else flipped
