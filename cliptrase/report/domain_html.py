"""The report's tables of benchmarks that average by domain."""

from collections.abc import Iterator, Mapping
from typing import Any

from cliptrase.evaluation.domain_lines import DomainLine, DomainTable, domain_tables
from cliptrase.evaluation.formatting import INTERVAL, format_interval, format_score
from cliptrase.report.markup import Html, element, table_block

_HEADS = {"mIoU": "mIoU", "CoI_mIoU": "CoI-mIoU", "sensitivity": "sensitivity", "specificity": "specificity"}
_MEANING = (
    "CoI-mIoU is over the classes of interest. Sensitivity and specificity, given where there are two classes, are "
    "the shares of the sought class and of all else that are right."
)


def domain_parts(document: Mapping[str, Any], run: str = "") -> Iterator[Html]:
    """A heading and a table for each benchmark of which a run scores something.

    Args:
        document: content of `results.json`.
        run: the run's name where there are several.
    """
    for table in domain_tables(document):
        yield element("h2", f"{table.name}, {run}" if run else table.name)
        yield table_block(_table(table), table.name)
        yield element("p", " ".join([*table.notes, _MEANING]), class_="notes")


def _table(table: DomainTable) -> Html:
    heads = ["data set", *(["method"] if table.several else []), "pictures", *_HEADS.values()]
    others = [
        element("th", "mIoU", element("small", definition), scope="col", aria_label=f"mIoU, {definition} definition")
        for definition in table.others
    ]
    top = element("tr", *(element("th", head, scope="col") for head in heads), *others)
    bodies = []
    for group in table.groups:
        title = element("th", group[0].domain or "all domains", scope="rowgroup")
        head = element("tr", title, element("td", colspan=len(heads) + len(others) - 1), class_="setting")
        bodies.append(element("tbody", head, *(_row(line, table) for line in group)))
    caption = f"{table.title}; below mIoU its {INTERVAL} over pictures"
    return element("table", element("caption", caption), element("thead", top), *bodies)


def _row(line: DomainLine, table: DomainTable) -> Html:
    kind = "span" if line.kind == "figure" else "strong"
    scores = line.scores[table.definition]
    label = line.label if line.kind == "figure" else line.label.removeprefix(f"{line.name}, ")
    cells = [element("th", element(kind, label), scope="row")]
    cells += [element("td", line.method, class_="words")] if table.several else []
    cells.append(element("td", line.images_text))
    for column in _HEADS:
        content = [element(kind, format_score(scores.get(column)))]
        if column == "mIoU" and line.interval:
            content.append(element("small", format_interval(line.interval)))
        cells.append(element("td", *content))
    cells += [element("td", element(kind, format_score(line.scores[name]["mIoU"]))) for name in table.others]
    return element("tr", *cells)
