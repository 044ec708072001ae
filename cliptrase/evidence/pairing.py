"""Runs of different places beside one another: paired differences where both counted the same, else why not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from cliptrase.common.errors import InputError, counted
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.intervals import Difference, Interval
from cliptrase.evaluation.records import SettingResult
from cliptrase.evaluation.scoreboard import Scoreboard
from cliptrase.evidence.findings import dotted, unequal
from cliptrase.evidence.told import told_conditions
from cliptrase.evidence.verification import Verification
from cliptrase.metrics import rounded
from cliptrase.runs.identity import differences

AVERAGE = "average"  # in place of a data set
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_RUNS = len(_LETTERS)


class Scored(NamedTuple):
    """One method of one run, on a data set or on the average over several.

    Attributes:
        run: letter of the run.
        method: name.
        mIoU: percent by the protocol's definition; None where nothing was scored.
        interval: its own.
    """

    run: str
    method: str
    mIoU: float | None  # noqa: N815 (the name in results.json)
    interval: Sequence[float] | None


class Pair(NamedTuple):
    """Two methods that were counted on equal data.

    Attributes:
        setting: the data set, or `AVERAGE`.
        one: of the first run.
        other: of another run.
        difference: other less one, in points, with its interval.
        equal: pictures on which the counts of both are equal.
        pictures: how many there are; both None for the average.
    """

    setting: str
    one: Scored
    other: Scored
    difference: Difference
    equal: int | None
    pictures: int | None

    @property
    def same_method(self) -> bool:
        """Whether the pair asks if a method reproduces."""
        return self.one.method == self.other.method


class Unpaired(NamedTuple):
    """A data set that two runs have not counted alike.

    Attributes:
        setting: its name.
        run: letter of the other run.
        reason: why, in words.
    """

    setting: str
    run: str
    reason: str

    @property
    def sentence(self) -> str:
        """`A and B are not paired on VOC20: ...`."""
        return f"A and {self.run} are not paired on {self.setting}: {self.reason}"


@dataclass(frozen=True)
class Pairing:
    """Several runs, the first beside each other one.

    Attributes:
        runs: as they were verified.
        pairs: data sets in the first run's order, averages last.
        unpaired: data sets of both of two runs, and why they do not compare.
        scores: by data set what each run says of each of its methods.
    """

    runs: Sequence[Verification]
    pairs: Sequence[Pair]
    unpaired: Sequence[Unpaired]
    scores: Mapping[str, Sequence[Scored]]

    @property
    def origins(self) -> list[str]:
        """Which run each letter stands for, and what made it."""
        return [f"{letter}: {_origin(run)}" for letter, run in zip(_LETTERS, self.runs, strict=False)]

    @property
    def differing(self) -> dict[str, list[str]]:
        """By letter of another run, what of all that decides a figure is not as in the first run."""
        first, *others = (run.document["provenance"].get("identity") for run in self.runs)
        return {letter: differences(first, other) for letter, other in zip(_LETTERS[1:], others, strict=False)}

    def record(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "differing": self.differing,
            "runs": [
                {"letter": letter, "name": run.name, **_made(run)}
                for letter, run in zip(_LETTERS, self.runs, strict=False)
            ],
            "pairs": [
                {
                    "setting": pair.setting,
                    "one": pair.one._asdict(),
                    "other": pair.other._asdict(),
                    "difference": rounded(pair.difference.value),
                    "interval": [rounded(bound) for bound in pair.difference.interval],
                    "equal_pictures": pair.equal,
                    "pictures": pair.pictures,
                }
                for pair in self.pairs
            ],
            "unpaired": [one._asdict() for one in self.unpaired],
            "scores": {name: [one._asdict() for one in scored] for name, scored in self.scores.items()},
        }


def pair_runs(runs: Sequence[Verification]) -> Pairing:
    """Pairs the first run with each other one, from their counts by picture.

    A method of another run is paired with the same method of the first run, where that has it, and with the first run's
    main method.

    Args:
        runs: at least two.

    Raises:
        InputError: a run does not hold together: no figure of it can be believed. What another version may say
            otherwise, published figures and remarks, does not count.
    """
    for run in runs:
        if doubts := [finding for finding in run.findings if not finding.of_version]:
            raise InputError(f"{run.verdict} ({doubts[0].sentence}); `verify` names all")
    first, *others = runs
    pairs: list[Pair] = []
    unpaired = []
    for letter, other in zip(_LETTERS[1:], others, strict=False):
        alike = []
        for name in first.counts:
            if name in other.counts:
                if reason := _reason(first, other, name):
                    unpaired.append(Unpaired(name, letter, reason))
                else:
                    alike.append(name)
        pairs += _pairs(first, other, letter, alike)
    names = dict.fromkeys(name for run in runs for name in run.counts)
    scores = {
        name: [
            _told(letter, method, part["settings"][name])
            for letter, run in zip(_LETTERS, runs, strict=False)
            if name in run.counts
            for method, part in run.document["methods"].items()
        ]
        for name in names
    }
    return Pairing(runs, pairs, unpaired, scores)


def _reason(first: Verification, other: Verification, name: str) -> str:
    """Why two runs' figures of a data set do not compare; empty where they do."""
    mine, theirs = (run.document["settings"][name] for run in (first, other))
    if mine["protocol_hash"] != theirs["protocol_hash"]:
        assert first.protocol is not None  # of runs that are verified
        assert other.protocol is not None
        fields = [dotted(one.place) for one in unequal(first.protocol.values(), other.protocol.values())]
        return f"protocols {mine['protocol']} and {theirs['protocol']} differ in {', '.join(fields)}"
    if mine["vocabulary_hash"] != theirs["vocabulary_hash"]:
        return f"the names differ, their digests are {mine['vocabulary_hash']} and {theirs['vocabulary_hash']}"
    if mine["edition"] != theirs["edition"]:
        return f"the labels are of two editions, {mine['edition'] or 'unknown'} and {theirs['edition'] or 'unknown'}"
    one, another = (next(iter(run.counts[name].values())) for run in (first, other))
    if one.stems != another.stems:
        both = len(set(one.stems) & set(another.stems))
        return f"the pictures differ, {len(one.stems)} and {len(another.stems)} of which {both} are in both"
    differs = (one.pictures[:, 1] != another.pictures[:, 1]).any(1)
    if bool(differs.any()):
        example = one.stems[int(differs.int().argmax())]
        return (
            f"the ground truth differs on {int(differs.sum())} of {counted(len(one.stems), 'picture')}, "
            f"{example} is the first"
        )
    if int((one.pictures[:, 1].sum(1) > 0).sum()) < 2:
        return "fewer than two pictures have something to score, which tell nothing of how pictures differ"
    return ""


def _pairs(first: Verification, other: Verification, letter: str, names: Sequence[str]) -> Iterator[Pair]:
    """All pairs of two runs on data sets that both counted alike, and on their average."""
    mine, theirs = list(first.document["methods"]), list(other.document["methods"])
    asked = [(method, [method]) for method in theirs if method in mine]
    asked.append((mine[0], [method for method in theirs if method != mine[0]]))
    found = [
        pair for one, others in asked if others and names for pair in _beside(first, other, letter, names, one, others)
    ]
    for name in [*names, AVERAGE]:
        yield from (pair for pair in found if pair.setting == name)


def _beside(
    first: Verification, other: Verification, letter: str, names: Sequence[str], method: str, others: Sequence[str]
) -> Iterator[Pair]:
    """Methods of another run beside one of the first run."""
    assert first.protocol is not None  # of a run that is verified
    columns = [f"A {method}", *(f"{letter} {name}" for name in others)]
    board = Scoreboard(columns, first.protocol)
    for name in names:
        counts = [first.counts[name][method], *(other.counts[name][one] for one in others)]
        board.add(name, dict(zip(columns, counts, strict=True)))
    told = {name: result for name, result in first.document["settings"].items() if name in names}
    settings = [setting for setting in first.settings if setting.name in names]
    results = board.results(settings, told_conditions(told, first.document["provenance"]))
    averages = board.averages(results)
    for column, own in zip(columns[1:], others, strict=True):
        for place, name in enumerate(names):
            of_first, of_other = results[columns[0]][place], results[column][place]
            if of_other.estimate and of_other.estimate.difference:
                mine, theirs = first.counts[name][method], other.counts[name][own]
                yield Pair(
                    name,
                    _scored("A", method, of_first),
                    _scored(letter, own, of_other),
                    of_other.estimate.difference,
                    _equal(mine, theirs),
                    mine.images,
                )
        one, another = averages[columns[0]], averages[column]
        if one and another and one.estimate and another.estimate and another.estimate.difference:
            yield Pair(
                AVERAGE,
                Scored("A", method, rounded(one.mIoU), _bounds(one.estimate.interval)),
                Scored(letter, own, rounded(another.mIoU), _bounds(another.estimate.interval)),
                another.estimate.difference,
                None,
                None,
            )


def _equal(one: Counts, other: Counts) -> int:
    """Pictures on which all counts are equal."""
    return int(torch.eq(one.pictures, other.pictures).flatten(1).all(1).sum())


def _scored(letter: str, method: str, result: SettingResult) -> Scored:
    interval = _bounds(result.estimate.interval) if result.estimate else None
    return Scored(letter, method, rounded(result.headline.mIoU), interval)


def _bounds(interval: Interval) -> list[float]:
    return [round(bound, 2) for bound in interval]


def _told(letter: str, method: str, result: Mapping[str, Any]) -> Scored:
    interval = (result["intervals"] or {}).get("mIoU")
    return Scored(letter, method, result["scores"][result["definition"]]["mIoU"], interval)


def _made(run: Verification) -> dict[str, Any]:
    """What made a run, as far as it decides figures."""
    model = run.document["provenance"]["model"]
    protocol = run.document["provenance"]["protocol"]
    return {
        "clip": model["clip"],
        "pretrained": model["pretrained"],
        "weights_hash": model.get("weights_hash"),
        "protocol": protocol["label"],
        "protocol_hash": protocol["hash"],
        "commit": run.document["provenance"].get("commit"),
        "date": run.document["provenance"].get("date"),
    }


def _origin(run: Verification) -> str:
    made = _made(run)
    model = " ".join(filter(None, (made["clip"], made["pretrained"])))
    return f"{run.name}, {model} (weights {made['weights_hash']}), protocol {made['protocol']}"
