"""Label maps whose colours stand for classes: what each colour means, looked up for whole maps at once."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.errors import counted
from datamodules.colours import Colour

_BAND = 1 << 20  # pixels that are looked up at a time, so that maps of any size take little memory
_SHOWN = 5
MANY = 50  # colours beyond a table's are hardly classes that were forgotten


class Decoded(NamedTuple):
    """A label map by colour.

    Attributes:
        values: (H, W) uint8 or uint16; 0 where the colour is unknown.
        unknown: pixels of each colour that the table does not name.
    """

    values: NDArray[np.unsignedinteger]
    unknown: Mapping[Colour, int]


@dataclass(frozen=True)
class ColourTable:
    """What the colours of label maps mean.

    Attributes:
        meanings: colour as 0xRRGGBB and value that it stands for, 0..65535, in the order of the colours.
    """

    meanings: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, values: Mapping[Colour, int]) -> "ColourTable":
        """A table of colours, (red, green, blue) in 0..255, and the values that an index map would hold instead."""
        return cls(tuple(sorted((pack(colour), value) for colour, value in values.items())))

    def decode(self, colours: NDArray[np.uint8]) -> Decoded:
        """Values of a label map's colours, (H, W, 3)."""
        lookup = _lookup(self.meanings)
        height, width = colours.shape[:2]
        values = np.empty((height, width), np.uint8 if max(value for _, value in self.meanings) <= 255 else np.uint16)
        unknown: Counter[int] = Counter()
        rows = max(1, _BAND // width)
        for top in range(0, height, rows):
            band = colours[top : top + rows].astype(np.int32)
            packed = band[..., 0] << 16 | band[..., 1] << 8 | band[..., 2]
            found = lookup[packed]  # value + 1
            values[top : top + rows] = np.maximum(found, 1) - 1
            if (strange := found == 0).any():
                names, counts = np.unique(packed[strange], return_counts=True)
                unknown.update(dict(zip(names.tolist(), counts.tolist(), strict=True)))
        return Decoded(values, {unpack(colour): count for colour, count in unknown.most_common()})


@lru_cache(maxsize=4)
def _lookup(meanings: tuple[tuple[int, int], ...]) -> NDArray[np.int32]:
    """One more than the value of each of the 2^24 colours, 0 for those that mean nothing; what is 0 takes no memory."""
    table = np.zeros(1 << 24, np.int32)
    for colour, value in meanings:
        table[colour] = value + 1
    return table


def pack(colour: Colour) -> int:
    """A colour as one number, 0xRRGGBB."""
    red, green, blue = colour
    return red << 16 | green << 8 | blue


def unpack(packed: int) -> Colour:
    """A colour of its number, 0xRRGGBB."""
    return packed >> 16, packed >> 8 & 255, packed & 255


def say_colours(pixels: Mapping[Colour, int], all_up_to: int = _SHOWN) -> str:
    """Colours with their pixels, those of most pixels first: `10,20,30 (#0a141e) in 4 pixels`.

    Of more colours than `all_up_to` the first five are named.
    """
    most = sorted(pixels.items(), key=lambda item: (-item[1], item[0]))
    named = len(most) if len(most) <= all_up_to else _SHOWN
    shown = [f"{shown_colour(colour)} in {counted(count, 'pixel')}" for colour, count in most[:named]]
    rest = most[named:]
    more = f" and {counted(len(rest), 'other')} in {counted(sum(count for _, count in rest), 'pixel')}" if rest else ""
    return ", ".join(shown) + more


def cure_of(colours: Iterable[Colour]) -> str:
    """What to do about colours that a table does not name, by what they look like."""
    several = list(colours)
    them = "it" if len(several) == 1 else "them"
    if all(red == green == blue for red, green, blue in several):
        return f"add {them} to `colors`, or leave `colors` out if these are index maps, whose numbers are the classes"
    if len(several) > MANY:
        return "so many come of resizing or compression: export the label maps anew, as PNG and without smoothing"
    return f"add {them} to `colors`, each by its class or, if it is not scored, by the name 'ignore'"


def shown_colour(colour: Colour) -> str:
    """A colour for people: `10,20,30 (#0a141e)`."""
    return f"{','.join(map(str, colour))} (#{pack(colour):06x})"
