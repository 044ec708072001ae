"""Which picture files are read here, how large they may be, and what to do with the others."""

import importlib
import importlib.util
import os
import re
from functools import cache

from PIL import Image

from cliptrase.common.errors import InputError

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


def _prepare_pillow() -> None:
    Image.init()
    if importlib.util.find_spec("pillow_heif"):
        importlib.import_module("pillow_heif").register_heif_opener()
