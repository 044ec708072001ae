"""Rules of last-block attention, pure functions of the block's projections.

Methods of training-free segmentation differ in what the last block attends by. A rule takes the projections and
returns the attended values before the output projection, rather than attention weights: the (N+1) x (N+1) weights
then never have to be held, and each term is one fused kernel. s is head_dim ** -0.5 throughout.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.ops.classification import Size


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


def mean_attention(p: Projections) -> Tensor:
    """softmax(q k^T s), mean over heads: (B, N+1, N+1) float32, rows sum to 1.

    One head after the other: of a large image all heads' maps would take gigabytes.
    """
    batch, heads, count, width = p.query.shape
    precise = torch.promote_types(p.query.dtype, torch.float32)
    with torch.autocast(p.query.device.type, enabled=False):
        query, key = p.query.to(precise), p.key.to(precise)
        total = torch.zeros(batch, count, count, device=query.device, dtype=precise)
        for head in range(heads):
            total = total + (query[:, head] @ key[:, head].mT * width**-0.5).softmax(-1)
        return total / heads


def query_key(p: Projections) -> Tensor:
    """softmax(q k^T s) v: CLIP's own attention (Radford et al., ICML 2021). Returns (B, H, N+1, D)."""
    return F.scaled_dot_product_attention(p.query, p.key, p.value)


def value_path(p: Projections) -> Tensor:
    """Each token keeps its own value: MaskCLIP (Zhou et al., ECCV 2022). Returns (B, H, N+1, D)."""
    return p.value


def query_query(p: Projections) -> Tensor:
    """softmax(q q^T s) v: ClearCLIP (Lan et al., ECCV 2024, section 3.3). Returns (B, H, N+1, D)."""
    return F.scaled_dot_product_attention(p.query, p.query, p.value)


def key_key(p: Projections) -> Tensor:
    """softmax(k k^T s) v: half of SCLIP's attention, and of what SC-CLIP and SFP attend by. Returns (B, H, N+1, D)."""
    return F.scaled_dot_product_attention(p.key, p.key, p.value)


def value_value(p: Projections) -> Tensor:
    """softmax(v v^T s) v: CLIP Surgery (Li et al. 2023, "v-v self-attention"). Returns (B, H, N+1, D)."""
    return F.scaled_dot_product_attention(p.value, p.value, p.value)


def query_and_key(p: Projections) -> Tensor:
    """(softmax(q q^T s) + softmax(k k^T s)) v: SCLIP (Wang et al., ECCV 2024).

    Summed, not averaged, as in the released code: each row of weights sums to 2. Returns (B, H, N+1, D).
    """
    return query_query(p) + key_key(p)


def correlative_self_attention(p: Projections) -> Tensor:
    """(softmax(q q^T s) + softmax(k k^T s) + softmax(v v^T s)) v: CLIPtrase (Shao et al., ECCV 2024, section 3.2).

    The three softmaxes are summed, not averaged, as in the released code: each row of weights sums to 3.
    Returns (B, H, N+1, D).
    """
    return query_and_key(p) + value_value(p)


def neighbour_key(p: Projections, sigma: float = 5.0) -> Tensor:
    """softmax(k k^T s + w) v, w_ij = exp(-d_ij^2 / (2 sigma^2)): NACLIP (Hajimiri et al., WACV 2025, section 3).

    d is the distance of two patches on the grid; the class token's row and column get no addend, as in the released
    code. The Gaussian is added to the logits as it is, not to the probabilities. Returns (B, H, N+1, D).
    """
    precise = torch.promote_types(p.key.dtype, torch.float32)
    near = nearness(p.grid, sigma, torch.empty(0, device=p.key.device, dtype=precise))
    addend = F.pad(near, (1, 0, 1, 0)).to(p.key.dtype)  # (N+1, N+1)
    return F.scaled_dot_product_attention(p.key, p.key, p.value, attn_mask=addend)


def nearness(grid: Size, sigma: float, like: Tensor) -> Tensor:
    """exp(-d^2 / (2 sigma^2)), d being the distance of two patches on the grid: NACLIP's Gaussian.

    Args:
        grid: (h, w) patches, h * w = N.
        sigma: in patches.
        like: a tensor of the wanted device and type.

    Returns:
        (N, N), 1 on the diagonal.
    """
    by_side = []
    for side in grid:
        place = torch.arange(side, device=like.device, dtype=like.dtype)
        by_side.append(torch.exp(-((place - place.unsqueeze(1)) ** 2) / (2 * sigma**2)))  # (side, side)
    return torch.kron(*by_side)  # the Gaussian is the product of its sides


def grounded_self_self(p: Projections) -> Tensor:
    """Mean over x in (q, k, v) of softmax(tau x' x'^T) v: GEM (Bousselham et al., CVPR 2024, section 3).

    x' = unit(softmax(tau u u^T) u) with u = unit(x): one round of clustering tokens with those alike. tau is the
    picture's mean norm of the normalised tokens, class token included, times s, as in the released code.
    Returns (B, H, N+1, D).
    """
    tau = p.tokens.norm(dim=-1).mean(-1).view(-1, 1, 1, 1) * p.query.shape[-1] ** -0.5  # (B, 1, 1, 1)

    def attend(unit: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention((tau * unit).to(unit.dtype), unit, value, scale=1.0)

    def by(x: Tensor) -> Tensor:
        unit = F.normalize(x, dim=-1)
        return attend(F.normalize(attend(unit, unit), dim=-1), p.value)

    return (by(p.query) + by(p.key) + by(p.value)) / 3
