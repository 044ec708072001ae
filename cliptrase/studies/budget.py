"""The error budget of a run: which part of the lost IoU has which cause.

Each step puts one cause right in the label maps that the step before left, so that the parts add up to what is lost.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evaluation.study_table import Column, StudyTable
from cliptrase.methods import Method
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import Seen, Studied, by_method, variant

PRESENT = "only names that are there"
_COLUMNS = (
    Column("setting"),
    Column("method"),
    Column("put right"),
    Column("mIoU", "score"),
    Column("gained", "points"),
    Column("95 % interval", "difference_interval"),
)


class ErrorBudget:
    """`--explain`: mIoU after each cause of errors is put right, one after the other."""

    name = "explain"
    remakes_regions = False
    identity = "error budget: names"

    def variants(self, setting: Setting, methods: Sequence[Method]) -> list[str]:
        """One a method and step."""
        return [variant(method.name, PRESENT) for method in methods]

    def num_labels(self, setting: Setting) -> int:
        """Those of the vocabulary."""
        return setting.vocabulary.num_labels

    def prepare(self, segmenter: Segmenter, setting: Setting, progress: bool) -> "PreparedBudget":
        """Nothing is encoded."""
        return PreparedBudget(segmenter)

    def tables(self, studied: Studied) -> list[StudyTable]:
        """A line for each data set, method and step."""
        return [StudyTable("where the lost mIoU goes, percent", _COLUMNS, list(_rows(studied)))]


class PreparedBudget:
    """Oracles of one data set.

    Args:
        segmenter: names pixels again.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter

    def label_maps(self, seen: Seen) -> Mapping[str, Tensor]:
        """Label maps after each step."""
        named = self.segmenter.label(seen.encoded, seen.classifier, present_labels(seen))
        return {variant(method, PRESENT): maps for method, maps in named.items()}


def present_labels(seen: Seen) -> Tensor:
    """(B, num_labels) bool labels that the truth of each picture holds."""
    number = seen.classifier.num_labels
    scored = (seen.labels >= 0) & (seen.labels < number)
    image = torch.arange(len(seen.labels), device=seen.labels.device).view(-1, 1, 1)
    found = torch.zeros(len(seen.labels), number + 1, dtype=torch.bool, device=seen.labels.device)
    found[image, seen.labels.where(scored, number)] = True
    return found[:, :number]


def _rows(studied: Studied) -> Iterator[list[str | float | tuple[float, float] | None]]:
    for setting, method in by_method(studied):
        steps = [studied.own[setting.name][method], studied.counts[setting.name][variant(method, PRESENT)]]
        first, present = studied.estimates(steps)
        yield [setting.name, method, "nothing", first.mIoU, None, None]
        yield [setting.name, method, PRESENT, present.mIoU, present.difference, present.difference_interval]
