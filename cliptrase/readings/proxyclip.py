"""ProxyCLIP (Lan et al., ECCV 2024): CLIP's values gathered by what another tower finds alike.

Source: mc-lan/ProxyCLIP @e7b767f, `open_clip/transformer.py`.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.trunk import DenseFeatures, GuestFeatures, Trunk
from cliptrase.readings.base import class_token, reading

_WEIGHTS = 1 << 24  # attention weights held at once: 64 MiB


@reading(projections=(-1,), tokens=(-2,), guest=True)
def proxyclip(trunk: Trunk) -> DenseFeatures:
    """The last block's values on the guest's grid, gathered by `proxy_attention`, without residual connection and MLP.

    The released code takes the mean similarity over all windows of a batch, and runs one window at a time; here it is
    each window's own. Its grid is right for squares only, and its class token is left out; here the class token is
    CLIP's own.

    Returns:
        (B, n+1, E) on the guest's grid of n patches.
    """
    value = trunk.projections(-1).value[:, :, 1:]  # (B, H, N, D)
    batch, heads, _, width = value.shape
    maps = value.permute(0, 1, 3, 2).reshape(batch, heads * width, *trunk.grid)
    resized = F.interpolate(maps, trunk.guest.grid, mode="bilinear", align_corners=False)
    value = resized.flatten(2).mT  # (B, n, H * D)
    gathered = proxy_attention(trunk.guest, value, trunk.options["beta"], trunk.options["gamma"])
    patches = trunk.complete(-1, gathered.unflatten(2, (heads, width)).transpose(1, 2), residual=None, mlp=False)
    return DenseFeatures(trunk.project(torch.cat([class_token(trunk), patches], dim=1)), trunk.guest.grid)


def proxy_attention(guest: GuestFeatures, value: Tensor, beta: float = 1.2, gamma: float = 3.0) -> Tensor:
    """softmax(gamma (S - beta mean(S))) value, S = u^T u, over the patches for which that is not below 0.

    A patch for which none is left, as in a picture of one colour, attends to all alike; the released code gives NaN.

    Args:
        guest: u are its features at length 1.
        value: (B, n, C).
        beta: of the image's mean similarity, which is taken off.
        gamma: factor of what is left.

    Returns:
        (B, n, C) in the type of `value`.
    """
    precise = torch.promote_types(guest.tokens.dtype, torch.float32)
    with torch.autocast(value.device.type, enabled=False):
        unit = F.normalize(guest.tokens.to(precise), dim=-1)  # (B, n, E')
        mean = unit.mean(1, keepdim=True).square().sum(2, keepdim=True)  # of all n x n products: (B, 1, 1)
        gathered = torch.empty(value.shape, dtype=precise, device=value.device)
        rows = max(1, _WEIGHTS // math.prod(unit.shape[:2]))
        for first in range(0, unit.shape[1], rows):
            logits = gamma * (unit[:, first : first + rows] @ unit.mT - beta * mean)
            logits = logits.masked_fill(logits < 0, -torch.inf)
            lone = logits.amax(2, keepdim=True) == -torch.inf
            weights = logits.masked_fill(lone, 0.0).softmax(-1)
            gathered[:, first : first + rows] = weights @ value.to(precise)
    return gathered.to(value.dtype)
