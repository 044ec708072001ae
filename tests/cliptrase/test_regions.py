"""Region maps and votes against SciPy and plain loops; padded batches against single pictures."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch.nn import functional as F

from cliptrase.regions import cluster_means, majority_vote, mean_logits_vote, region_map
from tests import references


def affinity_of(seed: int, grid: tuple[int, int]) -> torch.Tensor:
    """Rows like the method's own: not negative, with structure in the plane."""
    rng = np.random.default_rng(seed)
    count = grid[0] * grid[1]
    rough = rng.uniform(-0.3, 0.7, (count, *grid))
    return torch.from_numpy(
        np.maximum(ndimage.uniform_filter(rough, (0, 3, 3)), 0).astype(np.float32).reshape(count, count)
    )


def clusters_of(seed: int, count: int, clusters: int) -> torch.Tensor:
    """Every number of [0, clusters) at least once, and noise."""
    labels = np.random.default_rng(seed).integers(-1, clusters, count) if clusters else np.full(count, -1)
    labels[: clusters + 1] = np.arange(-1, clusters)
    return torch.from_numpy(labels)


def test_cluster_means_are_means_of_members() -> None:
    affinity = affinity_of(0, (4, 5))
    clusters = clusters_of(1, 20, 3)
    means = cluster_means(affinity.unsqueeze(0), clusters.unsqueeze(0))[0]
    assert means.shape == (3, 20)
    for number in range(3):
        np.testing.assert_allclose(means[number], affinity[clusters == number].mean(0), rtol=1e-6)


@pytest.mark.parametrize(
    ("grid", "size", "clusters"), [((14, 14), (224, 224), 5), ((6, 9), (96, 144), 3), ((7, 5), (61, 90), 1)]
)
def test_region_map_is_the_loops(grid: tuple[int, int], size: tuple[int, int], clusters: int) -> None:
    affinity, labels = affinity_of(2, grid), clusters_of(3, grid[0] * grid[1], clusters)
    regions = region_map(affinity.unsqueeze(0), labels.unsqueeze(0), grid, size)[0].numpy()
    maps = references.region_scores(
        affinity.numpy(), labels.tolist(), grid, size, lambda image: ndimage.median_filter(image, size=7)
    )
    ranked = np.sort(np.concatenate([maps, np.full((1, *size), -np.inf)]), axis=0)
    clear = ranked[-1] - ranked[-2] > 1e-6  # float32 here, float64 there
    assert clear.mean() > 0.999
    np.testing.assert_array_equal(regions[clear], maps.argmax(0)[clear])
    assert len(np.unique(regions)) == clusters


def test_equal_maps_give_the_lowest_region() -> None:
    affinity = torch.ones(1, 16, 16)
    clusters = torch.tensor([[0, 1, 2, 3] * 4])
    assert (region_map(affinity, clusters, (4, 4), (64, 64)) == 0).all()


def test_pictures_with_unequal_cluster_counts_are_as_one_by_one() -> None:
    """Padding reaches no picture's regions; one without clusters has none."""
    grid, size = (17, 18), (68, 72)
    affinity = torch.stack([affinity_of(seed, grid) for seed in range(5)])
    clusters = torch.stack([clusters_of(seed, 306, number) for seed, number in enumerate((1, 6, 0, 3, 0))])
    together = region_map(affinity, clusters, grid, size)
    for picture in range(5):
        alone = region_map(affinity[picture : picture + 1], clusters[picture : picture + 1], grid, size)
        assert torch.equal(together[picture : picture + 1], alone)
    assert (together[2] == -1).all()
    assert (together[4] == -1).all()
    assert [int(one.max()) for one in together] == [0, 5, -1, 2, -1]


@pytest.mark.parametrize("seed", range(4))
def test_majority_is_the_loop(seed: int) -> None:
    """Few pixels and few labels, so that ties abound; -1 keeps its own."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (3, 6, 5))
    regions = rng.integers(-1, 6, (3, 6, 5))
    regions[1] = -1
    voted = majority_vote(torch.from_numpy(labels), torch.from_numpy(regions), 4).numpy()
    np.testing.assert_array_equal(voted, [references.majority_vote(a, b) for a, b in zip(labels, regions, strict=True)])
    np.testing.assert_array_equal(voted[1], labels[1])


def test_a_tie_goes_to_the_lowest_label() -> None:
    labels = torch.tensor([[[7, 2, 7, 2], [5, 3, 3, 5]]])
    regions = torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 1]]])
    assert majority_vote(labels, regions, 9).tolist() == [[[2] * 4, [3] * 4]]


def test_without_regions_votes_change_nothing() -> None:
    labels = torch.randint(0, 9, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    none = torch.full((2, 8, 8), -1)
    assert torch.equal(majority_vote(labels, none, 9), labels)
    logits = torch.randn(2, 9, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mean_logits_vote(logits, none, labels), labels)


def test_mean_logits_is_the_loop() -> None:
    rng = np.random.default_rng(5)
    logits = torch.from_numpy(rng.normal(size=(3, 11, 9, 12)).astype(np.float32))
    coarse = torch.from_numpy(rng.integers(-1, 4, (3, 9, 12))).repeat_interleave(8, 1).repeat_interleave(8, 2)
    coarse[2] = -1
    size = (72, 96)
    full = F.interpolate(logits, size, mode="bilinear", align_corners=False)
    names = full.argmax(1)
    voted = mean_logits_vote(logits, coarse, names)
    for picture in range(3):
        expected = references.mean_logits_vote(full[picture].numpy(), coarse[picture].numpy(), names[picture].numpy())
        np.testing.assert_array_equal(voted[picture].numpy(), expected)
    assert not torch.equal(voted[:2], names[:2])


def test_mean_logits_of_a_canvas_are_those_of_its_top_left_part() -> None:
    """Label maps smaller than what the tower saw: regions are cut, the names' maps are not stretched."""
    logits = torch.randn(1, 7, 6, 5, generator=torch.Generator().manual_seed(6))
    regions = torch.randint(0, 3, (1, 70, 66), generator=torch.Generator().manual_seed(7))
    full = F.interpolate(logits, (96, 80), mode="bilinear", align_corners=False)[:, :, :70, :66]
    voted = mean_logits_vote(logits, regions, full.argmax(1), (96, 80))[0].numpy()
    expected = references.mean_logits_vote(full[0].numpy(), regions[0].numpy(), full[0].argmax(0).numpy())
    np.testing.assert_array_equal(voted, expected)
