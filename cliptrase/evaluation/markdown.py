"""Scores and confusions as Markdown tables, for TensorBoard and for pasting."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cliptrase.evaluation.results import COLUMNS, SettingResult, best_of, figure, is_best, stand_in, with_remarks


def markdown_scores(results: Mapping[str, Sequence[SettingResult]], protocol: str, notes: Sequence[str] = ()) -> str:
    """All methods and settings as a Markdown table: by the protocol's definition first, published figures last.

    The best figure of a setting by a definition is bold.

    Args:
        results: by method, the main one first.
        protocol: label.
        notes: sentences that stand below.
    """
    every = [result for settings in results.values() for result in settings]
    remarked = with_remarks(every)
    best = {
        (name, definition): best_of([result.definitions[definition] for result in every if result.name == name])
        for name, definition in dict.fromkeys((result.name, key) for result in every for key in result.definitions)
    }
    rows = []
    for method, settings in results.items():
        for result in settings:
            for definition, scores in result.lines:
                images = "" if definition == "published" else result.images_text
                tops = best.get((result.name, definition), [None] * len(COLUMNS))
                figures = [_bold(figure(value), is_best(value, top)) for value, top in zip(scores, tops, strict=True)]
                remark = ["; ".join(result.remarks)] if remarked else []
                rows.append([result.name, method, definition, images, *figures, *remark])
    heads = ["setting", "method", "definition", "pictures", *COLUMNS, *(["remark"] if remarked else [])]
    table = [f"protocol {_cell(protocol)}, percent{stand_in(results)}", markdown_table(heads, rows)]
    main = [f"Bold: the best of a setting. Main method: {next(iter(results))}."] if len(results) > 1 else []
    return "\n\n".join([*table, *main, *notes])


def _bold(text: str, best: bool) -> str:
    return f"**{text}**" if best else text


def markdown_pairs(confusion: NDArray[np.int64], names: Sequence[str]) -> str:
    """The most confused pairs as a Markdown table."""
    rows = [[names[true], names[given], f"{100 * share:.1f}"] for true, given, share in confused_pairs(confusion)]
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
        (int(true), int(given), float(wrong[true, given] / rows[true])) for true, given in pairs if wrong[true, given]
    ]
