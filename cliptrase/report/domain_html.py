"""The report's tables of benchmarks that average by domain."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cliptrase.evaluation.domain_lines import DomainLine, DomainTable, domain_tables
from cliptrase.evaluation.formatting import INTERVAL, best_of, format_interval, format_score, is_best
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
        best = {
            label: best_of([_scores(line, table) for line in group if line.label == label])
            for label in {line.label for line in group}
        }
        bodies.append(element("tbody", head, *(_row(line, table, best[line.label]) for line in group)))
    caption = f"{table.title}; below mIoU its {INTERVAL} over pictures"
    return element("table", element("caption", caption), element("thead", top), *bodies)


def _scores(line: DomainLine, table: DomainTable) -> list[float | None]:
    """What a table shows of a line: by the benchmark's definition, then mIoU by the others."""
    own = line.scores[table.definition]
    return [*(own.get(column) for column in _HEADS), *(line.scores[name]["mIoU"] for name in table.others)]


def _row(line: DomainLine, table: DomainTable, best: Sequence[float | None]) -> Html:
    label = line.label if line.kind == "figure" else line.label.removeprefix(f"{line.name}, ")
    cells = [element("th", element("span" if line.kind == "figure" else "em", label), scope="row")]
    cells += [element("td", line.method, class_="words")] if table.several else []
    cells.append(element("td", line.images_text))
    for place, (value, top) in enumerate(zip(_scores(line, table), best, strict=True)):
        content = [element("strong" if is_best(value, top) else "span", format_score(value))]
        if not place and line.interval:
            content.append(element("small", format_interval(line.interval), data_part=INTERVAL))
        cells.append(element("td", *content))
    return element("tr", *cells)
