"""Boundary IoU beside mIoU: how well masks agree near their borders.

Source: Cheng et al., *Boundary IoU: Improving Object-Centric Image Segmentation Evaluation*, CVPR 2021, equation 2 and
released code; here summed over the pictures of a data set for each class, and averaged over classes as mIoU is.
"""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evaluation.study_table import Column, StudyTable, Value
from cliptrase.methods import Method
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import PreparedStudy, Seen, Studied
from cliptrase.studies.oracles import band_width, boundary_labels

_COLUMNS = (
    Column("setting"),
    Column("method"),
    Column("mIoU", "score"),
    Column("BIoU", "score"),
    Column("95 % interval", "interval"),
    Column("diff.", "points"),
    Column("95 % interval", "difference_interval"),
)
_NOTE = (
    "BIoU: Boundary IoU (Cheng et al., CVPR 2021), IoU of the bands inside each mask's border, 0.02 of the diagonal "
    "wide, mean over classes as mIoU's; diff.: to the first method."
)


class BoundaryIoU:
    """`--explain`: IoU of the bands of truth and prediction.

    What lies in no band has a label of its own, which is no class.
    """

    name = "boundary"
    remakes_regions = False
    identity = "Boundary IoU, 0.02 of the diagonal; 1"

    def variants(self, setting: Setting, methods: Sequence[Method]) -> list[str]:
        """One a method."""
        return [method.name for method in methods]

    def num_labels(self, setting: Setting) -> int:
        """Those of the vocabulary, and one for what lies in no band."""
        return setting.vocabulary.num_labels + 1

    def prepare(self, segmenter: Segmenter, setting: Setting, progress: bool) -> "PreparedBoundary":
        """Nothing is encoded."""
        return PreparedBoundary(setting.vocabulary.num_labels)

    def tables(self, studied: Studied) -> list[StudyTable]:
        """A line for each data set and method."""
        return [StudyTable("mIoU and Boundary IoU, percent", _COLUMNS, list(_rows(studied)), [_NOTE])]


class PreparedBoundary(PreparedStudy):
    """Bands of one data set.

    Args:
        num_labels: of the vocabulary.
    """

    def __init__(self, num_labels: int) -> None:
        self.num_labels = num_labels

    def label_maps(self, seen: Seen) -> Mapping[str, Tensor]:
        """The bands of each method's label maps."""
        # Where the truth is not scored nothing is counted, but a label must be one.
        return {method: self._bands(maps, seen).clamp_min(0) for method, maps in seen.predictions.items()}

    def truth(self, seen: Seen) -> Tensor:
        """The bands of the truth."""
        return self._bands(seen.labels, seen)

    def _bands(self, labels: Tensor, seen: Seen) -> Tensor:
        return boundary_labels(labels, seen.labels, self.num_labels, band_width(*labels.shape[1:]))


def _rows(studied: Studied) -> Iterator[list[Value]]:
    methods = [method.name for method in studied.methods]
    for setting in studied.settings:
        own = studied.estimates([studied.own[setting.name][method] for method in methods])
        bands = [studied.counts[setting.name][method] for method in methods]
        found = studied.estimates(bands, setting.vocabulary.num_labels)
        for method, whole, band in zip(methods, own, found, strict=True):
            yield [
                setting.name,
                method,
                whole.mIoU,
                band.mIoU,
                band.interval,
                band.difference,
                band.difference_interval,
            ]
