"""Records of what a run scores: one method on one data set, and a method's mean over several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from cliptrase.evaluation.conditions import Extent, images_text
from cliptrase.evaluation.intervals import Estimate, Rarity
from cliptrase.metrics import ClassScores, Scores, class_scores, margins, scores
from cliptrase.protocols.definitions import DEFINITIONS


class ResultKey(NamedTuple):
    """What stands beside every score: scores compare only where all of it is equal."""

    protocol: str  # label
    protocol_hash: str
    vocabulary_hash: str
    edition: str = ""  # of the labels; empty where only one is in use, or where it is not known


class Sample(NamedTuple):
    """The images that a score is of."""

    expected: Sequence[int] = ()  # images of the published set, several where lists differ
    extent: Extent | None = None  # None: all images were looked at
    rarity: Rarity | None = None  # None where it is not known


ALL_IMAGES = Sample()


@dataclass(frozen=True)
class SettingResult:
    """Scores of one method on one data set.

    Attributes:
        name: the data set's.
        key: protocol, vocabulary and edition of the labels.
        label_names: a name for each label.
        images: images scored.
        definition: name of the protocol's definition of scores; tables show it.
        scores: percentages by every definition of `DEFINITIONS`, the protocol's first.
        classes: per class by every definition.
        pixels: (C,) int64 ground-truth pixels of each class.
        estimate: intervals of mIoU by the protocol's definition; None for fewer than two images.
        published: scores of the method's authors under this very protocol, NaN where they give none.
        published_source: where those were read, if not in the paper that the data set's specification names.
        sample: which images the scores are of.
        remarks: what differs from the conditions of published scores; see `conditions.Conditions`.
        figure: the figure of a benchmark that it is, or is a part of; empty without such a benchmark.
    """

    name: str
    key: ResultKey
    label_names: Sequence[str]
    images: int
    definition: str
    scores: Mapping[str, Scores[float]]
    classes: Mapping[str, ClassScores]
    pixels: Tensor
    estimate: Estimate | None
    published: Scores[float] | None
    published_source: str
    sample: Sample = ALL_IMAGES
    remarks: Sequence[str] = ()
    figure: str = ""

    @classmethod
    def from_confusion(
        cls,
        name: str,
        key: ResultKey,
        label_names: Sequence[str],
        confusion: Tensor,
        images: int,
        published: Sequence[float] | None = None,
        definition: str = "released",
        estimate: Estimate | None = None,
        published_source: str = "",
        sample: Sample = ALL_IMAGES,
        remarks: Sequence[str] = (),
        figure: str = "",
    ) -> "SettingResult":
        """Scores of a (C, C) int64 confusion matrix, rows being ground truth."""
        counts = margins(confusion)
        names = dict.fromkeys([definition, *DEFINITIONS])
        return cls(
            name,
            key,
            label_names,
            images,
            definition,
            {each: scores(*counts, each).floats() for each in names},
            {each: class_scores(*counts, each) for each in names},
            counts[1],
            estimate,
            Scores(*published) if published is not None else None,
            published_source,
            sample,
            remarks,
            figure,
        )

    @property
    def comparable(self) -> bool:
        """Whether a difference to the published scores means anything."""
        return self.published is not None and not self.remarks

    @property
    def extent(self) -> Extent:
        """How much of the data set was looked at."""
        return self.sample.extent or Extent(self.images)

    @property
    def images_text(self) -> str:
        """Number of images scored, and of how many where that is not all."""
        return images_text(self.images, self.extent.pictures, self.sample.expected, bool(self.extent.cut))

    @property
    def headline(self) -> Scores[float]:
        """Scores by the protocol's definition."""
        return self.scores[self.definition]

    @property
    def headline_classes(self) -> ClassScores:
        """Per class by the protocol's definition."""
        return self.classes[self.definition]

    @property
    def lines(self) -> list[tuple[str, Scores[float]]]:
        """Scores by definition, the protocol's first, and the published ones last."""
        return [*self.scores.items(), *([("published", self.published)] if self.published else [])]


class Average(NamedTuple):
    """Mean mIoU of one method over several data sets, by the protocol's definition; parts of a figure count as one."""

    settings: list[str]
    mIoU: float  # noqa: N815 (the name in results.json)
    estimate: Estimate | None  # None where a data set has fewer than two images
