"""Confidence intervals of mIoU over pictures, and of paired differences between methods.

A class's IoU is a ratio of two sums over pictures, hits and union, so what each picture adds to the mIoU is known
without drawing anything: the variance of the mIoU is the sum of the squares of the pictures' influences (the
infinitesimal jackknife; Efron, *The Jackknife, the Bootstrap and Other Resampling Plans*, 1982, chapter 6; for ratios
Cochran, *Sampling Techniques*, 1977, chapter 6). A class that lies in one or two pictures shows less of its variance
than it has, in the end nothing; that part is put back, as large as pictures of one class differ in all classes
together. Student's t has the degrees of freedom that the influences' fourth powers leave (Satterthwaite, *Biometrics
Bulletin* 2, 1946).

Influences are of pictures, and methods are scored on the same ones: differences are paired, and settings of the same
pictures vary together in their average. An interval is of what sets of as many pictures come to on average. That is not
the mIoU over endlessly many pictures where many classes lie in one or two: a class that is there by luck has more truth
in the set than elsewhere, and as many false pixels.

`benchmarks/intervals.py` compares with eight bootstraps, which hold the truth less often where classes are rare.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import scipy.stats
import torch
from torch import Tensor

from cliptrase.metrics import in_mean, scores
from cliptrase.protocols.definitions import get_definition

LEVEL = 0.95
RARE = 10  # a class in fewer pictures is rare
FEW = 30  # fewer pictures tell too little of how pictures differ


class Interval(NamedTuple):
    """Bounds in points of mIoU."""

    low: float
    high: float


class Difference(NamedTuple):
    """How much higher a method's mIoU is than the first method's, in points."""

    value: float
    interval: Interval


class Estimate(NamedTuple):
    """Intervals of one method."""

    interval: Interval
    difference: Difference | None  # None for the first method


class Unseen(NamedTuple):
    """The part of a variance that rare classes do not show.

    Attributes:
        variance: (M,) float64.
        spread: (M,) float64 variance of that estimate.
    """

    variance: Tensor
    spread: Tensor


class Influences(NamedTuple):
    """The mIoU of M methods in percent and what each of P pictures adds to it.

    Attributes:
        values: (M,) float64.
        pictures: (M, P) float64; a picture that is counted twice adds its influence.
        alone: unseen of every method.
        between: unseen of every method's difference to the first.
        stems: of the P pictures.
    """

    values: Tensor
    pictures: Tensor
    alone: Unseen
    between: Unseen
    stems: list[str]


def influences(counts: Tensor, stems: Sequence[str], definition: str) -> Influences | None:
    """What intervals on one setting are made of.

    Args:
        counts: (M, P, 3, C) integer hits, truth and predicted pixels.
        stems: names of the P pictures; those without a scored pixel are left out.
        definition: name of the mIoU's definition.

    Returns:
        None for fewer than two pictures, which tell nothing of how pictures differ.
    """
    scored = counts[0, :, 1].sum(1) > 0  # (P,)
    counts, stems = (
        counts[:, scored],
        [stem for stem, is_scored in zip(stems, scored.tolist(), strict=True) if is_scored],
    )
    if len(stems) < 2:
        return None
    hits, truth, predicted = counts.double().sum(1).unbind(-2)  # (M, C) each
    values = scores(hits, truth, predicted, definition).mIoU  # (M,)
    first: tuple[Tensor, Tensor, Tensor] | None = None
    pictures, alone, between = [], [], []
    for method in counts:
        parts, weights, ious = _parts(method, definition)
        first = first or (parts, weights, ious)
        pictures.append(parts.sum(1))
        alone.append(_unseen(parts, weights, ious))
        between.append(_unseen(parts - first[0], (weights + first[1]) / 2, ious - first[2]))
    return Influences(values, torch.stack(pictures), _stacked(alone), _stacked(between), stems)


def _stacked(methods: Sequence[Unseen]) -> Unseen:
    variance, spread = (torch.stack(values) for values in zip(*methods, strict=True))
    return Unseen(variance, spread)


def _parts(counts: Tensor, definition: str) -> tuple[Tensor, Tensor, Tensor]:
    """Influences of one method by class that the truth holds.

    Args:
        counts: (P, 3, C).
        definition: name of the mIoU's definition.

    Returns:
        (P, C') influences on the mIoU in percent, (P, C') shares of each class's union, and (C',) what each class's
        IoU adds to the mIoU.
    """
    rule = get_definition(definition)
    hit, truth, predicted = counts.double().unbind(1)  # (P, C) each
    # A class that the truth does not hold may count in the mean, but with an IoU of 0, which no picture moves.
    averaged = int(in_mean(rule.iou_over, hit.sum(0), truth.sum(0), predicted.sum(0)).sum())
    held = truth.sum(0) > 0
    hit, union = hit[:, held], (truth + predicted - hit)[:, held]
    total = union.sum(0) + rule.added
    iou = hit.sum(0) / total
    share = 100 / averaged
    return share * (hit - iou * union) / total, union / total, share * iou


def _unseen(parts: Tensor, weights: Tensor, ious: Tensor) -> Unseen:
    """What is missing from the variance that influences show.

    Where pictures of a class differ by a variance s in their own IoU, the class's has the variance s sum(w^2), w being
    the pictures' shares of the union; the influences' squares come to s sum(w^2 (1 - 2 w + sum(w^2))) on average, which
    is nothing for a class in one picture. s is taken from all classes together.

    Args:
        parts: (P, C) influences by class.
        weights: (P, C) shares of each class's union.
        ious: (C,) what each class adds to the mIoU.
    """
    squares = weights.square()
    whole = squares.sum(0)  # (C,)
    shown = (squares * (1 - 2 * weights + whole)).sum(0).clamp(min=0)
    missing = (whole - shown).sum()
    if shown.sum() > 1e-9:
        factor = missing / shown.sum()
        return Unseen(factor * parts.square().sum(), factor.square() * parts.pow(4).sum())
    # Every class lies in one picture: how classes differ is all that there is.
    variance = ious.var() * missing if len(ious) > 1 else missing * 0
    return Unseen(variance, 2 * variance.square() / max(len(ious) - 1, 1))


def of_average(settings: Sequence[Influences]) -> Influences:
    """Influences on the mean mIoU over settings.

    Args:
        settings: at least one, all of the same methods in the same order. Pictures of one name are one picture.
    """
    values = torch.stack([setting.values for setting in settings]).mean(0)
    stems = list(dict.fromkeys(stem for setting in settings for stem in setting.stems))
    place = {stem: number for number, stem in enumerate(stems)}
    pictures = values.new_zeros(len(values), len(stems))
    for setting in settings:
        there = torch.tensor([place[stem] for stem in setting.stems])
        pictures.index_add_(1, there, setting.pictures / len(settings))
    names = [set(setting.stems) for setting in settings]
    shared = torch.tensor(
        [[len(row & column) / (len(row) * len(column)) ** 0.5 for column in names] for row in names],
        dtype=torch.float64,
    )
    alone, between = (
        _together(parts, shared) for parts in zip(*((each.alone, each.between) for each in settings), strict=True)
    )
    return Influences(values, pictures, alone, between, stems)


def _together(settings: Sequence[Unseen], shared: Tensor) -> Unseen:
    """Unseen of a mean over settings, which are taken to vary together as far as they share pictures, (S, S)."""
    variance, spread = (torch.stack(values) for values in zip(*settings, strict=True))  # (S, M)
    # Both in units of the variance, whose square roots add up where settings vary together.
    parts = [torch.einsum("sm,st,tm->m", part, shared, part) for part in (variance**0.5, spread**0.25)]
    size = len(settings) ** 2
    return Unseen(parts[0] / size, (parts[1] / size) ** 2)


def estimates(influence: Influences) -> list[Estimate]:
    """95 percent intervals of every method, and of its difference to the first one.

    Args:
        influence: of a setting, or of an average over settings.

    Returns:
        one a method.
    """
    alone = _intervals(influence.values, influence.pictures, influence.alone, least=0)
    differences = influence.values - influence.values[0]
    between = _intervals(differences, influence.pictures - influence.pictures[0], influence.between, least=-100)
    rest = zip(alone[1:], differences[1:].tolist(), between[1:], strict=True)
    return [
        Estimate(alone[0], None),
        *(Estimate(interval, Difference(value, bounds)) for interval, value, bounds in rest),
    ]


def _intervals(values: Tensor, pictures: Tensor, unseen: Unseen, least: float) -> list[Interval]:
    variance = pictures.square().sum(1) + unseen.variance  # (M,)
    spread = pictures.pow(4).sum(1) + unseen.spread
    freedom = torch.where(spread > 0, 2 * variance.square() / spread, 1).clamp(min=1)
    reach = torch.from_numpy(scipy.stats.t.ppf(0.5 + LEVEL / 2, freedom.numpy())) * variance.sqrt()
    low, high = (values - reach).clamp(min=least), (values + reach).clamp(max=100)
    return [Interval(*bounds) for bounds in zip(low.tolist(), high.tolist(), strict=True)]


class Rarity(NamedTuple):
    """How many classes are rare, and what that means for intervals."""

    classes: int  # that the truth holds
    rare: int  # of them in fewer than ten pictures
    pictures: int  # with a scored pixel
    coverage: tuple[int, int] | None  # percent of simulated intervals that held; None for too few pictures


def rarity(pictures: Tensor) -> Rarity:
    """Rare classes of a setting; see `simulated_coverage`.

    Args:
        pictures: (P, 3, C) counts of one method, as `Counts.pictures` are.
    """
    often = (pictures[:, 1] > 0).sum(0)  # (C,)
    held, rare = int((often > 0).sum()), int(((often > 0) & (often < RARE)).sum())
    size = int((pictures[:, 1].sum(1) > 0).sum())
    return Rarity(held, rare, size, simulated_coverage(size, rare / max(held, 1)))


def simulated_coverage(pictures: int, rare: float) -> tuple[int, int] | None:
    """How often intervals held the truth in the simulated situation that is most like this one, in percent.

    The truth is what sets of as many pictures come to on average (`draws` of `benchmarks/intervals.py`). The values are
    those of `python -m benchmarks.intervals --sets 300 --compared 80 --largest 150` of 2026-11-25, right to 3 points;
    `benchmarks/results/` has them with the other two truths.

    Args:
        pictures: of the set.
        rare: share of the truth's classes that lie in fewer than ten of them.

    Returns:
        of a method's mIoU, and of its difference to the first method's; None for fewer pictures than were simulated,
        whose intervals hold far too seldom.
    """
    if pictures < FEW:
        return None

    def distance(row: tuple[int, float, int, int]) -> float:
        return (math.log(pictures / row[0]) / math.log(10)) ** 2 + (2 * (rare - row[1])) ** 2

    *_, alone, between = min(_COVERAGE, key=distance)
    return alone, between


# Pictures, share of rare classes, percent of intervals that held a method's mIoU and a difference.
_COVERAGE = (
    (30, 0.40, 95, 98),
    (150, 0.00, 97, 97),
    (500, 0.00, 96, 96),
    (1449, 0.00, 95, 94),
    (30, 0.66, 93, 96),
    (150, 0.44, 85, 98),
    (500, 0.44, 56, 96),
    (30, 0.94, 95, 97),
    (150, 0.94, 95, 96),
    (150, 0.90, 96, 97),
    (500, 0.78, 96, 97),
    (1449, 0.45, 96, 95),
    (500, 0.91, 95, 97),
    (1449, 0.87, 95, 96),
)
