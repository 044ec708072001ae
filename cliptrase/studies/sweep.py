"""Constants that authors chose: swept over the same pass, chosen on one half of the images and scored on the other.

Published thresholds were chosen on the split that they are scored on. Three figures tell what that is worth: with the
authors' constants, with one set of them for all data sets, and with those that are best on half of the images, scored
on the other half, twice, so that every image is scored by constants that it had no say in.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evaluation.study_table import Column, StudyTable, Value
from cliptrase.methods import Method
from cliptrase.metrics import scores
from cliptrase.protocols.protocol import EvaluationProtocol, as_text
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import PreparedStudy, Seen, Studied, by_method, figures, variant

Constants = Mapping[str, Any]

# What authors choose among: the values of the published protocols, and their neighbours.
_LOGIT_SCALES = (40, 50, 65)
_THRESHOLDS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)
_MIN_AREAS = (0.0, 0.1)
_EPS = (0.7, 0.85, 1.0, 1.15, 1.3)  # times the protocol's own, which grows with the grid
_MIN_SAMPLES = (0.5, 1.0, 2.0)  # likewise
_NAMING = ("logit_scale", "background_threshold", "min_area")
_REGIONS = ("eps", "min_samples")
_SHORT = {
    "logit_scale": "scale",
    "background_threshold": "threshold",
    "min_area": "area",
    "eps": "eps",
    "min_samples": "min_samples",
}
_NOTES = (
    "Frozen: the protocol's constants without its values for single data sets.",
    "Chosen on halves: best on every other image, scored on the rest, and the other way round.",
    "Best on what is scored: an upper end that no user can reach, for it looks at the answers.",
)
_COLUMNS = (
    Column("setting"),
    Column("method"),
    Column("constants"),
    Column("mIoU", "score"),
    Column("difference", "points"),
    Column("95 % interval", "difference_interval"),
)
_VALUES = (Column("setting"), Column("method"), Column("chosen on"), Column("constants"))


class Sweep:
    """`--sweep`: mIoU by constants of the protocol that act after the tower.

    Args:
        protocol: of the run.
    """

    name = "sweep"
    remakes_regions = True

    def __init__(self, protocol: EvaluationProtocol) -> None:
        self.protocol = protocol

    @property
    def identity(self) -> str:
        """All values that are tried."""
        grids = (_LOGIT_SCALES, _THRESHOLDS, _MIN_AREAS, _EPS, _MIN_SAMPLES)
        return f"sweep: {'; '.join(' '.join(map(as_text, grid)) for grid in grids)}"

    def points(self, setting: Setting, method: Method) -> list[Constants]:
        """Constants that are tried on a data set, the authors' and the frozen ones among them."""
        own = self.protocol.on(setting.name)
        naming = _NAMING if own.decision == "softmax" and setting.vocabulary.background_index is not None else ()
        regions = _REGIONS if method.regions else ()
        if not (names := (*naming, *regions)):
            return []
        first = {name: getattr(own, name) for name in names}
        tried = [first, self.frozen(first)]
        tried += [{**first, **point} for point in (_naming_points() if naming else ())]
        tried += [{**first, **point} for point in (_region_points(own) if regions else ())]
        return [dict(point) for point in dict.fromkeys(tuple(_in_one_form(point).items()) for point in tried)]

    def frozen(self, point: Constants) -> dict[str, Any]:
        """The protocol's constants for all data sets."""
        return _in_one_form({name: getattr(self.protocol, name) for name in point})

    def variants(self, setting: Setting, methods: Sequence[Method]) -> list[str]:
        """One a method and point."""
        return [variant(method.name, text_of(point)) for method in methods for point in self.points(setting, method)]

    def num_labels(self, setting: Setting) -> int:
        """Those of the vocabulary."""
        return setting.vocabulary.num_labels

    def prepare(self, segmenter: Segmenter, setting: Setting, progress: bool) -> "PreparedSweep":
        """Nothing is encoded."""
        return PreparedSweep(segmenter, {method.name: self.points(setting, method) for method in segmenter.methods})

    def tables(self, studied: Studied) -> list[StudyTable]:
        """The three figures, and the constants behind them."""
        rows: list[Sequence[Value]] = []
        values: list[Sequence[Value]] = []
        for setting, method in by_method(studied):
            own = next(each for each in studied.methods if each.name == method)
            points = self.points(setting, own)
            if points:
                counts = studied.counts[setting.name]
                tried = [counts[variant(method, text_of(point))] for point in points]
                found = Chosen(tried, self.protocol.scoring, points.index(self.frozen(points[0])))
                rows += _rows(studied, setting.name, method, found)
                values += _values(setting.name, method, found, points)
        if not rows:
            note = "No constant of this protocol acts after the tower on these data sets, with these methods."
            return [StudyTable("constants, percent", _COLUMNS, [], [note])]
        return [
            StudyTable("constants: authors', frozen, chosen on halves, percent", _COLUMNS, rows, _NOTES),
            StudyTable("the constants themselves", _VALUES, values),
        ]


class PreparedSweep(PreparedStudy):
    """Points of one data set.

    Args:
        segmenter: names pixels again.
        points: by method; see `Sweep.points`.
    """

    def __init__(self, segmenter: Segmenter, points: Mapping[str, Sequence[Constants]]) -> None:
        self.segmenter, self.points = segmenter, points

    def label_maps(self, seen: Seen) -> Mapping[str, Tensor]:
        """Label maps under every point."""
        found = {}
        for method in self.segmenter.methods:
            for point in self.points[method.name]:
                named = self.segmenter.label(seen.encoded.under(method, point), seen.classifier, methods=[method])
                found[variant(method.name, text_of(point))] = named[method.name]
        return found


class Chosen:
    """What is best of several points, on all images and on each half.

    Images are halved by their names: every other one.

    Args:
        counts: of each point on the same images, the authors' first.
        definition: name of the mIoU's definition.
        frozen: number of the frozen point.
    """

    def __init__(self, counts: Sequence[Counts], definition: str, frozen: int = 0) -> None:
        self.pictures = torch.stack([each.pictures for each in counts])  # (points, P, 3, C)
        self.stems = counts[0].stems
        self.definition, self.frozen = definition, frozen
        self.first = torch.arange(self.pictures.shape[1]) % 2 == 0  # (P,)

    def best(self, among: Tensor | None = None) -> int:
        """The point of the highest mIoU over some images; of equal ones the first.

        Args:
            among: (P,) bool, None for all.
        """
        chosen = self.pictures if among is None else self.pictures[:, among]
        hits, truth, predicted = chosen.double().sum(1).unbind(1)
        values = scores(hits, truth, predicted, self.definition).mIoU  # (points,)
        return int(values.nan_to_num(-1).argmax())

    @property
    def halves(self) -> tuple[int, int]:
        """The points that are best on the first half and on the second."""
        return self.best(self.first), self.best(~self.first)

    @property
    def crossed(self) -> Tensor:
        """(P, 3, C) counts in which each half has the other half's best point."""
        on_first, on_second = self.halves
        return torch.where(self.first[:, None, None], self.pictures[on_second], self.pictures[on_first])


def text_of(point: Constants) -> str:
    """A point as tables and files name it."""
    return ", ".join(f"{_SHORT[name]} {as_text(value)}" for name, value in point.items())


def _in_one_form(point: Constants) -> dict[str, Any]:
    """Without a threshold the scale decides nothing."""
    scaled = "background_threshold" in point and not point["background_threshold"]
    whole = {name: value if name == "min_samples" else float(value) for name, value in point.items()}
    return {**whole, "logit_scale": float(_LOGIT_SCALES[0])} if scaled else whole


def _naming_points() -> Iterator[Constants]:
    for values in product(_LOGIT_SCALES, _THRESHOLDS, _MIN_AREAS):
        yield dict(zip(_NAMING, values, strict=True))


def _region_points(own: EvaluationProtocol) -> Iterator[Constants]:
    for eps, samples in product(_EPS, _MIN_SAMPLES):
        yield {"eps": round(own.eps * eps, 4), "min_samples": max(1, round(own.min_samples * samples))}


def _rows(studied: Studied, setting: str, method: str, found: Chosen) -> Iterator[Sequence[Value]]:
    kinds = {
        "authors'": found.pictures[0],
        "frozen": found.pictures[found.frozen],
        "chosen on halves": found.crossed,
        "best on what is scored": found.pictures[found.best()],
    }
    estimated = figures(torch.stack([*kinds.values()]), found.stems, studied.protocol.scoring)
    for kind, figure in zip(kinds, estimated, strict=True):
        yield [setting, method, kind, figure.mIoU, figure.difference, figure.difference_interval]


def _values(setting: str, method: str, found: Chosen, points: Sequence[Constants]) -> Iterator[Sequence[Value]]:
    first, second = found.halves
    chosen = {"by the authors": 0, "frozen": found.frozen, "first half": first, "second half": second}
    for kind, point in {**chosen, "all that is scored": found.best()}.items():
        yield [setting, method, kind, text_of(points[point])]
