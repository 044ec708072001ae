"""PAMR: pixel-adaptive mask refinement, whose affinities come from the picture's own pixels.

Source: Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels", CVPR 2020, section 3.3, as the
released code of NACLIP (Hajimiri et al., WACV 2025) runs it on cosines of names: 10 steps, dilations 8 and 16.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.refinements.maps import Guide, Maps, NameMaps

STEPS = 10
DILATIONS = (8, 16)

# Values of neighbours that become weights at a time: a CPU wants them in its cache, a GPU wants few kernels.
_BAND = {"cpu": 1 << 19, "cuda": 1 << 24}
_NAMES = 32  # at a time: rows of 128 bytes, and those of all neighbours of a row of pixels in the cache


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
        weights = guide.once(affinities, dilations)
        index = guide.once(neighbours, dilations)
        for first, part in maps():
            yield first, propagate(part, weights, index, steps)

    return refined


def affinities(pixels: Tensor, dilations: tuple[int, ...] = DILATIONS) -> Tensor:
    """Weights of every pixel's neighbours.

    Args:
        pixels: (B, 3, H, W) normalised.
        dilations: distances in pixels.

    Returns:
        (B, H, W, 8 * dilations) float32 that sum to 1 over the last axis: dilation by dilation, row by row.
    """
    with torch.autocast(pixels.device.type, enabled=False):
        return torch.stack([_affinities(picture, dilations) for picture in pixels.float()])


def _affinities(picture: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """`affinities` of one picture, (3, H, W) to (H, W, n), in bands of rows."""
    height, width = picture.shape[1:]
    offsets = _offsets(dilations)
    # The released code takes the deviation over all nine positions of each dilation, in which the pixel itself counts
    # once for each.
    count = len(offsets) + len(dilations)
    rim = max(dilations)
    padded = F.pad(picture.unsqueeze(0), (rim,) * 4, mode="replicate")[0]
    weights = picture.new_empty(height, width, len(offsets))
    step = max(1, _BAND["cpu" if picture.device.type == "cpu" else "cuda"] // (width * len(offsets)))
    for top in range(0, height, step):
        band = picture[:, top : top + step]
        near = [padded[:, rim + y + top : rim + y + top + band.shape[1], rim + x : rim + x + width] for y, x in offsets]
        apart = torch.stack(near) - band  # (n, 3, h, W)
        squares = apart.square().sum(0) - apart.sum(0).square() / count
        deviation = (squares / (count - 1)).clamp_min(0).sqrt()  # (3, h, W)
        unlike = (apart.abs_() / (1e-8 + 0.1 * deviation)).mean(1)  # (n, h, W)
        weights[top : top + step] = (-unlike).softmax(0).permute(1, 2, 0)
    return weights


def neighbours(pixels: Tensor, dilations: tuple[int, ...] = DILATIONS) -> Tensor:
    """(H * W, n) int32 position in row-major order of every pixel's neighbours, in the order of `affinities`."""
    height, width = pixels.shape[2:]
    down, across = torch.tensor(_offsets(dilations), dtype=torch.int32, device=pixels.device).T
    rows = torch.arange(height, dtype=torch.int32, device=pixels.device).unsqueeze(1) + down
    columns = torch.arange(width, dtype=torch.int32, device=pixels.device).unsqueeze(1) + across
    index: Tensor = (width * rows.clamp(0, height - 1).unsqueeze(1) + columns.clamp(0, width - 1)).flatten(0, 1)
    return index


def _offsets(dilations: tuple[int, ...]) -> list[tuple[int, int]]:
    """(down, across) in pixels of every neighbour."""
    return [
        (y, x)
        for distance in dilations
        for y in (-distance, 0, distance)
        for x in (-distance, 0, distance)
        if (y, x) != (0, 0)
    ]


def propagate(maps: Tensor, weights: Tensor, index: Tensor, steps: int = STEPS) -> Tensor:
    """The steps of PAMR on some names' maps.

    A pixel's neighbours, each with its weight, are a bag of rows of a table whose columns are names: one call a step
    instead of a pass over the maps for each neighbour.

    Args:
        maps: (B, c, H, W).
        weights: (B, H, W, n) from `affinities`.
        index: (H * W, n) from `neighbours`.
        steps: number of steps.

    Returns:
        (B, c, H, W) float32.
    """
    refined = torch.empty(maps.shape, device=maps.device)
    with torch.autocast(maps.device.type, enabled=False):
        for number, own in enumerate(weights.flatten(1, 2)):
            for first in range(0, maps.shape[1], _NAMES):
                chosen = slice(first, first + _NAMES)
                table = maps[number, chosen].float().flatten(1).T  # (HW, c)
                # A table of one column is summed in another order: a name must not depend on which stand beside it.
                table = table.expand(-1, max(2, table.shape[1])).contiguous()
                for _ in range(steps):
                    table = F.embedding_bag(index, table, mode="sum", per_sample_weights=own)
                refined[number, chosen] = table.T[: maps.shape[1] - first].unflatten(1, maps.shape[2:])
    return refined
