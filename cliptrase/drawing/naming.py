"""Overlays that are read without a key: the names stand in their areas, and below them all in a legend."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cliptrase.drawing.canvas import font
from cliptrase.drawing.overlay import INK, Picture, overlay, sampled, with_legend, written

_LOOKED_AT = 512  # pixels of the longer side that places for names are looked for on
_NAMES = 40  # most names in a picture
_SMALL = 0.02  # share of a picture from which on further areas of a label are named, too
_Box = tuple[float, float, float, float]


def named_overlay(
    image: Picture,
    labels: NDArray[np.integer],
    names: Sequence[str],
    share: NDArray[np.floating],
    opacity: float = 0.8,
    none: int | None = None,
) -> Picture:
    """A label map over its picture, with the names in place and a legend below.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) integers; negative ones leave the grey picture.
        names: of all labels.
        share: (labels,) of the pixels, in [0, 1], for the legend.
        opacity: of the colours, in [0, 1].
        none: label of pixels that are none of the names: they stay grey, and the legend says so.

    Returns:
        (H + legend, W, 3) uint8; see `overlay.overlay` and `overlay.with_legend`.
    """
    if none is not None:
        labels = np.where(labels == none, -1, labels.astype(np.int32))
    return with_legend(with_names(overlay(image, labels, opacity), labels, names), names, share, none)


def with_names(picture: Picture, labels: NDArray[np.integer], names: Sequence[str]) -> Picture:
    """Writes names into their areas, into the largest first, where there is room for them.

    A name stands within the picture, its middle in its own area and over no other name. Each label's largest area has
    one, and so have others of at least a fiftieth of the picture.

    Args:
        picture: (H, W, 3) uint8.
        labels: (H, W) integers, negative where there is none.
        names: of all labels.
    """
    height, width = labels.shape
    size = min(64, max(12, min(round(max(height, width) / 40), height // 4)))
    letters = font(size)
    page = Image.fromarray(picture)
    draw = ImageDraw.Draw(page)
    taken: list[_Box] = []
    if height < size + 4:
        return picture
    for row, column, label in _middles(labels, size):
        text = written(names[label], label, letters, min(width - 8, max(width / 2, 6 * size)))
        half = letters.getlength(text) / 2 + 4
        if 2 * half > width:
            continue
        x, y = min(max(column, half), width - half), min(max(row, size / 2 + 2), height - size / 2 - 2)
        box = (x - half, y - size / 2 - 2, x + half, y + size / 2 + 2)
        if labels[int(y), int(x)] != label or any(_meet(box, other) for other in taken):
            continue
        taken.append(box)
        draw.text((x, y), text, "white", letters, anchor="mm", stroke_width=max(2, size // 8), stroke_fill=INK)
    return np.array(page)


def _middles(labels: NDArray[np.integer], size: int) -> Iterator[tuple[float, float, int]]:
    """Row and column, in the label map's pixels, of the point farthest within each area to be named, and its label."""
    scale = min(1.0, _LOOKED_AT / max(labels.shape))
    small = sampled(labels, *(max(1, round(side * scale)) for side in labels.shape))
    areas = []  # (pixels, label, number within the label's map)
    numbered = {}
    for label in np.unique(small[small >= 0]).tolist():
        _, numbered[label], found, _ = cv2.connectedComponentsWithStats((small == label).astype(np.uint8))
        sizes = found[1:, cv2.CC_STAT_AREA]
        wanted = {int(sizes.argmax()), *np.flatnonzero(sizes >= _SMALL * small.size).tolist()}
        areas += [(int(sizes[number]), label, number + 1) for number in sorted(wanted)]
    down, across = (side / part for side, part in zip(labels.shape, small.shape, strict=True))
    for _, label, number in sorted(areas, key=lambda area: (-area[0], *area[1:]))[:_NAMES]:
        # Beyond the picture there is nothing of an area either: the frame pushes names inwards.
        area = np.pad((numbered[label] == number).astype(np.uint8), 1)
        depth = cv2.distanceTransform(area, cv2.DIST_L2, 3)[1:-1, 1:-1]
        if depth.max() * min(down, across) < size / 2:
            continue  # a name would hide the whole of it
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        yield (float(row) + 0.5) * down, (float(column) + 0.5) * across, label


def _meet(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
