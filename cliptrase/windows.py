"""Windows on a picture and what becomes of their maps: upsampled, laid on the picture, averaged, resized.

All of it is linear and acts on rows and columns apart, so that one matrix for the rows and one for the columns, over
the patches of all windows, do the whole of it (`window_matrix`), for some names at a time.

Source: mmseg's sliding inference as SCLIP (Wang et al., ECCV 2024) and ClearCLIP (Lan et al., ECCV 2024) run it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from cliptrase.protocol import Protocol
from cliptrase.regions import region_means
from cliptrase.upsampling import bilinear_matrix

_VALUES = 1 << 24  # of full-size maps held at once: 64 MiB

# Full-size maps of some names at a time: the first name's number, and (B, c, H, W) cosines.
Maps = Iterator[tuple[int, Tensor]]


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """First pixel of every window along an axis of `length`; the last window is moved back to the border."""
    count = max(length - window + stride - 1, 0) // stride + 1
    return [min(number * stride, max(length - window, 0)) for number in range(count)]


class WindowAxis(NamedTuple):
    """Windows along one axis of a picture.

    Attributes:
        starts: first pixel of each of n windows.
        side: pixels of a window: the protocol's, or the picture's where that is smaller.
        length: pixels of the picture.
        size: pixels of the label map.
    """

    starts: list[int]
    side: int
    length: int
    size: int

    @classmethod
    def of(cls, length: int, size: int, protocol: Protocol) -> "WindowAxis":
        """Windows of a protocol over `length` pixels."""
        return cls(window_starts(length, protocol.window, protocol.stride), min(protocol.window, length), length, size)

    def coverage(self, device: torch.device) -> Tensor:
        """(length,) windows over every pixel."""
        count = torch.zeros(self.length, device=device)
        for start in self.starts:
            count[start : start + self.side] += 1
        return count

    def resize(self, device: torch.device) -> Tensor:
        """(size, length) bilinear resizing to the label map."""
        return bilinear_matrix(self.length, self.size, device)


def window_matrix(axis: WindowAxis, patches: int, device: torch.device) -> Tensor:
    """(size, n * patches): from the patches of n windows to the label map, along one axis.

    Upsampling to the window, placing it, dividing by the number of windows over a pixel and resizing, in one matrix.
    """
    upsample = bilinear_matrix(patches, axis.side, device)  # (side, p)
    placed = torch.zeros(axis.length, len(axis.starts), patches, device=device)
    for number, start in enumerate(axis.starts):
        placed[start : start + axis.side, number] = upsample
    return axis.resize(device) @ (placed.flatten(1) / axis.coverage(device).unsqueeze(1))


class SmoothMaps:
    """Maps of a method without regions.

    Args:
        cosines: (B, ny, nx, C, h, w).
        rows: windows from top to bottom.
        columns: windows from left to right.
    """

    def __init__(self, cosines: Tensor, rows: WindowAxis, columns: WindowAxis) -> None:
        self.rows = window_matrix(rows, cosines.shape[4], cosines.device)
        self.columns = window_matrix(columns, cosines.shape[5], cosines.device)
        self.grid = cosines.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)  # (B, C, ny * h, nx * w)

    def __call__(self) -> Maps:
        """Some names at a time."""
        batch, names = self.grid.shape[:2]
        step = max(1, _VALUES // (batch * len(self.rows) * len(self.columns)))
        for first in range(0, names, step):
            yield first, self.rows @ self.grid[:, first : first + step] @ self.columns.T


class VotedMaps:
    """Maps of a method with regions: inside a window every pixel has the mean of its region.

    Args:
        cosines: (B, ny, nx, C, h, w).
        regions: (B, ny, nx, side_y, side_x) int64; a window without regions (-1) keeps its upsampled cosines.
        rows: windows from top to bottom.
        columns: windows from left to right.
    """

    def __init__(self, cosines: Tensor, regions: Tensor, rows: WindowAxis, columns: WindowAxis) -> None:
        self.cosines, self.regions, self.axes = cosines, regions, (rows, columns)
        device = cosines.device
        self.upsample = [
            bilinear_matrix(patches, axis.side, device)
            for patches, axis in zip(cosines.shape[4:], self.axes, strict=True)
        ]
        self.resize = [axis.resize(device) for axis in self.axes]
        self.count = rows.coverage(device).unsqueeze(1) * columns.coverage(device)
        self.places = [(y, x) for y in range(len(rows.starts)) for x in range(len(columns.starts))]
        self.means = [region_means(cosines[:, y, x], regions[:, y, x]) for y, x in self.places]  # (B, K, C) each

    def __call__(self) -> Maps:
        """Some names at a time."""
        rows, columns = self.axes
        batch, names = self.cosines.shape[0], self.cosines.shape[3]
        largest = max(rows.length * columns.length, rows.size * columns.size)
        step = max(1, _VALUES // (batch * largest))
        image = torch.arange(batch, device=self.cosines.device).view(-1, 1, 1)
        for first in range(0, names, step):
            chosen = slice(first, first + step)
            total = self.cosines.new_zeros(batch, len(range(names)[chosen]), rows.length, columns.length)
            for (y, x), means in zip(self.places, self.means, strict=True):
                region = self.regions[:, y, x]  # (B, side_y, side_x)
                value = self.upsample[0] @ self.cosines[:, y, x, chosen] @ self.upsample[1].T
                if means.shape[1]:
                    voted = means[image, region.clamp_min(0), chosen].permute(0, 3, 1, 2)
                    value = torch.where(region.unsqueeze(1) >= 0, voted, value)
                top, left = rows.starts[y], columns.starts[x]
                total[:, :, top : top + rows.side, left : left + columns.side] += value
            yield first, self.resize[0] @ (total / self.count) @ self.resize[1].T
