"""Content of `results.json`: what `docs/results_json.md` describes field by field."""

from collections.abc import Mapping, Sequence
from typing import Any

from cliptrase.evaluation.domains import BenchmarkResult, DomainMean, DomainScores
from cliptrase.evaluation.intervals import LEVEL, Estimate
from cliptrase.evaluation.records import Average, SettingResult
from cliptrase.evaluation.study_table import StudyTable
from cliptrase.metrics import rounded
from cliptrase.protocols.definitions import DEFINITIONS

MEANS = ("mIoU", "CoI_mIoU")  # of a benchmark's scores those that are averaged
SCHEMA = 2  # raised when a field changes its name, place or meaning


def results_document(
    results: Mapping[str, Sequence[SettingResult]],
    averages: Mapping[str, Average | None],
    provenance: Mapping[str, Any],
    benchmarks: Mapping[str, Sequence[BenchmarkResult]] | None = None,
    studies: Mapping[str, Sequence[StudyTable]] | None = None,
) -> dict[str, Any]:
    """The main method's headline and data sets, every method's data sets and mean, and how they were made.

    Args:
        results: by method those of the finished data sets, the main method first.
        averages: by method, None where there is no mean.
        provenance: whatever may differ between equal runs.
        benchmarks: by method the figures of benchmarks that average by domain.
        studies: by study what it finds.
    """
    methods = {
        method: {
            "settings": {result.name: _setting(result) for result in settings},
            "average": _average(average) if (average := averages.get(method)) else None,
            "benchmarks": {found.benchmark.name: _benchmark(found) for found in (benchmarks or {}).get(method, ())},
        }
        for method, settings in results.items()
    }
    main = next(iter(results), "")
    return {
        "schema": SCHEMA,
        "headline": _headline(results.get(main, ()), averages.get(main)),
        "settings": methods[main]["settings"] if methods else {},
        "methods": methods,
        "studies": {
            name: {"tables": [table.document() for table in tables]} for name, tables in (studies or {}).items()
        },
        "provenance": dict(provenance),
    }


def _headline(results: Sequence[SettingResult], average: Average | None) -> dict[str, Any]:
    """The main method's mIoU by the protocol's definition: of the one data set, or the mean over several."""
    single = results[0] if len(results) == 1 else None
    score = single.headline.mIoU if single else average.mIoU if average else None
    estimate = single.estimate if single else average.estimate if average else None
    return {
        "definition": results[0].definition if results else None,
        "mIoU": None if score is None else rounded(score),
        "interval": _bounds(estimate.interval) if estimate else None,
    }


def _setting(result: SettingResult) -> dict[str, Any]:
    """One method on one data set."""
    rarity = result.sample.rarity
    coverage = rarity.coverage if result.estimate and rarity else None
    return {
        "images": result.images,
        "images_available": result.extent.pictures,
        "images_expected": list(result.sample.expected) or None,
        "cut": result.extent.cut or None,
        **result.key._asdict(),
        "definition": result.definition,
        "scores": {name: result.scores[name].rounded() for name in DEFINITIONS},
        "intervals": _intervals(result.estimate) if result.estimate else None,
        "published": result.published.rounded() if result.published else None,
        "published_source": result.published_source or None,
        "published_comparable": result.comparable,
        "remarks": list(result.remarks),
        "rare_classes": rarity.rare if rarity else None,
        "simulated_coverage": list(coverage) if coverage else None,
        "per_class": [
            {
                "label": label,
                "name": name,
                "pixels": int(result.pixels[label]),
                "scores": {
                    definition: {
                        "accuracy": rounded(100 * float(result.classes[definition].accuracy[label])),
                        "IoU": rounded(100 * float(result.classes[definition].iou[label])),
                    }
                    for definition in DEFINITIONS
                },
            }
            for label, name in enumerate(result.label_names)
        ],
    }


def _average(average: Average) -> dict[str, Any]:
    """A method's mean over data sets."""
    return {
        "settings": average.settings,
        "mIoU": rounded(average.mIoU),
        "intervals": _intervals(average.estimate) if average.estimate else None,
    }


def _benchmark(found: BenchmarkResult) -> dict[str, Any]:
    """A method's figures of a benchmark, and its means over those that are there."""
    return {
        "source": found.benchmark.source,
        "definition": found.benchmark.definition,
        "note": found.benchmark.note,
        "missing": found.missing,
        "figures": [
            {
                "name": figure.name,
                "domain": figure.domain,
                "settings": list(figure.settings),
                "images": figure.images,
                "scores": _domain_scores(figure.scores, DomainScores._fields),
                "intervals": _intervals(figure.estimate) if figure.estimate else None,
            }
            for figure in found.figures
        ],
        "domains": [_mean(mean) for mean in found.domains],
        "mean": _mean(found.mean),
    }


def _mean(mean: DomainMean) -> dict[str, Any]:
    """A mean over figures, which has no sensitivity: most figures have none."""
    return {
        "name": mean.name,
        "figures": mean.figures,
        "figures_expected": mean.expected,
        "scores": _domain_scores(mean.scores, MEANS),
        "intervals": _intervals(mean.estimate) if mean.estimate else None,
    }


def _domain_scores(scores: Mapping[str, DomainScores[float]], names: Sequence[str]) -> dict[str, Any]:
    return {name: {column: rounded(getattr(scores[name], column)) for column in names} for name in DEFINITIONS}


def _intervals(estimate: Estimate) -> dict[str, Any]:
    """Bounds of mIoU in percent, and of the difference to the run's first method in points."""
    difference = estimate.difference
    return {
        "level": LEVEL,
        "mIoU": _bounds(estimate.interval),
        "difference_to_first": {"mIoU": round(difference.value, 2), "interval": _bounds(difference.interval)}
        if difference
        else None,
    }


def _bounds(interval: Sequence[float]) -> list[float]:
    return [round(bound, 2) for bound in interval]
