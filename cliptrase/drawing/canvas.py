"""What sheets and charts are drawn with: one size of text, one ink, PNG."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_cdt

from cliptrase.drawing.overlay import INK as INK
from cliptrase.drawing.overlay import Picture, heat

TEXT = 15  # pixels
GAP = 10


def png_bytes(picture: Picture) -> bytes:
    """An (H, W, 3) picture as PNG of 256 colours: a third of the time and of the size of all colours."""
    buffer = io.BytesIO()
    few = Image.fromarray(picture).quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


@lru_cache(maxsize=8)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font at a size in pixels."""
    return ImageFont.load_default(size)


def clipped(text: str, wide: float) -> str:
    """Text that fits a width in pixels, with an ellipsis where something is cut off."""
    if font(TEXT).getlength(text) <= wide:
        return text
    while text and font(TEXT).getlength(text + "…") > wide:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, wide: float) -> list[str]:
    """Text as lines that fit a width in pixels; a longer word has a line of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font(TEXT).getlength(longer) > wide:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def innermost(area: NDArray[np.bool_]) -> tuple[int, int]:
    """Row and column of an (H, W) area farthest from its border; of several the one nearest the area's centre."""
    rows, columns = np.nonzero(area)
    top, left = rows.min(), columns.min()
    part = np.pad(area[top : rows.max() + 1, left : columns.max() + 1], 1)
    depth = distance_transform_cdt(part)[1:-1, 1:-1]
    deepest = np.argwhere(depth == depth.max())
    nearest = deepest[((deepest - (rows.mean() - top, columns.mean() - left)) ** 2).sum(1).argmin()]
    return int(top + nearest[0]), int(left + nearest[1])


def heat_map(values: NDArray[np.floating], size: tuple[int, int], highest: float) -> Image.Image:
    """Numbers on a patch grid as a picture of square patches: see `visualization.heat`.

    Args:
        values: (h, w); 0 and less is darkest.
        size: (width, height) in pixels.
        highest: value of the lightest colour, greater than 0.
    """
    return Image.fromarray(heat(values / highest)).resize(size, Image.Resampling.NEAREST)


def mark(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float]) -> None:
    """A frame (left, top, right, bottom) that is seen on light and on dark."""
    left, top, right, bottom = (round(side) for side in box)
    draw.rectangle((left - 3, top - 3, right + 2, bottom + 2), outline=INK, width=1)
    draw.rectangle((left - 2, top - 2, right + 1, bottom + 1), outline="white", width=2)
    draw.rectangle((left, top, right - 1, bottom - 1), outline=INK, width=1)


def colour_scale(draw: ImageDraw.ImageDraw, place: tuple[int, int], wide: int, ends: tuple[str, str]) -> None:
    """The colours of `heat` as a bar of text height from (left, top) on, its ends' values beside it.

    `wide` pixels are taken in all, more where the bar would be less than 40.
    """
    left, top = place
    start = left + round(font(TEXT).getlength(ends[0])) + 6
    stop = max(start + 40, left + wide - round(font(TEXT).getlength(ends[1])) - 6)
    draw.text((left, top + TEXT // 2), ends[0], INK, font(TEXT), anchor="lm")
    for x, colour in enumerate(heat(np.linspace(0, 1, stop - start)).tolist(), start):
        draw.line((x, top, x, top + TEXT - 1), tuple(colour))
    draw.rectangle((start, top, stop - 1, top + TEXT - 1), outline=INK)
    draw.text((stop + 6, top + TEXT // 2), ends[1], INK, font(TEXT), anchor="lm")
