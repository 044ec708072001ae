"""A mask's outlines as polygons along the borders of its pixels: nothing is smoothed, left out or moved.

`cv2.findContours` joins the middles of border pixels, so that its polygons lose half a pixel all around and cut inner
corners; these hold exactly the pixels that the mask has.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ring = list[list[int]]
"""Corners [x, y] in pixels from the picture's top left corner, the first again at the end."""

_PIXELS = 1 << 22  # looked at at a time


def polygons(labels: NDArray[np.integer[Any]], label: int) -> list[list[Ring]]:
    """Polygons of a label's pixels in a label map (H, W), from the top left on.

    Pixels that share a side belong together; those that meet at a corner only do not. Each polygon is its outer ring,
    clockwise as one sees it, and then its holes, counterclockwise.
    """
    corners, convex = _corners(labels, label)
    if not len(corners):
        return []
    rows = np.arange(len(corners)) ^ 1  # in each row of corners two and two are the ends of a side
    y, x, below = corners.T
    order = np.lexsort((below, y, x))
    columns = np.empty(len(corners), dtype=np.int64)
    columns[order] = order[np.arange(len(corners)) ^ 1]  # and so they are in each column
    rings, ring_of = _rings(rows.tolist(), columns.tolist())
    firsts = np.array([ring[0] for ring in rings])
    upper = np.minimum(y, y[columns])
    lower = np.maximum(y, y[columns])
    owners: list[int] = []
    found: dict[int, list[Ring]] = {}
    for number, ring in enumerate(rings):
        points = np.stack([x[ring], y[ring]], axis=1)
        first = firsts[number]
        if convex[first]:
            owners.append(number)
            found[number] = [[*points.tolist(), points[0].tolist()]]
            continue
        # Left of a hole's top left corner are pixels of its polygon, as far as the next side to the left.
        left = np.flatnonzero((upper <= y[first]) & (y[first] < lower) & (x < x[first]))
        owners.append(owners[ring_of[left[x[left].argmax()]]])
        inward = points[::-1]
        inward = np.roll(inward, 1, axis=0)  # from the same corner, the other way round
        found[owners[number]].append([*inward.tolist(), inward[0].tolist()])
    return list(found.values())


def _corners(labels: NDArray[np.integer[Any]], label: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Corners of the mask's border in the order of rows, (N, 3) of y, x and order in the column where two meet.

    With them (N,) whether the pixel to the lower right of each is the mask's.
    """
    height, width = labels.shape
    step = max(1, _PIXELS // (width + 2))
    found = []
    for top in range(0, height + 1, step):
        bottom = min(top + step, height + 1)
        part = np.zeros((bottom - top + 1, width + 2), dtype=bool)  # rows top - 1 to bottom - 1 of the mask
        inner = labels[max(top - 1, 0) : bottom]
        shift = int(top == 0)
        part[shift : shift + len(inner), 1:-1] = inner == label
        a, b, c, d = part[:-1, :-1], part[:-1, 1:], part[1:, :-1], part[1:, 1:]
        y, x = np.nonzero((a ^ b) ^ (c ^ d) | ((a ^ b) & (a ^ c) & (a == d)))
        double = (a[y, x] == d[y, x]) & (b[y, x] == c[y, x])
        place = np.repeat(np.arange(len(y)), 1 + double)
        second = np.zeros(len(place), dtype=bool)
        second[1:] = place[1:] == place[:-1]
        y, x, double = y[place], x[place], double[place]
        # Where two pixels meet at a corner, the left one of them is the lower one if they lie as in "/".
        below = np.where(double & b[y, x], ~second, second)
        found.append(np.stack([y + top, x, below, d[y, x]], axis=1))
    every = np.concatenate(found).astype(np.int64)
    return every[:, :3], every[:, 3].astype(bool)


def _rings(rows: list[int], columns: list[int]) -> tuple[list[list[int]], NDArray[np.int64]]:
    """Corners of each ring in turn, along a row first, in the order of their first corners, and the ring of each."""
    ring_of = [-1] * len(rows)
    rings: list[list[int]] = []
    for first in range(len(rows)):
        if ring_of[first] >= 0:
            continue
        ring, corner = [], first
        while ring_of[corner] < 0:
            across = rows[corner]
            ring_of[corner] = ring_of[across] = len(rings)
            ring += [corner, across]
            corner = columns[across]
        rings.append(ring)
    return rings, np.array(ring_of)
