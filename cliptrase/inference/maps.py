"""Maps of all names at the label map's own size after a method's refinements."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F

from cliptrase.common.errors import InputError
from cliptrase.methods import Method
from cliptrase.ops.classification import Size
from cliptrase.refinements.maps import VALUES, Guide, Maps, NameMaps

GuideOf = Callable[[Tensor], Guide]
"""From the names' text embeddings (C, E) to what guides refinements of a batch."""


def refined_maps(maps: NameMaps, method: Method, guide: GuideOf | None, text: Tensor) -> NameMaps:
    """Maps after a method's refinements; the same maps for a method without any.

    Args:
        maps: of all names.
        method: whose refinements are applied in order.
        guide: of the batch.
        text: (C, E) unit embeddings of the names.

    Raises:
        ValueError: the method refines, and no method did when the batch was encoded.
    """
    if not method.refine:
        return maps
    if guide is None:
        raise ValueError(f"method {method.name} refines, but the batch was encoded for methods that do not")
    given = replace(guide(text), options={option.name: option.value for option in method.options})
    for refine in method.load_refinements():
        maps = _Checked(refine(maps, given), given, method.name)
    return maps


def refined_level(level: NameMaps, method: Method, guide: GuideOf | None, neutral: Tensor) -> NameMaps:
    """The map of what names must reach after a method's refinements, which treat it as the one name that there is.

    Args:
        level: one map.
        method: see `refined_maps`.
        guide: see `refined_maps`.
        neutral: (K, E) unit embeddings of neutral words; their mean stands for the name's.
    """
    return refined_maps(level, method, guide, F.normalize(neutral.mean(0, keepdim=True), dim=-1))


class _Checked:
    """What a refinement returns, looked at as it comes: all names in order, each part of the maps' size."""

    def __init__(self, maps: object, guide: Guide, method: str) -> None:
        self.maps, self.method = maps, method
        self.names, self.shape = len(guide.text), (len(guide.pixels), *guide.pixels.shape[2:])
        if not callable(maps):
            raise self._error(f"{type(maps).__name__} instead of a function")

    def __call__(self) -> Maps:
        """Some names at a time.

        Raises:
            InputError: something else than maps of all names, in order and of the size of the guide.
        """
        assert callable(self.maps)
        awaited = 0
        for first, part in self.maps():
            if not isinstance(part, Tensor):
                raise self._error(type(part).__name__)
            if first != awaited or part.ndim != 4 or (len(part), *part.shape[2:]) != self.shape:
                raise self._error(f"{tuple(part.shape)} from name {first} on where name {awaited} is next")
            awaited += part.shape[1]
            yield first, part
        if awaited != self.names:
            raise self._error(f"maps of {awaited} names")

    def _error(self, got: str) -> InputError:
        batch, height, width = self.shape
        return InputError(
            f"method {self.method}: its refinement returns {got}; wanted is a function that gives the maps of all "
            f"{self.names} names in order, as pairs of the first name's number and ({batch}, c, {height}, {width})"
        )


class KeptMaps:
    """Maps that cost much and are wanted twice: kept from the first time on as long as all together are few.

    Args:
        maps: of all names.
    """

    def __init__(self, maps: NameMaps) -> None:
        self.maps = maps
        self.kept: list[tuple[int, Tensor]] = []

    def __call__(self) -> Maps:
        """Some names at a time."""
        if self.kept:
            yield from self.kept
            return
        kept, room = [], VALUES
        for first, part in self.maps():
            room -= part.numel()
            if room >= 0:
                kept.append((first, part))
            else:
                kept.clear()
            yield first, part
        self.kept = kept


def resized(pixels: Tensor, size: Size) -> Tensor:
    """Pixels for a refinement: (B, 3, h, w) bilinearly (align_corners false, no antialiasing) to (B, 3, H, W)."""
    if tuple(pixels.shape[2:]) == tuple(size):
        return pixels
    return F.interpolate(pixels, size, mode="bilinear", align_corners=False)
