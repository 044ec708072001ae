"""Tables of a run as CSV: `results.csv`, `comparison.csv`, `benchmarks.csv` and those of studies."""

from collections.abc import Mapping
from typing import Any

from cliptrase.common.tables import csv_text
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.domain_lines import domain_tables
from cliptrase.evaluation.domains import DomainScores
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.evaluation.records import ResultKey
from cliptrase.evaluation.study_table import StudyTable
from cliptrase.protocols.definitions import DEFINITIONS


def run_tables(document: Mapping[str, Any]) -> dict[str, str]:
    """All tables of a run by the name of the file that holds each, without its ending.

    Args:
        document: content of `results.json`.
    """
    tables = {"results": results_csv(document)}
    if table := benchmarks_csv(document):
        tables["benchmarks"] = table
    for name, study in study_files(document).items():
        tables[name] = study_csv(StudyTable.of(study))
    if len(document["methods"]) > 1:
        tables["comparison"] = comparison_csv(Comparison(document))
    return tables


def results_csv(document: Mapping[str, Any]) -> str:
    """A line for each method, data set and definition, the protocol's first and published scores last.

    Args:
        document: content of `results.json`.
    """
    lines: list[list[str | float | None]] = [
        ["method", "setting", *ResultKey._fields, "definition", "images", *COLUMNS, "remark"]
    ]
    for method, part in document["methods"].items():
        for setting, result in part["settings"].items():
            about = [method, setting, *(result[name] for name in ResultKey._fields)]
            scored = {name: result["scores"][name] for name in dict.fromkeys([result["definition"], *DEFINITIONS])}
            beside = {"published": result["published"]} if result["published"] else {}
            for definition, scores in {**scored, **beside}.items():
                images = None if definition == "published" else result["images"]
                values = [scores[column] for column in COLUMNS]
                lines.append([*about, definition, images, *values, "; ".join(result["remarks"])])
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


def study_files(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Tables of studies by the file of a run's folder that holds each as CSV, without its ending.

    Args:
        document: content of `results.json`.
    """
    return {
        f"studies/{name}{f'_{number + 1}' if number else ''}": table
        for name, study in document["studies"].items()
        for number, table in enumerate(study["tables"])
    }


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
