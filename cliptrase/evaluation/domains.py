"""Figures of benchmarks that average by domain, from counts: mIoU, CoI-mIoU, sensitivity, specificity and their means.

MESS (Blumenstiel et al., NeurIPS 2023) reports mIoU over all classes and over its classes of interest (CoI-mIoU), and
sensitivity and specificity where there are two classes, of which the second is the sought one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple

import torch
from torch import Tensor

from cliptrase.evaluation.intervals import Estimate, Influences, estimates, of_average
from cliptrase.metrics import Value, class_scores, mean_iou, scores
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.protocols.domains import DomainBenchmark


class DomainScores(NamedTuple, Generic[Value]):
    """Percentages, unrounded: float64 tensors of the same shape, or floats; NaN where a set has no such score."""

    mIoU: Value  # noqa: N815 (the names in results.json)
    CoI_mIoU: Value
    sensitivity: Value
    specificity: Value


class Counted(NamedTuple):
    """What M methods come to on one data set of a benchmark.

    Attributes:
        pixels: (M, 3, C) int64 hits, truth and predicted pixels of each class.
        interest: labels of the classes of interest.
        images: scored.
        influences: by the benchmark's definition; None for fewer than two images.
    """

    pixels: Tensor
    interest: Sequence[int]
    images: int
    influences: Influences | None


class Figure(NamedTuple):
    """One method's figure of a benchmark: of one data set, or the mean over the parts of one."""

    name: str
    domain: str
    settings: tuple[str, ...]
    images: int  # of each of its data sets, the most where they differ
    scores: Mapping[str, DomainScores[float]]  # by every definition
    estimate: Estimate | None  # of mIoU by the benchmark's definition; None for fewer than two images


class DomainMean(NamedTuple):
    """One method's mean over the figures that are there."""

    name: str  # of the domain, or of the benchmark
    figures: int
    expected: int  # figures of the whole domain or benchmark
    scores: Mapping[str, DomainScores[float]]
    estimate: Estimate | None


class BenchmarkResult(NamedTuple):
    """One method on what a run scores of a benchmark.

    Attributes:
        benchmark: which.
        figures: in the benchmark's order.
        domains: means of the domains that have a figure.
        mean: over all figures that are there.
        missing: figures that are not there: not scored, not all parts of them scored, or with nothing to score.
    """

    benchmark: DomainBenchmark
    figures: list[Figure]
    domains: list[DomainMean]
    mean: DomainMean
    missing: list[str]


def domain_scores(pixels: Tensor, interest: Sequence[int], definition: str) -> DomainScores[Tensor]:
    """A benchmark's scores of a data set.

    Args:
        pixels: (..., 3, C) hits, truth and predicted pixels of each class.
        interest: labels of the classes of interest.
        definition: name of a definition; its classes of a mean are those of interest among them.

    Returns:
        (...) each; sensitivity and specificity, the shares of the second and the first class that are right, are NaN
        unless there are two classes.

    >>> two = torch.tensor([[6, 1], [8, 2], [7, 3]])
    >>> [round(float(score), 2) for score in domain_scores(two, [1], "detectron2")]
    [45.83, 25.0, 50.0, 75.0]
    """
    hits, truth, predicted = pixels.unbind(-2)
    whole = scores(hits, truth, predicted, definition).mIoU
    none = torch.full_like(whole, math.nan)
    specificity = sensitivity = none
    if pixels.shape[-1] == 2:
        specificity, sensitivity = (100 * class_scores(hits, truth, predicted, definition).accuracy).unbind(-1)
    of_interest = mean_iou(hits, truth, predicted, definition, interest)
    return DomainScores(whole, of_interest, sensitivity, specificity)


def benchmark_results(benchmark: DomainBenchmark, counted: Mapping[str, Counted]) -> list[BenchmarkResult]:
    """Every method's figures and means.

    Args:
        benchmark: which.
        counted: by data set, at least one, all of the same methods; data sets of no figure of the benchmark are not
            asked for.

    Returns:
        one a method.
    """
    kept: dict[str, tuple[dict[str, Tensor], Influences | None]] = {}  # by figure (4, M) by definition
    for name, sets in benchmark.figures.items():
        if any(one not in counted for one in sets):
            continue
        parts = [counted[one] for one in sets]
        values = {
            definition: torch.stack([torch.stack(domain_scores(p.pixels, p.interest, definition)) for p in parts]).mean(
                0
            )
            for definition in DEFINITIONS
        }
        if not values[benchmark.definition][0].isnan().any():
            kept[name] = values, _together(name, [part.influences for part in parts])
    methods = len(next(iter(counted.values())).pixels)
    of_figures = {name: (values, _estimates(known, methods)) for name, (values, known) in kept.items()}
    figures = [
        [
            Figure(
                name,
                benchmark.domain_of(name),
                benchmark.figures[name],
                max(counted[one].images for one in benchmark.figures[name]),
                _of_method(values, method),
                estimate[method],
            )
            for name, (values, estimate) in of_figures.items()
        ]
        for method in range(methods)
    ]
    domains = [
        _means(domain, len(names), [kept[name] for name in names if name in kept], methods)
        for domain, names in benchmark.domains.items()
        if any(name in kept for name in names)
    ]
    means = _means(benchmark.name, benchmark.size, list(kept.values()), methods)
    missing = [name for name in benchmark.figures if name not in kept]
    return [
        BenchmarkResult(benchmark, figures[method], [domain[method] for domain in domains], means[method], missing)
        for method in range(methods)
    ]


def _means(
    name: str, expected: int, figures: Sequence[tuple[Mapping[str, Tensor], Influences | None]], methods: int
) -> list[DomainMean]:
    """Every method's mean over figures; NaN over none."""
    values = {
        definition: torch.stack([scored[definition] for scored, _ in figures]).mean(0)
        if figures
        else torch.full((4, methods), math.nan, dtype=torch.float64)
        for definition in DEFINITIONS
    }
    known = [influence for _, influence in figures if influence]
    together = of_average(known) if known and len(known) == len(figures) else None
    estimate = _estimates(together, methods)
    return [
        DomainMean(name, len(figures), expected, _of_method(values, method), estimate[method])
        for method in range(methods)
    ]


def _together(figure: str, parts: Sequence[Influences | None]) -> Influences | None:
    """Influences on a figure; its pictures are no other figure's, whatever their names are."""
    known = [part for part in parts if part]
    if len(known) < len(parts):
        return None
    whole = of_average(known) if len(known) > 1 else known[0]
    return whole._replace(stems=[f"{figure}/{stem}" for stem in whole.stems])


def _estimates(known: Influences | None, methods: int) -> Sequence[Estimate | None]:
    return estimates(known) if known else [None] * methods


def _of_method(values: Mapping[str, Tensor], method: int) -> dict[str, DomainScores[float]]:
    """By definition, of (4, M)."""
    return {definition: DomainScores(*scored[:, method].tolist()) for definition, scored in values.items()}
