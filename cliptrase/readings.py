"""How methods read dense features from CLIP's visual tower: today's eight, and what makes more of them."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase import attention
from cliptrase.attention import AttentionRule, Projections
from cliptrase.clip.trunk import Block, Reading, Trunk
from cliptrase.common.errors import InputError


def reading(
    *,
    projections: tuple[int, ...] = (),
    tokens: tuple[int, ...] = (),
    attention: tuple[int, ...] = (),
    text: bool = False,
    guest: bool = False,
) -> Callable[[Callable[[Trunk], Tensor]], Reading]:
    """Makes a `Reading` of the function below it, and says what it needs; see `Reading`.

    Example:
        >>> @reading(tokens=(-1,))
        ... def last_tokens(trunk):
        ...     return trunk.project(trunk.tokens(-1))
        >>> last_tokens.tokens
        (-1,)
    """
    return partial(Reading, projections=projections, tokens=tokens, attention=attention, text=text, guest=guest)


def last_block(rule: AttentionRule, residual: bool = True, mlp: bool = True) -> Reading:
    """The last block with another attention.

    Args:
        rule: what the last block attends by.
        residual: whether it keeps its residual connection.
        mlp: whether it keeps its MLP.
    """
    read = partial(_read_last_block, rule=rule, residual=residual, mlp=mlp)
    return Reading(read, projections=(-1,), tokens=(-2,) if residual else ())


def second_stream(rule: AttentionRule, depth: int, mlp: bool = False) -> Reading:
    """A second stream of tokens through the last blocks, beside CLIP's own.

    Queries, keys, values and, at the end, the class token always come from CLIP's own stream.

    Args:
        rule: what the blocks of the second stream attend by.
        depth: number of blocks it runs through.
        mlp: whether these keep their MLP.
    """
    step = partial(_step_second_stream, rule=rule, mlp=mlp)
    return Reading(_read_second_stream, projections=(-1,), tokens=(-2,), step=step, depth=depth)


def attend(rule: AttentionRule, p: Projections) -> Tensor:
    """What `rule` gathers of `p`: (B, H, N+1, D).

    Raises:
        InputError: the rule returns something else.
    """
    attended = rule(p)
    if not isinstance(attended, Tensor) or attended.shape != p.value.shape:
        got = tuple(attended.shape) if isinstance(attended, Tensor) else type(attended).__name__
        raise InputError(
            f"attention rule {getattr(rule, '__name__', rule)!s} returns {got}; wanted is what each head attends to, "
            f"(B, H, N+1, D) = {tuple(p.value.shape)}"
        )
    return attended


def _read_last_block(trunk: Trunk, rule: AttentionRule, residual: bool, mlp: bool) -> Tensor:
    attended = attend(rule, trunk.projections(-1))
    return trunk.project(trunk.complete(-1, attended, trunk.tokens(-2) if residual else None, mlp))


def _step_second_stream(block: Block, stream: Tensor | None, rule: AttentionRule, mlp: bool) -> Tensor:
    stream = block.tokens if stream is None else stream
    return block.complete(attend(rule, block.projections), stream, mlp)


def _read_second_stream(trunk: Trunk) -> Tensor:
    p = trunk.projections(-1)
    attended = F.scaled_dot_product_attention(p.query[:, :, :1], p.key, p.value)
    token = trunk.complete(-1, attended, trunk.tokens(-2)[:, :1])  # (B, 1, W): all of CLIP's last block that is needed
    return trunk.project(torch.cat([token, trunk.carried[:, 1:]], dim=1))


vanilla = last_block(attention.query_key)
# With CLIP's own quick GELU and layer-norm eps; the released config runs exact GELU and eps 1e-6, which changes every
# feature a little (--model.activation gelu gives the larger part of that).
maskclip = last_block(attention.value_path)
cliptrase = last_block(attention.correlative_self_attention)
sclip = last_block(attention.query_and_key)
clearclip = last_block(attention.query_query, residual=False, mlp=False)
naclip = last_block(attention.neighbour_key, residual=False, mlp=False)
# Its architecture surgery. Its "feature surgery" is left out: what it takes off, the mean over names, is the same for
# every name and moves no label; its weights of names serve similarity maps of single words.
clip_surgery = second_stream(attention.value_value, depth=6)
gem = second_stream(attention.grounded_self_self, depth=6)
