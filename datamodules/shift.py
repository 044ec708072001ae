"""Whether the values of a data set's label maps look like those of another layout: labels shifted, or not yet."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from datamodules.spec import DatasetSpec

_NEARLY = 0.8  # of the maps have the value that nearly all have: COCO's first class is in half of them
# With fewer label maps, that the ignore value never occurs may be chance.
_MAPS_FOR_UNLABELLED = 3


class Values(NamedTuple):
    """What label maps hold."""

    pixels: Mapping[int, int]  # by raw value
    maps: Mapping[int, int]  # by raw value: label maps that hold it
    total: int  # label maps


class Doubt(NamedTuple):
    """Why the maps look like others."""

    level: Literal["error", "warning"]
    sentence: str


def doubt(spec: DatasetSpec, values: Values) -> Doubt | None:
    """What speaks against the values' being the layout's, though all of them are known; None for nothing."""
    first = spec.label_offset
    if found := _of_another_layout(spec, values):
        return found
    held, total = values.maps.get(first, 0), values.total
    if _is_background_first(spec) and 10 * held >= 9 * total and len(values.pixels) > 1 and share(values, first) >= 0.4:
        return Doubt(
            "error",
            f"{first} is in {held} of {total} label maps and covers {share(values, first):.0%} of them, as background "
            f"does before the shift; here it is {name_of(spec, first)}",
        )
    if _may_be_raw(spec, values):
        return Doubt(
            "warning",
            f"none of {total} label maps holds {spec.ignore_label}, but {held} hold {first}, which in the publisher's "
            "maps are the unlabelled pixels: labels may be not yet shifted",
        )
    return None


def share(values: Values, value: int) -> float:
    """Share of the pixels that have a value, in [0, 1]."""
    return values.pixels.get(value, 0) / sum(values.pixels.values())


def name_of(spec: DatasetSpec, value: int) -> str:
    """A value's class, in quotation marks."""
    label = spec.label_of(value)
    return "no label" if label is None else f"'{spec.vocabulary.label_names[label]}'"


def _of_another_layout(spec: DatasetSpec, values: Values) -> Doubt | None:
    common, never, found = spec.nearly_everywhere, spec.nowhere, []
    certain = False
    if common == spec.ignore_label and (held := values.maps.get(common, 0)) < _NEARLY * values.total:
        return Doubt(
            "warning",
            f"value {common}, the unlabelled pixels that nearly every map has, is in {held} of {values.total}: the "
            "maps were cut out of larger ones, or labels are shifted",
        )
    if common is not None and (held := values.maps.get(common, 0)) < _NEARLY * values.total:
        found.append(f"value {common}, which nearly every map has, is in {held} of {values.total}")
        certain = True
    if never is not None and (held := values.maps.get(never, 0)):
        found.append(f"value {never}, which no map has, is in {held} of {values.total}")
        certain = certain or 2 * held >= values.total
    if not found:
        return None
    look = f"these do not look like label maps of {spec.layout} layout, but shifted already"
    return Doubt("error" if certain else "warning", f"{look}: {'; '.join(found)}")


def _may_be_raw(spec: DatasetSpec, values: Values) -> bool:
    return (
        spec.raw is not None
        and spec.raw.unlabelled is not None
        and spec.label_offset in (spec.raw.background, spec.raw.unlabelled)
        and values.total >= _MAPS_FOR_UNLABELLED
        and values.maps.get(spec.label_offset, 0) > 0
        and not values.maps.get(spec.ignore_label, 0)
    )


def _is_background_first(spec: DatasetSpec) -> bool:
    return spec.raw is not None and spec.raw.background == spec.label_offset
