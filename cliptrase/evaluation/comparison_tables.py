"""A comparison of methods as CSV, Markdown and a table on a terminal."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from cliptrase.evaluation.comparison import HOW, SPEED, Cell, Comparison, Row
from cliptrase.evaluation.markdown import markdown_table
from cliptrase.evaluation.published import TITLE
from cliptrase.evaluation.results import figure, interval_text, marked
from cliptrase.tables import csv_text


def comparison_csv(found: Comparison) -> str:
    """Content of `comparison.csv`: a line for each method and setting, and one for a method's average over settings."""
    heads: list[str | float | None] = [
        "method",
        "setting",
        "protocol",
        "protocol_hash",
        "vocabulary_hash",
        "definition",
    ]
    heads += ["images", "mIoU", "low", "high", "difference", "difference_low", "difference_high"]
    heads += ["published_mIoU", "published_source", "images_per_second", "run_peak_memory_mib", "remark"]
    lines = [heads]
    for row in found.rows:
        for name, cell in [*row.cells.items(), *([("average", row.average)] if row.average else [])]:
            figures = [cell.images, cell.mIoU, *(cell.interval or (None, None)), cell.difference]
            beside = [*(cell.difference_interval or (None, None)), cell.published, cell.source]
            made = [row.images_per_second, found.provenance.get("peak_memory_mib"), "; ".join(cell.remarks)]
            origin = [found.protocol, found.protocol_hash, cell.vocabulary_hash, found.definition]
            lines.append([row.method, name, *origin, *figures, *beside, *made])
    return csv_text(lines)


def comparison_markdown(found: Comparison) -> str:
    """Content of `comparison.md`: figures, differences, and what others publish in a list of its own."""
    heads, differences = ["method"], ["method"]
    for name in found.settings:
        heads += [name, *([f"{name} published (ViT-B/16)"] if name in found.has_published else [])]
        differences.append(name)
    heads += [*(["average"] if found.with_average else []), "images/s"]
    rows = [
        [row.method, *(_marked_down(cell, best) for cell, best in line), figure(row.images_per_second)]
        for row, line in _lines(found)
    ]
    parts = ["# Comparison of methods", found.title, markdown_table(heads, rows)]
    if len(found.rows) > 1:
        below = []
        for row in found.rows[1:]:
            cells = [*row.cells.values(), *([row.average] if found.with_average else [])]
            below.append([row.method, *map(difference_text, cells)])
        differences += ["average"] if found.with_average else []
        parts += [f"Bold: the best of a column. Main method: {found.first}."]
        parts += [f"Difference to {found.first}, points:", markdown_table(differences, below)]
    parts += [" ".join([*found.notes, HOW, SPEED, found.memory, found.origin])]
    return "\n\n".join([*parts, *_elsewhere_markdown(found)]) + "\n"


def _elsewhere_markdown(found: Comparison) -> list[str]:
    """Heading, unit and table of what others publish; nothing where they publish nothing on the run's settings."""
    rows = found.elsewhere
    return [f"## {TITLE}", "mIoU, percent", markdown_table(rows[0], rows[1:])] if rows else []


def comparison_texts(found: Comparison) -> dict[str, str]:
    """By TensorBoard's tag the comparison of several methods, or what others publish beside a single one.

    The tags stand in the group of `scores`, for TensorBoard opens only the first groups.
    """
    if len(found.rows) > 1:
        return {"scores/comparison": comparison_markdown(found)}
    return {"scores/published elsewhere": "\n\n".join(parts)} if (parts := _elsewhere_markdown(found)) else {}


def figure_text(cell: Cell | None) -> str:
    """`12.34 (10.12 to 14.56)`, without the interval where there is none, or `-`."""
    if cell is None:
        return figure(None)
    return figure(cell.mIoU) + (f" ({interval_text(cell.interval)})" if cell.interval else "")


def difference_text(cell: Cell | None) -> str:
    """`+1.23 (0.12 to 2.34)`, or `-` where there is none."""
    if cell is None or cell.difference is None or cell.difference_interval is None:
        return "-"
    return f"{cell.difference:+.2f} ({interval_text(cell.difference_interval, signed=True)})"


def comparison_table(found: Comparison) -> Table:
    """The comparison on a terminal: in each cell mIoU, its interval, the difference and the difference's interval.

    The best figure of a column is bold, the main method has a `>`.
    """
    caption = [f"in a cell: mIoU, its interval, difference to {found.first}, its interval", *found.notes, found.memory]
    texts = {"title": Text(found.title), "caption": Text("\n".join(caption))}
    table = Table(**texts, title_justify="left", caption_justify="left", show_lines=True)  # type: ignore[arg-type]
    table.add_column("method", overflow="fold")
    for name in found.settings:
        table.add_column(Text(name), justify="right", overflow="fold")
        if name in found.has_published:
            heads = Text(f"{name}\npublished\n(ViT-B/16)")
            table.add_column(heads, justify="right", style="dim", overflow="fold")
    for name in ("average",) if found.with_average else ():
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("images/s", justify="right", overflow="fold")
    for row, line in _lines(found):
        name = marked(row.method, row is found.rows[0] and len(found.rows) > 1)
        cells = (_stacked(cell, best) for cell, best in line)
        table.add_row(Text(name), *cells, figure(row.images_per_second))
    return table


class Beside(NamedTuple):
    """What a method's authors publish, and why it does not compare; nothing where they publish nothing."""

    published: float | None
    source: str | None
    remarks: Sequence[str]


def _lines(found: Comparison) -> Iterator[tuple[Row, list[tuple[Cell | Beside | None, bool]]]]:
    """Each method's cells, published figures beside their setting's, and whether a cell is the best of its column."""
    for row in found.rows:
        line: list[tuple[Cell | Beside | None, bool]] = []
        for name, cell in row.cells.items():
            line.append((cell, found.leads(row, name)))
            if name in found.has_published:
                line.append((Beside(cell.published, cell.source, cell.remarks), False))
        yield row, [*line, *([(row.average, found.leads(row, None))] if found.with_average else [])]


def _marked_down(cell: Cell | Beside | None, best: bool) -> str:
    """A cell as Markdown."""
    if isinstance(cell, Beside):
        words = "; ".join(filter(None, [cell.source, *cell.remarks]))
        return "" if cell.published is None else f"{figure(cell.published)} ({words})"
    return f"**{figure_text(cell)}**" if best else figure_text(cell)


def _stacked(cell: Cell | Beside | None, best: bool) -> Text:
    """A figure, its interval, the difference and its interval, each in a line; or a published figure and remarks."""
    if cell is None:
        return Text(figure(None))
    if isinstance(cell, Beside):
        return Text("" if cell.published is None else "\n".join([figure(cell.published), *cell.remarks]))
    lines = [interval_text(cell.interval) if cell.interval else ""]
    if cell.difference is not None and cell.difference_interval is not None:
        lines += [f"{cell.difference:+.2f}", interval_text(cell.difference_interval, signed=True)]
    return Text.assemble((figure(cell.mIoU), "bold" if best else ""), "\n", "\n".join(lines))
