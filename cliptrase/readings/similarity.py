"""What SC-CLIP and SFP share: repaired outliers, aggregation of similar patches, attention among them, two passes.

Every step is each picture's own and right for any grid. Similarities and what they decide are float32 also under
autocast. Of a map of all pairs of patches some rows are held at a time: memory does not grow with its square.
"""

import functools
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.clip.trunk import Trunk
from cliptrase.ops.classification import Size
from cliptrase.readings.base import class_token

_VALUES = 1 << 22  # of a map of all pairs at a time: 16 MiB in float32
_EPSILON = 1e-6

Attend = Callable[[Projections, Projections, Callable[[Tensor], Tensor]], Tensor]
"""From the first pass's projections, the second's and an attention among similar patches, (B, H, N, D) to the same, to
what both passes attend to, added up: (B, H, N, D)."""


class Layers(NamedTuple):
    """Blocks whose tokens are read, counted from 0.

    Attributes:
        middle: whose patches are compared in the last block.
        early: whose patches are compared after it.
        summed: whose tokens, added up, are the second pass.
    """

    middle: int
    early: int
    summed: tuple[int, ...]


def layers(blocks: int) -> Layers:
    """Layers for a tower of so many blocks.

    Those of 12 blocks are the released code's; those of 24 are what its author names (SuleBai/SC-CLIP, issue 5). In
    other towers they lie where they lie in 12 blocks, rounded, and not behind the block before the last.
    """
    if blocks == 24:
        return Layers(16, 6, tuple(range(8, 19)))
    middle, early, last = (max(1, min(round(number * blocks / 12), blocks - 1)) - 1 for number in (9, 4, 10))
    return Layers(middle, early, tuple(range(early, last + 1)))


def tokens_read(blocks: int) -> tuple[int, ...]:
    """Blocks whose tokens `two_passes` reads, for `Reading.tokens`."""
    found = layers(blocks)
    return (-2, found.middle, found.early, *found.summed)


def two_passes(trunk: Trunk, outliers: Tensor, attend: Attend, keep_isolated: bool, similar_only: bool) -> Tensor:
    """Dense features by SC-CLIP's two passes through the last block, without residual connection and MLP.

    First pass: the tokens before the last block, outliers repaired and similar ones aggregated. Second pass: the sum of
    earlier blocks' tokens as they are. Either gets the class token that came with it, at a weight, and both are
    aggregated once more. Similarity before is that of repaired patches of a middle block, after that of an early
    block's as they are.

    The passes are added up before the output projection and the last aggregation, which are linear: the attention among
    similar patches, alike for all heads and both passes, is then one product.

    Args:
        trunk: of a reading that asks for projections of block -1 and `tokens_read`, with options `similarity`, `scale`
            and `class_weight`.
        outliers: (B, N) bool.
        attend: what both passes attend to.
        keep_isolated: see `repair`.
        similar_only: see `Similarity.attend`.

    Returns:
        (B, N+1, E) after ln_post and projection; the class token is CLIP's own.
    """
    options, grid = trunk.options, trunk.grid
    middle_block, early_block, blocks = layers(trunk.blocks)
    before = trunk.tokens(-2)
    summed = functools.reduce(operator.add, (trunk.tokens(block) for block in blocks))
    middle = Similarity.of(
        repair(trunk.tokens(middle_block)[:, 1:], outliers, grid, keep_isolated), options["similarity"]
    )
    repaired = repair(before[:, 1:], outliers, grid, keep_isolated)
    attended = attend(
        trunk.enter(-1, middle.aggregate(repaired), grid),
        trunk.enter(-1, summed[:, 1:], grid),
        functools.partial(middle.attend, scale=options["scale"], similar_only=similar_only),
    )
    # The output projection adds its bias once a pass.
    both = 2 * trunk.complete(-1, attended / 2, residual=None, mlp=False)
    both = both + options["class_weight"] * (before[:, :1] + summed[:, :1])
    early = Similarity.of(trunk.tokens(early_block)[:, 1:], options["similarity"])
    return trunk.project(torch.cat([class_token(trunk), early.aggregate(both)], dim=1))


def repair(tokens: Tensor, outliers: Tensor, grid: Size, keep_isolated: bool) -> Tensor:
    """Puts in the place of an outlier the mean of those of its eight neighbours that are none.

    The released codes find an outlier's row and column by the number of rows, which is right for square grids alone.

    Args:
        tokens: (B, N, W) patches.
        outliers: (B, N) bool.
        grid: (h, w) patches, h * w = N.
        keep_isolated: whether an outlier without such a neighbour stays as it is; else it becomes 0, as SFP's released
            code has it, whose division by the length of such a patch then leaves no number in the whole picture.

    Returns:
        (B, N, W).
    """
    sound = (~outliers).unsqueeze(2).to(tokens.dtype)  # (B, N, 1)
    total, count = _mean_of_nine(tokens * sound, grid), _mean_of_nine(sound, grid)
    found = count > 0
    replaced = outliers.unsqueeze(2) & found if keep_isolated else outliers.unsqueeze(2)
    return torch.where(replaced, total / torch.where(found, count, 1), tokens)


def _mean_of_nine(tokens: Tensor, grid: Size) -> Tensor:
    """Mean over 3 x 3 patches of (B, N, W), with zeros around the picture."""
    return F.avg_pool2d(tokens.mT.unflatten(2, grid), 3, stride=1, padding=1).flatten(2).mT


@dataclass(frozen=True)
class Similarity:
    """Cosines of all pairs of a picture's patches.

    Attributes:
        units: (B, N, W) patches of length 1, at least float32.
        least: cosine from which two patches are similar.
    """

    units: Tensor
    least: float

    @classmethod
    def of(cls, tokens: Tensor, least: float) -> "Similarity":
        """That of patches (B, N, W) of any length."""
        return cls(F.normalize(at_least_float32(tokens), dim=-1), least)

    def aggregate(self, tokens: Tensor) -> Tensor:
        """Means over similar patches, weighted by their cosine: (B, N, W') to (B, N, W')."""
        with torch.autocast(tokens.device.type, enabled=False):
            return torch.cat([_weighted_mean(weights, tokens) for weights in self._similar()], dim=1)

    def attend(self, value: Tensor, scale: float, similar_only: bool) -> Tensor:
        """softmax(M) v, M = scale (S - mean of S) with S the cosines, and no attention where M < 0.

        The mean is over all of a picture's entries. A patch all of whose entries are below it, as those of one of
        length 0 are, attends where they are highest.

        Args:
            value: (B, H, N, D); all heads attend alike.
            scale: of M.
            similar_only: whether entries of patches that are not similar are 0 in S.

        Returns:
            (B, H, N, D).
        """
        rows, mean = (self._similar, self._mean_similar) if similar_only else (self._cosines, self._mean_cosine)
        joined = value.transpose(1, 2).flatten(2)  # (B, N, H * D)
        with torch.autocast(value.device.type, enabled=False):
            least = mean().view(-1, 1, 1)
            attended = torch.cat([_attended(scale * (part - least), joined) for part in rows()], dim=1)
        by_head: Tensor = attended.unflatten(2, (value.shape[1], -1)).transpose(1, 2)
        return by_head

    def _cosines(self) -> Iterator[Tensor]:
        """(B, r, N), r rows at a time."""
        for part in some_rows(self.units):
            yield part @ self.units.mT

    def _similar(self) -> Iterator[Tensor]:
        """The same with 0 for patches that are not similar."""
        for cosines in self._cosines():
            yield cosines.masked_fill(cosines < self.least, 0)

    def _mean_cosine(self) -> Tensor:
        """(B,) mean of all entries, which is the square of the mean patch."""
        return self.units.mean(1).square().sum(1)

    def _mean_similar(self) -> Tensor:
        """(B,) mean of all entries, with 0 for patches that are not similar."""
        total = functools.reduce(operator.add, (part.sum((1, 2)) for part in self._similar()))
        return total / self.units.shape[1] ** 2


def _weighted_mean(weights: Tensor, tokens: Tensor) -> Tensor:
    """By weights (B, r, N) of tokens (B, N, W): (B, r, W)."""
    total = weights.sum(-1, keepdim=True) + _EPSILON
    return weights.to(tokens.dtype) @ tokens / total.to(tokens.dtype)


def _attended(logits: Tensor, value: Tensor) -> Tensor:
    """Softmax of logits (B, r, N) that are not below 0, and what it gathers of (B, N, W): (B, r, W)."""
    least = logits.amax(-1, keepdim=True).clamp_max(0)
    weights = logits.masked_fill(logits < least, float("-inf")).softmax(-1)
    gathered: Tensor = weights.to(value.dtype) @ value
    return gathered


def at_least_float32(tokens: Tensor) -> Tensor:
    """Tokens in which to decide: half precision is widened."""
    return tokens.to(torch.promote_types(tokens.dtype, torch.float32))


def some_rows(tokens: Tensor) -> Iterator[Tensor]:
    """Parts (B, r, ...) of (B, N, ...), such that a part's rows of a map of all pairs, (B, r, N), stay small."""
    yield from tokens.split(max(1, _VALUES // (tokens.shape[0] * tokens.shape[1])), dim=1)
