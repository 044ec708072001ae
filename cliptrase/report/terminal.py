"""Tables on a terminal: scores beside published ones, and the comparison of methods."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cliptrase.evaluation.comparison import Beside, Cell, Comparison
from cliptrase.evaluation.domain_lines import DomainTable
from cliptrase.evaluation.domains import DomainScores
from cliptrase.evaluation.formatting import (
    COLUMNS,
    INTERVAL,
    MARKS,
    best_of,
    format_interval,
    format_score,
    is_best,
    marked,
    stand_in,
    with_remarks,
)
from cliptrase.evaluation.records import SettingResult
from cliptrase.evaluation.study_table import StudyTable


def print_table(*tables: Table) -> None:
    """Prints the first table that fits the window of a terminal, else the last; a file gets the first at full width.

    Args:
        tables: the same scores, ever narrower.
    """
    console, widths = Console(), [Console(width=10_000).measure(table).maximum for table in tables]
    if not console.is_terminal:
        Console(width=widths[0]).print(tables[0])
        return
    fitting = [table for table, width in zip(tables, widths, strict=True) if width <= console.width]
    console.print(fitting[0] if fitting else tables[-1])


def score_table(
    results: Mapping[str, Sequence[SettingResult]], protocol: str, notes: Sequence[str] = (), narrow: bool = False
) -> Table:
    """A table of all methods and data sets by the protocol's definition, published scores beside ours.

    The best score of a data set is bold, the main method has a `>`.

    Args:
        results: by method, the main one first.
        protocol: label.
        notes: sentences that stand below.
        narrow: leaves out what others publish, mIoU by other definitions, and lines between columns.
    """
    rows = [(method, result) for method, settings in results.items() for result in settings]
    published = [result.published._asdict() for _, result in rows if result.published]
    known = [column for column in COLUMNS if any(scores[column] == scores[column] for scores in published)]
    others = list(rows[0][1].scores)[1:] if rows else []
    if narrow:
        known, others = [], []
    named = f", {rows[0][1].definition} definitions" if rows else ""
    remarked = with_remarks([result for _, result in rows]) and not narrow
    below = [*([MARKS] if len(results) > 1 else []), *notes]
    table = _table(f"protocol {protocol}, percent{named}{stand_in(results)}", below, narrow)
    table.add_column("method", overflow="fold")
    table.add_column("setting", overflow="fold")
    for column in ("images", *COLUMNS, INTERVAL, *(f"{definition}\nmIoU" for definition in others)):
        table.add_column(column, justify="right", no_wrap=True)
    for column in known:
        table.add_column(f"{column}\npublished\n(ViT-B/16)", justify="right", style="dim", no_wrap=True)
    if remarked:
        table.add_column("remark", overflow="fold")
    names = dict.fromkeys(result.name for _, result in rows)
    best = {name: best_of([_shown(result) for _, result in rows if result.name == name]) for name in names}
    for method, result in rows:
        cells = [
            Text(format_score(value), "bold" if is_best(value, top) else "")
            for value, top in zip(_shown(result), best[result.name], strict=True)
        ]
        interval = format_interval(result.estimate.interval) if result.estimate else ""
        heads = [marked(method, method == rows[0][0] and len(results) > 1), result.name, result.images_text]
        beside = [format_score(getattr(result.published, column)) if result.published else "" for column in known]
        beside += ["; ".join(result.remarks)] if remarked else []
        of_protocol, of_others = cells[: len(COLUMNS)], cells[len(COLUMNS) : len(COLUMNS) + len(others)]
        table.add_row(*map(Text, heads), *of_protocol, Text(interval), *of_others, *map(Text, beside))
    return table


def _shown(result: SettingResult) -> list[float]:
    """What a table shows of a result: all by the protocol's definition, then mIoU by the others."""
    return [*result.headline, *(scores.mIoU for scores in list(result.scores.values())[1:])]


def _table(title: str, below: Sequence[str], narrow: bool, show_lines: bool = False) -> Table:
    """An empty table; a narrow one has no lines between columns."""
    caption = Text("\n".join(below)) if below else None
    table = Table(title=Text(title), caption=caption, title_justify="left", caption_justify="left")
    table.show_lines = show_lines
    if narrow:
        table.box, table.pad_edge, table.collapse_padding = box.SIMPLE_HEAD, False, True
    return table


def comparison_table(comparison: Comparison) -> Table:
    """The comparison on a terminal: in each cell mIoU, its interval, the difference and the difference's interval.

    The best score of a column is bold, the main method has a `>`.
    """
    inside = f"in a cell: mIoU, its interval, difference to {comparison.first}, its interval"
    below = [inside, *([MARKS] if len(comparison.rows) > 1 else []), *comparison.notes, comparison.memory]
    table = _table(comparison.title, below, narrow=False, show_lines=True)
    table.add_column("method", overflow="fold")
    for name in comparison.settings:
        table.add_column(Text(name), justify="right", overflow="fold")
        if name in comparison.has_published:
            heads = Text(f"{name}\npublished\n(ViT-B/16)")
            table.add_column(heads, justify="right", style="dim", overflow="fold")
    for name in ("average",) if comparison.with_average else ():
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("images/s", justify="right", overflow="fold")
    for row, line in comparison.lines:
        name = marked(row.method, row is comparison.rows[0] and len(comparison.rows) > 1)
        cells = (_stacked(cell, best) for cell, best in line)
        table.add_row(Text(name), *cells, format_score(row.images_per_second))
    return table


def domain_table(table: DomainTable, narrow: bool = False) -> Table:
    """Figures of a benchmark by domain, with their means.

    Args:
        table: what it shows.
        narrow: leaves out mIoU by other definitions, numbers of images beside methods, and lines between columns.
    """
    others = [] if narrow else table.others
    counted = not (narrow and table.several)
    shown = _table(table.title, table.notes, narrow)
    longest = max(len(line.name) for group in table.groups for line in group if line.kind == "figure")
    shown.add_column("data set", overflow="fold", min_width=longest)
    if table.several:
        shown.add_column("method", overflow="fold")
    for column in (
        *(["images"] if counted else []),
        "mIoU",
        INTERVAL,
        "CoI-\nmIoU",
        "sensi-\ntivity",
        "speci-\nficity",
    ):
        shown.add_column(column, justify="right", no_wrap=True)
    for definition in others:
        shown.add_column(f"{definition}\nmIoU", justify="right", no_wrap=True)
    for group in table.groups:
        for line in group:
            scores = line.scores[table.definition]
            values = [format_score(scores.get(column)) for column in DomainScores._fields[1:]]
            interval = format_interval(line.interval) if line.interval else ""
            cells = [line.label, *([line.method] if table.several else [])]
            cells += [line.images_text] if counted else []
            cells += [format_score(scores["mIoU"]), interval, *values]
            cells += [format_score(line.scores[definition]["mIoU"]) for definition in others]
            style = "" if line.kind == "figure" else "bold"
            shown.add_row(*(Text(cell, style) for cell in cells), end_section=line is group[-1])
    return shown


def study_table(study: StudyTable, narrow: bool = False) -> Table:
    """What a study finds.

    Args:
        study: its table.
        narrow: leaves out lines between columns, puts intervals below their figures, and what all rows say into the
            title.
    """
    columns = [[place] for place in range(len(study.columns))]
    title, cells = study.title, study.cells
    if narrow:
        same = [place for (place,) in columns if _says_nothing(study, place)]
        title = ", ".join([title, *(cells[0][place] for place in same)])
        columns = []
        for place, column in enumerate(study.columns):
            if "interval" in column.kind and columns and study.columns[columns[-1][0]].kind != "text":
                columns[-1].append(place)
            elif place not in same:
                columns.append([place])
    table = _table(title, study.notes, narrow)
    for places in columns:
        head = Text("\n".join(study.columns[place].name for place in places))
        if study.columns[places[0]].kind == "text":
            table.add_column(head, overflow="fold")
        else:
            table.add_column(head, justify="right", no_wrap=True)
    for row in cells:
        table.add_row(*(Text("\n".join(filter(None, (row[place] for place in places)))) for places in columns))
    return table


def _says_nothing(study: StudyTable, place: int) -> bool:
    """Whether a column of text says the same in each of several rows."""
    return (
        study.columns[place].kind == "text" and len(study.cells) > 1 and len({row[place] for row in study.cells}) == 1
    )


def narrow_comparison_table(comparison: Comparison) -> Table:
    """The comparison with a line for each data set and method, without published scores and images per second."""
    marks = [f"difference: to {comparison.first}", MARKS] if len(comparison.rows) > 1 else []
    table = _table(comparison.title, [*marks, *comparison.notes, comparison.memory], narrow=True)
    for column in ("setting", "method"):
        table.add_column(column, overflow="fold")
    for column in ("mIoU", INTERVAL, "difference", INTERVAL):
        table.add_column(Text(column), justify="right", overflow="fold")
    for name in [*comparison.settings, *([None] if comparison.with_average else [])]:
        for row in comparison.rows:
            cell = comparison.cell(row, name)
            method = marked(row.method, row is comparison.rows[0] and len(comparison.rows) > 1)
            heads = [name or "average", method]
            score = Text(format_score(cell.mIoU if cell else None), "bold" if comparison.leads(row, name) else "")
            interval = format_interval(cell.interval) if cell and cell.interval else ""
            difference = ["", ""]
            if cell and cell.difference is not None and cell.difference_interval is not None:
                difference = [f"{cell.difference:+.2f}", format_interval(cell.difference_interval, signed=True)]
            table.add_row(*map(Text, heads), score, *map(Text, [interval, *difference]))
    return table


def _stacked(cell: Cell | Beside | None, best: bool) -> Text:
    """A score, its interval, the difference and its interval, each in a line; or a published score and remarks."""
    if cell is None:
        return Text(format_score(None))
    if isinstance(cell, Beside):
        return Text("" if cell.published is None else "\n".join([format_score(cell.published), *cell.remarks]))
    lines = [format_interval(cell.interval) if cell.interval else ""]
    if cell.difference is not None and cell.difference_interval is not None:
        lines += [f"{cell.difference:+.2f}", format_interval(cell.difference_interval, signed=True)]
    return Text.assemble((format_score(cell.mIoU), "bold" if best else ""), "\n", "\n".join(lines))
