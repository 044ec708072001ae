"""Reduction of large ADE20K pictures, with the sampling points of the usual preparation (MaskFormer's, by OpenCV)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def reduced_size(height: int, width: int, shorter_side: int | None) -> tuple[int, int]:
    """(height, width) with the shorter side at `shorter_side` if it is longer; the other is rounded half to even."""
    if shorter_side is None or min(height, width) <= shorter_side:
        return height, width
    if width >= height:
        return shorter_side, round(width / height * shorter_side)
    return round(height / width * shorter_side), shorter_side


def nearest(labels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Label map (H, W) to (height, width): from the position itself, as OpenCV's INTER_NEAREST, not from its middle."""
    if labels.shape == size:
        return labels
    rows, columns = (
        (np.arange(new) * (old / new)).astype(np.intp) for old, new in zip(labels.shape, size, strict=True)
    )
    return labels[np.ix_(rows, columns)]


def linear(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Picture (H, W, 3) to (height, width, 3) between the four nearest pixels, without antialiasing."""
    values = image.astype(np.float32)
    for axis, new in enumerate(size):
        old = image.shape[axis]
        position = ((np.arange(new) + 0.5) * (old / new) - 0.5).clip(0, old - 1)
        before = position.astype(np.intp)
        after = np.minimum(before + 1, old - 1)
        share = (position - before).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        values = values.take(before, axis) * (1 - share) + values.take(after, axis) * share
    return (values + 0.5).astype(np.uint8)
