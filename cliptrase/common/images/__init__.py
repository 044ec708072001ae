"""The one reader of pictures and label maps: the same file gives the same pixels wherever it is read."""

from cliptrase.common.images.bands import BandsError, parse_bands
from cliptrase.common.images.formats import (
    LIMIT_VARIABLE,
    SAFE_PIXELS,
    cure_of,
    foreign_endings,
    max_pixels,
    readable_endings,
)
from cliptrase.common.images.index_maps import ColoursError
from cliptrase.common.images.reader import RELEASED, PictureLike, Reader, to_rgb
from cliptrase.common.images.scaling import UNSTRETCHED, Stretch, parse_stretch, to_8_bits
from cliptrase.common.images.turning import Decoding, Header, Size

__all__ = [
    "LIMIT_VARIABLE",
    "RELEASED",
    "SAFE_PIXELS",
    "UNSTRETCHED",
    "BandsError",
    "ColoursError",
    "Decoding",
    "Header",
    "PictureLike",
    "Reader",
    "Size",
    "Stretch",
    "cure_of",
    "foreign_endings",
    "max_pixels",
    "parse_bands",
    "parse_stretch",
    "readable_endings",
    "to_8_bits",
    "to_rgb",
]
