"""A page's figures in rows: methods of one run or of several, those beside one another that were counted alike."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.conditions import images_text
from cliptrase.evaluation.formatting import COLUMNS, best_of
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.load import LoadedRun

AVERAGE = ""  # in place of a data set


class Paired(NamedTuple):
    """A difference of two rows.

    Attributes:
        value: points of mIoU.
        interval: its own, 95 %.
        to: label of the row that it is to.
        twin: whether that is the same method of the page's first run, and not its main one.
    """

    value: float
    interval: Sequence[float]
    to: str
    twin: bool = False


@dataclass(frozen=True)
class Beside:
    """How the other runs of a page stand beside its first.

    Attributes:
        pairs: by number of the run (1 for the second), data set or `AVERAGE`, and method.
        notes: sentences on what is not paired, and why.
    """

    pairs: Mapping[tuple[int, str, str], Sequence[Paired]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def paired(self, run: int, setting: str) -> bool:
        """Whether a run's figures of a data set were counted as the first run's."""
        return run == 0 or any(key[:2] == (run, setting) for key in self.pairs)


class Row(NamedTuple):
    """One method of one run on a data set, or on the average over several.

    Attributes:
        label: the method, with the run's letter where there are several.
        main: whether it is its run's first method.
        images: how many were scored.
        scores: by definition of the scores and column, percent; of an average the protocol's mIoU alone.
        interval: of mIoU.
        differences: to rows that were counted alike.
        published: by column; empty where nothing is published.
        comparable: whether a difference from the published scores means anything.
        remarks: what differs from the published conditions.
    """

    label: str
    main: bool
    images: str
    scores: Mapping[str, Mapping[str, float | None]]
    interval: Sequence[float] | None
    differences: Sequence[Paired]
    published: Mapping[str, float | None]
    comparable: bool
    remarks: Sequence[str]


@dataclass(frozen=True)
class Group:
    """Rows of equal data.

    Attributes:
        title: the data set.
        definition: the protocol's.
        rows: at least one.
    """

    title: str
    definition: str
    rows: Sequence[Row]

    def best(self, definition: str, column: str) -> float | None:
        """The highest score of a column; None where fewer than two rows have one."""
        return best_of([[row.scores.get(definition, {}).get(column)] for row in self.rows])[0]

    def tied(self, row: Row) -> bool:
        """Whether intervals do not tell a row's mIoU from the best.

        That of the paired difference decides where it is known, else whether both rows' own intervals overlap.
        """
        best = self.best(self.definition, "mIoU")
        own = row.scores[self.definition].get("mIoU")
        if best is None or own is None or round(own, 2) == best:
            return False
        leads = [other for other in self.rows if round(other.scores[self.definition].get("mIoU") or -1, 2) == best]
        return any(_tied(row, lead) for lead in leads)


def _tied(row: Row, lead: Row) -> bool:
    known = [one for one in row.differences if one.to == lead.label]
    known += [one for one in lead.differences if one.to == row.label]
    if known:
        return any(one.interval[0] <= 0 <= one.interval[1] for one in known)
    if row.interval is None or lead.interval is None:
        return False
    return row.interval[1] >= lead.interval[0] and lead.interval[1] >= row.interval[0]


@dataclass(frozen=True)
class Figures:
    """All rows under one protocol: figures of two protocols never share a column.

    Attributes:
        protocol: its label.
        definition: the protocol's definition of the scores.
        stand_in: whether the embedded model stands in for CLIP.
        groups: by data set, averages last.
    """

    protocol: str
    definition: str
    stand_in: bool
    groups: Sequence[Group]

    @property
    def rows(self) -> list[Row]:
        """The rows of all groups."""
        return [row for group in self.groups for row in group.rows]

    @property
    def definitions(self) -> dict[str, list[str]]:
        """Definitions whose mIoU is shown, the protocol's first, each with those that are equal in every row."""
        shown: dict[str, list[str]] = {self.definition: []}
        for name in DEFINITIONS:
            if name == self.definition:
                continue
            same = next((one for one in shown if all(_equal(row, one, name) for row in self.rows)), None)
            shown.setdefault(name, []) if same is None else shown[same].append(name)
        return shown

    @property
    def published(self) -> list[str]:
        """Columns of which something is published."""
        return [column for column in COLUMNS if any(row.published.get(column) is not None for row in self.rows)]


def _equal(row: Row, one: str, other: str) -> bool:
    if other not in row.scores:  # an average
        return True
    return row.scores[one].get("mIoU") == row.scores[other].get("mIoU")


def letter(number: int) -> str:
    """A, B, ..., Z, AA, AB.

    >>> letter(0), letter(27)
    ('A', 'AB')
    """
    first, last = divmod(number, 26)
    return (letter(first - 1) if first else "") + chr(ord("A") + last)


def labelled(runs: Sequence[LoadedRun], number: int, method: str) -> str:
    """A method's name, with the run's letter where there are several."""
    return method if len(runs) == 1 else f"{letter(number)} {method}"


def figures(runs: Sequence[LoadedRun], beside: Beside) -> list[Figures]:
    """A table of figures for each protocol.

    Args:
        runs: at least one.
        beside: what pairs those after the first with it.
    """
    found: dict[tuple[str, str, str], dict[tuple[Any, ...], list[Row]]] = {}
    averages: dict[tuple[str, str, str], dict[tuple[Any, ...], list[Row]]] = {}
    stand_ins: dict[tuple[str, str, str], bool] = {}
    for number, run in enumerate(runs):
        for setting, method, result in run.rows:
            key = result["protocol"], result["protocol_hash"], result["definition"]
            stand_ins[key] = stand_ins.get(key, False) or Comparison(run.document).stand_in
            apart = 0 if beside.paired(number, setting) else number
            same = setting, result["edition"], result["vocabulary_hash"], result["images"], apart
            found.setdefault(key, {}).setdefault(same, []).append(_row(runs, number, setting, method, result, beside))
        first = next(iter(run.document["settings"].values()))
        key = first["protocol"], first["protocol_hash"], first["definition"]
        for method, part in run.document["methods"].items():
            if part["average"] is not None:
                apart = 0 if beside.paired(number, AVERAGE) else number
                same = (*run.document["settings"], apart)
                row = _average(runs, number, method, part["average"], key[2], beside)
                averages.setdefault(key, {}).setdefault(same, []).append(row)
    return [
        Figures(key[0], key[2], stand_ins[key], [*_groups(groups, key[2]), *_means(averages.get(key, {}), key[2])])
        for key, groups in found.items()
    ]


def _groups(groups: Mapping[tuple[Any, ...], Sequence[Row]], definition: str) -> Iterator[Group]:
    named = [key[:2] for key in groups]
    for (setting, edition, _, _, apart), rows in groups.items():
        title = f"{setting} ({edition})" if edition else setting
        if named.count((setting, edition)) > 1:
            title += f", {letter(apart)}" if apart else ""
        yield Group(title, definition, rows)


def _means(groups: Mapping[tuple[Any, ...], Sequence[Row]], definition: str) -> Iterator[Group]:
    for (*settings, _), rows in groups.items():
        yield Group(f"average of {len(settings)}", definition, rows)


def _row(
    runs: Sequence[LoadedRun], number: int, setting: str, method: str, result: Mapping[str, Any], beside: Beside
) -> Row:
    expected = result["images_expected"] or ()
    images = images_text(result["images"], result["images_available"], expected, bool(result["cut"]))
    published = result["published"] or {}
    intervals = result["intervals"] or {}
    return Row(
        labelled(runs, number, method),
        method == next(iter(runs[number].document["methods"])),
        images,
        result["scores"],
        intervals.get("mIoU"),
        _differences(runs, number, setting, method, intervals, beside),
        published,
        bool(published) and not result["remarks"],
        result["remarks"],
    )


def _average(
    runs: Sequence[LoadedRun], number: int, method: str, average: Mapping[str, Any], definition: str, beside: Beside
) -> Row:
    intervals = average["intervals"] or {}
    return Row(
        labelled(runs, number, method),
        method == next(iter(runs[number].document["methods"])),
        "",
        {definition: {"mIoU": average["mIoU"]}},
        intervals.get("mIoU"),
        _differences(runs, number, AVERAGE, method, intervals, beside),
        {},
        False,
        (),
    )


def _differences(
    runs: Sequence[LoadedRun], number: int, setting: str, method: str, intervals: Mapping[str, Any], beside: Beside
) -> list[Paired]:
    """To rows of the first run, or within a run that is not paired with it to its own first method."""
    if number and beside.paired(number, setting):
        return list(beside.pairs.get((number, setting, method), ()))
    own = intervals.get("difference_to_first") or {}
    if own.get("mIoU") is None or own.get("interval") is None:
        return []
    first = labelled(runs, number, next(iter(runs[number].document["methods"])))
    return [Paired(own["mIoU"], own["interval"], first)]
