"""DBSCAN against a breadth-first reference in float64 and against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN

from benchmarks import subjects
from cliptrase.clustering import dbscan
from cliptrase.inference import whole as whole_inference
from cliptrase.ops.classification import TextClassifier
from cliptrase.segmenter import Segmenter
from tests import references


def labels(points: np.ndarray, eps: float, min_samples: int) -> list[int]:
    return dbscan(torch.from_numpy(points).unsqueeze(0), eps, min_samples)[0].tolist()


def oracle(points: np.ndarray, eps: float, min_samples: int) -> list[int]:
    """scikit-learn, measuring as it does by itself for rows of more than 15 numbers, as the method's are."""
    return DBSCAN(eps=eps, min_samples=min_samples, algorithm="brute").fit(points).labels_.tolist()


@st.composite
def lattices(draw: st.DrawFn) -> tuple[np.ndarray, float]:
    """Lattice points, duplicates among them, whose spacing is eps but for the last bit of float32."""
    dimensions = draw(st.integers(1, 4))
    rows = draw(
        st.lists(st.lists(st.integers(-3, 3), min_size=dimensions, max_size=dimensions), min_size=1, max_size=30)
    )
    scale = np.float32(draw(st.floats(0.015625, 3, width=32)))
    eps = float(scale) * draw(st.sampled_from([1, 2, 3, 5])) ** 0.5
    eps = draw(st.sampled_from([eps, float(np.nextafter(np.float32(eps), 9)), float(np.nextafter(np.float32(eps), 0))]))
    return np.array(rows, dtype=np.float32) * scale, eps


@given(lattices(), st.integers(1, 6))
def test_points_spaced_by_exactly_eps(case: tuple[np.ndarray, float], min_samples: int) -> None:
    points, eps = case
    assert labels(points, eps, min_samples) == references.dbscan(points, eps, min_samples)


@given(
    st.integers(1, 30),
    st.integers(1, 12),
    st.floats(0.05, 3),
    st.integers(1, 8),
    st.integers(0, 2**32 - 1),
)
def test_scattered_points(count: int, dimensions: int, eps: float, min_samples: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    expected = references.dbscan(points, eps, min_samples)
    assert labels(points, eps, min_samples) == expected
    assert oracle(points, eps, min_samples) == expected


@pytest.mark.parametrize("scale", [0.1, 0.7, 1.1, 1 / 3])
@pytest.mark.parametrize("min_samples", [3, 4, 5])
def test_grid_at_exact_spacing_is_scikit_learns(scale: float, min_samples: int) -> None:
    grid = np.stack(np.meshgrid(np.arange(9), np.arange(7)), -1).reshape(-1, 2)
    points = grid.astype(np.float32) * np.float32(scale)
    found = labels(points, scale, min_samples)
    assert found == oracle(points, scale, min_samples)
    assert found == references.dbscan(points, scale, min_samples)


@pytest.mark.parametrize(("count", "eps", "min_samples"), [(196, 0.7, 3), (441, 1.1, 7)])
def test_rows_like_the_methods_own_are_scikit_learns(count: int, eps: float, min_samples: int) -> None:
    """Non-negative N x N rows in clumps, whose neighbours lie about eps apart."""
    rng = np.random.default_rng(count)
    centres = rng.uniform(0, 0.5, (6, count)) * (rng.uniform(size=(6, count)) < 0.4)
    noise = rng.uniform(0.2, 1.5, (count, 1)) * rng.normal(0, eps / np.sqrt(count), (count, count))
    points = np.maximum(centres[rng.integers(0, 6, count)] + noise, 0).astype(np.float32)
    found = labels(points, eps, min_samples)
    assert found == oracle(points, eps, min_samples)
    assert max(found) > 0
    assert -1 in found


def test_border_point_falls_to_the_lowest_cluster() -> None:
    """0.95 is reached by the cores at 0 and 1.9, but has too few neighbours to join them."""
    points = np.array([[-0.9], [-0.8], [-0.7], [0], [0.95], [1.9], [2.6], [2.7], [2.8]], dtype=np.float32)
    assert labels(points, 1.0, 5) == oracle(points, 1.0, 5) == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    points = points[::-1].copy()
    assert labels(points, 1.0, 5) == oracle(points, 1.0, 5) == [0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_numbers_go_by_the_lowest_core_point_not_by_a_border_point() -> None:
    """Point 0 is a border point of the cluster whose core comes last."""
    points = np.array([[0.0], [9.0], [9.1], [9.2], [0.95], [1.9]], dtype=np.float32)
    assert labels(points, 1.0, 3) == oracle(points, 1.0, 3) == [1, 0, 0, 0, 1, 1]


def test_a_long_chain_is_one_cluster() -> None:
    order = np.random.default_rng(0).permutation(400)
    points = order[:, None].astype(np.float32)
    assert labels(points, 1.0, 2) == [0] * 400


def test_one_point_and_none_clustered() -> None:
    one = np.zeros((1, 5), dtype=np.float32)
    assert labels(one, 0.5, 1) == [0]
    assert labels(one, 0.5, 2) == [-1]
    apart = np.eye(10, dtype=np.float32)
    assert labels(apart, 1.0, 2) == [-1] * 10


def test_identical_points_are_one_cluster() -> None:
    assert labels(np.full((8, 3), 0.1, dtype=np.float32), 1e-6, 8) == [0] * 8


@pytest.mark.parametrize("seed", range(8))
def test_long_rows_do_not_blur_distances(seed: int) -> None:
    """Rows that differ in one number by exactly eps are neighbours, however their squares round."""
    rng = np.random.default_rng(seed)
    row = rng.uniform(0, 100, 200).astype(np.float32)
    row[::2] = np.round(row[::2])
    near = np.tile(row, (100, 1))
    near[np.arange(100), np.arange(0, 200, 2)] += 0.75
    points = np.concatenate([near, row[None]])
    assert labels(points, 0.75, 101) == [0] * 101
    assert labels(points, float(np.nextafter(np.float32(0.75), np.float32(0))), 2) == [-1] * 101


def test_batch_is_one_by_one() -> None:
    rng = np.random.default_rng(3)
    sets = [rng.normal(size=(40, 3)), rng.normal(size=(40, 3)) * 100, np.zeros((40, 3))]
    batch = torch.from_numpy(np.stack(sets).astype(np.float32))
    together = dbscan(batch, 0.8, 4)
    alone = torch.cat([dbscan(points.unsqueeze(0), 0.8, 4) for points in batch])
    assert torch.equal(together, alone)
    assert (together[1] == -1).all()
    assert (together[2] == 0).all()
    assert together.dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_does_not_reach_the_clustering(
    dtype: torch.dtype, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compared with eps comes in float32, and is clustered as without autocast."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def keep(points: torch.Tensor, eps: float, min_samples: int) -> torch.Tensor:
        seen.append((points, dbscan(points, eps, min_samples)))
        return seen[-1][1]

    monkeypatch.setattr(whole_inference, "dbscan", keep)
    classifier = TextClassifier(torch.eye(segmenter.model.visual.output_dim)[:5], torch.arange(5), 5)
    with torch.autocast("cpu", dtype):
        segmenter(subjects.pictures(2, 224), classifier)
    ((points, clusters),) = seen
    assert points.dtype == torch.float32
    assert not torch.equal(points, points.to(dtype).float())  # nor was it rounded on the way
    assert torch.equal(clusters, dbscan(points, segmenter.protocol.eps, segmenter.protocol.min_samples))
    assert clusters.max() >= 0
