"""The parts of an open_clip transformer block, so that a rule of its own can stand where its attention does."""

from typing import Any

import torch
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.ops.classification import Size


def _heads(block: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value of normalised tokens (B, T, W), each (B, H, T, D)."""
    attn = block.attn
    qkv = F.linear(tokens, attn.in_proj_weight, attn.in_proj_bias)  # (B, T, 3W)
    query, key, value = qkv.unflatten(2, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return query, key, value


def project(block: Any, x: Tensor, grid: Size) -> Projections:
    """What a block attends with.

    Args:
        block: an open_clip `ResidualAttentionBlock`.
        x: (B, N+1, W) tokens, class token first.
        grid: (h, w) patches, h * w = N.
    """
    tokens = block.ln_1(x)
    return Projections(*_heads(block, tokens), tokens, grid)


def complete_block(block: Any, attended: Tensor, residual: Tensor | None = None, mlp: bool = True) -> Tensor:
    """The rest of a block after attention.

    Args:
        block: an open_clip `ResidualAttentionBlock`.
        attended: (B, H, T, D) values that its attention gathered.
        residual: (B, T, W) tokens that its residual connection adds, those that went in; None leaves it out.
        mlp: whether the MLP follows.

    Returns:
        (B, T, W).
    """
    attended = block.ls_1(block.attn.out_proj(attended.transpose(1, 2).flatten(2)))
    x = attended if residual is None else residual + attended
    if not mlp:
        return x
    hidden = block.mlp.c_fc(block.ln_2(x))  # (B, T, 4W)
    changed: Tensor = block.ls_2(block.mlp.c_proj(_activate(block.mlp.gelu, hidden)))
    return x + changed


def _activate(activation: nn.Module, hidden: Tensor) -> Tensor:
    """QuickGELU with one temporary for open_clip's three, which on a CPU cost more than the arithmetic."""
    if isinstance(activation, QuickGELU) and not hidden.requires_grad:
        return torch.mul(hidden, 1.702).sigmoid_().mul_(hidden)
    activated: Tensor = activation(hidden)
    return activated
