"""From patch features and text embeddings to a name for every pixel, in memory that does not grow with the names."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

Size = tuple[int, int]

# Upsampled logits held at a time, in bytes: a CPU wants them in its cache, a GPU wants few kernels.
_STRIP_BYTES = {"cpu": 4 << 20, "cuda": 1 << 30}


def upsampled_strips(logits: Tensor, size: Size) -> Iterator[tuple[int, Tensor]]:
    """Strips of names of bilinearly (align_corners false) upsampled maps, each with the index of its first name.

    Args:
        logits: (B, C, h, w).
        size: (H, W) of the result.

    Yields:
        first name's index, (B, c, H, W) with c chosen so that a strip stays within a fixed number of bytes.
    """
    batch, names = logits.shape[:2]
    limit = _STRIP_BYTES["cuda" if logits.is_cuda else "cpu"]
    step = max(1, limit // (batch * size[0] * size[1] * logits.element_size()))
    for start in range(0, names, step):
        part = logits[:, start : start + step]
        yield start, F.interpolate(part, size, mode="bilinear", align_corners=False)


def upsampled_argmax(logits: Tensor, size: Size, weight: Tensor | None = None) -> Tensor:
    """Index of the highest logit at every pixel after bilinear upsampling; the lowest index on a tie.

    Args:
        logits: (B, C, h, w).
        size: (H, W) of the result.
        weight: (B, C) factors applied after the upsampling (class-token weighting), or None.

    Returns:
        (B, H, W) int64 in [0, C).
    """
    best = logits.new_full((logits.shape[0], *size), float("-inf"))
    index = torch.zeros(best.shape, dtype=torch.int64, device=logits.device)
    for start, strip in upsampled_strips(logits, size):
        if weight is not None:
            strip = strip * weight[:, start : start + strip.shape[1], None, None]
        arg = strip.argmax(1)  # the first of equal values: torch.argmax promises it, torch.max does not
        value = strip.gather(1, arg.unsqueeze(1)).squeeze(1)
        better = value > best
        best = torch.where(better, value, best)
        index = torch.where(better, arg + start, index)
    return index


def patch_logits(patches: Tensor, text: Tensor, scale: float, grid: Size) -> Tensor:
    """exp(logit_scale) * patch . text on the patch grid.

    Args:
        patches: (B, N, E), row-major over the grid.
        text: (C, E) unit rows.
        scale: exp(logit_scale).
        grid: (h, w) with h * w = N.

    Returns:
        (B, C, h, w) float32.
    """
    with torch.autocast(patches.device.type, enabled=False):
        logits = scale * patches.float() @ text.T  # (B, N, C)
    on_grid: Tensor = logits.mT.unflatten(2, grid)  # (B, C, h, w)
    return on_grid


def check_grid(size: Size, patch: Size, error: Callable[[str], Exception] = ValueError) -> Size:
    """(h, w) patches of a picture of `size` pixels; an error where the sides are not whole numbers of patches."""
    if size[0] % patch[0] or size[1] % patch[1] or min(size) < 1:
        raise error(f"a picture of {size[0]} x {size[1]} pixels is not whole patches of {patch[0]} x {patch[1]} pixels")
    return size[0] // patch[0], size[1] // patch[1]
