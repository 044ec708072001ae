"""Label maps as pictures: one palette everywhere, fixed by label index."""

import colorsys
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]

_GOLDEN = 0.61803398875
_TONES = ((0.75, 0.90), (0.55, 1.00), (0.90, 0.65))  # saturation and brightness, in turn
UNLABELLED_COLOUR = (0, 0, 0)


@lru_cache(maxsize=1)
def palette() -> Picture:
    """Colours of 65,536 label indices, (65536, 3) uint8: neighbours in index are far apart in hue."""
    colours = [
        colorsys.hsv_to_rgb((index * _GOLDEN + 0.58) % 1, *_TONES[index % len(_TONES)]) for index in range(65536)
    ]
    return (255 * np.array(colours)).round().astype(np.uint8)


def colourise(labels: NDArray[np.integer]) -> Picture:
    """Colours of a label map: (H, W) integers to (H, W, 3) uint8; negative labels are black."""
    colours: Picture = palette()[labels.clip(0)]
    colours[labels < 0] = UNLABELLED_COLOUR
    return colours


def overlay(image: Picture, labels: NDArray[np.integer], opacity: float = 0.6) -> Picture:
    """A label map over its picture.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) integers; negative ones leave the picture as it is.
        opacity: of the colours, in [0, 1].

    Returns:
        (H, W, 3) uint8.
    """
    mixed = image * (1 - opacity) + colourise(labels) * opacity
    return np.where((labels >= 0)[..., None], mixed.round(), image).astype(np.uint8)


def hex_colour(label: int) -> str:
    """Colour of a label as `#rrggbb`."""
    return "#" + "".join(f"{channel:02x}" for channel in palette()[label])


def with_legend(picture: Picture, names: Sequence[str], share: NDArray[np.floating]) -> Picture:
    """A picture with a legend below it: swatch, name and share of each label that is there, largest first.

    Args:
        picture: (H, W, 3) uint8.
        names: of all labels.
        share: (labels,) of the pixels, in [0, 1].

    Returns:
        (H + legend, W, 3) uint8, black on white, wrapped to the picture's width; at least 160 pixels wide.
    """
    height, width = picture.shape[:2]
    size = max(12, width // 48)
    font = ImageFont.load_default(size)
    wide = max(width, 160)
    entries = [
        (label, f"{names[label]} {100 * share[label]:.1f} %") for label in np.argsort(-share) if share[label] > 0
    ]
    left, top, line = size // 2, size // 2, 2 * size
    places = []
    for label, text in entries:
        while font.getlength(text) > wide - 3 * size and len(text) > 1:
            text = text[:-2].rstrip("…") + "…"
        needed = int(2 * size + font.getlength(text))
        if left > size // 2 and left + needed > wide:
            left, top = size // 2, top + line
        places.append((left, top, label, text))
        left += needed + size
    sheet = Image.new("RGB", (wide, height + top + line), "white")
    sheet.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(sheet)
    for x, y, label, text in places:
        box = (x, height + y, x + int(1.4 * size), height + y + size)
        draw.rectangle(box, fill=hex_colour(label), outline="black")
        draw.text((x + 2 * size, height + y + size // 2), text, fill="black", font=font, anchor="lm")
    return np.array(sheet)


def side_by_side(pictures: list[Picture], gap: int = 4) -> Picture:
    """Pictures of one height in a row with white gaps: (H, sum of widths and gaps, 3) uint8."""
    height = pictures[0].shape[0]
    space = np.full((height, gap, 3), 255, dtype=np.uint8)
    row = [part for picture in pictures for part in (space, picture)][1:]
    return np.concatenate(row, axis=1)
