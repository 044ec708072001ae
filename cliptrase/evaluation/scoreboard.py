"""What a run has counted so far and what it comes to: scores, intervals, averages."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from cliptrase.evaluation.conditions import Conditions
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.document import results_document
from cliptrase.evaluation.domains import BenchmarkResult, Counted, benchmark_results
from cliptrase.evaluation.intervals import Estimate, Influences, estimates, influences, of_average, rarity
from cliptrase.evaluation.published import published_beside
from cliptrase.evaluation.records import Average, ResultKey, Sample, SettingResult
from cliptrase.evaluation.study_table import StudyTable
from cliptrase.metrics import margins
from cliptrase.protocols.domains import DomainBenchmark
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
    def edition_text(self) -> str: ...  # noqa: D102
    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]: ...  # noqa: D102
    @property
    def benchmark(self) -> DomainBenchmark | None: ...  # noqa: D102
    @property
    def interest(self) -> Sequence[int]: ...  # noqa: D102


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
        self._influences: dict[tuple[str, str], Influences | None] = {}
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

        None for fewer than two settings, or where one has nothing to score. Parts of a benchmark's figure count as one.

        Args:
            results: from `results`.
        """
        names = [result.name for result in results[self.methods[0]]]
        together = self._together(results[self.methods[0]]) if len(names) > 1 else None
        averages: dict[str, Average | None] = {}
        for number, (method, of_method) in enumerate(results.items()):
            figures = [[result.headline.mIoU for result in parts] for parts in _by_figure(of_method)]
            mean = sum(sum(parts) / len(parts) for parts in figures) / max(len(figures), 1)
            scored = len(of_method) > 1 and not math.isnan(mean)
            averages[method] = Average(names, mean, together[number] if together else None) if scored else None
        return averages

    def _together(self, results: Sequence[SettingResult]) -> list[Estimate] | None:
        """Intervals of the mean over figures; None where a data set has none."""
        figures = []
        for parts in _by_figure(results):
            known = [influence for part in parts if (influence := self._pictures(part.name))]
            if len(known) < len(parts):
                return None
            # Data sets that share pictures name them alike, but those of a benchmark of many may have equal names only.
            own = f"{parts[0].figure}/" if parts[0].figure else ""
            whole = of_average(known) if len(known) > 1 else known[0]
            figures.append(whole._replace(stems=[own + stem for stem in whole.stems]))
        return estimates(of_average(figures))

    def benchmarks(self, settings: Sequence[Setting]) -> dict[str, list[BenchmarkResult]]:
        """By method the figures and means of the benchmarks that finished settings are of."""
        counted: dict[str, dict[str, Counted]] = {}
        known: dict[str, DomainBenchmark] = {}
        for setting in settings:
            if setting.benchmark and self.counts.get(setting.name):
                benchmark = known[setting.benchmark.name] = setting.benchmark
                counts = [self.counts[setting.name][method] for method in self.methods]
                pixels = torch.stack([torch.stack(margins(each.confusion)) for each in counts])  # (M, 3, C)
                pictures = self._pictures(setting.name, benchmark.definition)
                counted.setdefault(benchmark.name, {})[setting.name] = Counted(
                    pixels, setting.interest, counts[0].images, pictures
                )
        found = [benchmark_results(known[name], sets) for name, sets in counted.items()]
        return {method: [each[number] for each in found] for number, method in enumerate(self.methods)}

    def document(
        self,
        results: Mapping[str, Sequence[SettingResult]],
        settings: Sequence[Setting],
        provenance: Mapping[str, Any],
        studies: Mapping[str, Sequence[StudyTable]] | None = None,
    ) -> dict[str, Any]:
        """Content of `results.json`.

        Args:
            results: from `results`.
            settings: of the run.
            provenance: how the figures were made.
            studies: by study its tables.
        """
        return results_document(results, self.averages(results), provenance, self.benchmarks(settings), studies)

    def _pictures(self, name: str, definition: str = "") -> Influences | None:
        """What the intervals of a finished setting are made of, computed once; by the protocol's definition."""
        key = name, definition or self.protocol.scoring
        if key not in self._influences:
            counts = [self.counts[name][method] for method in self.methods]
            pictures = torch.stack([each.pictures for each in counts])  # (M, P, 3, C)
            self._influences[key] = influences(pictures, counts[0].stems, key[1])
        return self._influences[key]

    def _intervals(self, name: str) -> list[Estimate] | None:
        """Intervals of a finished setting under every method, computed once."""
        if name not in self._estimates and (influence := self._pictures(name)):
            self._estimates[name] = estimates(influence)
        return self._estimates.get(name)

    def _result(self, setting: Setting, method: str, number: int, conditions: Conditions) -> SettingResult:
        label = self.protocol.label
        *published, source, guest, edition = published_beside(self.protocol, method, setting.name) or ("", "", "")
        counts = self.counts[setting.name][method]
        asked = setting.vocabularies.get(self.protocol.vocabulary, setting.vocabularies.get("released"))
        own_names = asked is None or asked.digest == setting.vocabulary.digest
        expected = setting.expected_counts
        return SettingResult.from_confusion(
            setting.name,
            ResultKey(label, self.protocol.digest, setting.vocabulary.digest, setting.edition_text),
            setting.vocabulary.label_names,
            counts.confusion,
            counts.images,
            published or None,
            self.protocol.scoring,
            known[number] if (known := self._intervals(setting.name)) else None,
            source,
            Sample(expected, conditions.extents.get(setting.name), rarity(counts.pictures)),
            conditions.remarks(
                setting.name,
                counts.images,
                expected,
                bool(published),
                own_names,
                guest,
                (setting.edition_text, edition),
            ),
            setting.benchmark.figure_of(setting.name) if setting.benchmark else "",
        )


def _by_figure(results: Sequence[SettingResult]) -> list[list[SettingResult]]:
    """Results that count as one figure together."""
    figures: dict[str, list[SettingResult]] = {}
    for result in results:
        figures.setdefault(result.figure or result.name, []).append(result)
    return list(figures.values())
