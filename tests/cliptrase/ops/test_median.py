"""Median network against SciPy and sorting; strips change nothing."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from cliptrase.ops.median import median_filter
from tests import references


@pytest.mark.parametrize("shape", [(3, 28, 28), (2, 7, 40), (2, 5, 3), (1, 1, 1), (2, 2, 9)])
def test_median_is_scipys(shape: tuple[int, int, int]) -> None:
    maps = np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)
    expected = np.stack([ndimage.median_filter(one, size=7) for one in maps])
    np.testing.assert_array_equal(median_filter(torch.from_numpy(maps)).numpy(), expected)


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_median_is_the_middle_of_the_window(size: int) -> None:
    """Values with many ties, against sorting every window."""
    maps = np.random.default_rng(size).integers(0, 4, (2, 9, 11)).astype(np.float32)
    expected = np.stack([references.median(one, size) for one in maps])
    np.testing.assert_array_equal(median_filter(torch.from_numpy(maps), size).numpy(), expected)


@pytest.mark.parametrize("size", [3, 5, 7, 9])
def test_every_size_is_scipys(size: int) -> None:
    maps = np.random.default_rng(size).normal(size=(4, 30, 26)).astype(np.float32)
    expected = np.stack([ndimage.median_filter(one, size=size) for one in maps])
    np.testing.assert_array_equal(median_filter(torch.from_numpy(maps), size).numpy(), expected)


@pytest.mark.parametrize("strip", [1, 100, 999])
def test_strips_change_nothing(strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.randn(2, 9, 11, generator=torch.Generator().manual_seed(0))
    usual = median_filter(maps)
    monkeypatch.setattr("cliptrase.ops.median._STRIP", {"cpu": strip, "cuda": strip})
    assert torch.equal(median_filter(maps), usual)


def test_zeros_and_ones_come_out_right_for_every_count() -> None:
    """A comparator network that selects right for all zeros and ones selects right for all values (Knuth, 5.3.4)."""
    generator = torch.Generator().manual_seed(1)
    ranks = torch.rand(2000, 49, generator=generator).argsort(1)
    ones = (ranks < torch.randint(20, 30, (2000, 1), generator=generator)).float()  # about half, in any places
    windows = ones.view(2000, 7, 7)
    assert torch.equal(median_filter(windows)[:, 3, 3], ones.median(1).values)
