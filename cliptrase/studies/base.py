"""What a study is: variants of a run's label maps, counted picture by picture as the run's own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.intervals import Estimate, estimates, influences
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evaluation.study_table import StudyTable
from cliptrase.inference.batches import Encoded
from cliptrase.methods import Method
from cliptrase.metrics import scores
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.segmenter import Segmenter


@dataclass(frozen=True)
class Seen:
    """A batch of images of one size as the run saw it.

    Attributes:
        encoded: features and regions, ready for any names.
        classifier: of the run's own names.
        predictions: by method (B, H, W) int64 label maps with those names.
        labels: (B, H, W) int64 truth, outside [0, num_labels) where not scored.
    """

    encoded: Encoded
    classifier: TextClassifier
    predictions: Mapping[str, Tensor]
    labels: Tensor


class PreparedStudy(Protocol):
    """A study of one data set, with all that it needs of the model."""

    def label_maps(self, seen: Seen) -> Mapping[str, Tensor]:
        """By variant (B, H, W) int64 label maps in [0, num_labels)."""

    def truth(self, seen: Seen) -> Tensor:
        """(B, H, W) int64 what the variants are compared with, outside [0, num_labels) where not scored."""
        return seen.labels


class Study(Protocol):
    """A study; it is stateless, and what it counts is kept by the run.

    Counts are brought together over processes and taken up again by `--resume` as the run's own are.
    """

    remakes_regions: bool
    """Whether it clusters again; see `Segmenter.encode`."""

    @property
    def name(self) -> str:
        """What options, files and `results.json` call it."""

    @property
    def identity(self) -> str:
        """Everything that decides its figures besides the run's own identity, in words."""

    def variants(self, setting: Setting, methods: Sequence[Method]) -> Sequence[str]:
        """Names of the variants of a data set."""

    def num_labels(self, setting: Setting) -> int:
        """Labels of the variants' maps: those of the vocabulary, and perhaps more that the truth never holds."""

    def prepare(self, segmenter: Segmenter, setting: Setting, progress: bool) -> PreparedStudy:
        """Encodes names and the like, once before the first image; see `Segmenter.classifier` for `progress`."""

    def tables(self, studied: "Studied") -> Sequence[StudyTable]:
        """What it finds."""


@dataclass(frozen=True)
class Studied:
    """What a study counted so far.

    Attributes:
        protocol: of the run.
        methods: of the run, the main one first.
        settings: finished data sets, in the run's order.
        counts: by data set and variant.
        own: by data set and method the run's own counts.
    """

    protocol: EvaluationProtocol
    methods: Sequence[Method]
    settings: Sequence[Setting]
    counts: Mapping[str, Mapping[str, Counts]]
    own: Mapping[str, Mapping[str, Counts]]

    @classmethod
    def of(
        cls,
        protocol: EvaluationProtocol,
        methods: Sequence[Method],
        settings: Sequence[Setting],
        counts: Mapping[str, Mapping[str, Counts]],
        own: Mapping[str, Mapping[str, Counts]],
    ) -> "Studied":
        """The same of those data sets in which something was scored: of the others a study finds nothing."""
        scored = [setting for setting in settings if any(one.images for one in own[setting.name].values())]
        return cls(protocol, methods, scored, counts, own)

    def estimates(self, counts: Sequence[Counts], labels: int | None = None) -> list["Figure"]:
        """MIoU of several counts of the same pictures, with intervals and differences to the first of them.

        Args:
            counts: at least one.
            labels: how many of the counts' labels are classes; the rest takes pixels from them and is no class.
        """
        pictures = torch.stack([each.pictures[..., :labels] for each in counts])
        return figures(pictures, counts[0].stems, self.protocol.scoring)


@dataclass(frozen=True)
class Figure:
    """mIoU in percent.

    Attributes:
        mIoU: by the protocol's definition.
        estimate: None for fewer than two pictures.
        above: how much higher it is than the first of the figures that were estimated together, in points; None for it.
    """

    mIoU: float  # noqa: N815 (the name in results.json)
    estimate: Estimate | None
    above: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of the mIoU."""
        return self.estimate.interval if self.estimate else None

    @property
    def difference(self) -> float | None:
        """To the first of the figures that were estimated together, in points; of a single picture without interval."""
        return self.estimate.difference.value if self.estimate and self.estimate.difference else self.above

    @property
    def difference_interval(self) -> tuple[float, float] | None:
        """Of the difference."""
        return self.estimate.difference.interval if self.estimate and self.estimate.difference else None


def figures(pictures: Tensor, stems: Sequence[str], definition: str) -> list[Figure]:
    """MIoU of several counts of the same pictures, with intervals and differences to the first of them.

    Args:
        pictures: (M, P, 3, C) integer hits, truth and predicted pixels.
        stems: names of the P pictures.
        definition: name of the mIoU's definition.
    """
    found = influences(pictures, stems, definition)
    intervals: Sequence[Estimate | None] = estimates(found) if found else [None] * len(pictures)
    hits, truth, predicted = pictures.double().sum(1).unbind(1)
    values = scores(hits, truth, predicted, definition).mIoU.tolist()
    above = [None, *(value - values[0] for value in values[1:])]
    return [Figure(*figure) for figure in zip(values, intervals, above, strict=True)]


def variant(method: str, name: str) -> str:
    """The name of a method's variant, as files have it."""
    return f"{method} | {name}"


def by_method(studied: Studied) -> Iterator[tuple[Setting, str]]:
    """Every finished data set under every method."""
    for setting in studied.settings:
        for method in studied.methods:
            yield setting, method.name


def present_labels(seen: Seen) -> Tensor:
    """(B, num_labels) bool labels that the truth of each picture holds."""
    number = seen.classifier.num_labels
    scored = (seen.labels >= 0) & (seen.labels < number)
    image = torch.arange(len(seen.labels), device=seen.labels.device).view(-1, 1, 1)
    found = torch.zeros(len(seen.labels), number + 1, dtype=torch.bool, device=seen.labels.device)
    found[image, seen.labels.where(scored, number)] = True
    return found[:, :number]
