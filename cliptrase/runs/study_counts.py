"""What the studies of a run count on one data set."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from cliptrase.common.timing import StageTimer, listening, stage
from cliptrase.evaluation.counts import Counts, SegmentationCounts, SoFar
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.methods import Method
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import PreparedStudy, Seen, Study

StudyCounts = Mapping[str, Mapping[str, Counts]]
"""Counts by study and variant."""


class SettingStudies(nn.Module):
    """Counts of every variant of every study on one data set.

    Args:
        studies: of the run.
        setting: the data set.
        methods: of the run.
        stems: names of its images, in order.
    """

    def __init__(
        self, studies: Sequence[Study], setting: Setting, methods: Sequence[Method], stems: Sequence[str]
    ) -> None:
        super().__init__()
        self.studies, self.setting = studies, setting
        self.counts = nn.ModuleDict(
            {
                study.name: SegmentationCounts(study.variants(setting, methods), study.num_labels(setting), stems)
                for study in studies
            }
        )
        self._prepared: list[PreparedStudy] = []

    def prepare(self, segmenter: Segmenter, progress: bool) -> None:
        """Encodes what the studies need, before the first image."""
        self._prepared = [study.prepare(segmenter, self.setting, progress) for study in self.studies]

    def update(self, seen: Seen | None, index: Sequence[int], left_out: Sequence[int]) -> None:
        """Counts a batch.

        Args:
            seen: None where no image of the batch has anything to score.
            index: see `SegmentationCounts.update`.
            left_out: likewise.
        """
        labels = seen.labels if seen else torch.empty(0)
        # Apart from the run's own stages: studies are no part of how fast a method is.
        with stage("studies", labels.device), listening(StageTimer()):
            for study, prepared in zip(self.studies, self._prepared, strict=True):
                maps, truth = (prepared.label_maps(seen), prepared.truth(seen)) if seen else ({}, labels)
                self.counts[study.name].update(maps, truth, index, left_out)  # type: ignore[operator]

    def so_far(self) -> dict[str, SoFar]:
        """By study what this process has counted."""
        return {name: counts.so_far() for name, counts in self.counts.items()}  # type: ignore[operator]

    def go_on(self, earlier: Mapping[str, SoFar]) -> None:
        """Adds what was counted before; see `SegmentationCounts.go_on`."""
        for name, counts in self.counts.items():
            if name in earlier:
                counts.go_on(earlier[name])  # type: ignore[operator]

    def finish(self) -> StudyCounts:
        """Counts over all processes, which must all call this; they are given up here."""
        found = {}
        for name, counts in self.counts.items():
            found[name] = counts.compute()  # type: ignore[operator]
            counts.reset()  # type: ignore[operator]
        return found
