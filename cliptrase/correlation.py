"""Self-correlation of patches and the removal of global patches (CLIPtrase, sections 3.2 and 3.3)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def self_correlation(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Mean over heads of (cos(q_i, q_j) + cos(k_i, k_j) + cos(v_i, v_j)) / 3 over all tokens.

    The released code broadcasts every pair of heads' vectors; here each head's unit q, k and v are laid end to
    end, so that the same number is one inner product and the whole map one batched matrix product. It is always
    computed in float32, since clustering compares it with a threshold.

    Args:
        query: (B, H, T, D) per-head projections of the block before the last, class token first.
        key: (B, H, T, D).
        value: (B, H, T, D).

    Returns:
        (B, T, T) float32 in [-1, 1].
    """
    heads = query.shape[1]
    with torch.autocast(query.device.type, enabled=False):
        units = [F.normalize(projection.float(), dim=-1) for projection in (query, key, value)]
        stacked = torch.cat(units, dim=-1).transpose(1, 2).flatten(2)  # (B, T, H * 3D)
        return stacked @ stacked.mT / (3 * heads)


def remove_global_patches(correlation: Tensor) -> Tensor:
    """Patch-to-patch correlation less the class token's own, floored at 0.

    Patches that the class token correlates with ("global patches") look alike to every patch. Following the
    released code, entry j of each row loses the class token's correlation with patch j.

    Args:
        correlation: (B, N+1, N+1) from `self_correlation`.

    Returns:
        (B, N, N), not negative.
    """
    return (correlation[:, 1:, 1:] - correlation[:, :1, 1:]).clamp_min(0)
