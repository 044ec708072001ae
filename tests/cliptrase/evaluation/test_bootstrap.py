"""Intervals against a plain loop, against scipy, and by how often they hold the truth."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from cliptrase.evaluation import bootstrap
from cliptrase.evaluation.bootstrap import LEVEL, Estimate, estimates, of_average, replicates, resample_weights
from cliptrase.metrics import Definition, mean_iou
from tests import references

CLASSES = 4


def estimated(counts: Tensor, definition: Definition, resamples: int = 2000) -> list[Estimate]:
    found = replicates(counts, stems_of(counts), definition, resamples)
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


def plain_miou(confusion: np.ndarray, definition: Definition) -> float:
    score = references.mmseg_scores if definition == "mmseg" else references.scores
    found = score(confusion.tolist()) if definition == "mmseg" else score(confusion.tolist(), definition == "released")  # type: ignore[call-arg]
    assert found is not None
    return found["mIoU"]


def plain_bca(value: float, drawn: list[float], jackknife: list[float]) -> list[float]:
    """Efron & Tibshirani, equations 14.9 to 14.15, number by number."""
    below = sum(sample < value for sample in drawn) + sum(sample == value for sample in drawn) / 2
    bias = scipy.stats.norm.ppf(below / len(drawn))
    mean = sum(jackknife) / len(jackknife)
    acceleration = sum((mean - one) ** 3 for one in jackknife) / (
        6 * sum((mean - one) ** 2 for one in jackknife) ** 1.5
    )
    bounds = []
    for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2):
        shifted = bias + scipy.stats.norm.ppf(tail)
        bounds.append(np.quantile(drawn, scipy.stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))))
    return bounds


@pytest.mark.parametrize("definition", ["released", "textbook", "mmseg"])
def test_a_plain_loop_over_resamples_gives_the_same(definition: Definition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "_CHUNK", 7)  # several parts, the last one smaller
    rows = confusions(12, seed=3)
    rows[:, 9:, 3] = 0  # a class that a resample may miss while it is predicted
    rows[:, :9, 3] = 0
    rows[0, 2, 3, 3] = rows[1, 2, 3, 0] = 40
    draws = 60
    found = estimated(counts_of(rows), definition, draws)
    values, drawn, left_out = [], [], []
    weights = resample_weights(stems_of(counts_of(rows)), draws)
    assert weights.sum(1).min() > 0
    for own in rows:
        values.append(plain_miou(own.sum(0), definition))
        repeated = [np.repeat(own, weight.tolist(), axis=0).sum(0) for weight in weights]
        drawn.append([plain_miou(total, definition) for total in repeated])
        left_out.append([plain_miou(np.delete(own, place, 0).sum(0), definition) for place in range(12)])
    for number in (0, 1):
        assert found[number].interval == pytest.approx(plain_bca(values[number], drawn[number], left_out[number]))
    differences = [list(np.subtract(two, one)) for one, two in (drawn, left_out)]
    assert found[0].difference is None
    assert found[1].difference is not None
    assert found[1].difference.value == pytest.approx(values[1] - values[0])
    assert found[1].difference.interval == pytest.approx(plain_bca(values[1] - values[0], *differences))


def test_scipys_own_bootstrap_agrees() -> None:
    """Other draws of the same pictures: bounds differ by no more than draws do among themselves."""
    rows = confusions(80, seed=4)[0]
    counts = counts_of(rows)
    found = estimated(counts[None], "mmseg", 4000)

    def statistic(places: np.ndarray) -> float:
        return float(mean_iou(counts[places.astype(int)].sum(0), "mmseg"))

    bounds = []
    for seed in range(3):
        theirs = scipy.stats.bootstrap(
            (np.arange(80),), statistic, vectorized=False, method="BCa", n_resamples=1500, rng=seed
        )
        bounds.append(list(theirs.confidence_interval))
    spread = np.std(bounds, axis=0, ddof=1).max()
    assert np.abs(np.mean(bounds, axis=0) - found[0].interval).max() < max(4 * spread, 0.3)
    assert found[0].interval.high - found[0].interval.low > 10 * spread  # so that the line above can fail


def test_a_picture_is_drawn_by_its_name() -> None:
    """Poisson(1) times, whatever is drawn beside it, and independently of it."""
    stems = [f"picture {number}" for number in range(40)]
    weights = resample_weights(stems, 2000).double()
    assert torch.equal(weights[:, [7, 3]], resample_weights([stems[7], stems[3]], 2000).double())
    assert abs(float(weights.mean()) - 1) < 5 / math.sqrt(40 * 2000)
    assert abs(float(weights.var(0).mean()) - 1) < 5 * math.sqrt(3 / (40 * 2000))  # a Poisson's variance varies by 3
    assert weights.T.corrcoef().fill_diagonal_(0).abs().max() < 5 / math.sqrt(2000)


def test_resamples_that_draw_nothing_are_left_out() -> None:
    """Of two pictures one resample in seven."""
    counts = counts_of(confusions(2, seed=13))
    found = replicates(counts, ["a", "b"], "released")
    assert found is not None
    assert 0.1 < float(found.samples.isnan().double().mean()) < 0.17
    assert all(math.isfinite(bound) for estimate in estimates(found) for bound in estimate.interval)


def test_the_same_method_twice_differs_by_nothing() -> None:
    counts = counts_of(confusions(10, seed=5))[:1].repeat(2, 1, 1, 1)
    first, second = estimated(counts, "released")
    assert first.interval == second.interval
    assert second.difference == (0, (0, 0))


def test_pictures_that_tell_nothing() -> None:
    counts = counts_of(confusions(10, seed=6))
    empty = torch.zeros(2, 5, 3, CLASSES, dtype=counts.dtype)
    assert estimated(torch.cat([counts, empty], 1), "mmseg") == estimated(counts, "mmseg")
    assert replicates(torch.cat([counts[:, :1], empty], 1), list("abcdef"), "mmseg") is None
    assert replicates(empty[:, :0], [], "mmseg") is None


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Data sets drawn from a population whose mIoU is known; pictures are the units.

    An interval from P pictures is right up to terms of the order 1/P, hence a point of leave besides the error of the
    simulation, which is binomial: three standard deviations.
    """
    population = counts_of(confusions(50_000, seed=7))
    truth = mean_iou(population.sum(1), "mmseg")
    generator = torch.Generator().manual_seed(8)
    sets, pictures = 800, 150
    held = torch.zeros(3)
    for _ in range(sets):
        chosen = torch.randint(population.shape[1], (pictures,), generator=generator)
        first, second = estimated(population[:, chosen], "mmseg", 1000)
        assert second.difference is not None
        bounds = (first.interval, second.interval, second.difference.interval)
        for number, (interval, value) in enumerate(zip(bounds, (*truth, truth[1] - truth[0]), strict=True)):
            held[number] += interval.low <= value <= interval.high
    leave = 3 * math.sqrt(LEVEL * (1 - LEVEL) / sets) + 0.01
    assert (held / sets - LEVEL).abs().max() < leave, held / sets


def test_an_average_of_one_setting_is_the_setting() -> None:
    counts = counts_of(confusions(20, seed=9))
    found = replicates(counts, stems_of(counts), "mmseg", 200)
    assert found is not None
    once, twice = of_average([found]), of_average([found, found])
    for average in (once, twice):
        torch.testing.assert_close(average.values, found.values)
        torch.testing.assert_close(average.samples, found.samples)
    own = estimates(found)
    for estimate, expected in zip(estimates(once), own, strict=True):
        assert estimate.interval == pytest.approx(expected.interval)


def test_settings_of_the_same_pictures_vary_together() -> None:
    """Also where one of them leaves a picture out; of other pictures the average is told better."""
    counts = counts_of(confusions(300, seed=14))
    fewer, stems = counts[:, 1:], stems_of(counts)

    def width(first: list[str], second: list[str]) -> float:
        settings = (replicates(counts, first, "mmseg"), replicates(fewer, second, "mmseg"))
        low, high = estimates(of_average([found for found in settings if found]))[0].interval
        return high - low

    low, high = estimated(counts, "mmseg")[0].interval
    assert width(stems, stems[1:]) == pytest.approx(high - low, rel=0.03)
    assert width(stems, [f"other {stem}" for stem in stems[1:]]) == pytest.approx((high - low) / 2**0.5, rel=0.08)


def test_intervals_of_an_average_hold_the_truth_as_often_as_they_say() -> None:
    """Two settings of other pictures and sizes; the mean of both, and how much higher the second method's is."""
    populations = [counts_of(confusions(20_000, seed=seed)) for seed in (10, 11)]
    populations[1][..., 0, :] = populations[1][..., 0, :] * 7 // 10  # a harder setting
    truth = torch.stack([mean_iou(population.sum(1), "mmseg") for population in populations]).mean(0)
    generator = torch.Generator().manual_seed(12)
    sets = 500
    held = torch.zeros(2)
    for _ in range(sets):
        drawn = []
        for name, population, pictures in zip("ab", populations, (150, 220), strict=True):
            chosen = torch.randint(population.shape[1], (pictures,), generator=generator)
            counts = population[:, chosen]
            drawn.append(replicates(counts, stems_of(counts, name), "mmseg", 1000))
        first, second = estimates(of_average([found for found in drawn if found]))
        assert second.difference is not None
        for number, (interval, value) in enumerate(
            ((first.interval, truth[0]), (second.difference.interval, truth[1] - truth[0]))
        ):
            held[number] += interval.low <= value <= interval.high
    leave = 3 * math.sqrt(LEVEL * (1 - LEVEL) / sets) + 0.01
    assert (held / sets - LEVEL).abs().max() < leave, held / sets
