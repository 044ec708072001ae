"""PAMR: pixel-adaptive mask refinement, whose affinities come from the picture's own pixels.

Source: Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels", CVPR 2020, section 3.3, as the
released code of NACLIP (Hajimiri et al., WACV 2025) runs it on cosines of names: 10 steps, dilations 8 and 16.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.refinements.maps import Guide, Maps, NameMaps

STEPS = 10
DILATIONS = (8, 16)


def pamr(maps: NameMaps, guide: Guide, steps: int = STEPS, dilations: tuple[int, ...] = DILATIONS) -> NameMaps:
    """Every step gives a pixel the mean of its neighbours, each weighted by how alike its colour is.

    The neighbours are the eight at each dilation; beyond the border the outermost pixel is repeated, and the pixel's
    own value has no weight. float32 whatever the precision.

    Args:
        maps: of all names.
        guide: of the batch; its `pixels` decide the weights.
        steps: number of steps.
        dilations: distances in pixels.
    """

    def refined() -> Maps:
        weights = guide.once(affinities, dilations)  # (B, n, H, W)
        for first, part in maps():
            yield first, propagate(part, weights, steps, dilations)

    return refined


def affinities(pixels: Tensor, dilations: tuple[int, ...] = DILATIONS) -> Tensor:
    """Weights of every pixel's neighbours.

    Args:
        pixels: (B, 3, H, W) normalised.
        dilations: distances in pixels.

    Returns:
        (B, 8 * dilations, H, W) float32 that sum to 1 over the second axis: dilation by dilation, row by row.
    """
    with torch.autocast(pixels.device.type, enabled=False):
        pixels = pixels.float()
        apart = torch.stack([near - pixels for near in _neighbours(pixels, dilations)], 1)  # (B, n, 3, H, W)
        # The released code takes the deviation over all nine positions of each dilation, in which the pixel itself
        # counts once for each.
        count = apart.shape[1] + len(dilations)
        squares = apart.square().sum(1) - apart.sum(1).square() / count
        deviation = (squares / (count - 1)).clamp_min(0).sqrt()  # (B, 3, H, W)
        likeness = -(apart.abs() / (1e-8 + 0.1 * deviation).unsqueeze(1)).mean(2)
        return likeness.softmax(1)


def propagate(maps: Tensor, weights: Tensor, steps: int = STEPS, dilations: tuple[int, ...] = DILATIONS) -> Tensor:
    """The steps of PAMR on some names' maps.

    Args:
        maps: (B, c, H, W).
        weights: (B, 8 * dilations, H, W) from `affinities`.
        steps: number of steps.
        dilations: distances in pixels.

    Returns:
        (B, c, H, W) float32.
    """
    maps = maps.float()
    for _ in range(steps):
        total = torch.zeros_like(maps)
        for number, near in enumerate(_neighbours(maps, dilations)):
            total.addcmul_(near, weights[:, number, None])
        maps = total
    return maps


def _neighbours(values: Tensor, dilations: tuple[int, ...]) -> Iterator[Tensor]:
    """(B, c, H, W) of each neighbour of every pixel."""
    height, width = values.shape[2:]
    for distance in dilations:
        padded = F.pad(values, (distance,) * 4, mode="replicate")
        for y in range(3):
            for x in range(3):
                if (y, x) != (1, 1):
                    top, left = y * distance, x * distance
                    yield padded[:, :, top : top + height, left : left + width]
