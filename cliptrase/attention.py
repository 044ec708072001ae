"""Rules of last-block attention, pure functions of the block's projections.

Methods of training-free segmentation differ in what the last block attends by. A rule takes the projections and
returns the attended values before the output projection, rather than attention weights: the (N+1) x (N+1) weights
then never have to be held, and each term is one fused kernel.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from cliptrase.classification import Size


@dataclass(frozen=True)
class Projections:
    """What a block attends with.

    Attributes:
        query: (B, H, N+1, D) per-head projections of the normalised tokens, class token first.
        key: (B, H, N+1, D).
        value: (B, H, N+1, D).
        tokens: (B, N+1, W) normalised tokens that were projected.
        grid: (h, w) patches, h * w = N.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    tokens: Tensor
    grid: Size


AttentionRule = Callable[[Projections], Tensor]


def query_key(p: Projections) -> Tensor:
    """softmax(q k^T s) v: CLIP's own attention (Radford et al., ICML 2021). Returns (B, H, N+1, D)."""
    return F.scaled_dot_product_attention(p.query, p.key, p.value)


def value_path(p: Projections) -> Tensor:
    """Each token keeps its own value: MaskCLIP (Zhou et al., ECCV 2022). Returns (B, H, N+1, D)."""
    return p.value


def correlative_self_attention(p: Projections) -> Tensor:
    """(softmax(q q^T s) + softmax(k k^T s) + softmax(v v^T s)) v: CLIPtrase (Shao et al., ECCV 2024, section 3.2).

    The three softmaxes are summed, not averaged, as in the released code: each row of weights sums to 3.
    Returns (B, H, N+1, D).
    """
    parts = (F.scaled_dot_product_attention(x, x, p.value) for x in (p.query, p.key, p.value))
    return sum(parts, start=p.value.new_zeros(()))
