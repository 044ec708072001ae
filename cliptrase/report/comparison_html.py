"""The report's comparison of methods, and its list of what others publish under other protocols."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cliptrase.evaluation.comparison import HOW, SPEED, Cell, Comparison
from cliptrase.evaluation.formatting import format_interval, format_score
from cliptrase.evaluation.published import TITLE, WORDS
from cliptrase.report.markdown import difference_text
from cliptrase.report.markup import Html, element


def comparison_parts(document: Mapping[str, Any]) -> Iterator[Html]:
    """The table of a run of several methods; nothing for a single one.

    Args:
        document: content of `results.json`.
    """
    comparison = Comparison(document)
    if len(comparison.rows) < 2 or not comparison.settings:
        return
    heads = [element("th", "method", scope="col")]
    for name in comparison.settings:
        heads.append(element("th", name, scope="col", class_="start"))
        if name in comparison.has_published:
            label = f"{name} published (ViT-B/16)"
            heads.append(element("th", "published", element("small", "ViT-B/16"), scope="col", aria_label=label))
    heads += [element("th", "average", scope="col", class_="start")] if comparison.with_average else []
    heads.append(element("th", "images/s", scope="col", class_="start"))
    lines = []
    for place, row in enumerate(comparison.rows):
        cells = []
        for name in comparison.settings:
            cells.append(element("td", *_lines(row.cells[name], comparison.leads(row, name)), class_="start"))
            if name in comparison.has_published:
                cells.append(element("td", *_published(row.cells[name])))
        if comparison.with_average:
            cells.append(element("td", *_lines(row.average, comparison.leads(row, None)), class_="start"))
        cells.append(element("td", format_score(row.images_per_second), class_="start"))
        head = element("th", row.method, scope="row")
        lines.append(element("tr", head, *cells, class_=None if place else "main"))
    caption = f"{comparison.title}; below a score its difference to {comparison.first}"
    parts = (element("caption", caption), element("thead", element("tr", *heads)), element("tbody", *lines))
    yield element("div", element("table", *parts), class_="scroll", tabindex=0)
    yield element("p", " ".join([*comparison.notes, HOW, SPEED, comparison.memory, comparison.origin]), class_="soft")


def _lines(cell: Cell | None, best: bool) -> Iterator[Html]:
    """A score with its interval, and below it the difference with its own, coloured where it is not by chance."""
    if cell is None:
        yield element("span", format_score(None))
        return
    yield element("strong" if best else "span", format_score(cell.mIoU))
    if cell.interval:
        yield element("small", format_interval(cell.interval))
    if cell.difference is not None and cell.difference_interval is not None:
        low, high = cell.difference_interval
        kind = "up" if low > 0 else "down" if high < 0 else None
        yield element("small", difference_text(cell), class_=kind)


def _published(cell: Cell) -> Iterator[Html]:
    if cell.published is not None:
        yield element("span", format_score(cell.published))
        yield element("small", str(cell.source))
        for remark in cell.remarks:
            yield element("small", remark)


def elsewhere_parts(documents: Sequence[Mapping[str, Any]]) -> Iterator[Html]:
    """Scores of other systems that stand beside none of the runs': a table of its own."""
    tables = [Comparison(document).elsewhere for document in documents]
    shown = [rows for place, rows in enumerate(tables) if rows and rows not in tables[:place]]
    if not shown:
        return
    yield element("h2", TITLE)
    for heads, *rows in shown:
        top = [element("th", head, scope="col", class_="words" if head in WORDS else None) for head in heads]
        lines = [
            element(
                "tr",
                element("th", row[0], scope="row"),
                *(
                    element("td", text, class_="words" if head in WORDS else None)
                    for head, text in zip(heads[1:], row[1:], strict=True)
                ),
            )
            for row in rows
        ]
        parts = (element("caption", "mIoU, percent"), element("thead", element("tr", *top)), element("tbody", *lines))
        yield element("div", element("table", *parts), class_="scroll", tabindex=0)
