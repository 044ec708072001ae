"""SFP (Jin et al., ICCV 2025): SC-CLIP with outliers that the class token's attention tells.

Source: Kimsure/SFP @2804f5b, `SFP_ICCV/clip/model.py`; any grid for its square ones, every picture by itself for its
single ones. Its function called sinkhorn normalises rows once, by a softmax: no Sinkhorn runs. The attention that the
paper's hierarchical integrator adds up over blocks is computed there and never read; here it is left out. Its text
names 12 blocks alone: in others SC-CLIP's rules hold.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cliptrase.attention import Projections, query_and_key
from cliptrase.clip.trunk import Trunk
from cliptrase.readings.base import reading
from cliptrase.readings.similarity import tokens_read, two_passes


@reading(projections=(-1,), tokens=tokens_read, attention=(-2,))
def sfp(trunk: Trunk) -> Tensor:
    """`two_passes`: a third each of q-q, k-k and attention among similar patches, then the last alone.

    Returns (B, N+1, E).
    """
    options = trunk.options
    outliers = attended_outliers(trunk.mean_attention(-2), options["factor"], int(options["outliers"]))
    return two_passes(trunk, outliers, _attend, keep_isolated=False, similar_only=True)


def _attend(first: Projections, second: Projections, by_similarity: Callable[[Tensor], Tensor]) -> Tensor:
    return query_and_key(first) / 3 + by_similarity(first.value / 3 + second.value)


def attended_outliers(attention: Tensor, factor: float, most: int) -> Tensor:
    """Patches that the class token attends to more than they to themselves.

    The released code multiplies the class token's row of every block's attention by its factor after that attention was
    used, so that the factor moves this comparison and nothing else.

    Args:
        attention: (B, N+1, N+1) mean over heads, class token first.
        factor: of the class token's attention before it is compared.
        most: outliers of a picture, those that the class token attends to most.

    Returns:
        (B, N) bool.
    """
    from_class, to_itself = attention[:, 0, 1:], attention.diagonal(dim1=1, dim2=2)[:, 1:]
    candidates = factor * from_class > to_itself
    chosen = torch.where(candidates, from_class, -1).topk(min(most, candidates.shape[1]), dim=1).indices
    return candidates & torch.zeros_like(candidates).scatter(1, chosen, True)
