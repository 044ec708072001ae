"""Median filter as a fixed network of elementwise minima and maxima: exact, on any device; on a GPU see `kernels`.

The columns of a window are sorted once and shared by all windows that they lie in; sorted columns are merged by
Batcher's odd-even network (AFIPS 1968), and the median is picked from two sorted halves without merging them. For
7 x 7 these are about 310 elementwise operations, where sorting 49 values takes some 1,000.
"""

from functools import reduce

import torch
from torch import Tensor

from cliptrase.ops import kernels

# Pixels worked on at a time: a CPU wants the network's planes in its cache, a GPU wants few kernels.
_STRIP = {"cpu": 1 << 14, "cuda": 1 << 22}


def median_filter(maps: Tensor, size: int = 7) -> Tensor:
    """Median over a size x size window; borders mirror with the edge repeated (SciPy's default, `reflect`).

    Args:
        maps: (M, H, W) floating point.
        size: odd side of the window in pixels.

    Returns:
        (M, H, W).
    """
    if maps.dtype == torch.float32 and kernels.usable(maps.device):
        return kernels.median_window(maps, size)
    radius = size // 2
    rows = _symmetric(maps.shape[1], radius, maps.device)
    columns = _symmetric(maps.shape[2], radius, maps.device)
    padded = maps[:, rows][:, :, columns]  # (M, H + 2r, W + 2r)
    # All maps are laid end to end, so that a neighbour is a fixed distance away and every step runs over one long
    # row. Windows that reach over an edge give values that are cut away.
    flat = padded.reshape(-1)
    width = padded.shape[2]
    reach = 2 * radius * (width + 1)  # from a window's first pixel to its last
    medians = torch.empty_like(flat)
    step = _STRIP["cpu" if maps.device.type == "cpu" else "cuda"]
    for start in range(0, len(flat) - reach, step):
        strip = flat[start : start + step + reach]
        medians[start : start + len(strip) - reach] = _windows(strip, size, width)
    return medians.view(padded.shape)[:, : maps.shape[1], : maps.shape[2]]


def _symmetric(length: int, radius: int, device: torch.device) -> Tensor:
    """Indices that extend `length` entries by `radius` on both sides, mirrored with the edge repeated."""
    position = torch.arange(-radius, length + radius, device=device).remainder(2 * length)
    return torch.minimum(position, 2 * length - 1 - position)


def _windows(flat: Tensor, size: int, width: int) -> Tensor:
    """Medians of the windows that start at each pixel of rows of `width` pixels laid end to end: (P,) to (P - reach,).

    Sorted lists of planes stand for windows of 1, 2, ... columns that start at the plane's pixel.
    """
    span = len(flat) - (size - 1) * width
    column = _sort([flat[row * width : row * width + span] for row in range(size)])
    count = span - (size - 1)
    side: list[Tensor] = []  # as many columns as lie on either side of the middle
    for offset in range(size // 2):
        side = _merge(_shifted(side, 0, span - offset), _shifted(column, offset, span - offset))
    half = _merge(_shifted(side, 0, count), _shifted(column, size // 2, count))
    return _nth_of_both(half, _shifted(side, size // 2 + 1, count), size * size // 2)


def _shifted(planes: list[Tensor], offset: int, count: int) -> list[Tensor]:
    return [plane[offset : offset + count] for plane in planes]


def _sort(planes: list[Tensor]) -> list[Tensor]:
    """Planes in rising order at every pixel."""
    if len(planes) < 2:
        return planes
    middle = len(planes) // 2
    return _merge(_sort(planes[:middle]), _sort(planes[middle:]))


def _merge(a: list[Tensor], b: list[Tensor]) -> list[Tensor]:
    """Two rising lists of planes as one."""
    if not a or not b:
        return a + b
    if len(a) == len(b) == 1:
        return [torch.minimum(a[0], b[0]), torch.maximum(a[0], b[0])]
    even, odd = _merge(a[::2], b[::2]), _merge(a[1::2], b[1::2])
    merged = even[:1]
    for low, high in zip(odd, even[1:], strict=False):
        merged += [torch.minimum(low, high), torch.maximum(low, high)]
    return merged + even[1 + len(odd) :] + odd[len(even) - 1 :]


def _nth_of_both(a: list[Tensor], b: list[Tensor], n: int) -> Tensor:
    """Plane number n, from 0, of two rising lists taken together.

    However many of its n + 1 lowest come from `a`, the higher of both last ones is not below it, and it is that for
    one split.
    """
    splits = range(max(0, n + 1 - len(b)), min(n + 1, len(a)) + 1)
    lasts = (a[i - 1 : i] + b[n - i : n + 1 - i] for i in splits)  # one plane or two
    return reduce(torch.minimum, (reduce(torch.maximum, last) for last in lasts))
