"""What sheets and charts are drawn with: one size of text, one ink, PNG."""

import io
from functools import lru_cache

from PIL import Image, ImageFont

from cliptrase.visualization import Picture

TEXT = 15  # pixels
GAP = 10
INK = (20, 20, 20)


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
