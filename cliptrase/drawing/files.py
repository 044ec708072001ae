"""Label maps and pictures as PNG files."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cliptrase.drawing.overlay import UNLABELLED_COLOUR, Picture, palette


def mask_png(labels: NDArray[np.integer[Any]], num_labels: int, none: int | None = None) -> bytes:
    """A label map (H, W) as PNG: 8-bit with the palette, whose indices are the labels; 16-bit grey over 255 labels.

    The label `none`, of pixels that are none of the names, is black.
    """
    deep = num_labels > 255
    page = Image.fromarray(labels.astype(np.uint16 if deep else np.uint8, copy=False))
    if not deep:
        colours = palette()[:256].copy()
        if none is not None:
            colours[none] = UNLABELLED_COLOUR
        page.putpalette(colours.tobytes())
    buffer = io.BytesIO()
    page.save(buffer, format="PNG")
    return buffer.getvalue()


def png(picture: Picture) -> bytes:
    """An (H, W, 3) picture as PNG, packed for speed: photographs gain little from more."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def grey_png(picture: NDArray[np.uint8]) -> bytes:
    """An (H, W) picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()
