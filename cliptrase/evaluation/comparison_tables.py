"""A comparison of methods as CSV, Markdown and a table on a terminal."""

import csv
import io
from collections.abc import Callable, Iterator

from rich.table import Table

from cliptrase.evaluation.comparison import HOW, SPEED, Cell, Comparison
from cliptrase.evaluation.markdown import markdown_table
from cliptrase.evaluation.published import TITLE
from cliptrase.evaluation.results import figure, interval_text


def comparison_csv(found: Comparison) -> str:
    """Content of `comparison.csv`: a line for each method and setting, and one for a method's average over settings."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    heads = [
        "method",
        "setting",
        "protocol",
        "protocol_hash",
        "vocabulary_hash",
        "definition",
        "images",
        "mIoU",
        "low",
        "high",
    ]
    heads += ["difference", "difference_low", "difference_high", "published_mIoU", "published_source"]
    writer.writerow([*heads, "images_per_second", "run_peak_memory_mib"])
    for row in found.rows:
        for name, cell in [*row.cells.items(), *([("average", row.average)] if row.average else [])]:
            figures = [cell.images, cell.mIoU, *(cell.interval or ("", "")), cell.difference]
            beside = [*(cell.difference_interval or ("", "")), cell.published, cell.source]
            made = [row.images_per_second, found.provenance.get("peak_memory_mib")]
            origin = [found.protocol, found.protocol_hash, cell.vocabulary_hash, found.definition]
            writer.writerow([row.method, name, *origin, *figures, *beside, *made])
    return buffer.getvalue()


def comparison_markdown(found: Comparison) -> str:
    """Content of `comparison.md`: figures, differences, and what others publish in a list of its own."""
    heads, differences = ["method"], ["method"]
    for name in found.settings:
        heads += [name, *([f"{name} published (ViT-B/16)"] if name in found.has_published else [])]
        differences.append(name)
    heads += [*(["average"] if found.with_average else []), "images/s"]
    rows = _lines(found, figure_text, lambda cell: f"{figure(cell.published)} ({cell.source})")
    parts = ["# Comparison of methods", found.title, markdown_table(heads, list(rows))]
    if len(found.rows) > 1:
        below = []
        for row in found.rows[1:]:
            cells = [*row.cells.values(), *([row.average] if found.with_average else [])]
            below.append([row.method, *map(difference_text, cells)])
        differences += ["average"] if found.with_average else []
        parts += [f"Difference to {found.first}, points:", markdown_table(differences, below)]
    parts += [f"{HOW} {SPEED} {found.memory} {found.origin}"]
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
    """The comparison on a terminal: in each cell mIoU, its interval, the difference and the difference's interval."""
    caption = f"in a cell: mIoU, its interval, difference to {found.first}, its interval\n{found.memory}"
    table = Table(title=found.title, caption=caption, title_justify="left", caption_justify="left", show_lines=True)
    table.add_column("method")
    for name in found.settings:
        table.add_column(name, justify="right")
        if name in found.has_published:
            table.add_column(f"{name}\npublished\n(ViT-B/16)", justify="right", style="dim")
    for name in ("average",) if found.with_average else ():
        table.add_column(name, justify="right")
    table.add_column("images/s", justify="right")
    for line in _lines(found, _stacked, lambda cell: figure(cell.published)):
        table.add_row(*line)
    return table


def _lines(
    found: Comparison, own: Callable[[Cell | None], str], published: Callable[[Cell], str]
) -> Iterator[list[str]]:
    """Each method's line: its name, what `own` and `published` say of its cells, and its images per second."""
    for row in found.rows:
        line = [row.method]
        for name in found.settings:
            cell = row.cells[name]
            line.append(own(cell))
            if name in found.has_published:
                line.append("" if cell.published is None else published(cell))
        yield [*line, *([own(row.average)] if found.with_average else []), figure(row.images_per_second)]


def _stacked(cell: Cell | None) -> str:
    """A figure, its interval, the difference and its interval, each in a line."""
    if cell is None:
        return figure(None)
    lines = [figure(cell.mIoU), interval_text(cell.interval) if cell.interval else ""]
    if cell.difference is not None and cell.difference_interval is not None:
        lines += [f"{cell.difference:+.2f}", interval_text(cell.difference_interval, signed=True)]
    return "\n".join(lines)
