"""The report's tables of studies, and bars of what they split."""

from collections.abc import Iterator, Mapping
from typing import Any

from cliptrase.evaluation.formatting import format_score
from cliptrase.evaluation.study_table import StudyTable, study_tables
from cliptrase.report.curve_html import curve_parts
from cliptrase.report.markup import Html, element, table_block

_SHADES = 8  # in the style sheet
_WRITTEN = 3  # points from which a part has room for its figure


def study_parts(document: Mapping[str, Any], run: str = "") -> Iterator[Html]:
    """A heading, a chart where there is one, and a table for everything that a run's studies found.

    Args:
        document: content of `results.json`.
        run: the run's name where there are several.
    """
    for study in study_tables(document):
        title = study.title[:1].upper() + study.title[1:]
        yield element("h2", f"{title}, {run}" if run else title)
        if study.chart == "stacked":
            yield from _stacked_bars(study)
        elif study.chart == "curve":
            yield from curve_parts(study)
        yield table_block(_table(study), study.title)
        if study.notes:
            yield element("p", " ".join(study.notes), class_="notes")


def _table(study: StudyTable) -> Html:
    best = study.best
    kinds = ["words" if column.kind == "text" else None for column in study.columns]
    heads = zip(study.columns, kinds, strict=True)
    head = element("tr", *(element("th", column.name, scope="col", class_=kind) for column, kind in heads))
    rows = []
    for number, row in enumerate(study.cells):
        shown = [element("strong", cell) if (number, place) in best else cell for place, cell in enumerate(row)]
        rows.append(element("tr", *(element("td", cell, class_=kind) for cell, kind in zip(shown, kinds, strict=True))))
    return element("table", element("thead", head), element("tbody", *rows))


def _stacked_bars(study: StudyTable) -> Iterator[Html]:
    """A bar of 100 percent for each of the leading texts, with a key; every part says its name and its figure."""
    kinds = [column.kind for column in study.columns]
    name = max(place for place, kind in enumerate(kinds) if kind == "text")
    value = next((place for place, kind in enumerate(kinds) if kind in ("score", "points")), None)
    if value is None:
        return
    bars: dict[str, list[tuple[str, float]]] = {}
    for row in study.rows:
        if isinstance(points := row[value], int | float):
            bars.setdefault(", ".join(map(str, row[:name])), []).append((str(row[name]), points))
    named = dict.fromkeys(part for parts in bars.values() for part, _ in parts)
    shades = {part: f"part part{number % _SHADES}" for number, part in enumerate(named)}
    key = [element("li", element("span", class_=shade), part) for part, shade in shades.items()]
    lines = []
    for bar, parts in bars.items():
        said = ", ".join(f"{part} {format_score(points)}" for part, points in parts)
        spans = [
            element(
                "span",
                f"{points:.0f}" if points >= _WRITTEN else "",
                class_=shades[part],
                style=f"width:{points:.2f}%",
                title=f"{part}: {format_score(points)}",
            )
            for part, points in parts
        ]
        drawn = element("span", *spans, class_="stack", role="img", aria_label=f"{bar}: {said}")
        lines.append(element("li", element("span", bar, class_="name"), drawn))
    yield element("section", element("ul", *key, class_="key"), element("ol", *lines, class_="stacks"), class_="card")
