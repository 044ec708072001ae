"""Dense features from an open_clip visual tower whose blocks are walked here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.classification import Size, check_grid
from cliptrase.errors import InputError
from cliptrase.methods import Method


@dataclass(frozen=True)
class Encoding:
    """What one walk through the tower gives.

    Attributes:
        features: for each method asked for, (B, N+1, E) tokens after ln_post and projection, class token first,
            not of unit length.
        penultimate: projections of the block before the last, from which the correlation is taken.
        grid: (h, w) patches, h * w = N.
    """

    features: dict[str, Tensor]
    penultimate: Projections
    grid: Size


class VisualEncoder(nn.Module):
    """Walks the blocks of an open_clip `VisionTransformer` with a class token.

    Args:
        tower: `model.visual` of an open_clip model.

    Raises:
        InputError: the tower is of another kind (ResNet, timm trunk, attention pooling, no class token).
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = _supported(tower)

    def forward(self, pixels: Tensor, methods: Sequence[Method]) -> Encoding:
        """Features of a batch under several methods; the blocks before the last are walked once for all.

        Args:
            pixels: (B, 3, H, W) normalised, H and W multiples of the patch.
            methods: rules of the last block; they must share the position embedding's resampling.

        Raises:
            ValueError: H or W is not a multiple of the patch.
        """
        tower = self.tower
        patch = (int(tower.patch_size[0]), int(tower.patch_size[1]))
        grid = check_grid((pixels.shape[2], pixels.shape[3]), patch)
        *blocks, before_last, last = tower.transformer.resblocks
        x = self._embed(pixels, grid)  # (B, N+1, W)
        for block in blocks:
            x = _finish(block, x, F.scaled_dot_product_attention(*_heads(block, block.ln_1(x))))
        penultimate = _project(before_last, x, grid)
        x = _finish(before_last, x, _plain(penultimate))
        projections = _project(last, x, grid)
        features = {}
        for method in methods:
            y = _finish(last, x, method.attention(projections), method.residual, method.mlp)
            features[method.name] = tower.ln_post(y) @ tower.proj  # (B, N+1, E)
        return Encoding(features, penultimate, grid)

    def _embed(self, pixels: Tensor, grid: Size) -> Tensor:
        """Patch, class and position embedding: (B, 3, H, W) to (B, N+1, W).

        The patch convolution does not overlap, so it is one matrix product, which unlike cuDNN's convolution
        is not rounded to TF32 by default.
        """
        tower = self.tower
        weight = tower.conv1.weight.flatten(1)  # (W, 3 * p * p)
        patches = F.linear(_unfold(pixels, grid), weight, tower.conv1.bias)  # (B, N, W)
        token = tower.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        position = resample_position_embedding(tower.positional_embedding, tower.grid_size, grid)
        embedded: Tensor = tower.ln_pre(torch.cat([token, patches], dim=1) + position.to(patches.dtype))
        return embedded


def resample_position_embedding(embedding: Tensor, native: Sequence[int], grid: Size) -> Tensor:
    """Position embedding for another grid; the class token's row is kept.

    Bicubic, without antialias, by the scale factor (h + 0.1) / g that DINO's code introduced and CLIPtrase's
    follows: the factor itself, not the output size, sets the sampling positions.

    Args:
        embedding: (G + 1, W) for the native grid of G patches.
        native: (g_h, g_w).
        grid: (h, w) wanted.

    Returns:
        (h * w + 1, W); `embedding` itself where the grids agree.
    """
    if tuple(native) == grid:
        return embedding
    native_grid = embedding[1:].unflatten(0, tuple(native)).permute(2, 0, 1).unsqueeze(0)  # (1, W, g_h, g_w)
    factors = ((grid[0] + 0.1) / native[0], (grid[1] + 0.1) / native[1])
    resampled = F.interpolate(
        native_grid.float(), scale_factor=factors, mode="bicubic", align_corners=False, recompute_scale_factor=False
    )  # (1, W, h, w)
    return torch.cat([embedding[:1], resampled[0].flatten(1).T.to(embedding.dtype)])


def _unfold(pixels: Tensor, grid: Size) -> Tensor:
    """(B, 3, H, W) to (B, N, 3 * p * p), each row one patch in the convolution's weight order."""
    batch, channels, height, width = pixels.shape
    patches = pixels.reshape(batch, channels, grid[0], height // grid[0], grid[1], width // grid[1])
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def _heads(block: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of normalised tokens (B, T, W), each (B, H, T, D)."""
    attn = block.attn
    qkv = F.linear(tokens, attn.in_proj_weight, attn.in_proj_bias)  # (B, T, 3W)
    query, key, value = qkv.unflatten(2, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return query, key, value


def _project(block: Any, x: Tensor, grid: Size) -> Projections:
    tokens = block.ln_1(x)
    return Projections(*_heads(block, tokens), tokens, grid)


def _plain(p: Projections) -> Tensor:
    return F.scaled_dot_product_attention(p.query, p.key, p.value)


def _finish(block: Any, x: Tensor, attended: Tensor, residual: bool = True, mlp: bool = True) -> Tensor:
    """The rest of a block: (B, T, W) tokens and (B, H, T, D) attended values to (B, T, W)."""
    attended = block.ls_1(block.attn.out_proj(attended.transpose(1, 2).flatten(2)))
    x = x + attended if residual else attended
    if not mlp:
        return x
    changed: Tensor = block.ls_2(block.mlp(block.ln_2(x)))
    return x + changed


def _supported(tower: nn.Module) -> VisionTransformer:
    wanted = "supported are open_clip VisionTransformers with a class token, such as ViT-B-16, ViT-L-14 or ViT-H-14"
    if not isinstance(tower, VisionTransformer):
        raise InputError(f"a visual tower of type {type(tower).__name__} has no dense class-token attention; {wanted}")
    if tower.attn_pool is not None or tower.pool_type != "tok" or tower.proj is None:
        raise InputError(f"the visual tower pools by {tower.pool_type!r}, not by its class token; {wanted}")
    blocks = list(tower.transformer.resblocks)
    if len(blocks) < 2 or any(type(block) is not ResidualAttentionBlock for block in blocks):
        kinds = sorted({type(block).__name__ for block in blocks})
        raise InputError(f"the visual tower has {len(blocks)} blocks of type {', '.join(kinds)}; {wanted}")
    return tower
