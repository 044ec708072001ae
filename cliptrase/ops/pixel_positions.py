"""Where pixels lie between patches, for tensor code and kernels alike."""

from typing import NamedTuple

import torch
from torch import Tensor


class PixelPositions(NamedTuple):
    """Pixels of one axis between the two patches that each is interpolated from.

    Attributes:
        cell: (length,) int64 in [0, patches]: cell j is between patch j - 1 and patch j, cells 0 and `patches` outside.
        share: (length,) float32 in [0, 1], what the upper patch gives.
    """

    cell: Tensor
    share: Tensor


def pixel_positions(patches: int, length: int, device: torch.device) -> PixelPositions:
    """Positions of `length` pixels over `patches` patches, half-pixel centres (align_corners false).

    In float64: in float32, as torch's own interpolation has them, a position far from the origin is off by some 3e-6,
    which moves a map by more than all other rounding and with it a border here and there.
    """
    position = (torch.arange(length, device=device, dtype=torch.float64) + 0.5) * (patches / length) - 0.5
    cell = position.floor().long() + 1
    return PixelPositions(cell, (position - (cell - 1).clamp_min(0)).clamp_min(0).float())
