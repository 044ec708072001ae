"""PEARL (Pei et al., 2026): keys turned towards queries before the last block attends.

Source: PGSmall/PEARL @c26062b, `pearl/attn.py`.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.clip.trunk import Trunk
from cliptrase.readings.base import reading

_STEPS = 5
_EPSILON = 1e-6


@reading(projections=(-1,))
def pearl(trunk: Trunk) -> Tensor:
    """The last block by `aligned_query_key`, without residual connection and MLP. Returns (B, N+1, E)."""
    attended = aligned_query_key(trunk.projections(-1), trunk.options["alpha"])
    return trunk.project(trunk.complete(-1, attended, residual=None, mlp=False))


def aligned_query_key(p: Projections, alpha: float = 0.08) -> Tensor:
    """softmax(s q (k R)^T + alpha s k' k'^T) v, per head: PEARL's attention.

    k' are keys less their mean, weighted by the queries' norms; R is `alignment` of the centred keys and queries. Both
    terms of the logits are one product of joined vectors, [q, sqrt(alpha) k'] and [k R, sqrt(alpha) k'].

    Args:
        p: of the last block.
        alpha: weight of the keys' own similarity, 0 or more.

    Returns:
        (B, H, N+1, D).
    """
    precise = torch.promote_types(p.query.dtype, torch.float32)
    with torch.autocast(p.query.device.type, enabled=False):
        query, key = p.query.to(precise), p.key.to(precise)
        norm = query.norm(dim=-1, keepdim=True)  # (B, H, N+1, 1)
        weight = torch.cat([torch.zeros_like(norm[:, :, :1]), norm[:, :, 1:]], dim=2)  # none for the class token
        weight = weight / (weight.sum(2, keepdim=True) + _EPSILON)
        centred_query = query - (weight * query).sum(2, keepdim=True)
        centred_key = key - (weight * key).sum(2, keepdim=True)
        similar = alpha**0.5 * centred_key
        joined_query = torch.cat([query, similar], dim=-1).to(p.value.dtype)
        joined_key = torch.cat([key @ alignment(centred_query, centred_key), similar], dim=-1).to(p.value.dtype)
    return F.scaled_dot_product_attention(joined_query, joined_key, p.value, scale=p.query.shape[-1] ** -0.5)


def alignment(query: Tensor, key: Tensor) -> Tensor:
    """What turns keys towards queries: M (M^T M)^(-1/2) with M = key^T query, by five Newton-Schulz steps.

    The paper means the rotation of the orthogonal Procrustes problem. Five steps from this scaling do not reach it:
    singular values of the result have a median of 0.94 for random vectors and of 0.05 for anisotropic ones such as
    CLIP's, so that it damps weak directions. The published scores come from these five steps.

    Args:
        query: (B, H, T, D) centred.
        key: (B, H, T, D) centred.

    Returns:
        (B, H, D, D).
    """
    cross = key.mT @ query
    gram = cross.mT @ cross
    norm = gram.flatten(2).norm(dim=-1).clamp_min(_EPSILON).view(*gram.shape[:2], 1, 1)
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    y, z = gram / norm + _EPSILON * identity, identity.expand_as(gram)
    for _ in range(_STEPS):
        step = 0.5 * (3 * identity - z @ y)
        y, z = y @ step, step @ z
    turned: Tensor = cross @ z / norm.sqrt()
    return turned
