"""The report's tables of studies."""

from collections.abc import Iterator, Mapping
from typing import Any

from cliptrase.evaluation.study_table import StudyTable, study_tables
from cliptrase.report.markup import Html, element


def study_parts(document: Mapping[str, Any], run: str = "") -> Iterator[Html]:
    """A heading and a table for everything that a run's studies found.

    Args:
        document: content of `results.json`.
        run: the run's name where there are several.
    """
    for study in study_tables(document):
        title = study.title[:1].upper() + study.title[1:]
        yield element("h2", f"{title}, {run}" if run else title)
        yield element("div", _table(study), class_="scroll", tabindex=0)
        if study.notes:
            yield element("p", " ".join(study.notes), class_="notes")


def _table(study: StudyTable) -> Html:
    kinds = ["words" if column.kind == "text" else None for column in study.columns]
    head = element("tr", *(element("th", column.name, scope="col") for column in study.columns))
    rows = [
        element("tr", *(element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)))
        for row in study.cells
    ]
    return element("table", element("thead", head), element("tbody", *rows))
