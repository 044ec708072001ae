"""Intervals against slopes and plain loops, and by how often they hold the truth."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from benchmarks.intervals import SCENARIOS, Scenario, measure
from cliptrase.evaluation.intervals import (
    LEVEL,
    Estimate,
    Rarity,
    estimates,
    influences,
    of_average,
    rarity,
    simulated_coverage,
)
from cliptrase.metrics import scores
from cliptrase.protocols.definitions import DEFINITIONS
from tests import references

CLASSES = 4


def estimated(counts: Tensor, definition: str) -> list[Estimate]:
    found = influences(counts, stems_of(counts), definition)
    assert found is not None
    return estimates(found)


def stems_of(counts: Tensor, prefix: str = "") -> list[str]:
    return [f"{prefix}{number}" for number in range(counts.shape[1])]


def confusions(pictures: int, seed: int) -> np.ndarray:
    """(2 methods, P, C, C) counts of pictures that differ in what they hold and in how well it is found."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 400, (pictures, CLASSES)) * (rng.random((pictures, CLASSES)) < 0.5)
    truth[:, 0] += 50
    quality = rng.uniform(0.2, 0.6, (pictures, 1))
    found = []
    for better in (0.0, 0.1):
        hits = np.round(truth * np.clip(quality + better + rng.normal(0, 0.1, truth.shape), 0, 1)).astype(int)
        rows = np.zeros((pictures, CLASSES, CLASSES), dtype=int)
        for label in range(CLASSES):
            rows[:, label, label] = hits[:, label]
            rows[:, label, (label + 1) % CLASSES] = truth[:, label] - hits[:, label]
        found.append(rows)
    return np.stack(found)


def counts_of(confusion: np.ndarray) -> Tensor:
    """(..., C, C) to (..., 3, C)."""
    return torch.from_numpy(np.stack([np.diagonal(confusion, 0, -2, -1), confusion.sum(-1), confusion.sum(-2)], -2))


def plain_miou(confusion: np.ndarray, definition: str) -> float:
    score = references.mmseg_scores if definition == "mmseg" else references.scores
    found = score(confusion.tolist()) if definition == "mmseg" else score(confusion.tolist(), definition == "released")  # type: ignore[call-arg]
    assert found is not None
    return found["mIoU"]


def plain_interval(value: float, parts: np.ndarray, weights: np.ndarray) -> list[float]:
    """From (P, C) influences and shares of a class's union, number by number."""
    pictures, classes = parts.shape
    variance = sum(sum(parts[p]) ** 2 for p in range(pictures))
    fourth = sum(sum(parts[p]) ** 4 for p in range(pictures))
    shown = missing = squares = fourths = 0.0
    for c in range(classes):
        whole = sum(weights[p, c] ** 2 for p in range(pictures))
        seen = sum(weights[p, c] ** 2 * (1 - 2 * weights[p, c] + whole) for p in range(pictures))
        shown, missing = shown + seen, missing + whole - seen
        squares += sum(parts[p, c] ** 2 for p in range(pictures))
        fourths += sum(parts[p, c] ** 4 for p in range(pictures))
    total = variance + squares * missing / shown
    freedom = max(1.0, 2 * total**2 / (fourth + fourths * (missing / shown) ** 2))
    reach = scipy.stats.t.ppf((1 + LEVEL) / 2, freedom) * math.sqrt(total)
    return [value - reach, value + reach]


@pytest.mark.parametrize("definition", list(DEFINITIONS))
def test_slopes_and_plain_loops_give_the_same(definition: str) -> None:
    """A picture's influence is the slope of the mIoU in how often the picture counts."""
    rows = confusions(12, seed=3)
    rows[:, :, 3] = 0
    rows[0, 2, 3, 3] = rows[1, 2, 3, 0] = 40  # a class in one picture, which other classes are taken for
    found = influences(counts_of(rows), stems_of(counts_of(rows)), definition)
    assert found is not None
    step, present = 1e-4, [0, 1, 2, 3]
    extra = {"released": 0.01, "detectron2": 0.0, "mmseg": 0.0}[definition]
    parts, weights, values = [], [], []
    for own in rows:
        values.append(plain_miou(own.sum(0), definition))
        by_class = np.zeros((12, CLASSES))
        share = np.zeros((12, CLASSES))
        for picture in range(12):
            slopes = []
            for sign in (1, -1):
                total = own.sum(0) + sign * step * own[picture]
                union = total.sum(0) + total.sum(1) - np.diag(total)
                slopes.append(100 * np.diag(total) / (union + extra) / len(present))
            by_class[picture] = (slopes[0] - slopes[1]) / (2 * step)
            one, union = own[picture], own.sum(0).sum(0) + own.sum(0).sum(1) - np.diag(own.sum(0))
            share[picture] = (one.sum(0) + one.sum(1) - np.diag(one)) / (union + extra)
        parts.append(by_class)
        weights.append(share)
    np.testing.assert_allclose(found.values, values)
    np.testing.assert_allclose(found.pictures, [own.sum(1) for own in parts], atol=1e-6)
    first, second = estimates(found)
    assert first.difference is None
    assert second.difference is not None
    for number, estimate in enumerate((first, second)):
        expected = plain_interval(values[number], parts[number], weights[number])
        assert estimate.interval == pytest.approx(expected, rel=1e-6)
    assert second.difference.value == pytest.approx(values[1] - values[0])
    expected = plain_interval(values[1] - values[0], parts[1] - parts[0], (weights[0] + weights[1]) / 2)
    assert second.difference.interval == pytest.approx(expected, rel=1e-6)


def test_what_is_put_back_is_what_was_missing() -> None:
    """Classes in one to three pictures of unlike sizes, IoU of pictures by chance: on average the variance is met."""
    rng = np.random.default_rng(15)
    spread, estimated_variance, values, shown = 0.1, [], [], []
    holders = [1, 1, 2, 1, 3, 2]  # pictures of each class
    for _ in range(1000):
        counts = torch.zeros(1, sum(holders), 3, len(holders), dtype=torch.float64)
        first = 0
        for label, number in enumerate(holders):
            union = np.array([100.0, 40.0, 70.0])[:number]
            counts[0, first : first + number, 0, label] = torch.from_numpy(
                union * (0.5 + rng.normal(0, spread, number))
            )
            counts[0, first : first + number, 1, label] = torch.from_numpy(union)
            counts[0, first : first + number, 2, label] = counts[0, first : first + number, 0, label]
            first += number
        found = influences(counts, [str(number) for number in range(sum(holders))], "detectron2")
        assert found is not None
        values.append(float(found.values[0]))
        shown.append(float(found.pictures.square().sum()))
        estimated_variance.append(shown[-1] + float(found.alone.variance[0]))
    assert np.mean(estimated_variance) == pytest.approx(np.var(values), rel=0.15)
    assert np.mean(shown) < 0.5 * np.var(values)


def test_every_class_in_one_picture() -> None:
    """Nothing is seen of how pictures differ: how classes do takes its place, and the interval is not a point."""
    counts = torch.zeros(2, 3, 3, 3, dtype=torch.int64)
    for label, hits in enumerate((20, 50, 90)):
        counts[:, label, 0, label] = hits
        counts[:, label, 1:, label] = 100
    counts[:, :, 2] = counts[:, :, 0]
    counts[1, 2, (0, 2), 2] = 60
    first, second = estimated(counts, "detectron2")
    assert first.interval.high - first.interval.low > 20
    assert second.difference is not None
    assert second.difference.interval.low < second.difference.value < second.difference.interval.high


def test_two_pictures() -> None:
    counts = counts_of(confusions(2, seed=13))
    for estimate in estimated(counts, "released"):
        low, high = estimate.interval
        assert 0 <= low < high <= 100


def test_the_same_method_twice_differs_by_nothing() -> None:
    counts = counts_of(confusions(10, seed=5))[:1].repeat(2, 1, 1, 1)
    first, second = estimated(counts, "released")
    assert first.interval == second.interval
    assert second.difference == (0, (0, 0))


def test_pictures_that_tell_nothing() -> None:
    counts = counts_of(confusions(10, seed=6))
    empty = torch.zeros(2, 5, 3, CLASSES, dtype=counts.dtype)
    assert estimated(torch.cat([counts, empty], 1), "mmseg") == estimated(counts, "mmseg")
    assert influences(torch.cat([counts[:, :1], empty], 1), list("abcdef"), "mmseg") is None
    assert influences(empty[:, :0], [], "mmseg") is None


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Data sets drawn from a population whose mIoU is known; pictures are the units.

    An interval from P pictures is right up to terms of the order 1/P, hence a point of leave besides the error of the
    simulation, which is binomial: three standard deviations.
    """
    population = counts_of(confusions(50_000, seed=7))
    truth = scores(*population.sum(1).unbind(-2), "mmseg").mIoU
    generator = torch.Generator().manual_seed(8)
    sets, pictures = 800, 150
    held = torch.zeros(3)
    for _ in range(sets):
        chosen = torch.randint(population.shape[1], (pictures,), generator=generator)
        first, second = estimated(population[:, chosen], "mmseg")
        assert second.difference is not None
        bounds = (first.interval, second.interval, second.difference.interval)
        for number, (interval, value) in enumerate(zip(bounds, (*truth, truth[1] - truth[0]), strict=True)):
            held[number] += interval.low <= value <= interval.high
    leave = 3 * math.sqrt(LEVEL * (1 - LEVEL) / sets) + 0.01
    assert (held / sets - LEVEL).abs().max() < leave, held / sets


def test_an_average_of_one_setting_is_the_setting() -> None:
    counts = counts_of(confusions(20, seed=9))
    found = influences(counts, stems_of(counts), "mmseg")
    assert found is not None
    once, twice = of_average([found]), of_average([found, found])
    for average in (once, twice):
        torch.testing.assert_close(average.values, found.values)
        torch.testing.assert_close(average.pictures, found.pictures)
        torch.testing.assert_close(average.alone, found.alone)
        torch.testing.assert_close(average.between, found.between)
    own = estimates(found)
    for estimate, expected in zip(estimates(once), own, strict=True):
        assert estimate.interval == pytest.approx(expected.interval)


def test_settings_of_the_same_pictures_vary_together() -> None:
    """Also where one of them leaves a picture out; of other pictures the average is told better."""
    counts = counts_of(confusions(300, seed=14))
    fewer, stems = counts[:, 1:], stems_of(counts)

    def width(first: list[str], second: list[str]) -> float:
        settings = (influences(counts, first, "mmseg"), influences(fewer, second, "mmseg"))
        low, high = estimates(of_average([found for found in settings if found]))[0].interval
        return high - low

    low, high = estimated(counts, "mmseg")[0].interval
    assert width(stems, stems[1:]) == pytest.approx(high - low, rel=0.03)
    assert width(stems, [f"other {stem}" for stem in stems[1:]]) == pytest.approx((high - low) / 2**0.5, rel=0.08)


def test_intervals_of_an_average_hold_the_truth_as_often_as_they_say() -> None:
    """Two settings of other pictures and sizes; the mean of both, and how much higher the second method's is."""
    populations = [counts_of(confusions(20_000, seed=seed)) for seed in (10, 11)]
    populations[1][..., 0, :] = populations[1][..., 0, :] * 7 // 10  # a harder setting
    truth = torch.stack([scores(*population.sum(1).unbind(-2), "mmseg").mIoU for population in populations]).mean(0)
    generator = torch.Generator().manual_seed(12)
    sets = 500
    held = torch.zeros(2)
    for _ in range(sets):
        drawn = []
        for name, population, pictures in zip("ab", populations, (150, 220), strict=True):
            chosen = torch.randint(population.shape[1], (pictures,), generator=generator)
            counts = population[:, chosen]
            drawn.append(influences(counts, stems_of(counts, name), "mmseg"))
        first, second = estimates(of_average([found for found in drawn if found]))
        assert second.difference is not None
        for number, (interval, value) in enumerate(
            ((first.interval, truth[0]), (second.difference.interval, truth[1] - truth[0]))
        ):
            held[number] += interval.low <= value <= interval.high
    leave = 3 * math.sqrt(LEVEL * (1 - LEVEL) / sets) + 0.01
    assert (held / sets - LEVEL).abs().max() < leave, held / sets


@pytest.mark.parametrize("scenario", [own for own in SCENARIOS if own.pictures == 150 and "one" in own.name])
def test_rare_classes_do_not_make_intervals_too_narrow(scenario: Scenario) -> None:
    """Half or nearly all of the classes in one to three of 150 pictures; BCa bootstraps hold 79 percent there."""
    (row,) = measure(scenario, 400, 0)
    assert row["rare_classes"] > 0.4 * row["classes"]
    leave = 300 * math.sqrt(LEVEL * (1 - LEVEL) / 400)
    assert row["covered_held"] > 100 * LEVEL - leave - 1
    assert row["difference_held"] > 100 * LEVEL - leave - 1


def test_how_many_classes_are_rare() -> None:
    pictures = torch.zeros(40, 3, 5, dtype=torch.int32)
    for label, often in enumerate((40, 10, 9, 1)):  # and one that the truth lacks
        pictures[:often, 1, label] = 7
    pictures[:, 2, 4] = 7
    assert rarity(pictures) == Rarity(4, 2, 40, simulated_coverage(40, 0.5))
    assert rarity(pictures[:, :, :2]).rare == 0
    assert rarity(pictures[:0]).rare == 0
