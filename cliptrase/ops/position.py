"""Position embeddings on another grid, each method by the resampling of its own released code."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.ops.classification import Size

PositionEmbedding = Literal["dino", "bicubic", "bilinear", "antialias"]

# To the exact size, where a grid of h x w reaches over the same extent as the native one.
_EXACT: dict[PositionEmbedding, dict[str, Any]] = {
    "bicubic": {"mode": "bicubic"},
    "bilinear": {"mode": "bilinear"},
    "antialias": {"mode": "bicubic", "antialias": True},
}


def resample_position_embedding(
    embedding: Tensor, native: Sequence[int], grid: Size, how: PositionEmbedding = "dino"
) -> Tensor:
    """Position embedding for another grid; rows of tokens before the patches are kept.

    Args:
        embedding: (P + G, W) for P tokens that are no patches, such as CLIP's class token, then the native grid of G
            patches.
        native: (g_h, g_w).
        grid: (h, w) wanted.
        how: `dino` is bicubic by the scale factor (h + 0.1) / g that DINO's code introduced and CLIPtrase, SCLIP,
            ClearCLIP and NACLIP follow: the factor itself, not the output size, sets the sampling positions.
            `bicubic` (MaskCLIP) and `bilinear` (CLIP Surgery) go to the exact size, without antialias; `antialias`
            (GEM, as open_clip) is bicubic to the exact size, low-pass filtered where the grid shrinks.

    Returns:
        (P + h * w, W); `embedding` itself where the grids agree.
    """
    if tuple(native) == grid:
        return embedding
    precise = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
    before = len(embedding) - native[0] * native[1]
    native_grid = precise[before:].unflatten(0, tuple(native)).permute(2, 0, 1).unsqueeze(0)  # (1, W, g_h, g_w)
    if how == "dino":
        factors = ((grid[0] + 0.1) / native[0], (grid[1] + 0.1) / native[1])
        resampled = F.interpolate(
            native_grid, scale_factor=factors, mode="bicubic", align_corners=False, recompute_scale_factor=False
        )  # (1, W, h, w)
    else:
        resampled = F.interpolate(native_grid, grid, align_corners=False, **_EXACT[how])  # (1, W, h, w)
    return torch.cat([embedding[:before], resampled[0].flatten(1).T.to(embedding.dtype)])
