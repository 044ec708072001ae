"""Windows on a picture and what becomes of their maps: upsampled, laid on the picture, averaged, resized.

All of it is linear and acts on rows and columns apart, so that one matrix for the rows and one for the columns, over
the patches of all windows, do the whole of it (`window_matrix`), for some names at a time.

Source: mmseg's sliding inference as SCLIP (Wang et al., ECCV 2024) and ClearCLIP (Lan et al., ECCV 2024) run it.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.ops.upsampling import bilinear_matrix
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.refinements.maps import VALUES, Maps
from cliptrase.regions import region_means


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """First pixel of every window along an axis of `length`; the last window is moved back to the border."""
    count = max(length - window + stride - 1, 0) // stride + 1
    return [min(number * stride, max(length - window, 0)) for number in range(count)]


class WindowAxis(NamedTuple):
    """Windows along one axis of a picture.

    Attributes:
        starts: first pixel of each of n windows.
        side: pixels of a window: the protocol's, or the image's where that is smaller or one window is as large.
        length: pixels of the picture.
        size: pixels of the label map.
    """

    starts: list[int]
    side: int
    length: int
    size: int

    @classmethod
    def of(cls, length: int, size: int, protocol: EvaluationProtocol) -> "WindowAxis":
        """Windows of a protocol over `length` pixels."""
        side = length if isinstance(protocol.window, str) else min(protocol.window, length)
        return cls(window_starts(length, side, protocol.stride or length), side, length, size)

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
        step = max(1, VALUES // (batch * len(self.rows) * len(self.columns)))
        for first in range(0, names, step):
            yield first, self.rows @ self.grid[:, first : first + step] @ self.columns.T


class VotedMaps:
    """Maps of a method with regions: inside a window every pixel has the mean of its region.

    A pixel's sum over windows is then one of a few rows for each window that it lies in, as words are summed in a bag.

    Args:
        cosines: (B, ny, nx, C, h, w).
        regions: (B, ny, nx, side_y, side_x) int64; a window without regions (-1) keeps its upsampled cosines.
        rows: windows from top to bottom.
        columns: windows from left to right.
    """

    def __init__(self, cosines: Tensor, regions: Tensor, rows: WindowAxis, columns: WindowAxis) -> None:
        self.cosines, self.rows, self.columns = cosines, rows, columns
        batch, names = cosines.shape[0], cosines.shape[3]
        device = cosines.device
        grid = zip(cosines.shape[4:], (rows, columns), strict=True)
        self.upsample = [bilinear_matrix(patches, axis.side, device) for patches, axis in grid]
        down, across = rows.coverage(device), columns.coverage(device)
        self.coverage = down.unsqueeze(1) * across  # (H, W)
        # Windows that are as far apart as the most that overlap do not touch each other: they share a slot.
        slots = (int(down.max()), int(across.max()))
        self.member = torch.zeros(
            batch, rows.length, columns.length, slots[0] * slots[1], dtype=torch.int64, device=device
        )
        self.whole = regions.amax((3, 4)) < 0  # (B, ny, nx) without regions
        means = [cosines.new_zeros(1, names)]  # row 0: nothing to add
        image = torch.arange(batch, device=device).view(-1, 1, 1)
        for y, top in enumerate(rows.starts):
            for x, left in enumerate(columns.starts):
                region = regions[:, y, x]
                found = region_means(cosines[:, y, x], region)  # (B, K, C)
                first = sum(map(len, means))
                row = torch.where(region >= 0, first + image * found.shape[1] + region, 0)
                slot = y % slots[0] * slots[1] + x % slots[1]
                self.member[:, top : top + rows.side, left : left + columns.side, slot] = row
                means.append(found.flatten(0, 1))
        self.means = torch.cat(means)  # (1 + sum of K, C)

    def __call__(self) -> Maps:
        """Some names at a time."""
        names = self.means.shape[1]
        rows, columns = self.rows, self.columns
        step = max(1, VALUES // (len(self.member) * max(rows.length * columns.length, rows.size * columns.size)))
        for first in range(0, names, step):
            chosen = slice(first, first + step)
            table = self.means[:, chosen].contiguous()
            total = F.embedding_bag(self.member.flatten(0, 2), table, mode="sum")
            total = total.unflatten(0, self.member.shape[:3]).permute(0, 3, 1, 2)  # (B, c, H, W)
            for image, y, x in self.whole.nonzero().tolist():
                value = self.upsample[0] @ self.cosines[image, y, x, chosen] @ self.upsample[1].T
                top, left = rows.starts[y], columns.starts[x]
                total[image, :, top : top + rows.side, left : left + columns.side] += value
            total /= self.coverage
            yield first, F.interpolate(total, (rows.size, columns.size), mode="bilinear", align_corners=False)
