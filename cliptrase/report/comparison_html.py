"""The report's crosswise table of methods and data sets, and its list of what others publish under other protocols."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.formatting import format_score
from cliptrase.evaluation.published import TITLE, WORDS
from cliptrase.report.markup import Html, element, table_block


def comparison_parts(document: Mapping[str, Any]) -> Iterator[Html]:
    """MIoU of methods against data sets, folded; nothing where one row or column would hold it.

    Args:
        document: content of `results.json`.
    """
    comparison = Comparison(document)
    if len(comparison.rows) < 2 or len(comparison.settings) < 2:
        return
    names: list[str | None] = [*comparison.settings, *([None] if comparison.with_average else [])]
    heads = [element("th", "method", scope="col"), *(element("th", name or "average", scope="col") for name in names)]
    lines = []
    for place, row in enumerate(comparison.rows):
        cells = []
        for name in names:
            cell = comparison.cell(row, name)
            shown = format_score(cell.mIoU if cell else None)
            cells.append(element("td", element("strong", shown) if comparison.leads(row, name) else shown))
        lines.append(element("tr", element("th", row.method, scope="row"), *cells, class_=None if place else "main"))
    caption = f"mIoU, percent; protocol {comparison.protocol}, {comparison.definition} definitions"
    parts = (element("caption", caption), element("thead", element("tr", *heads)), element("tbody", *lines))
    summary = element("summary", f"mIoU of {len(lines)} methods on {len(comparison.settings)} data sets, crosswise")
    yield element("details", summary, table_block(element("table", *parts), "methods and data sets"))


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
        yield table_block(element("table", *parts), "published elsewhere")
