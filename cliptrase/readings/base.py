"""What makes readings: a function with its needs, another attention in the last block, a second stream of tokens."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.attention import AttentionRule, Projections
from cliptrase.clip.trunk import Block, DenseFeatures, Numbers, Reading, Trunk
from cliptrase.common.errors import InputError


def reading(
    *,
    projections: Numbers = (),
    tokens: Numbers = (),
    attention: Numbers = (),
    text: bool = False,
    guest: bool = False,
) -> Callable[[Callable[[Trunk], Tensor | DenseFeatures]], Reading]:
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
    return trunk.project(torch.cat([class_token(trunk), trunk.carried[:, 1:]], dim=1))


def class_token(trunk: Trunk) -> Tensor:
    """CLIP's own class token after the last block, (B, 1, W), for readings that change the patches alone.

    They ask for `projections` of block -1 and `tokens` of block -2.
    """
    p = trunk.projections(-1)
    attended = F.scaled_dot_product_attention(p.query[:, :, :1], p.key, p.value)
    return trunk.complete(-1, attended, trunk.tokens(-2)[:, :1])
