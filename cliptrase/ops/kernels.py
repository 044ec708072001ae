"""What a GPU does in one kernel each instead of many passes over memory: the highest map by pixel, the median.

Written in Triton, which comes with PyTorch on Linux and builds them at their first call. Elsewhere, and where that
fails, `upsampling` and `median` run their tensor code, which gives the same. The kernels were compared with that
code in Triton's interpreter on a CPU; how fast they are on a GPU was not measured.
"""

import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor

from cliptrase.ops.classification import Size
from cliptrase.ops.pixel_positions import pixel_positions


@cache
def usable(device: torch.device) -> bool:
    """Whether the kernels run on this device; tried once, with a warning where Triton is there but cannot build."""
    if device.type != "cuda":
        return False
    try:
        highest_map(torch.zeros(1, 1, 1, 1, device=device), (1, 1))
        median_window(torch.zeros(1, 1, 1, device=device), 7)
    except ImportError:
        return False
    except Exception as error:  # no C compiler, an old GPU: Triton raises errors of many kinds
        reason = str(error).strip().split("\n")[0]
        warnings.warn(f"Triton kernels cannot run here ({reason}); slower tensor code does the same", stacklevel=2)
        return False
    return True


def highest_map(maps: Tensor, size: Size, weight: Tensor | None = None) -> Tensor:
    """`upsampling.upsampled_argmax` in one kernel: no map is held at full size.

    Args:
        maps: (B, C, h, w) float32.
        size: (H, W) of the result.
        weight: (B, C) factors after the upsampling, or None.

    Returns:
        (B, H, W) int64 in [0, C).

    Raises:
        ImportError: there is no Triton.
    """
    from cliptrase.ops.triton_kernels import highest

    maps = maps.contiguous()
    batch, names, height, width = maps.shape
    rows, columns = (pixel_positions(*axis, maps.device) for axis in zip((height, width), size, strict=True))
    winners = torch.empty(batch, *size, dtype=torch.int64, device=maps.device)
    block = 256
    with _device(maps):
        highest[(-(-size[0] * size[1] // block), batch)](
            maps,
            maps if weight is None else weight.contiguous(),
            winners,
            *rows,
            *columns,
            names,
            height,
            width,
            *size,
            WEIGHTED=weight is not None,
            BLOCK=block,
            enable_fp_fusion=False,  # rounds as the tensor code does
        )
    return winners


def median_window(maps: Tensor, size: int) -> Tensor:
    """`median.median_filter` in one kernel.

    Args:
        maps: (M, H, W) float32 without NaN.
        size: odd side of the window in pixels.

    Returns:
        (M, H, W).

    Raises:
        ImportError: there is no Triton.
    """
    from cliptrase.ops.triton_kernels import median

    maps = maps.contiguous()
    medians = torch.empty_like(maps)
    count, height, width = maps.shape
    lanes = 1 << (size * size - 1).bit_length()
    block = 32
    # Maps are numbered along the grid's first axis where CUDA allows 2^31, blocks along the second, 2^16.
    with _device(maps):
        median[(count, -(-height * width // block))](
            maps, medians, height, width, SIZE=size, LANES=lanes, BLOCK=block, enable_fp_fusion=False
        )
    return medians


def _device(maps: Tensor) -> AbstractContextManager[Any]:
    """Triton launches on the current device, which need not be the one that the maps are on."""
    return torch.cuda.device(maps.device) if maps.is_cuda else nullcontext()
