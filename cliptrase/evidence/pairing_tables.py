"""Pairs of runs on a terminal, and as CSV."""

from collections.abc import Iterator, Sequence

from cliptrase.common.sheets import Cell, Column, Sheet
from cliptrase.common.tables import csv_text
from cliptrase.evaluation.formatting import INTERVAL, format_interval, format_score
from cliptrase.evidence.pairing import Pair, Pairing

_WORDS = ("data set", "method", "run")


def pairing_sheets(pairing: Pairing) -> Iterator[Sheet]:
    """Same methods of both runs, methods beside the first run's main one, and what could not be paired."""
    main = next(iter(pairing.runs[0].document["methods"]))
    same = [pair for pair in pairing.pairs if pair.same_method]
    others = [pair for pair in pairing.pairs if not pair.same_method]
    if same:
        heads = ["data set", "method", "A", "run", "mIoU", "difference", INTERVAL, "equal\npictures"]
        yield _sheet("The same method in both runs: mIoU, percent", heads, [_same(pair) for pair in same])
    if others:
        heads = ["data set", "run", "method", "mIoU", "difference", INTERVAL]
        yield _sheet(f"Beside {main} of A: mIoU, percent", heads, [_other(pair) for pair in others])
    if left := list(dict.fromkeys(one.setting for one in pairing.unpaired)):
        rows = [
            [name, one.run, one.method, format_score(one.mIoU), format_interval(one.interval) if one.interval else ""]
            for name in left
            for one in pairing.scores[name]
        ]
        yield _sheet("Not paired: mIoU, percent", ["data set", "run", "method", "mIoU", INTERVAL], rows)


def pairing_csv(pairing: Pairing) -> str:
    """A line for each pair, and one for each data set that is not paired, with its reason."""
    heads = ["setting", "run", "method", "mIoU", "low", "high", "other_run", "other_method", "other_mIoU"]
    heads += ["other_low", "other_high", "difference", "difference_low", "difference_high"]
    lines: list[list[str | float | None]] = [[*heads, "equal_pictures", "pictures", "reason"]]
    for pair in pairing.pairs:
        line: list[str | float | None] = [pair.setting]
        for one in (pair.one, pair.other):
            line += [one.run, one.method, one.mIoU, *(one.interval or (None, None))]
        line += [round(pair.difference.value, 2), *(round(bound, 2) for bound in pair.difference.interval)]
        lines.append([*line, pair.equal, pair.pictures, None])
    lines += [[left.setting, "A", *[None] * 4, left.run, *[None] * 9, left.reason] for left in pairing.unpaired]
    return csv_text(lines)


def _same(pair: Pair) -> list[str]:
    equal = "" if pair.equal is None else f"{pair.equal} of {pair.pictures}"
    return [
        pair.setting,
        pair.one.method,
        format_score(pair.one.mIoU),
        pair.other.run,
        format_score(pair.other.mIoU),
        *_difference(pair),
        equal,
    ]


def _other(pair: Pair) -> list[str]:
    return [pair.setting, pair.other.run, pair.other.method, format_score(pair.other.mIoU), *_difference(pair)]


def _difference(pair: Pair) -> list[str]:
    return [f"{pair.difference.value:+.2f}", format_interval(pair.difference.interval, signed=True)]


def _sheet(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Sheet:
    columns = [
        Column(head, "key" if head in _WORDS else "interval" if head == INTERVAL else "number") for head in heads
    ]
    return Sheet(title, columns, [[*map(Cell, row)] for row in rows])
