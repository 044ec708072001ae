"""Tables on a terminal: scores beside published ones, the comparison of methods, benchmarks by domain, studies."""

from collections.abc import Mapping, Sequence

from cliptrase.common.sheets import Cell, Column, Sheet
from cliptrase.evaluation.comparison import Beside, Comparison
from cliptrase.evaluation.comparison import Cell as Score
from cliptrase.evaluation.domain_lines import DomainTable
from cliptrase.evaluation.domains import DomainScores
from cliptrase.evaluation.formatting import (
    COLUMNS,
    INTERVAL,
    MAIN,
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


def score_sheet(results: Mapping[str, Sequence[SettingResult]], protocol: str, notes: Sequence[str] = ()) -> Sheet:
    """A table of all methods and data sets by the protocol's definition, published scores beside ours.

    The best score of a data set is marked, the main method has a `>`.

    Args:
        results: by method, the main one first.
        protocol: label.
        notes: sentences that stand below.
    """
    rows = [(method, result) for method, settings in results.items() for result in settings]
    published = [result.published._asdict() for _, result in rows if result.published]
    known = [column for column in COLUMNS if any(scores[column] == scores[column] for scores in published)]
    others = list(rows[0][1].scores)[1:] if rows else []
    named = f", {rows[0][1].definition} definitions" if rows else ""
    remarked = with_remarks([result for _, result in rows])
    columns = [Column("method", "key"), Column("setting", "key"), Column("images")]
    columns += [Column(name, alike="mIoU" if name == "mIoU" else "") for name in COLUMNS]
    columns += [Column(INTERVAL, "interval"), *(Column(f"{name}\nmIoU", alike="mIoU") for name in others)]
    columns += [Column(f"{name}\npublished\n(ViT-B/16)", style="dim") for name in known]
    columns += [Column("remark", "remark")] if remarked else []
    names = dict.fromkeys(result.name for _, result in rows)
    best = {name: best_of([_shown(result) for _, result in rows if result.name == name]) for name in names}
    cells = []
    for method, result in rows:
        values = [
            _score(value, is_best(value, top)) for value, top in zip(_shown(result), best[result.name], strict=True)
        ]
        heads = [marked(method, method == rows[0][0] and len(results) > 1), result.name, result.images_text]
        interval = _interval(result.estimate.interval if result.estimate else None)
        beside = [format_score(getattr(result.published, column)) if result.published else "" for column in known]
        beside += ["; ".join(result.remarks)] if remarked else []
        line = [*map(Cell, heads), *values[: len(COLUMNS)], interval, *values[len(COLUMNS) :], *map(Cell, beside)]
        cells.append(line)
    below = [*([MAIN] if len(results) > 1 else []), *notes]
    return Sheet(f"protocol {protocol}, percent{named}{stand_in(results)}", columns, cells, below)


def _shown(result: SettingResult) -> list[float]:
    """What a table shows of a result: all by the protocol's definition, then mIoU by the others."""
    return [*result.headline, *(scores.mIoU for scores in list(result.scores.values())[1:])]


def _score(value: float | None, best: bool = False) -> Cell:
    return Cell(format_score(value), "best" if best else "")


def _interval(bounds: Sequence[float] | None, signed: bool = False) -> Cell:
    return Cell(format_interval(bounds, signed) if bounds else "")


def comparison_sheet(comparison: Comparison) -> Sheet:
    """Methods against data sets: in each cell mIoU, its interval, the difference and the difference's interval.

    The best score of a column is marked, the main method has a `>`.
    """
    several = len(comparison.rows) > 1
    inside = f"in a cell: mIoU, its interval, difference to {comparison.first}, its interval"
    columns = [Column("method", "key")]
    for name in comparison.settings:
        columns.append(Column(name))
        if name in comparison.has_published:
            columns.append(Column(f"{name}\npublished\n(ViT-B/16)", style="dim"))
    columns += [Column("average")] if comparison.with_average else []
    rows = [
        [
            Cell(marked(row.method, row is comparison.rows[0] and several)),
            *(_stacked(cell, best) for cell, best in line),
            _score(row.images_per_second),
        ]
        for row, line in comparison.lines
    ]
    below = [inside, *([MAIN] if several else []), *comparison.notes, comparison.memory]
    return Sheet(comparison.title, [*columns, Column("images/s")], rows, below, lined=True)


def long_comparison_sheet(comparison: Comparison) -> Sheet:
    """The comparison with a row for each data set and method; published scores stand in the table of scores."""
    several = len(comparison.rows) > 1
    columns = [Column("setting", "key"), Column("method", "key"), Column("mIoU"), Column(INTERVAL, "interval")]
    columns += [Column("difference"), Column(INTERVAL, "interval")]
    rows = []
    for name in [*comparison.settings, *([None] if comparison.with_average else [])]:
        for row in comparison.rows:
            cell = comparison.cell(row, name)
            method = marked(row.method, row is comparison.rows[0] and several)
            score = _score(cell.mIoU if cell else None, comparison.leads(row, name))
            difference = cell.difference if cell and cell.difference_interval is not None else None
            rows.append(
                [
                    *(Cell(name or "average"), Cell(method), score, _interval(cell.interval if cell else None)),
                    Cell("" if difference is None else f"{difference:+.2f}"),
                    _interval(cell.difference_interval if cell and difference is not None else None, signed=True),
                ]
            )
    marks = [f"difference: to {comparison.first}", MAIN] if several else []
    speeds = ", ".join(f"{row.method} {format_score(row.images_per_second)}" for row in comparison.rows)
    below = [*marks, *comparison.notes, f"Images per second: {speeds}.", comparison.memory]
    ends = frozenset(range(len(comparison.rows) - 1, len(rows), len(comparison.rows)))
    return Sheet(comparison.title, columns, rows, below, ends if several else frozenset())


def _stacked(cell: Score | Beside | None, best: bool) -> Cell:
    """A score, its interval, the difference and its interval, each in a line; or a published score and remarks."""
    if cell is None:
        return Cell(format_score(None))
    if isinstance(cell, Beside):
        return Cell("" if cell.published is None else "\n".join([format_score(cell.published), *cell.remarks]))
    lines = [format_interval(cell.interval) if cell.interval else ""]
    if cell.difference is not None and cell.difference_interval is not None:
        lines += [f"{cell.difference:+.2f}", format_interval(cell.difference_interval, signed=True)]
    return _score(cell.mIoU, best)._replace(rest="\n".join(lines))


def domain_sheet(table: DomainTable) -> Sheet:
    """Figures of a benchmark by domain, with their means."""
    columns = [Column("data set", "key"), *([Column("method", "key")] if table.several else []), Column("images")]
    columns += [Column("mIoU", alike="mIoU"), Column(INTERVAL, "interval")]
    columns += [Column(head) for head in ("CoI-\nmIoU", "sensi-\ntivity", "speci-\nficity")]
    columns += [Column(f"{definition}\nmIoU", alike="mIoU") for definition in table.others]
    rows: list[list[Cell]] = []
    ends = []
    for group in table.groups:
        for line in group:
            scores = line.scores[table.definition]
            values = [format_score(scores.get(column)) for column in DomainScores._fields[1:]]
            cells = [line.label, *([line.method] if table.several else []), line.images_text]
            cells += [format_score(scores["mIoU"]), format_interval(line.interval) if line.interval else "", *values]
            cells += [format_score(line.scores[definition]["mIoU"]) for definition in table.others]
            rows.append([Cell(cell, "" if line.kind == "figure" else "bold") for cell in cells])
        ends.append(len(rows) - 1)
    return Sheet(table.title, columns, rows, table.notes, frozenset(ends))


def study_sheet(study: StudyTable) -> Sheet:
    """What a study finds: its first columns of text say what a row is."""
    columns: list[Column] = []
    for column in study.columns:
        if column.kind == "text":
            columns.append(Column(column.name, "key" if all(one.kind == "key" for one in columns) else "words"))
        else:
            interval = "interval" in column.kind and bool(columns) and columns[-1].kind == "number"
            columns.append(Column(column.name, "interval" if interval else "number"))
    best = study.best
    rows = [
        [Cell(cell, "best" if (number, place) in best else "") for place, cell in enumerate(row)]
        for number, row in enumerate(study.cells)
    ]
    return Sheet(study.title, columns, rows, study.notes)
