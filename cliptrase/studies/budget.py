"""The error budget of a run: which part of the lost mIoU has which cause.

Each step puts the wrong pixels of one cause right in the label maps that the step before left, and spoils none: the
differences of mIoU are the parts, none is negative, and with the run's mIoU they add up to 100. The order:

1. *patch grid*: wrong pixels that have the label which the truth itself has there when it is pooled to the method's
   patches, as the tower sees them, and brought back. No map on that grid gets them right.
2. *boundaries*: pixels that bear the label of a region across a border, at most 0.02 of the diagonal away.
3. *window seams*: pixels along borders of windows where the label changes and the truth does not.
4. *names*: pixels that are right when each picture may only bear the names that its truth holds.
5. *grouping*: pixels of true regions whose most frequent label is the true one, names put right.
6. *threshold*: pixels that are right under the background threshold that is best for their picture, names put right.
7. *what is left*: regions that are taken for something else that is in the picture.

What the geometry of patches and windows costs comes first, for it bounds the rest whatever the names; a vote within
regions needs names, so names come before it; the threshold, which not every protocol has, comes last. A pixel that
several causes explain falls to the first, which is why each cause is also put right alone, in no order.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from cliptrase.clip.requirements import loaded_reading
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.evaluation.study_table import Column, StudyTable, Value
from cliptrase.inference.whole import WholePictures
from cliptrase.methods import Method
from cliptrase.protocols.protocol import WHOLE_IMAGE, EvaluationProtocol
from cliptrase.segmenter import Segmenter
from cliptrase.studies import oracles
from cliptrase.studies.base import PreparedStudy, Seen, Studied, by_method, present_labels, variant

GRID, BOUNDARIES, SEAMS = "patch grid", "boundaries", "window seams"
NAMES, GROUPING, THRESHOLD = "names", "grouping", "threshold"
LEFT = "what is left"
_LIMIT = "truth on the patch grid"
_INTERVAL = Column("95 % interval", "difference_interval")
_SPLIT = (
    Column("setting"),
    Column("method"),
    Column("part"),
    Column("points", "score"),
    _INTERVAL,
)
_ALONE = (
    Column("setting"),
    Column("method"),
    Column("cause"),
    Column("gained", "score"),
    _INTERVAL,
    Column("pixels", "score"),
)
_LIMITS = (Column("setting"), Column("method"), Column("mIoU", "score"), Column("95 % interval", "interval"))
_ORDER = (
    "Each part is what mIoU gains when the wrong pixels of its cause are put right on top of the parts above; mIoU and "
    "parts make 100. A pixel with several causes falls to the first."
)
_SINGLY = "What mIoU gains when this cause alone is put right, and how many of the scored pixels that are, percent."
_POOLED = "mIoU of the truth itself, pooled to the method's patches and brought back as its maps are."


def causes(protocol: EvaluationProtocol, setting: Setting) -> list[str]:
    """What can be put right on a data set, in the order of the steps.

    Args:
        protocol: of the run.
        setting: the data set.
    """
    protocol = protocol.on(setting.name)
    seams = [SEAMS] if protocol.windowed and protocol.window != WHOLE_IMAGE else []
    unsure = protocol.background_threshold > 0 and setting.vocabulary.background_index is not None
    return [GRID, BOUNDARIES, *seams, NAMES, GROUPING, *([THRESHOLD] if unsure else [])]


class ErrorBudget:
    """`--explain`: mIoU after each cause of errors is put right, one after the other and alone.

    Args:
        protocol: of the run; what can be put right depends on it.
    """

    name = "explain"
    remakes_regions = False
    identity = "error budget: grid, boundaries, seams, names, grouping, threshold; 1"

    def __init__(self, protocol: EvaluationProtocol) -> None:
        self.protocol = protocol

    def variants(self, setting: Setting, methods: Sequence[Method]) -> list[str]:
        """For each method one a step, and but for the first one a cause alone; and the limit of its patch grid."""
        found = causes(self.protocol, setting)
        steps = [*found, *map(_alone, found[1:]), _LIMIT]
        return [variant(method.name, step) for method in methods for step in steps]

    def num_labels(self, setting: Setting) -> int:
        """Those of the vocabulary."""
        return setting.vocabulary.num_labels

    def prepare(self, segmenter: Segmenter, setting: Setting, progress: bool) -> "PreparedBudget":
        """Nothing is encoded."""
        return PreparedBudget(segmenter, causes(self.protocol, setting))

    def tables(self, studied: Studied) -> list[StudyTable]:
        """The split in order, each cause alone, and what the patch grid can reach."""
        reading = [method.name for method in studied.methods if loaded_reading(method).text]
        kept = [f"{', '.join(reading)}: features are read with all names in every step."] if reading else []
        return [
            StudyTable(
                "error budget: mIoU and where the rest goes, percent",
                _SPLIT,
                list(self._split(studied)),
                [_ORDER, *kept],
                "stacked",
            ),
            StudyTable("error budget: each cause alone", _ALONE, list(self._singly(studied)), [_SINGLY, *kept]),
            StudyTable("what the patch grid can reach, percent", _LIMITS, list(_limits(studied)), [_POOLED]),
        ]

    def _split(self, studied: Studied) -> Iterator[list[Value]]:
        for setting, method in by_method(studied):
            named, counted = causes(self.protocol, setting), studied.counts[setting.name]
            steps = [studied.own[setting.name][method], *(counted[variant(method, cause)] for cause in named)]
            yield [setting.name, method, "mIoU", studied.estimates(steps[:1])[0].mIoU, None]
            for cause, (before, after) in zip(named, pairwise(steps), strict=True):
                yield [setting.name, method, cause, *_gained(studied, before, after)]
            (last,) = studied.estimates(steps[-1:])
            missing = None if last.interval is None else (100 - last.interval[1], 100 - last.interval[0])
            yield [setting.name, method, LEFT, 100 - last.mIoU, missing]

    def _singly(self, studied: Studied) -> Iterator[list[Value]]:
        for setting, method in by_method(studied):
            named, counted = causes(self.protocol, setting), studied.counts[setting.name]
            own = studied.own[setting.name][method]
            for cause in named:
                after = counted[variant(method, cause if cause == named[0] else _alone(cause))]
                more = int(after.confusion.trace() - own.confusion.trace())
                scored = int(own.confusion.sum())
                pixels = 100 * more / scored if scored else None
                yield [setting.name, method, cause, *_gained(studied, own, after), pixels]


class PreparedBudget(PreparedStudy):
    """Oracles of one data set.

    Args:
        segmenter: names pixels again.
        causes: what is put right, in order.
    """

    def __init__(self, segmenter: Segmenter, causes: Sequence[str]) -> None:
        self.segmenter, self.causes = segmenter, causes

    @torch.no_grad()
    def label_maps(self, seen: Seen) -> Mapping[str, Tensor]:
        """Label maps after each step, under each cause alone, and the pooled truth."""
        with torch.autocast(seen.labels.device.type, enabled=False):
            explained = self._explained(seen)
        found = {}
        for method, (in_order, alone, pooled) in explained.items():
            found[variant(method, _LIMIT)] = pooled
            before = own = seen.predictions[method]
            for cause in self.causes:
                before = found[variant(method, cause)] = seen.labels.where(in_order[cause], before)
                if cause != self.causes[0]:
                    found[variant(method, _alone(cause))] = seen.labels.where(alone[cause], own)
        return found

    def _explained(self, seen: Seen) -> dict[str, tuple[dict[str, Tensor], dict[str, Tensor], Tensor]]:
        """By method the pixels of each cause on top of the causes before, those of each alone, and the pooled truth."""
        truth, number, encoded = seen.labels, seen.classifier.num_labels, seen.encoded
        scored = (truth >= 0) & (truth < number)
        reach = oracles.band_width(*truth.shape[1:])
        near, regions = oracles.near_labels(truth, number, reach), oracles.true_regions(truth, number)
        named, surest, surest_named = self._renamed(seen)
        pooled_by_grid: dict[tuple[int, int], Tensor] = {}
        explained = {}
        for method, own in seen.predictions.items():
            rows, columns = encoded.grid(method)
            grid = len(rows.covers), len(columns.covers)
            if grid not in pooled_by_grid:
                pooled_by_grid[grid] = oracles.pooled_truth(truth, number, rows, columns)
            pooled = pooled_by_grid[grid]
            renamed = named[method] == truth
            alone = {
                GRID: (own == pooled) & (own != truth),
                BOUNDARIES: oracles.beyond_the_border(own, truth, near),
                SEAMS: oracles.seam_pixels(own, truth, number, encoded.seams, reach),
                NAMES: renamed,
                GROUPING: oracles.regions_right(own, truth, regions, number),
            }
            votes = truth.where(renamed & scored, own)
            in_order = alone | {GROUPING: oracles.regions_right(votes, truth, regions, number)}
            if THRESHOLD in self.causes:
                alone[THRESHOLD] = surest[method] == truth
                in_order[THRESHOLD] = surest_named[method] == truth
            explained[method] = (
                {cause: where & scored for cause, where in in_order.items()},
                {cause: where & scored for cause, where in alone.items()},
                pooled,
            )
        return explained

    def _renamed(self, seen: Seen) -> tuple[Mapping[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """By method label maps with only names that are there; under the best threshold with all; and with those."""
        encoded, classifier, present = seen.encoded, seen.classifier, present_labels(seen)
        background = classifier.background_label
        if THRESHOLD not in self.causes or background is None or isinstance(encoded, WholePictures):
            return self.segmenter.label(encoded, classifier, present), {}, {}
        with_present = self.segmenter.named(encoded, classifier, present)
        best: list[dict[str, Tensor]] = []
        for found in (self.segmenter.named(encoded, classifier), with_present):
            best.append({})
            for method, named in found.items():
                assert named.probability is not None  # where the protocol has a threshold
                best[-1][method] = oracles.best_threshold(
                    named.free, named.probability, seen.labels, background, classifier.num_labels
                )
        return {method: named.labels for method, named in with_present.items()}, best[0], best[1]


def _alone(cause: str) -> str:
    return f"{cause} alone"


def _gained(studied: Studied, before: Counts, after: Counts) -> tuple[float, tuple[float, float] | None]:
    """Points of mIoU between two counts and their interval. No step spoils a pixel: below 0 is nothing but rounding."""
    first, second = studied.estimates([before, after])
    return max(second.mIoU - first.mIoU, 0.0), second.difference_interval


def _limits(studied: Studied) -> Iterator[list[Value]]:
    for setting, method in by_method(studied):
        (found,) = studied.estimates([studied.counts[setting.name][variant(method, _LIMIT)]])
        yield [setting.name, method, found.mIoU, found.interval]
