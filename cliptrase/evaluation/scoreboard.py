"""What a run has counted so far and what it comes to: scores, intervals, averages."""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from cliptrase.evaluation.conditions import Conditions
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.intervals import Estimate, Influences, estimates, influences, of_average, rarity
from cliptrase.evaluation.published import published_beside
from cliptrase.evaluation.records import Average, ResultKey, Sample, SettingResult
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.vocabulary import Vocabulary


class Setting(Protocol):
    """What a run asks of a data module's settings."""

    @property
    def name(self) -> str: ...  # noqa: D102 (said above)
    @property
    def vocabulary(self) -> Vocabulary: ...  # noqa: D102
    @property
    def class_token_weighting(self) -> bool: ...  # noqa: D102
    @property
    def expected_counts(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]: ...  # noqa: D102


class Scoreboard:
    """Finished settings under every method of a run.

    Args:
        methods: names, the main one first.
        protocol: of the run.

    Attributes:
        counts: by setting and method.
    """

    def __init__(self, methods: Sequence[str], protocol: EvaluationProtocol) -> None:
        self.methods = list(methods)
        self.protocol = protocol
        self.counts: dict[str, Mapping[str, Counts]] = {}
        self._influences: dict[str, Influences | None] = {}
        self._estimates: dict[str, list[Estimate]] = {}

    def add(self, setting: str, counts: Mapping[str, Counts]) -> None:
        """Takes the counts of a finished data set, by method."""
        self.counts[setting] = counts

    def results(self, settings: Sequence[Setting], conditions: Conditions) -> dict[str, list[SettingResult]]:
        """By method the scores of those settings that are finished."""
        finished = [setting for setting in settings if self.counts.get(setting.name)]
        return {
            method: [self._result(setting, method, number, conditions) for setting in finished]
            for number, method in enumerate(self.methods)
        }

    def averages(self, results: Mapping[str, Sequence[SettingResult]]) -> dict[str, Average | None]:
        """By method the mean mIoU over settings, with its interval.

        None for fewer than two settings, or where one has nothing to score.

        Args:
            results: from `results`.
        """
        names = [result.name for result in results[self.methods[0]]]
        known = [influence for name in names if (influence := self._pictures(name))]
        together = estimates(of_average(known)) if len(known) == len(names) > 1 else None
        averages: dict[str, Average | None] = {}
        for number, (method, of_method) in enumerate(results.items()):
            mean = sum(result.headline.mIoU for result in of_method) / max(len(of_method), 1)
            scored = len(of_method) > 1 and not math.isnan(mean)
            averages[method] = Average(names, mean, together[number] if together else None) if scored else None
        return averages

    def _pictures(self, name: str) -> Influences | None:
        """What the intervals of a finished setting are made of, computed once."""
        if name not in self._influences:
            counts = [self.counts[name][method] for method in self.methods]
            pictures = torch.stack([each.pictures for each in counts])  # (M, P, 3, C)
            self._influences[name] = influence = influences(pictures, counts[0].stems, self.protocol.scoring)
            if influence:
                self._estimates[name] = estimates(influence)
        return self._influences[name]

    def _result(self, setting: Setting, method: str, number: int, conditions: Conditions) -> SettingResult:
        label = self.protocol.label
        *published, source, guest = published_beside(self.protocol, method, setting.name) or ("", "")
        counts = self.counts[setting.name][method]
        asked = setting.vocabularies.get(self.protocol.vocabulary, setting.vocabularies.get("released"))
        own_names = asked is None or asked.digest == setting.vocabulary.digest
        expected = setting.expected_counts
        return SettingResult.from_confusion(
            setting.name,
            ResultKey(label, self.protocol.digest, setting.vocabulary.digest),
            setting.vocabulary.label_names,
            counts.confusion,
            counts.images,
            published or None,
            self.protocol.scoring,
            self._estimates[setting.name][number] if self._pictures(setting.name) else None,
            source,
            Sample(expected, conditions.extents.get(setting.name), rarity(counts.pictures)),
            conditions.remarks(setting.name, counts.images, expected, bool(published), own_names, guest),
        )
