"""Windows on a picture and what becomes of their maps: upsampled, laid on the picture, averaged, resized.

All of it is linear and acts on rows and columns apart, so that one matrix for the rows and one for the columns, over
the patches of all windows, do the whole of it (`Block.matrix`), for some names at a time. Long label maps are cut into
blocks of rows and of columns, which know only the windows that reach them. Where they are cut depends on the label map
alone: whoever computes them, from all windows or from those at hand, adds up the same numbers in the same order.

Source: mmseg's sliding inference as SCLIP (Wang et al., ECCV 2024) and ClearCLIP (Lan et al., ECCV 2024) run it.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.ops.upsampling import bilinear_matrix, bilinear_rows
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.refinements.maps import VALUES, Maps
from cliptrase.regions import region_means

_UNCUT = 4096  # pixels of a label map's side that are one block: of every picture of the benchmarks
_BLOCK = 1024  # pixels of a block of a longer side


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

    def whole(self) -> "Block":
        """The axis as one block."""
        return Block(self, 0, self.size)

    def blocks(self) -> list["Block"]:
        """The axis cut up: one block, or of a long label map several, whatever memory there is."""
        if self.size <= _UNCUT:
            return [self.whole()]
        return [Block(self, first, min(first + _BLOCK, self.size)) for first in range(0, self.size, _BLOCK)]


class Block:
    """Pixels of a label map from `first` to `last`, which is not one of them, and the windows that reach them.

    Args:
        axis: the whole of it.
        first: pixel of the label map.
        last: pixel of the label map.

    Attributes:
        low: first pixel of the picture that the label map's pixels are made of.
        high: the pixel after the last of them.
        windows: numbers of the windows that cover these.
    """

    def __init__(self, axis: WindowAxis, first: int, last: int) -> None:
        self.axis, self.first, self.last = axis, first, last
        self.low, self.high = first, last
        if axis.length != axis.size:
            self.low, self.high = self._resizing(torch.device("cpu"))[1:]
        reach = [start < self.high and start + axis.side > self.low for start in axis.starts]
        self.windows = range(reach.index(True), len(reach) - reach[::-1].index(True))

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole axis."""
        return (self.first, self.last) == (0, self.axis.size)

    def __len__(self) -> int:
        """Pixels of the label map."""
        return self.last - self.first

    def cut(self, window: int) -> tuple[slice, slice]:
        """What of a window, by its number, lies on the block's pixels of the picture: in the window, in the block."""
        start = self.axis.starts[window]
        begin, end = max(start, self.low), min(start + self.axis.side, self.high)
        return slice(begin - start, end - start), slice(begin - self.low, end - self.low)

    def coverage(self, device: torch.device) -> Tensor:
        """(high - low,) windows over every pixel of the picture."""
        return self.axis.coverage(device)[self.low : self.high]

    def matrix(self, patches: int, device: torch.device) -> Tensor:
        """(pixels, n * patches): from the patches of the block's n windows to its part of the label map.

        Upsampling to the window, placing it, dividing by the number of windows over a pixel and resizing, in one
        matrix.
        """
        upsample = bilinear_matrix(patches, self.axis.side, device)  # (side, p)
        placed = torch.zeros(self.high - self.low, len(self.windows), patches, device=device)
        for number, window in enumerate(self.windows):
            own, place = self.cut(window)
            placed[place, number] = upsample[own]
        return self.resize(placed.flatten(1) / self.coverage(device).unsqueeze(1))

    def resize(self, values: Tensor) -> Tensor:
        """(high - low, k) on the picture to (pixels, k) on the label map, bilinearly."""
        if self.axis.length == self.axis.size:
            return values
        return self._resizing(values.device)[0] @ values

    def _resizing(self, device: torch.device) -> tuple[Tensor, int, int]:
        """Matrix of bilinear resizing, and the pixels of the picture that it takes."""
        axis = self.axis
        if self.is_whole:
            return bilinear_matrix(axis.length, axis.size, device), 0, axis.length
        return bilinear_rows(axis.length, axis.size, self.first, self.last, device)


class SmoothMaps:
    """Maps of a method without regions, on a rectangle of the label map.

    Args:
        cosines: (B, ny, nx, C, h, w) of the windows that reach it.
        rows: of the rectangle.
        columns: of the rectangle.
    """

    def __init__(self, cosines: Tensor, rows: Block, columns: Block) -> None:
        self.rows = rows.matrix(cosines.shape[4], cosines.device)
        self.columns = columns.matrix(cosines.shape[5], cosines.device)
        self.grid = cosines.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)  # (B, C, ny * h, nx * w)

    def __call__(self) -> Maps:
        """Some names at a time."""
        batch, names = self.grid.shape[:2]
        step = max(1, VALUES // (batch * len(self.rows) * len(self.columns)))
        for first in range(0, names, step):
            yield first, self.rows @ self.grid[:, first : first + step] @ self.columns.T


class VotedMaps:
    """Maps of a method with regions, on a rectangle of the label map: in a window each pixel has its region's mean.

    A pixel's sum over windows is then one of a few rows for each window that it lies in, as words are summed in a bag.

    Args:
        cosines: (B, ny, nx, C, h, w) of the windows that reach the rectangle.
        regions: (B, ny, nx, side_y, side_x) int64; a window without regions (-1) keeps its upsampled cosines.
        rows: of the rectangle.
        columns: of the rectangle.
    """

    def __init__(self, cosines: Tensor, regions: Tensor, rows: Block, columns: Block) -> None:
        self.cosines, self.rows, self.columns = cosines, rows, columns
        batch, names = cosines.shape[0], cosines.shape[3]
        device = cosines.device
        grid = zip(cosines.shape[4:], (rows.axis, columns.axis), strict=True)
        self.upsample = [bilinear_matrix(patches, axis.side, device) for patches, axis in grid]
        self.coverage = rows.coverage(device).unsqueeze(1) * columns.coverage(device)  # (H, W) of the picture
        # Windows that are as far apart as the most that overlap do not touch each other: they share a slot. Slots, and
        # with them the order of sums, are those of the whole picture.
        slots = [int(axis.coverage(device).max()) for axis in (rows.axis, columns.axis)]
        self.member = torch.zeros(batch, *self.coverage.shape, slots[0] * slots[1], dtype=torch.int64, device=device)
        self.whole = regions.amax((3, 4)) < 0  # (B, ny, nx) without regions
        means = [cosines.new_zeros(1, names)]  # row 0: nothing to add
        image = torch.arange(batch, device=device).view(-1, 1, 1)
        for y, window_y in enumerate(rows.windows):
            for x, window_x in enumerate(columns.windows):
                region = regions[:, y, x]
                found = region_means(cosines[:, y, x], region)  # (B, K, C)
                first = sum(map(len, means))
                row = torch.where(region >= 0, first + image * found.shape[1] + region, 0)
                slot = window_y % slots[0] * slots[1] + window_x % slots[1]
                (own_y, place_y), (own_x, place_x) = rows.cut(window_y), columns.cut(window_x)
                self.member[:, place_y, place_x, slot] = row[:, own_y, own_x]
                means.append(found.flatten(0, 1))
        self.means = torch.cat(means)  # (1 + sum of K, C)

    def __call__(self) -> Maps:
        """Some names at a time."""
        names = self.means.shape[1]
        rows, columns = self.rows, self.columns
        step = max(1, VALUES // (len(self.member) * max(self.coverage.numel(), len(rows) * len(columns))))
        for first in range(0, names, step):
            chosen = slice(first, first + step)
            table = self.means[:, chosen].contiguous()
            total = F.embedding_bag(self.member.flatten(0, 2), table, mode="sum")
            total = total.unflatten(0, self.member.shape[:3]).permute(0, 3, 1, 2)  # (B, c, H, W)
            for image, y, x in self.whole.nonzero().tolist():
                value = self.upsample[0] @ self.cosines[image, y, x, chosen] @ self.upsample[1].T
                (own_y, place_y), (own_x, place_x) = rows.cut(rows.windows[y]), columns.cut(columns.windows[x])
                total[image, :, place_y, place_x] += value[:, own_y, own_x]
            total /= self.coverage
            yield first, self._resized(total)

    def _resized(self, total: Tensor) -> Tensor:
        """(B, c, H, W) of the picture to the label map's pixels, bilinearly."""
        rows, columns = self.rows, self.columns
        if rows.is_whole and columns.is_whole:
            return F.interpolate(total, (len(rows), len(columns)), mode="bilinear", align_corners=False)
        across: Tensor = columns.resize(total.flatten(0, 2).T).T.unflatten(0, total.shape[:3])
        down: Tensor = rows.resize(across.movedim(2, 0).flatten(1)).unflatten(1, (*total.shape[:2], len(columns)))
        return down.movedim(0, 2)
