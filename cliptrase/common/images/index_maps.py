"""Label maps: the stored values of a decoded file, where they are indices, or its colours, where these are meant."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cliptrase.common.errors import InputError

# Formats that give a label map other values than were written: near ones, or the numbers of a palette made anew.
_UNSURE = frozenset({"AVIF", "GIF", "JPEG", "JPEG2000", "MPO", "WEBP"})


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


def indices_of(image: Image.Image, path: Path, raw: str, kind: str, compression: str) -> NDArray[np.integer[Any]]:
    """The values that a label map's file holds; see `Reader.index_map`.

    Args:
        image: decoded.
        path: of the file.
        raw: how its pixels lie in the file; see `decoding.raw_mode`.
        kind: Pillow's name of its format.
        compression: of a TIFF file.

    Returns:
        (H, W) uint8, uint16 or int32.

    Raises:
        ColoursError: the channels differ.
        InputError: the values are no whole numbers, or not surely those that were written.
    """
    _require_written(path, kind, compression)
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


def map_colours_of(image: Image.Image, path: Path, raw: str, kind: str, compression: str) -> NDArray[np.uint8]:
    """The colours that a label map's file shows, see `Reader.colour_map`; arguments as in `indices_of`.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: they are not 8-bit RGB, see-through, or not surely those that were written.
    """
    _require_written(path, kind, compression)
    opaque = image.mode not in ("LA", "PA", "RGBA") or image.getchannel("A").getextrema() == (255, 255)
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA") or ";16" in raw or not opaque:
        held = f"{image.mode} values{' of 16 bits' if ';16' in raw else ''}{'' if opaque else ' that are see-through'}"
        raise InputError(f"{path} holds {held}, not colours of classes; export it anew as 8-bit RGB")
    return np.array(image.convert("RGB"))


def _require_written(path: Path, kind: str, compression: str) -> None:
    """Asks that the format keeps what was written.

    Raises:
        InputError: it may not.
    """
    if kind in _UNSURE or compression == "jpeg":
        named = "JPEG" if compression == "jpeg" else kind
        raise InputError(
            f"{path} is a label map in {named}, which may change the values that are written; export it anew as PNG"
        )


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
