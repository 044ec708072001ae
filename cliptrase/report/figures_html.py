"""The report's one block of figures: every method and data set, intervals and differences in place."""

from collections.abc import Iterator, Sequence

from cliptrase.evaluation.conditions import STAND_IN, STAND_IN_TITLE
from cliptrase.evaluation.formatting import COLUMNS, INTERVAL, format_interval, format_score, is_best
from cliptrase.report.figures import Figures, Group, Row
from cliptrase.report.markup import Html, element, table_block

_TIED = "≈"
_TIES = (
    f"{_TIED}: not told from the best: the interval of their paired difference holds 0, or where that difference is "
    "not in the table, their own intervals overlap."
)


def figure_parts(tables: Sequence[Figures]) -> Iterator[Html]:
    """A table for each protocol, and what is to be said of its marks.

    Args:
        tables: from `figures.figures`.
    """
    for table in tables:
        yield table_block(_table(table), f"scores {table.protocol}")
        said = [
            f"mIoU by {' and '.join(equal)} definitions is the same as by {name} in every row."
            for name, equal in table.definitions.items()
            if equal
        ]
        if any(len(group.rows) > 1 for group in table.groups):
            said.append("Bold: the best of the rows below one another.")
        if any(group.tied(row) for group in table.groups for row in group.rows):
            said.append(_TIES)
        yield element("p", " ".join(said), class_="soft")


def _table(table: Figures) -> Html:
    others = list(table.definitions)[1:]
    beside = _beside(table)
    remarked = any(row.published or set(row.remarks) - {STAND_IN} for row in table.rows if row.remarks)
    tops = [element("td"), element("td")]
    heads = [element("th", "method", scope="col"), element("th", "pictures", scope="col", class_="start")]
    named = f"{table.definition} definitions"
    tops.append(element("th", named, colspan=len(COLUMNS), scope="colgroup", class_="group start"))
    heads += [element("th", column, scope="col", class_=_class_of(column)) for column in COLUMNS]
    if beside:
        tops.append(element("th", "difference", colspan=len(beside), scope="colgroup", class_="group start"))
        heads += [element("th", head, scope="col", class_=_start(not n)) for n, head in enumerate(beside)]
    for name in others:
        tops.append(element("th", name, scope="colgroup", class_="group start"))
        heads.append(element("th", "mIoU", scope="col", class_="start"))
    if table.published:
        named = "published (ViT-B/16)"
        tops.append(element("th", named, colspan=len(table.published), scope="colgroup", class_="group start"))
        heads += [element("th", name, scope="col", class_=_start(not n)) for n, name in enumerate(table.published)]
    if remarked:
        tops.append(element("td", class_="start"))
        heads.append(element("th", "remark", scope="col", class_="words start"))
    bodies = []
    for group in table.groups:
        title = element("th", group.title, scope="rowgroup")
        lines = [element("tr", title, element("td", colspan=len(heads) - 1), class_="setting")]
        for row in group.rows:
            cells = [
                element("td", row.images, class_="start"),
                *_scores(row, group),
                *(
                    element("td", *_difference(row, twin, head), class_=_start(not n))
                    for n, (head, twin) in enumerate(beside.items())
                ),
                *(element("td", _best(row, group, name, "mIoU"), class_="start") for name in others),
                *(
                    element("td", format_score(row.published.get(name)) if row.published else "", class_=_start(not n))
                    for n, name in enumerate(table.published)
                ),
                *([element("td", "; ".join(row.remarks), class_="words start remark")] if remarked else []),
            ]
            lines.append(element("tr", element("th", row.label, scope="row"), *cells, class_=_main(row)))
        bodies.append(element("tbody", *lines))
    caption = f"percent, protocol {table.protocol}" + (f"; {STAND_IN_TITLE}" if table.stand_in else "")
    below = [f"below mIoU its {INTERVAL}"] if any(row.interval for row in table.rows) else []
    below += (
        ["below a score its difference from the published one"] if any(row.comparable for row in table.rows) else []
    )
    head = element("thead", element("tr", *tops), element("tr", *heads))
    return element("table", element("caption", "; ".join([caption, *below])), head, *bodies)


def _main(row: Row) -> str | None:
    return "main" if row.main else None


def _start(first: bool) -> str | None:
    return "start" if first else None


def _best(row: Row, group: Group, definition: str, column: str) -> Html | str:
    """A score, bold where it is the best."""
    value = row.scores.get(definition, {}).get(column)
    if definition not in row.scores or column not in row.scores[definition]:
        return ""
    shown = format_score(value)
    return element("strong", shown) if is_best(value, group.best(definition, column)) else shown


def _scores(row: Row, group: Group) -> Iterator[Html]:
    """The four scores; below mIoU its interval, below each what it lies above or below the published one."""
    for column in COLUMNS:
        content = [_best(row, group, group.definition, column)]
        if column == "mIoU":
            if group.tied(row):
                content.append(element("span", f" {_TIED}", class_="tied", title="not told from the best"))
            if row.interval:
                content.append(element("small", format_interval(row.interval), data_part=INTERVAL))
        value, wanted = row.scores[group.definition].get(column), row.published.get(column)
        if row.comparable and wanted is not None and value is not None:
            kind = "up" if value >= wanted else "down"
            content.append(element("small", f"{value - wanted:+.2f}", class_=kind, data_part="from published"))
        yield element("td", *content, class_=_class_of(column))


def _class_of(column: str) -> str | None:
    """Of a score's column: mIoU stays in sight on narrow screens."""
    return "headline" if column == "mIoU" else _start(column == COLUMNS[0])


def _beside(table: Figures) -> dict[str, bool]:
    """Heads of columns of differences, and whether each is of twins: the same method of the page's first run."""
    found = [one for row in table.rows for one in row.differences]
    to = list(dict.fromkeys(one.to for one in found if not one.twin))
    heads = {f"to {to[0]}" if len(to) == 1 else "to a main method": False} if to else {}
    return heads | ({"to the same method of A": True} if any(one.twin for one in found) else {})


def _difference(row: Row, twin: bool, head: str) -> Iterator[Html]:
    """A difference with its interval, coloured where that excludes 0, and to which row unless the head says so."""
    for one in row.differences:
        if one.twin != twin:
            continue
        low, high = one.interval
        kind = "up" if low > 0 else "down" if high < 0 else None
        yield element("span", f"{one.value:+.2f}", class_=kind)
        yield element("small", format_interval(one.interval, signed=True), class_=kind, data_part=INTERVAL)
        if not twin and head != f"to {one.to}":
            yield element("small", f"to {one.to}", data_part="to")
