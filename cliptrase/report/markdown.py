"""Scores, comparisons and confusions as Markdown, for files, for TensorBoard and for pasting."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cliptrase.evaluation.comparison import HOW, SPEED, Beside, Cell, Comparison
from cliptrase.evaluation.formatting import (
    COLUMNS,
    best_of,
    format_interval,
    format_score,
    is_best,
    stand_in,
    with_remarks,
)
from cliptrase.evaluation.published import TITLE
from cliptrase.evaluation.records import SettingResult


def markdown_scores(results: Mapping[str, Sequence[SettingResult]], protocol: str, notes: Sequence[str] = ()) -> str:
    """All methods and settings as a Markdown table: by the protocol's definition first, published scores last.

    The best score of a data set by a definition is bold.

    Args:
        results: by method, the main one first.
        protocol: label.
        notes: sentences that stand below.
    """
    every = [result for settings in results.values() for result in settings]
    remarked = with_remarks(every)
    best: dict[tuple[str, str], list[float | None]] = {
        (name, definition): best_of([result.scores[definition] for result in every if result.name == name])
        for name, definition in dict.fromkeys((result.name, key) for result in every for key in result.scores)
    }
    rows = []
    for method, settings in results.items():
        for result in settings:
            for definition, scores in result.lines:
                images = "" if definition == "published" else result.images_text
                tops = best.get((result.name, definition), [None] * len(COLUMNS))
                values = [
                    _bold(format_score(value), is_best(value, top)) for value, top in zip(scores, tops, strict=True)
                ]
                remark = ["; ".join(result.remarks)] if remarked else []
                rows.append([result.name, method, definition, images, *values, *remark])
    heads = ["setting", "method", "definition", "pictures", *COLUMNS, *(["remark"] if remarked else [])]
    table = [f"protocol {_cell(protocol)}, percent{stand_in(results)}", markdown_table(heads, rows)]
    main = [f"Bold: the best of a setting. Main method: {next(iter(results))}."] if len(results) > 1 else []
    return "\n\n".join([*table, *main, *notes])


def _bold(text: str, best: bool) -> str:
    return f"**{text}**" if best else text


def markdown_pairs(confusion: NDArray[np.int64], names: Sequence[str]) -> str:
    """The most confused pairs as a Markdown table."""
    rows = [
        [names[true], names[predicted], f"{100 * share:.1f}"] for true, predicted, share in confused_pairs(confusion)
    ]
    return markdown_table(["truth", "predicted as", "percent of the true class"], rows)


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; no text ends a cell."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text that ends no cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


def confused_pairs(confusion: NDArray[np.int64], count: int = 20) -> list[tuple[int, int, float]]:
    """The most confused pairs: (true label, predicted label, share of the true label's pixels in [0, 1]).

    Ordered by pixels, so that a rare class does not come first for a few of them.

    Args:
        confusion: (C, C), rows are ground truth.
        count: most pairs.
    """
    wrong = confusion - np.diag(confusion.diagonal())
    rows = confusion.sum(1)
    best = np.argsort(-wrong, axis=None, kind="stable")[:count]
    pairs = zip(*np.unravel_index(best, wrong.shape), strict=True)
    return [
        (int(true), int(predicted), float(wrong[true, predicted] / rows[true]))
        for true, predicted in pairs
        if wrong[true, predicted]
    ]


def comparison_markdown(comparison: Comparison) -> str:
    """Content of `comparison.md`: scores, differences, and a list of what others publish."""
    heads, differences = ["method"], ["method"]
    for name in comparison.settings:
        heads += [name, *([f"{name} published (ViT-B/16)"] if name in comparison.has_published else [])]
        differences.append(name)
    heads += [*(["average"] if comparison.with_average else []), "images/s"]
    rows = [
        [row.method, *(_marked_down(cell, best) for cell, best in line), format_score(row.images_per_second)]
        for row, line in comparison.lines
    ]
    parts = ["# Comparison of methods", comparison.title, markdown_table(heads, rows)]
    if len(comparison.rows) > 1:
        below = []
        for row in comparison.rows[1:]:
            cells = [*row.cells.values(), *([row.average] if comparison.with_average else [])]
            below.append([row.method, *map(difference_text, cells)])
        differences += ["average"] if comparison.with_average else []
        parts += [f"Bold: the best of a column. Main method: {comparison.first}."]
        parts += [f"Difference to {comparison.first}, points:", markdown_table(differences, below)]
    parts += [" ".join([*comparison.notes, HOW, SPEED, comparison.memory, comparison.origin])]
    return "\n\n".join([*parts, *_elsewhere_markdown(comparison)]) + "\n"


def _elsewhere_markdown(comparison: Comparison) -> list[str]:
    """Heading, unit and table of what others publish; nothing where they publish nothing on the run's settings."""
    rows = comparison.elsewhere
    return [f"## {TITLE}", "mIoU, percent", markdown_table(rows[0], rows[1:])] if rows else []


def comparison_texts(comparison: Comparison) -> dict[str, str]:
    """By TensorBoard's tag the comparison of several methods, or what others publish beside a single one.

    The tags stand in the group of `scores`, for TensorBoard opens only the first groups.
    """
    if len(comparison.rows) > 1:
        return {"scores/comparison": comparison_markdown(comparison)}
    return {"scores/published elsewhere": "\n\n".join(parts)} if (parts := _elsewhere_markdown(comparison)) else {}


def score_text(cell: Cell | None) -> str:
    """`12.34 (10.12 to 14.56)`, without the interval where there is none, or `-`."""
    if cell is None:
        return format_score(None)
    return format_score(cell.mIoU) + (f" ({format_interval(cell.interval)})" if cell.interval else "")


def difference_text(cell: Cell | None) -> str:
    """`+1.23 (0.12 to 2.34)`, or `-` where there is none."""
    if cell is None or cell.difference is None or cell.difference_interval is None:
        return "-"
    return f"{cell.difference:+.2f} ({format_interval(cell.difference_interval, signed=True)})"


def _marked_down(cell: Cell | Beside | None, best: bool) -> str:
    """A cell as Markdown."""
    if isinstance(cell, Beside):
        words = "; ".join(filter(None, [cell.source, *cell.remarks]))
        return "" if cell.published is None else f"{format_score(cell.published)} ({words})"
    return f"**{score_text(cell)}**" if best else score_text(cell)
