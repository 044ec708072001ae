"""The report's part on one data set: scores of each class by every method, and what is taken for what."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cliptrase.evaluation.formatting import best_of, format_score, is_best
from cliptrase.report.figures import labelled
from cliptrase.report.load import LoadedRun
from cliptrase.report.markup import Html, element, table_block

_OPEN = 60  # most classes of a table that is shown without asking
_PAIRS = 24  # most pairs of classes
_MATRIX = 16  # most classes of a matrix


class _Shown(NamedTuple):
    """Methods that were scored by the same names and definition."""

    title: str
    definition: str
    results: Mapping[str, Mapping[str, Any]]  # by label
    confusions: Mapping[str, NDArray[np.int64]]  # likewise, where they are known

    @property
    def names(self) -> list[str]:
        return [row["name"] for row in next(iter(self.results.values()))["per_class"]]


def class_parts(runs: Sequence[LoadedRun], setting: str) -> Iterator[Html]:
    """Tables of the classes, and of what is confused, of one data set.

    Args:
        runs: of the page.
        setting: the data set's name.
    """
    for shown in _alike(runs, setting):
        yield from _classes(shown)
        if shown.confusions:
            yield from _confused(shown)


def _alike(runs: Sequence[LoadedRun], setting: str) -> list[_Shown]:
    """Runs that name the same classes of as many pixels, together."""
    found: dict[tuple[Any, ...], tuple[dict[str, Mapping[str, Any]], dict[str, NDArray[np.int64]], set[str]]] = {}
    for number, run in enumerate(runs):
        for name, method, result in run.rows:
            if name != setting:
                continue
            about = [(row["name"], row["pixels"]) for row in result["per_class"]]
            key = result["protocol_hash"], result["protocol"], result["edition"], result["definition"], *about
            results, confusions, remarks = found.setdefault(key, ({}, {}, set()))
            label = labelled(runs, number, method)
            results[label] = result
            remarks.update(result["remarks"])
            if (matrix := run.confusions.get(setting, {}).get(method)) is not None:
                confusions[label] = matrix
    shown = []
    for (_, protocol, edition, definition, *_), (results, confusions, remarks) in found.items():
        title = f"protocol {protocol}" + (f", labels: {edition}" if edition else "")
        shown.append(_Shown(", ".join([title, *sorted(remarks)]), definition, results, confusions))
    return shown


def _classes(shown: _Shown) -> Iterator[Html]:
    """IoU of each class by every method, and accuracy likewise, folded."""
    per_class = {label: result["per_class"] for label, result in shown.results.items()}
    first = next(iter(per_class.values()))
    present = [row["label"] for row in first if row["pixels"]]
    for key, said in (("IoU", "IoU"), ("accuracy", "accuracy (recall)")):
        values = {
            label: [rows[place]["scores"][shown.definition][key] for place in present]
            for label, rows in per_class.items()
        }
        caption = f"{said} of each class, percent, {shown.definition} definitions, {shown.title}"
        block = table_block(_class_table(first, present, values, caption), f"classes {key}")
        folded = key != "IoU" or len(present) > _OPEN
        summary = element("summary", f"{said} of {len(present)} classes")
        yield element("details", summary, block) if folded else block
    if absent := len(first) - len(present):
        absence = "1 class does" if absent == 1 else f"{absent} classes do"
        yield element("p", f"{absence} not occur in these pictures.", class_="soft")


def _class_table(
    first: Sequence[Mapping[str, Any]],
    present: Sequence[int],
    values: Mapping[str, Sequence[float | None]],
    caption: str,
) -> Html:
    total = max(sum(row["pixels"] for row in first), 1)
    main = next(iter(values.values()))
    order = sorted(range(len(present)), key=lambda place: -(main[place] or 0))
    lines = []
    for place in order:
        row = first[present[place]]
        of_methods = [column[place] for column in values.values()]
        best = best_of([[value] for value in of_methods])[0] if len(set(of_methods)) > 1 else None
        cells = [element("td", f"{100 * row['pixels'] / total:.2f}")]
        for number, value in enumerate(of_methods):
            text = format_score(value)
            content = element("strong", text) if is_best(value, best) else text
            bar = f"--v:{value or 0:.2f}%"
            cells.append(element("td", content, class_="bar" if number else "bar start", style=bar))
        lines.append(element("tr", element("th", row["name"], scope="row"), *cells))
    heads = ["class", "% of pixels", *values]
    head = element(
        "tr", *(element("th", name, scope="col", class_="start" if n == 2 else None) for n, name in enumerate(heads))
    )
    return element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *lines),
        class_="sortable classes",
    )


def _confused(shown: _Shown) -> Iterator[Html]:
    """The pairs of classes that most pixels go astray between, by every method, and a matrix of each method."""
    names, matrices = shown.names, shown.confusions
    together = np.add.reduce([matrix - np.diag(matrix.diagonal()) for matrix in matrices.values()])
    if not together.any():
        return
    rows = next(iter(matrices.values())).sum(1)
    worst = np.argsort(-together, axis=None, kind="stable")[:_PAIRS]
    lines = []
    for true, predicted in zip(*np.unravel_index(worst, together.shape), strict=True):
        if not together[true, predicted]:
            break
        shares = [100 * matrix[true, predicted] / rows[true] for matrix in matrices.values()]
        least = min(round(share, 1) for share in shares) if len(set(shares)) > 1 else None
        cells = [element("td", names[predicted], class_="words")]
        for number, share in enumerate(shares):
            text = f"{share:.1f}"
            content = element("strong", text) if round(share, 1) == least else text
            cells.append(element("td", content, class_="bar" if number else "bar start", style=f"--v:{share:.2f}%"))
        lines.append(element("tr", element("th", names[true], scope="row"), *cells))
    heads = [
        element("th", "truth", scope="col"),
        element("th", "predicted as", scope="col", class_="words"),
        *(element("th", label, scope="col", class_=None if n else "start") for n, label in enumerate(matrices)),
    ]
    caption = f"most confused: percent of the true class's pixels, {shown.title}"
    caption += "; bold: the least" if len(matrices) > 1 else ""
    parts = (element("caption", caption), element("thead", element("tr", *heads)), element("tbody", *lines))
    table = element("table", *parts, class_="sortable confused")
    yield element("h3", "What is taken for what")
    yield table_block(table, "most confused")
    involved = together.sum(0) + together.sum(1)
    chosen = np.sort(np.argsort(-involved, kind="stable")[:_MATRIX])
    chosen = chosen[involved[chosen] > 0]
    grids = [_matrix(label, matrix, chosen, names) for label, matrix in matrices.items()]
    summary = element("summary", f"Confusion matrices of the {len(chosen)} classes that are confused most")
    yield element("details", summary, element("div", *grids, class_="choose matrices"))


def _matrix(label: str, matrix: NDArray[np.int64], chosen: NDArray[np.int64], names: Sequence[str]) -> Html:
    """Rows are ground truth; percent of a row."""
    heads = [element("th", element("span", names[place]), scope="col") for place in chosen]
    lines = []
    for true in chosen:
        total = max(int(matrix[true].sum()), 1)
        shares = [100 * matrix[true, predicted] / total for predicted in chosen]
        cells = [element("td", f"{share:.0f}" if share >= 0.5 else "", style=f"--v:{share:.1f}%") for share in shares]
        lines.append(element("tr", element("th", names[true], scope="row"), *cells))
    caption = element("caption", f"{label}: rows are truth, columns predictions, percent of a row")
    head = element("thead", element("tr", element("td"), *heads))
    table = element("table", caption, head, element("tbody", *lines), class_="matrix")
    return element("div", table_block(table, f"confusion {label}"), data_method=label, class_="chosen")
