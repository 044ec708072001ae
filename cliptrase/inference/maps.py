"""Maps of all names at the label map's own size, of a few names at a time, and which name is highest."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.common.errors import InputError
from cliptrase.methods import Refinement
from cliptrase.ops.classification import Size
from cliptrase.ops.upsampling import bilinear_matrix

VALUES = 1 << 24
"""Values of full-size maps held at once: 64 MiB."""

# Full-size maps of some names at a time: the first name's number, and (B, c, H, W) cosines or logits.
Maps = Iterator[tuple[int, Tensor]]


class UpsampledMaps:
    """Maps on the patch grid, upsampled bilinearly.

    Args:
        maps: (B, C, h, w) float32.
        canvas: (height, width) that the patch grid is stretched over.
        size: (H, W) top left part of it that is wanted.
    """

    def __init__(self, maps: Tensor, canvas: Size, size: Size) -> None:
        self.maps = maps
        self.rows = bilinear_matrix(maps.shape[2], canvas[0], maps.device)[: size[0]]  # (H, h)
        self.columns = bilinear_matrix(maps.shape[3], canvas[1], maps.device)[: size[1]]  # (W, w)

    def __call__(self) -> Maps:
        """Some names at a time."""
        step = max(1, VALUES // (len(self.maps) * len(self.rows) * len(self.columns)))
        for first in range(0, self.maps.shape[1], step):
            yield first, self.rows @ self.maps[:, first : first + step] @ self.columns.T


class RefinedMaps:
    """Maps after a method's refinement.

    Args:
        maps: gives the maps of all names, as often as it is called.
        refine: a pure function that treats every name alike, since it gets a few names at a time.
        images: (B, 3, H, W) RGB in [0, 1], of the maps' size.
        method: for messages.
    """

    def __init__(self, maps: Callable[[], Maps], refine: Refinement, images: Tensor, method: str) -> None:
        self.maps, self.refine, self.images, self.method = maps, refine, images, method

    def __call__(self) -> Maps:
        """Some names at a time.

        Raises:
            InputError: the refinement returns something else than maps of the shape that it got.
        """
        for first, part in self.maps():
            refined = self.refine(part, self.images)
            if not isinstance(refined, Tensor) or refined.shape != part.shape:
                got = tuple(refined.shape) if isinstance(refined, Tensor) else type(refined).__name__
                raise InputError(
                    f"method {self.method}: its refinement returns {got}; wanted are maps of the shape that it gets, "
                    f"(B, c, H, W) = {tuple(part.shape)}"
                )
            yield first, refined


def images_of_size(images: Tensor, size: Size) -> Tensor:
    """Images for a refinement: (B, 3, h, w) RGB in [0, 1], resized bilinearly to (B, 3, H, W)."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)


def highest(
    maps: Maps, scale: float = 1.0, allowed: Tensor | None = None, with_sum: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Number and logit of the highest name at every pixel, and the logarithm of all names' summed exponentials.

    Args:
        maps: (B, c, H, W) cosines at a time.
        scale: of the cosines.
        allowed: (B, C) names that may win, None for all.
        with_sum: whether the sum is wanted; it is over all names.

    Returns:
        (B, H, W) int64, float32 and float32.
    """
    best = log_sum = number = torch.empty(0)
    for first, part in maps:
        logits = part * scale
        if with_sum:
            part_sum = logits.logsumexp(1)
            log_sum = part_sum if first == 0 else torch.logaddexp(log_sum, part_sum)
        if allowed is not None:
            barred = ~allowed[:, first : first + logits.shape[1], None, None]
            logits = logits.masked_fill(barred, float("-inf"))
        value, index = logits.max(1)
        if first == 0:
            best, number = value, index
        else:
            number = torch.where(value > best, index + first, number)
            best = torch.maximum(best, value)
    return number, best, log_sum
