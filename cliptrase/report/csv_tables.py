"""Content of `results.csv`, `comparison.csv` and `benchmarks.csv`."""

from collections.abc import Mapping, Sequence
from typing import Any

from cliptrase.common.tables import csv_text
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.domain_lines import domain_tables
from cliptrase.evaluation.domains import DomainScores
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.evaluation.records import ResultKey, SettingResult
from cliptrase.evaluation.study_table import StudyTable


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
            key = ResultKey(comparison.protocol, comparison.protocol_hash, cell.vocabulary_hash or "", cell.edition)
            scores = [cell.images, cell.mIoU, *(cell.interval or (None, None)), cell.difference]
            beside = [*(cell.difference_interval or (None, None)), cell.published, cell.source]
            made = [row.images_per_second, comparison.provenance.get("peak_memory_mib"), "; ".join(cell.remarks)]
            lines.append([row.method, name, *key, comparison.definition, *scores, *beside, *made])
    return csv_text(lines)


def study_csv(study: StudyTable) -> str:
    """A line for each of a study's rows; an interval takes two columns, `low` and `high`."""
    heads: list[str | float | None] = []
    for column in study.columns:
        heads += [f"{column.name} low", f"{column.name} high"] if "interval" in column.kind else [column.name]
    lines = [heads]
    for row in study.document()["rows"]:
        line: list[str | float | None] = []
        for column, value in zip(study.columns, row, strict=True):
            line += (value or [None, None]) if "interval" in column.kind else [value]
        lines.append(line)
    return csv_text(lines)


def benchmarks_csv(document: Mapping[str, Any]) -> str:
    """A line for each method, figure or mean of a benchmark, and definition; empty where the run scores none.

    Intervals and differences are of mIoU by the benchmark's definition, and stand in its line.

    Args:
        document: content of `results.json`.
    """
    heads: list[str | float | None] = ["method", "benchmark", "kind", "name", "domain", "figures", "figures_expected"]
    heads += ["images", "definition", *DomainScores._fields, "low", "high"]
    lines = [[*heads, "difference", "difference_low", "difference_high"]]
    for table in domain_tables(document):
        for line in (line for group in table.groups for line in group):
            about: list[str | float | None] = [
                line.method,
                table.name,
                line.kind,
                line.name,
                line.domain,
                line.figures,
                line.expected,
            ]
            for definition, scores in line.scores.items():
                values = [scores.get(column) for column in DomainScores._fields]
                own = definition == table.definition
                bounds = [*((own and line.interval) or (None, None)), line.difference if own else None]
                bounds += (own and line.difference_interval) or (None, None)
                lines.append([*about, line.images, definition, *values, *bounds])
    return csv_text(lines) if len(lines) > 1 else ""
