"""Lines of the tables of benchmarks that average by domain, from `results.json`, the same in every table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from cliptrase.evaluation.conditions import images_text
from cliptrase.protocols.definitions import DEFINITIONS

Kind = Literal["figure", "domain", "mean"]


class DomainLine(NamedTuple):
    """One method's figure, or a mean over figures."""

    kind: Kind
    name: str  # of the figure, the domain or the benchmark
    label: str  # what a table calls it: a mean says over how many figures
    domain: str  # empty for the mean over all
    method: str
    images: int | None  # None for a mean
    images_text: str  # with how many there are where those are not all
    scores: Mapping[str, Mapping[str, float | None]]  # by definition and column
    interval: Sequence[float] | None
    difference: float | None  # to the run's first method, in points of mIoU
    difference_interval: Sequence[float] | None
    figures: int  # how many a mean is over, 1 for a figure
    expected: int  # how many the whole domain or benchmark has


@dataclass(frozen=True)
class DomainTable:
    """What the tables of one benchmark show of a run.

    Attributes:
        name: of the benchmark.
        title: what the table holds.
        definition: name of the definition of its scores.
        others: names of the other definitions.
        notes: sentences that stand below.
        groups: lines by domain, each with its mean last; the mean over all as the last group.
        several: whether the run has several methods.
    """

    name: str
    title: str
    definition: str
    others: Sequence[str]
    notes: Sequence[str]
    groups: Sequence[Sequence[DomainLine]]
    several: bool


def domain_tables(document: Mapping[str, Any]) -> Iterator[DomainTable]:
    """A table for each benchmark of which a run scores something.

    Args:
        document: content of `results.json`.
    """
    methods: Mapping[str, Mapping[str, Any]] = document["methods"]
    for name, first in next(iter(methods.values()), {}).get("benchmarks", {}).items():
        found = {method: part["benchmarks"][name] for method, part in methods.items()}
        if not first["figures"]:
            continue
        yield DomainTable(
            name,
            f"{name} ({first['source']}), percent, {first['definition']} definitions",
            first["definition"],
            [definition for definition in DEFINITIONS if definition != first["definition"]],
            [sentence for sentence in (missing_sentence(name, first), first["note"]) if sentence],
            [*_groups(found, first, {method: part["settings"] for method, part in methods.items()})],
            len(methods) > 1,
        )


def missing_sentence(name: str, found: Mapping[str, Any]) -> str:
    """What a benchmark's means lack; empty where they are over all figures."""
    missing, expected = found["missing"], found["mean"]["figures_expected"]
    if not missing:
        return ""
    return (
        f"{name}: {len(missing)} of {expected} data sets are not scored ({', '.join(missing)}); "
        f"a mean over {found['mean']['figures']} does not compare with one over {expected}."
    )


def _groups(
    found: Mapping[str, Mapping[str, Any]], first: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]]
) -> Iterator[list[DomainLine]]:
    for place, domain in enumerate(first["domains"]):
        rows = [number for number, figure in enumerate(first["figures"]) if figure["domain"] == domain["name"]]
        lines = [
            _figure(method, part["figures"][number], settings[method])
            for number in rows
            for method, part in found.items()
        ]
        yield [*lines, *(_mean("domain", method, part["domains"][place]) for method, part in found.items())]
    yield [_mean("mean", method, part["mean"]) for method, part in found.items()]


def _figure(method: str, figure: Mapping[str, Any], settings: Mapping[str, Any]) -> DomainLine:
    name, scores = figure["name"], figure["scores"]
    counts = [
        images_text(one["images"], one["images_available"], one["images_expected"] or (), bool(one["cut"]))
        for one in (settings[part] for part in figure["settings"])
    ]
    images = figure["images"], " / ".join(dict.fromkeys(counts))
    return DomainLine("figure", name, name, figure["domain"], method, *images, scores, *_intervals(figure), 1, 1)


def _mean(kind: Kind, method: str, mean: Mapping[str, Any]) -> DomainLine:
    count, expected = mean["figures"], mean["figures_expected"]
    name = mean["name"]
    label = f"{name}, mean of {count}" + ("" if count == expected else f" of {expected}")
    domain = name if kind == "domain" else ""
    return DomainLine(kind, name, label, domain, method, None, "", mean["scores"], *_intervals(mean), count, expected)


def _intervals(part: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Interval, difference to the first method and its interval, each None where there is none."""
    intervals = part["intervals"] or {}
    difference = intervals.get("difference_to_first") or {}
    return intervals.get("mIoU"), difference.get("mIoU"), difference.get("interval")
