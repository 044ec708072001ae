"""SC-CLIP (Bai et al., 2024): outliers repaired by their neighbours, similar patches aggregated, two passes.

Source: SuleBai/SC-CLIP @0417ba9, `clip/model.py`; any grid for its square ones, every picture by itself for its single
ones. The second pass reads earlier blocks' tokens, and the last similarity is an early block's, without repair: so the
released code, where the paper does not say.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from cliptrase.attention import Projections, key_key
from cliptrase.clip.trunk import Trunk
from cliptrase.readings.base import reading
from cliptrase.readings.similarity import at_least_float32, some_rows, tokens_read, two_passes

_EQUAL = 1e-6  # scores that differ by less: the same sum in another order


@reading(projections=(-1,), tokens=tokens_read)
def scclip(trunk: Trunk) -> Tensor:
    """`two_passes`, each by softmax(k k^T s) and attention among similar patches, half of each. Returns (B, N+1, E)."""
    options = trunk.options
    outliers = local_outliers(trunk.tokens(-2)[:, 1:], int(options["neighbours"]), options["quantile"])
    return two_passes(trunk, outliers, _attend, keep_isolated=True, similar_only=False)


def _attend(first: Projections, second: Projections, by_similarity: Callable[[Tensor], Tensor]) -> Tensor:
    own = key_key(first) + key_key(second)
    return (own + by_similarity(first.value + second.value)) / 2


def local_outliers(tokens: Tensor, neighbours: int, quantile: float) -> Tensor:
    """Patches that lie farther from their nearest ones than these do from theirs.

    kappa_i is the squared distance of patch i to the last of its nearest; its score is the mean of kappa_i / kappa_o
    over these, o. Outliers are those whose score is above the quantile, interpolated linearly; where the quantile is a
    score itself, that one too, since the released code's float32 puts the quantile a little below it. The highest
    scores of pictures with no more than `neighbours` + 1 patches are equal: none of them is then an outlier.

    The paper names the local outlier factor (LOF), whose reachability is max(kappa_o, distance of i and o); the
    released code takes the larger of kappa_i and that distance, which is kappa_i for every neighbour. Its first commit,
    74471da, takes the ten tokens of largest norm and has this in a comment, "both achieving the same results":
    published scores may be of either.

    Args:
        tokens: (B, N, W) patches.
        neighbours: how many are nearest; all others where a picture has no more.
        quantile: of a picture's scores, in [0, 1).

    Returns:
        (B, N) bool, N - ceil(quantile (N - 1)) of a picture, fewer where scores are equal, none of one patch.
    """
    count = tokens.shape[1]
    nearest = min(neighbours, count - 1)
    if nearest == 0:
        return torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    with torch.no_grad(), torch.autocast(tokens.device.type, enabled=False):
        points = at_least_float32(tokens)
        points = points - points.mean(1, keepdim=True)  # which moves no distance and saves digits
        square = points.square().sum(-1)  # (B, N)
        farthest, indices = [], []
        for part, own in zip(some_rows(points), some_rows(square), strict=True):
            distance = own.unsqueeze(2) + square.unsqueeze(1) - 2 * part @ points.mT  # (B, r, N) squared
            found = distance.topk(nearest + 1, largest=False)  # the first is the patch itself
            farthest.append(found.values[..., -1])
            indices.append(found.indices[..., 1:])
        kappa = torch.cat(farthest, dim=1).clamp_min(torch.finfo(points.dtype).tiny)  # (B, N)
        theirs = kappa.gather(1, torch.cat(indices, dim=1).flatten(1)).unflatten(1, (count, nearest))
        scores = (kappa.unsqueeze(2) / theirs).mean(-1)
    rank = math.ceil(round(quantile * (count - 1), 6))  # a whole one is not missed for its last digit
    highest_inlier = scores.sort(dim=1).values[:, max(rank - 1, 0)]
    outliers: Tensor = scores > highest_inlier.unsqueeze(1) * (1 + _EQUAL)
    return outliers
