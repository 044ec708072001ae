"""Tables of what other names do to a run's figures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import scipy.stats

from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.study_table import Column, StudyTable, Value
from cliptrase.metrics import margins
from cliptrase.studies.base import Studied, variant

PRESENT = "only those present"
OWN = "the run's own"
_SYNONYMS = "synonyms "
_HEADS = (Column("setting"), Column("method"), Column("names"))
_FIGURES = (
    Column("mIoU", "score"),
    Column("interval", "interval"),
    Column("difference", "points"),
    Column("its interval", "difference_interval"),
)
_FEWEST = 3  # methods that can be ranked


def added(step: int) -> str:
    """The vocabulary with so many absent names."""
    return f"{step} more"


def lost(step: int) -> str:
    """The run's own label maps without what absent names take."""
    return f"left by {step} more"


class _Counted(NamedTuple):
    """What was counted of one method on one data set."""

    setting: str
    method: str
    own: Counts
    labels: int
    counts: Mapping[str, Counts]

    def under(self, name: str) -> Counts:
        """By the names of a variant."""
        return self.counts[variant(self.method, name)]


def name_tables(
    studied: Studied,
    methods: Sequence[str],
    left_out: Sequence[str],
    vocabularies: Mapping[str, Sequence[str]],
    steps: Mapping[str, Sequence[int]],
    unvaried: Sequence[str],
) -> list[StudyTable]:
    """All tables.

    Args:
        studied: what was counted.
        methods: those that were.
        left_out: those that were not, for their features read the names.
        vocabularies: by data set names of other vocabularies.
        steps: by data set numbers of absent names.
        unvaried: sentences on names that could not be varied.
    """
    counted = [
        _Counted(
            setting.name,
            method,
            studied.own[setting.name][method],
            setting.vocabulary.num_labels,
            studied.counts[setting.name],
        )
        for setting in studied.settings
        for method in methods
    ]
    notes = [*([_left_out(left_out)] if left_out else []), *unvaried]
    tables = [
        StudyTable(
            "other names: mIoU, percent, 95 % intervals",
            (*_HEADS, *_FIGURES),
            _wordings(studied, counted, vocabularies),
            notes,
        )
    ]
    if draws := list(_draws(studied, counted, vocabularies)):
        tables.append(StudyTable("randomly drawn synonyms: mIoU, percent", _DRAWN, draws))
    tables.append(
        StudyTable(
            "names that are not there: mIoU, percent, 95 % intervals",
            (*_HEADS, *_FIGURES, Column("pixels lost", "score")),
            _curve(studied, counted, steps),
            [_ABSENT],
            "curve",
        )
    )
    ranked = _ranks(studied, methods, vocabularies, steps) if len(methods) >= _FEWEST else []
    few = [] if len(methods) >= _FEWEST else [f"Methods are ranked where there are at least {_FEWEST}."]
    tables.append(StudyTable("methods ranked as by the run's own names, Kendall's tau", _RANKED, ranked, few))
    return tables


_DRAWN = (
    *_HEADS[:2],
    Column("draws", "count"),
    Column("mean", "score"),
    Column("lowest", "score"),
    Column("highest", "score"),
)
_RANKED = (_HEADS[0], _HEADS[2], Column("tau", "coefficient"))
_ABSENT = (
    "Pixels lost: share of the scored pixels, percent, that the run's own names get right and that a name takes which "
    "is added or of a class that the picture does not hold."
)


def _left_out(methods: Sequence[str]) -> str:
    names = ", ".join(methods)
    why = f"{names} is left out: its" if len(methods) == 1 else f"{names} are left out: their"
    return f"{why} features depend on the names, so that each vocabulary takes a run (--protocol.vocabulary)."


def _miou(studied: Studied, counts: Counts, labels: int) -> float:
    (figure,) = studied.estimates([counts], labels)
    return figure.mIoU


def _rows(studied: Studied, one: _Counted, names: Sequence[str]) -> Iterator[list[Value]]:
    """The run's own names, then others, each with its difference to the first."""
    figures = studied.estimates([one.own], one.labels)
    for name in names:  # two at a time, for counts of many pictures are large
        figures += studied.estimates([one.own, one.under(name)], one.labels)[1:]
    for name, figure in zip((OWN, *names), figures, strict=True):
        yield [
            *(one.setting, one.method, name, figure.mIoU, figure.interval),
            *(figure.difference, figure.difference_interval),
        ]


def _wordings(
    studied: Studied, counted: Sequence[_Counted], vocabularies: Mapping[str, Sequence[str]]
) -> list[list[Value]]:
    return [row for one in counted for row in _rows(studied, one, vocabularies[one.setting])]


def _draws(
    studied: Studied, counted: Sequence[_Counted], vocabularies: Mapping[str, Sequence[str]]
) -> Iterator[list[Value]]:
    for one in counted:
        names = [name for name in vocabularies[one.setting] if name.startswith(_SYNONYMS)]
        if found := [_miou(studied, one.under(name), one.labels) for name in names]:
            yield [one.setting, one.method, len(found), sum(found) / len(found), min(found), max(found)]


def _curve(studied: Studied, counted: Sequence[_Counted], steps: Mapping[str, Sequence[int]]) -> list[list[Value]]:
    rows = []
    for one in counted:
        of_setting = steps[one.setting]
        own, present, *others = _rows(studied, one, [PRESENT, *map(added, of_setting)])
        rows += [[*present, None], [*own, 0.0]]
        rows += [
            [*row, lost_share(one.own, one.under(lost(step)))] for row, step in zip(others, of_setting, strict=True)
        ]
    return rows


def lost_share(own: Counts, left: Counts) -> float:
    """Share of the scored pixels that are right in the first counts and no more in the second, percent."""
    hits, truth, _ = margins(own.confusion)
    lost_pixels = int(hits.sum()) - int(margins(left.confusion)[0].sum())
    return 100 * lost_pixels / int(truth.sum()) if int(truth.sum()) else math.nan


def _ranks(
    studied: Studied,
    methods: Sequence[str],
    vocabularies: Mapping[str, Sequence[str]],
    steps: Mapping[str, Sequence[int]],
) -> list[list[Value]]:
    rows: list[list[Value]] = []
    for setting in studied.settings:
        labels, counts = setting.vocabulary.num_labels, studied.counts[setting.name]
        own = [_miou(studied, studied.own[setting.name][method], labels) for method in methods]
        for name in [*vocabularies[setting.name], PRESENT, *map(added, steps[setting.name])]:
            other = [_miou(studied, counts[variant(method, name)], labels) for method in methods]
            rows.append([setting.name, name, rank_correlation(own, other)])
    return rows


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau (tau-b, *Biometrika* 33, 1945) of two rankings; NaN where all of one are alike.

    >>> round(rank_correlation([1, 2, 3], [10, 30, 20]), 4)  # two pairs in the same order, one in the other
    0.3333
    """
    return float(scipy.stats.kendalltau(first, second).statistic)
