"""Content of `results.csv` and `comparison.csv`."""

from collections.abc import Mapping, Sequence

from cliptrase.common.tables import csv_text
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.evaluation.records import ResultKey, SettingResult


def results_csv(results: Mapping[str, Sequence[SettingResult]]) -> str:
    """A line for each method, data set and definition.

    Args:
        results: by method, the main one first.
    """
    lines: list[list[str | float | None]] = [
        ["method", "setting", *ResultKey._fields, "definition", "images", *COLUMNS, "remark"]
    ]
    for method, settings in results.items():
        for result in settings:
            remark = "; ".join(result.remarks)
            for definition, scores in result.lines:
                images = result.images if definition != "published" else None
                values = scores.rounded().values()
                lines.append([method, result.name, *result.key, definition, images, *values, remark])
    return csv_text(lines)


def comparison_csv(comparison: Comparison) -> str:
    """A line for each method and data set, and one for a method's average over data sets."""
    heads: list[str | float | None] = ["method", "setting", *ResultKey._fields, "definition"]
    heads += ["images", "mIoU", "low", "high", "difference", "difference_low", "difference_high"]
    heads += ["published_mIoU", "published_source", "images_per_second", "run_peak_memory_mib", "remark"]
    lines = [heads]
    for row in comparison.rows:
        for name, cell in [*row.cells.items(), *([("average", row.average)] if row.average else [])]:
            key = ResultKey(comparison.protocol, comparison.protocol_hash, cell.vocabulary_hash or "")
            scores = [cell.images, cell.mIoU, *(cell.interval or (None, None)), cell.difference]
            beside = [*(cell.difference_interval or (None, None)), cell.published, cell.source]
            made = [row.images_per_second, comparison.provenance.get("peak_memory_mib"), "; ".join(cell.remarks)]
            lines.append([row.method, name, *key, comparison.definition, *scores, *beside, *made])
    return csv_text(lines)
