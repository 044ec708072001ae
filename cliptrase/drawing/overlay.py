"""Label maps as pictures: one palette everywhere, fixed by label index."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from unicodedata import combining, normalize

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
_Floats = NDArray[np.float64]
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

# Told apart with normal vision, protanopia, deuteranopia and tritanopia; made by `scripts/palette.py`.
_FIRST = """
0066cc ff5511 ffbbcc 663333 66ff88 443366 bbaaff bbff00 cc7766 8800ff 992200 aa7799 7766aa 77bb44 4411bb ee11ff
660088 eeccff 227733 bb3366 88ee55 ccddaa 55bb99 bb99cc dd1133 2288ff bb00cc bbbb77 ffaa22 aa0088 8888dd 772211
"""
_GOLDEN = 0.61803398875
_TONES = ((0.75, 0.90), (0.55, 1.00), (0.90, 0.65))  # saturation and brightness, in turn
# From dark blue over blue and green to pale yellow, each as much lighter than the one before: the order of values is
# seen whatever one's colour vision, and in grey.
_RISING = "100a40 1c3d85 137aa0 45b08f b5d85c fffbd0"
_SEEN = 2048  # pixels of the longer side of a large picture's overlay: what a screen shows
UNLABELLED_COLOUR = (0, 0, 0)
INK = (20, 20, 20)
_LINE = 600  # pixels of the longer side for each of a line's width
_STRIP_PIXELS = 1 << 18  # blended at a time: floating-point numbers of a whole photograph would take gigabytes


@lru_cache(maxsize=1)
def palette() -> Picture:
    """Colours of 65,536 label indices, (65536, 3) uint8.

    The first 32 are told apart whatever one's colour vision, best the very first; after them neighbours in index are
    far apart in hue.
    """
    first = [tuple(bytes.fromhex(colour)) for colour in _FIRST.split()]
    index = np.arange(65536)
    saturation, brightness = np.array(_TONES)[index % len(_TONES)].T
    colours: Picture = (255 * _rgb((index * _GOLDEN + 0.58) % 1, saturation, brightness)).round().astype(np.uint8)
    colours[: len(first)] = first
    colours.flags.writeable = False  # one array for all callers
    return colours


def _rgb(hue: NDArray[np.floating], saturation: NDArray[np.floating], value: NDArray[np.floating]) -> _Floats:
    """Red, green and blue in [0, 1], (..., 3), as `colorsys.hsv_to_rgb` has them, for many colours at once."""
    sector = np.array((5.0, 3.0, 1.0)) + 6 * hue[..., None]
    fall = np.minimum(sector % 6, 4 - sector % 6).clip(0, 1)  # how far a channel is below the value
    rgb: _Floats = value[..., None] * (1 - saturation[..., None] * fall)
    return rgb


def colourise(labels: NDArray[np.integer]) -> Picture:
    """Colours of a label map: (H, W) integers to (H, W, 3) uint8; negative labels are black."""
    colours: Picture = palette().take(labels, axis=0, mode="clip")
    colours[labels < 0] = UNLABELLED_COLOUR
    return colours


def heat(values: NDArray[np.floating]) -> Picture:
    """Colours of numbers in [0, 1], dark for low and light for high: (...) to (..., 3) uint8; others are cut off."""
    stops = np.array([tuple(bytes.fromhex(colour)) for colour in _RISING.split()])
    at = np.linspace(0, 1, len(stops))
    channels = [np.interp(values, at, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def overlay(image: Picture, labels: NDArray[np.integer], opacity: float = 0.8) -> Picture:
    """A label map over its picture without the picture's own colours, so that a label's colour is the legend's.

    Labels are parted by dark lines. At the default opacity a colour over grey is nearer to its own legend's than to any
    other of the first ten: for all greys, with deuteranopia for 19 of 20. Over a coloured picture that is not so.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) integers; negative ones leave the grey picture.
        opacity: of the colours, in [0, 1].

    Returns:
        (H, W, 3) uint8.
    """
    mixed = np.empty_like(image)
    rows = max(1, _STRIP_PIXELS // max(1, image.shape[1]))
    for top in range(0, len(image), rows):
        part = slice(top, top + rows)
        grey = cv2.cvtColor(np.ascontiguousarray(image[part]), cv2.COLOR_RGB2GRAY)[..., None]
        blended = grey * (1 - opacity) + colourise(labels[part]) * opacity
        mixed[part] = np.where((labels[part] >= 0)[..., None], blended.round(), grey)
    mixed[_lines(labels)] = INK
    return mixed


def _lines(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(H, W), true on lines between labels, wider where there are more pixels."""
    edges = np.zeros(labels.shape, dtype=np.uint8)
    edges[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edges[:-1] |= labels[1:] != labels[:-1]
    width = min(4, max(1, round(max(labels.shape) / _LINE)))
    if width > 1:
        edges = np.asarray(cv2.dilate(edges, np.ones((width, width), dtype=np.uint8)), dtype=np.uint8)
    lines: NDArray[np.bool_] = edges.view(np.bool_)
    return lines


def reduced(picture: Picture) -> Picture:
    """A picture (H, W, 3) with at most 2048 pixels on its longer side, by means over areas."""
    scale = min(1.0, _SEEN / max(picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def sampled(labels: NDArray[np.integer], height: int, width: int) -> NDArray[np.integer]:
    """The labels in the middle of each of height x width equal parts of a label map (H, W)."""
    rows, columns = (
        ((np.arange(parts) + 0.5) * side / parts).astype(np.int64)
        for parts, side in zip((height, width), labels.shape, strict=True)
    )
    chosen: NDArray[np.integer] = labels[rows[:, None], columns]
    return chosen


def hex_colour(label: int) -> str:
    """Colour of a label as `#rrggbb`."""
    return "#" + "".join(f"{channel:02x}" for channel in palette()[label])


def with_legend(
    picture: Picture, names: Sequence[str], share: NDArray[np.floating], none: int | None = None
) -> Picture:
    """A picture with a legend below it: swatch, name and share of each label that is there, largest first.

    Args:
        picture: (H, W, 3) uint8.
        names: of all labels.
        share: (labels,) of the pixels, in [0, 1].
        none: label of pixels that are none of the names; its swatch is hatched.

    Returns:
        (H + legend, W, 3) uint8, black on white, wrapped to the picture's width; at least 160 pixels wide. Names that
        are too long are cut; a name in a script that the font lacks is given as `label 3`.
    """
    height, width = picture.shape[:2]
    size = max(12, width // 48)
    font = ImageFont.load_default(size)
    wide = max(width, 160)
    left, top, line = size // 2, size // 2, 2 * size
    places = []
    for label in np.argsort(-share, kind="stable"):
        if not share[label] > 0:
            break
        text = written(names[label], int(label), font, wide - 3 * size, f" {100 * share[label]:.1f} %")
        needed = int(2 * size + font.getlength(text))
        if left > size // 2 and left + needed > wide:
            left, top = size // 2, top + line
        places.append((left, top, int(label), text))
        left += needed + size
    sheet = Image.new("RGB", (wide, height + top + line), "white")
    sheet.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(sheet)
    for x, y, label, text in places:
        box = (x, height + y, x + int(1.4 * size), height + y + size)
        draw.rectangle(box, fill="white" if label == none else hex_colour(label), outline="black")
        if label == none:
            for start in range(box[0], box[2], 4):
                draw.line((start, box[3], min(start + size, box[2]), box[3] - min(size, box[2] - start)), fill="black")
        draw.text((x + 2 * size, height + y + size // 2), text, fill="black", font=font, anchor="lm")
    return np.array(sheet)


def written(name: str, label: int, font: Font, room: float, share: str = "") -> str:
    """Name and share within `room` pixels: a long name is cut, letters that the font lacks lose accents.

    A name that cannot be written so either becomes its label, to be looked up.
    """
    name = " ".join(name.split())
    if not _writable(name, font):
        plain = "".join(part for part in normalize("NFKD", name) if not combining(part))
        name = plain if _writable(plain, font) else f"label {label}"
    if font.getlength(name + share) <= room:
        return name + share
    fitting = bisect_right(range(len(name)), room, key=lambda length: font.getlength(f"{name[:length]}…{share}"))
    return f"{name[: max(1, fitting - 1)].rstrip()}…{share}"


def _writable(name: str, font: Font) -> bool:
    """Whether the font has every letter: for one that it lacks it draws the same box as for no letter at all."""
    foreign = {character for character in name if not character.isascii()}
    return not foreign or _drawn("\uffff", font) not in {_drawn(character, font) for character in foreign}


def _drawn(text: str, font: Font) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(text)
    return mask.size, bytes(mask)
