"""Maps of all names at the label map's own size, a few at a time; which is highest; what a refinement is."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

from cliptrase.ops.classification import Size
from cliptrase.ops.upsampling import bilinear_matrix

VALUES = 1 << 24
"""Values of full-size maps held at once: 64 MiB."""

_NEVER = -1e6  # far below any cosine, yet finite: sums over regions multiply it by 0

Maps = Iterator[tuple[int, Tensor]]
"""Full-size maps of some names at a time: the first name's number, and (B, c, H, W) cosines, or their means."""

NameMaps = Callable[[], Maps]
"""The maps of all names in order, as often as it is called."""

_Made = TypeVar("_Made")


@dataclass(frozen=True, eq=False)
class Guide:
    """What a refinement sees besides the maps.

    Attributes:
        pixels: (B, 3, H, W) the network's normalised input, resized bilinearly to the maps' size.
        images: (B, 3, H, W) the same as RGB in [0, 1].
        text: (C, E) unit embeddings of the names.
        options: the method's numbers by name, for this data set.
        made: what `once` keeps.
    """

    pixels: Tensor
    images: Tensor
    text: Tensor
    options: Mapping[str, float] = field(default_factory=dict)
    made: dict[Any, Any] = field(default_factory=dict, repr=False)

    def once(self, function: Callable[..., _Made], *further: Any) -> _Made:
        """`function(pixels, *further)`, computed at the first call; all methods that refine a batch share it."""
        key = (function, further)
        if key not in self.made:
            self.made[key] = function(self.pixels, *further)
        made: _Made = self.made[key]
        return made


Refinement = Callable[[NameMaps, Guide], NameMaps]
"""From maps to maps of the same names and size."""


def each_part(function: Callable[[Tensor, Guide], Tensor]) -> Refinement:
    """A refinement that treats every name alike, of a function of some names' maps.

    Args:
        function: from maps (B, c, H, W) and the guide to maps (B, c, H, W); pure, and for any c.
    """

    @wraps(function)
    def refine(maps: NameMaps, guide: Guide) -> NameMaps:
        def refined() -> Maps:
            for first, part in maps():
                yield first, function(part, guide)

        return refined

    return refine


class UpsampledMaps:
    """Maps on a coarse grid, upsampled bilinearly (align_corners false).

    Args:
        maps: (B, C, h, w) float32.
        canvas: (height, width) that the grid is stretched over.
        size: (H, W) top left part of it that is wanted.
    """

    def __init__(self, maps: Tensor, canvas: Size, size: Size) -> None:
        self.maps = maps
        self.rows = bilinear_matrix(maps.shape[2], canvas[0], maps.device)[: size[0]]  # (H, h)
        self.columns = bilinear_matrix(maps.shape[3], canvas[1], maps.device)[: size[1]]  # (W, w)

    def __call__(self) -> Maps:
        """Some names at a time."""
        step = max(1, VALUES // (len(self.maps) * len(self.rows) * len(self.columns)))
        for first in range(0, self.maps.shape[1], step):
            with torch.autocast(self.maps.device.type, enabled=False):
                part = self.rows @ self.maps[:, first : first + step] @ self.columns.T
            yield first, part


def only(maps: NameMaps, allowed: Tensor | None) -> NameMaps:
    """Maps in which no other than the allowed names can be the highest anywhere.

    Args:
        maps: of all names.
        allowed: (B, C) bool, None for all.
    """
    if allowed is None:
        return maps

    def of_allowed() -> Maps:
        for first, part in maps():
            barred = ~allowed[:, first : first + part.shape[1], None, None]
            yield first, part.masked_fill(barred, _NEVER)

    return of_allowed


def highest(
    maps: Maps, scale: float = 1.0, allowed: Tensor | None = None, with_sum: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Number and logit of the highest name at every pixel, and the logarithm of all names' summed exponentials.

    Args:
        maps: (B, c, H, W) cosines at a time.
        scale: of the cosines.
        allowed: (B, C) names that may win, None for all.
        with_sum: whether the sum is wanted; it is over all names.

    Returns:
        (B, H, W) int64, float32 and float32.
    """
    best = log_sum = number = torch.empty(0)
    for first, part in maps:
        logits = part * scale
        if with_sum:
            part_sum = logits.logsumexp(1)
            log_sum = part_sum if first == 0 else torch.logaddexp(log_sum, part_sum)
        if allowed is not None:
            barred = ~allowed[:, first : first + logits.shape[1], None, None]
            logits = logits.masked_fill(barred, float("-inf"))
        value, index = logits.max(1)
        if first == 0:
            best, number = value, index
        else:
            number = torch.where(value > best, index + first, number)
            best = torch.maximum(best, value)
    return number, best, log_sum
