"""How often intervals of mIoU hold the truth, by simulation: `python -m benchmarks.intervals [--sets 400]`.

A population of 20,000 pictures is made, whose classes occur with given frequencies; each picture's and each class's
own difficulty and chance decide how much of an area is found, and what is missed goes to another class of the picture
or of the vocabulary. A second method errs much as the first one does. Sets of pictures are drawn from it, and intervals
are made for the second method alone (`covered_`) and for its difference to the first (`difference_`). Three figures may
be asked for: `draws` is what sets of as many pictures come to on average, `held` the population's mIoU over the classes
that the set's truth holds, `all` the population's over all of its classes. Where classes are rare these are far apart,
and nothing that looks at a set alone can promise the last two: a class that is there by luck has more truth in the set
than in the population, and as many false pixels.

Compared with the product's own are bootstraps: pictures drawn Poisson(1) or exponential(1) times (the Bayesian
bootstrap, which drops no class), resamples that keep the IoU of a class that they lack; percentile, basic, normal,
bias-corrected and accelerated, studentised; the jackknife, and the plain infinitesimal jackknife.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.stats
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import record
from cliptrase.evaluation.intervals import LEVEL, RARE, estimates, influences
from cliptrase.metrics import scores

_DEFINITION = "detectron2"
_TAILS = (0.5 - LEVEL / 2, 0.5 + LEVEL / 2)
_NORMAL = float(scipy.stats.norm.ppf(_TAILS[1]))
_DRAWS = 600

Array = NDArray[Any]
Bounds = tuple[float, float]


class Scenario(NamedTuple):
    """Classes' shares of pictures, and how many pictures a set has."""

    name: str
    pictures: int
    frequencies: Callable[[int], Array]


def _many(pictures: int) -> Array:
    return np.linspace(0.6, 0.15, 20)


def _half_rare(pictures: int) -> Array:
    return np.concatenate([np.linspace(0.6, 0.15, 10), np.full(10, 1.5 / pictures)])


def _all_rare(pictures: int) -> Array:
    return np.array([0.9] + [2 / pictures] * 19)


def _ade(pictures: int) -> Array:
    frequencies: Array = 0.8 * np.arange(1, 151) ** -1.1
    return frequencies


def _pc459(pictures: int) -> Array:
    frequencies: Array = 0.7 * np.arange(1, 460) ** -1.3
    return frequencies


SCENARIOS = (
    *(Scenario("every class in many pictures", pictures, _many) for pictures in (30, 150, 500, 1449)),
    *(Scenario("half the classes in one or two", pictures, _half_rare) for pictures in (30, 150, 500)),
    *(Scenario("nearly all classes in one to three", pictures, _all_rare) for pictures in (30, 150)),
    *(Scenario("frequencies as ADE150's", pictures, _ade) for pictures in (150, 500, 1449)),
    *(Scenario("frequencies as PC459's", pictures, _pc459) for pictures in (500, 1449)),
)


def population(frequencies: Array, pictures: int, seed: int) -> Tensor:
    """(2 methods, pictures, 3, C) int32 hits, truth and predicted pixels."""
    rng, classes = np.random.default_rng(seed), len(frequencies)
    ease, gain, size = rng.normal(-0.3, 1, classes), rng.normal(0.1, 0.3, classes), rng.normal(7, 0.7, classes)
    found = np.zeros((2, pictures, 3, classes), np.int32)
    for first in range(0, pictures, 2000):
        shape = (min(2000, pictures - first), classes)
        present = rng.random(shape) < frequencies
        picture, chance = rng.normal(0, 0.5, (shape[0], 1)), rng.normal(0, 1, shape)
        area = np.round(np.exp(size + rng.normal(0, 1, shape))) * present
        beside = (present * rng.random(shape)).argmax(1)[:, None]  # another class of the picture
        taken = np.where(rng.random(shape) < 0.5, beside, rng.integers(0, classes, shape))
        for method in (0, 1):
            own = chance if method == 0 else 0.8 * chance + 0.6 * rng.normal(0, 1, shape)
            wrong = taken if method == 0 else np.where(rng.random(shape) < 0.6, taken, rng.integers(0, classes, shape))
            hit = np.round(area / (1 + np.exp(-(ease + method * gain + picture + 0.8 * own))))
            hit = np.where(wrong == np.arange(classes), area, hit)
            predicted = hit.copy()
            np.add.at(predicted, (np.arange(shape[0])[:, None], wrong), area - hit)
            found[method, first : first + shape[0]] = np.stack([hit, area, predicted], 1)
    return torch.from_numpy(found)


def ious(sums: Tensor) -> Tensor:
    """(..., 3, C) to (..., C)."""
    hit, truth, predicted = sums.unbind(-2)
    return hit / (truth + predicted - hit).clamp(min=1e-9)


class Resampled(NamedTuple):
    """A figure, its resamples, its pictures' influences and the figures without one picture."""

    value: float
    samples: Array
    influences: Array
    jackknife: Array


def accelerated(found: Resampled) -> Bounds:
    """Bias-corrected and accelerated bounds (Efron & Tibshirani, 1993, equations 14.9 to 14.15)."""
    below = (found.samples < found.value).mean() + (found.samples == found.value).mean() / 2
    bias = scipy.stats.norm.ppf(np.clip(below, 0.5 / len(found.samples), 1 - 0.5 / len(found.samples)))
    spread = found.jackknife.mean() - found.jackknife
    power = (spread**2).sum() ** 1.5
    acceleration = (spread**3).sum() / (6 * power) if power else 0.0
    shifted = bias + scipy.stats.norm.ppf(_TAILS)
    low, high = np.quantile(found.samples, scipy.stats.norm.cdf(bias + shifted / (1 - acceleration * shifted)))
    return float(low), float(high)


def percentile(found: Resampled) -> Bounds:
    """The middle 95 percent of the resamples."""
    low, high = np.quantile(found.samples, _TAILS)
    return float(low), float(high)


def basic(found: Resampled) -> Bounds:
    """The middle 95 percent, mirrored at the figure."""
    low, high = percentile(found)
    return 2 * found.value - high, 2 * found.value - low


def normal(found: Resampled) -> Bounds:
    """By the resamples' standard deviation."""
    reach = _NORMAL * float(found.samples.std())
    return found.value - reach, found.value + reach


SHAPES = {"percentile": percentile, "basic": basic, "normal": normal, "bca": accelerated}


def mean_iou(counts: Tensor) -> Tensor:
    """(..., 3, C) hits, truth and predicted pixels to (...) float64 percent."""
    hits, truth, predicted = counts.unbind(-2)
    return scores(hits, truth, predicted, _DEFINITION).mIoU


def bootstraps(counts: Tensor, rng: np.random.Generator) -> Iterator[tuple[str, list[Bounds]]]:
    """Bounds of the second method and of its difference to the first, by every way.

    Args:
        counts: (2, P, 3, C) float64.
        rng: draws the resamples.
    """
    pictures = counts.shape[1]
    flat, whole = counts.flatten(2), counts.sum(1, keepdim=True)
    held = whole[0, 0, 1] > 0
    point = ious(whole)  # (2, 1, C)
    value = mean_iou(whole[:, 0]).numpy()
    without = mean_iou(whole - counts).numpy()  # (2, P)
    hit, union = counts[:, :, 0], counts[:, :, 1] + counts[:, :, 2] - counts[:, :, 0]
    parts = 100 * ((hit - point * union) / union.sum(1, keepdim=True))[..., held].mean(-1).numpy()  # (2, P)

    def both(samples: Array, leave_out: Array) -> list[Resampled]:
        alone = Resampled(float(value[1]), samples[1], parts[1], leave_out[1])
        between = Resampled(
            float(value[1] - value[0]), samples[1] - samples[0], parts[1] - parts[0], leave_out[1] - leave_out[0]
        )
        return [alone, between]

    for name in ("poisson", "poisson, classes kept", "exponential"):
        draw = rng.exponential if name == "exponential" else rng.poisson
        weights = torch.from_numpy(draw(1.0, (_DRAWS, pictures)).astype(np.float64))
        sums = (weights @ flat).unflatten(2, counts.shape[2:])  # (2, R, 3, C)
        if name == "poisson, classes kept":
            there = sums[:, :, 1] + sums[:, :, 2] - sums[:, :, 0] > 0
            samples = 100 * torch.where(there, ious(sums), point)[..., held].mean(-1).numpy()
        else:
            samples = mean_iou(sums).numpy()
        for shape, bounds in SHAPES.items():
            found = both(samples, without if name == "poisson" else -parts)
            yield f"{shape}, {name}", [bounds(one) for one in found]
    yield "bootstrap-t, exponential", studentised(counts[..., held], weights, both(samples, without))
    for name in ("jackknife", "infinitesimal jackknife"):
        factor = float(scipy.stats.t.ppf(_TAILS[1], pictures - 1)) if name == "jackknife" else _NORMAL
        reaches = [(one.value, factor * deviation(one, name)) for one in both(samples, without)]
        yield name, [(figure - reach, figure + reach) for figure, reach in reaches]


def deviation(found: Resampled, name: str) -> float:
    """Standard error by what figures do without one picture, or by the pictures' influences."""
    if name == "jackknife":
        size = len(found.jackknife)
        return math.sqrt((size - 1) / size * ((found.jackknife - found.jackknife.mean()) ** 2).sum())
    return math.sqrt((found.influences**2).sum())


def studentised(counts: Tensor, weights: Tensor, found: list[Resampled]) -> list[Bounds]:
    """Bootstrap-t: each resample's figure in units of its own infinitesimal jackknife."""
    hit, union = counts[:, :, 0], counts[:, :, 1] + counts[:, :, 2] - counts[:, :, 0]
    total = weights @ union  # (2, R, C)
    ratio = (weights @ hit) / total
    parts = 100 * (hit @ (1 / total).mT - union @ (ratio / total).mT) / counts.shape[-1]  # (2, P, R)
    own = [parts[1], parts[1] - parts[0]]
    bounds = []
    for one, some in zip(found, own, strict=True):
        errors = (weights.T * some).square().sum(0).sqrt().numpy()
        low, high = np.quantile((one.samples - one.value) / np.maximum(errors, 1e-12), _TAILS)
        reach = deviation(one, "infinitesimal jackknife")
        bounds.append((one.value - high * reach, one.value - low * reach))
    return bounds


def own(counts: Tensor) -> list[Bounds]:
    """Bounds of the product."""
    found = influences(counts, [str(number) for number in range(counts.shape[1])], _DEFINITION)
    if found is None:
        raise ValueError("a set needs two pictures")
    second = estimates(found)[1]
    if second.difference is None:
        raise ValueError("the second method has a difference")
    return [(bounds.low, bounds.high) for bounds in (second.interval, second.difference.interval)]


def measure(scenario: Scenario, sets: int, compared: int, seed: int = 0) -> list[dict[str, Any]]:
    """Coverage and width, one row a way: the product's over all sets, the others' over the first `compared`."""
    everything = population(scenario.frequencies(scenario.pictures), 20_000, seed)
    sums = everything.sum(1, dtype=torch.int64).double()
    ratios, exists = 100 * ious(sums), sums[0, 1] > 0
    rng, other = np.random.default_rng(seed + 1), np.random.default_rng(seed + 2)
    found: dict[str, list[list[Bounds]]] = {}
    figures, held, rare = [], [], []  # of every set
    for number in range(sets):
        counts = everything[:, rng.integers(0, everything.shape[1], scenario.pictures)]
        counts = counts[:, counts[0, :, 1].sum(1) > 0]
        often = (counts[0, :, 1] > 0).sum(0)
        rare.append([int((often > 0).sum()), int(((often > 0) & (often < RARE)).sum())])
        held.append(_figures(ratios[:, often > 0]))
        first, second = mean_iou(counts.double().sum(1)).tolist()
        figures.append((second, second - first))
        ways = [("product", own(counts)), *(bootstraps(counts.double(), other) if number < compared else ())]
        for name, bounds in ways:
            found.setdefault(name, []).append(bounds)
    about = {"scenario": scenario.name, "pictures": scenario.pictures}
    about |= dict(zip(("classes", "rare_classes"), np.mean(rare, 0).round(1).tolist(), strict=True))
    everywhere, draws = np.array(_figures(ratios[:, exists])), np.mean(figures, 0)
    rows = []
    for name, some in found.items():
        bounds = np.array(some)  # (sets, 2, 2)
        row = about | {"sets": len(bounds), "interval": name}
        targets = {"draws": draws, "held": np.array(held[: len(bounds)]), "all": everywhere}
        for target, truth in targets.items():
            share = 100 * ((bounds[..., 0] <= truth) & (truth <= bounds[..., 1])).mean(0)
            row |= {f"covered_{target}": round(share[0], 1), f"difference_{target}": round(share[1], 1)}
        width = (bounds[..., 1] - bounds[..., 0]).mean(0)
        rows.append(row | {"width": round(width[0], 2), "width_difference": round(width[1], 2)})
    return rows


def _figures(ratios: Tensor) -> tuple[float, float]:
    """MIoU of the second method and its difference to the first, of (2, C) IoU."""
    first, second = ratios.mean(1).tolist()
    return second, second - first


def main() -> None:
    """Prints a table a scenario and stores all rows."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--sets", type=int, default=400, help="of pictures drawn, a scenario")
    parser.add_argument("--compared", type=int, default=100, help="sets that get the other intervals too")
    parser.add_argument("--largest", type=int, default=500, help="most pictures of a set that gets them")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for scenario in SCENARIOS:
        compared = options.compared if scenario.pictures <= options.largest else 0
        for row in measure(scenario, options.sets, compared):
            print(record.line(row), flush=True)
            rows.append(row)
    print(record.store("intervals", rows, record.facts(torch.device("cpu"))))


if __name__ == "__main__":
    main()
