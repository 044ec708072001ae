"""COCO's run-length encoding of the labels of a label map.

The package writes it itself: pycocotools encodes whole binary masks, one a label, where a label map's runs are found
once for all labels, a few columns at a time.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_PIXELS = 1 << 22  # looked at at a time


class Runs(NamedTuple):
    """The runs of equal labels of a label map, column by column.

    Attributes:
        size: (H, W).
        starts: (R,) int64 positions of their first pixels: column * H + row, the first one 0.
        labels: (R,) their labels.
    """

    size: tuple[int, int]
    starts: NDArray[np.int64]
    labels: NDArray[np.integer[Any]]


class Encoded(NamedTuple):
    """One label's pixels.

    Attributes:
        label: which.
        counts: COCO's compressed run lengths, those of other labels and its own in turn, down the columns.
        area: number of pixels, at least 1.
        bbox: left, top, width and height in pixels.
    """

    label: int
    counts: str
    area: int
    bbox: tuple[int, int, int, int]


def find_runs(labels: NDArray[np.integer[Any]]) -> Runs:
    """Runs of equal labels of a label map (H, W); in memory are a few columns of it at a time."""
    height, width = labels.shape
    step = max(1, _PIXELS // height)
    starts, values, last = [], [], -1
    for left in range(0, width, step):
        column_wise = np.ascontiguousarray(labels[:, left : left + step].T).ravel()
        begins = np.empty(len(column_wise), dtype=bool)
        begins[0] = left == 0 or column_wise[0] != last
        np.not_equal(column_wise[1:], column_wise[:-1], out=begins[1:])
        places = np.flatnonzero(begins)
        starts.append(places + left * height)
        values.append(column_wise[places])
        last = int(column_wise[-1])
    return Runs((height, width), np.concatenate(starts), np.concatenate(values))


def encode(runs: Runs) -> Iterator[Encoded]:
    """Each label that is there, from the lowest on; negative ones stand for none."""
    height, width = runs.size
    ends = np.append(runs.starts[1:], height * width)
    order = np.argsort(runs.labels, kind="stable")
    found, first = np.unique(runs.labels[order], return_index=True)
    for label, own in zip(found.tolist(), np.split(order, first[1:]), strict=True):
        if label < 0:
            continue
        begin, end = runs.starts[own], ends[own]
        borders = np.stack([begin, end], axis=1).ravel()
        counts = np.diff(borders, prepend=0)
        if borders[-1] < height * width:
            counts = np.append(counts, height * width - borders[-1])
        yield Encoded(label, compressed(counts), int((end - begin).sum()), _box(begin, end, height))


def compressed(counts: NDArray[np.int64]) -> str:
    """Run lengths as COCO's text: differences to the last but one, five bits a character, the lowest first."""
    left = counts.astype(np.int64)
    left[3:] -= counts[1:-2]
    characters, kept = [], []
    more = np.ones(len(left), dtype=bool)
    while more.any():
        bits = left & 0x1F
        kept.append(more)
        left = left >> 5
        more = more & (left != np.where(bits & 0x10, -1, 0))
        characters.append(bits + 0x20 * more + 48)
    text: bytes = np.stack(characters, axis=1)[np.stack(kept, axis=1)].astype(np.uint8).tobytes()
    return text.decode("ascii")


def _box(begin: NDArray[np.int64], end: NDArray[np.int64], height: int) -> tuple[int, int, int, int]:
    last = end - 1
    left, right = int(begin[0]) // height, int(last[-1]) // height
    tops, bottoms = begin % height, last % height
    if (begin // height != last // height).any():  # a run that goes on in the next column has pixels at both ends
        top, bottom = 0, height - 1
    else:
        top, bottom = int(tops.min()), int(bottoms.max())
    return left, top, right - left + 1, bottom - top + 1
