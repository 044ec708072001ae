"""What the parts of methods do: each switched off, how many pixels change and what that costs in mIoU."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evaluation.study_table import Column, StudyTable, Value
from cliptrase.methods import Method
from cliptrase.methods.parts import PartOff, pairs
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import PreparedStudy, Seen, Studied, variant

_COLUMNS = (
    Column("setting"),
    Column("method"),
    Column("without"),
    Column("changed", "score"),
    Column("mIoU", "score"),
    Column("diff.", "points"),
    Column("95 % interval", "difference_interval"),
)
_NOTE = (
    "changed: scored pixels that get another label without the part, percent; mIoU without it, and the difference to "
    "the whole method. Images per second of both stand in the comparison of methods."
)


class Audit:
    """`--audit`: all pairs of the run's methods that differ by one part.

    The methods without a part are methods of the run, with scores and speeds as all others. Counted here is which
    pixels get another label: label 0 stands for the same, 1 for another.
    """

    name = "audit"
    remakes_regions = False
    identity = "audit: pixels that change, by part; 1"

    def variants(self, setting: Setting, methods: Sequence[Method]) -> list[str]:
        """One a pair."""
        return [_variant(pair) for pair in pairs(methods)]

    def num_labels(self, setting: Setting) -> int:
        """The same label, and another."""
        return 2

    def prepare(self, segmenter: Segmenter, setting: Setting, progress: bool) -> "PreparedAudit":
        """Nothing is encoded."""
        return PreparedAudit(list(pairs(segmenter.methods)), setting.vocabulary.num_labels)

    def tables(self, studied: Studied) -> list[StudyTable]:
        """A line for each data set and pair."""
        return [StudyTable("methods without one of their parts", _COLUMNS, list(_rows(studied)), [_NOTE])]


class PreparedAudit(PreparedStudy):
    """Pairs of one data set.

    Args:
        found: the pairs.
        num_labels: of the vocabulary.
    """

    def __init__(self, found: Sequence[PartOff], num_labels: int) -> None:
        self.pairs, self.num_labels = found, num_labels

    def label_maps(self, seen: Seen) -> Mapping[str, Tensor]:
        """Where each pair differs."""
        maps = seen.predictions
        return {_variant(pair): (maps[pair.method] != maps[pair.without]).long() for pair in self.pairs}

    def truth(self, seen: Seen) -> Tensor:
        """0 where the truth is scored."""
        scored = (seen.labels >= 0) & (seen.labels < self.num_labels)
        return torch.where(scored, 0, -1)


def _variant(pair: PartOff) -> str:
    return variant(pair.method, f"without {pair.part}")


def _rows(studied: Studied) -> Iterator[list[Value]]:
    for setting in studied.settings:
        own = studied.own[setting.name]
        for pair in pairs(studied.methods):
            same, changed = studied.counts[setting.name][_variant(pair)].confusion[0].tolist()
            share = 100 * changed / (same + changed) if same + changed else None
            _, without = studied.estimates([own[pair.method], own[pair.without]])
            figures = [without.mIoU, without.difference, without.difference_interval]
            yield [setting.name, pair.method, pair.part, share, *figures]
