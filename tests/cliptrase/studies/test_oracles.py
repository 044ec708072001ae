"""Each oracle against its slow, plain definition."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cliptrase.inference.grid import picture_axis, seam_places, windows_axis
from cliptrase.inference.window_maps import WindowAxis, window_starts
from cliptrase.studies import oracles
from tests import plain_oracles
from tests.references import bilinear

NUMBER, VOID = 4, 255
CPU = torch.device("cpu")


def blobs(seed: int, height: int = 18, width: int = 22, void: bool = True) -> Tensor:
    """Three label maps of large and small regions, some pixels not scored."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, NUMBER, (3, 1, 4, 5), generator=generator).float()
    labels = torch.nn.functional.interpolate(coarse, (height, width))[:, 0].long()
    noise = torch.rand(labels.shape, generator=generator)
    labels = labels.where(noise > 0.1, torch.randint(0, NUMBER, labels.shape, generator=generator))
    return labels.where((noise < 0.9) | torch.tensor(not void), VOID)


def plain(tensor: Tensor) -> NDArray[np.int64]:
    array: NDArray[np.int64] = tensor.numpy()
    return array


def clear(maps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the highest is no tie, which rounding decides."""
    ordered = np.sort(maps, 0)
    answer: NDArray[np.bool_] = ordered[-1] - ordered[-2] > 1e-5
    return answer


@pytest.mark.parametrize("canvas", [(18, 22), (20, 30)])
def test_pooled_truth_of_whole_pictures(canvas: tuple[int, int]) -> None:
    truth = blobs(1)
    rows, columns = picture_axis(4, canvas[0], 18, CPU), picture_axis(5, canvas[1], 22, CPU)
    found = oracles.pooled_truth(truth, NUMBER, rows, columns)
    for one, label_map in zip(found, truth, strict=True):
        shares = plain_oracles.on_patches(plain(label_map), NUMBER, (0, 0, *canvas), (4, 5))
        maps = bilinear(shares, canvas)[:, :18, :22]
        decided = clear(maps) & (plain(label_map) != VOID)
        assert decided.sum() > 200
        assert (plain(one) == maps.argmax(0))[decided].all()


def test_pooled_truth_of_windows() -> None:
    truth = blobs(2)
    axes = [WindowAxis(window_starts(length, 12, 7), 12, length, length) for length in (18, 22)]
    found = oracles.pooled_truth(truth, NUMBER, *(windows_axis(axis, 3, CPU) for axis in axes))
    for one, label_map in zip(found, truth, strict=True):
        maps = plain_oracles.windowed_maps(plain(label_map), NUMBER, (axes[0].starts, axes[1].starts), 12, 3)
        decided = clear(maps) & (plain(label_map) != VOID)
        assert decided.sum() > 200
        assert (plain(one) == maps.argmax(0))[decided].all()


def test_one_window_as_large_as_the_picture_is_the_picture() -> None:
    for size in (18, 36):
        windows = windows_axis(WindowAxis([0], 18, 18, size), 4, CPU)
        whole = picture_axis(4, size, size, CPU)
        assert torch.equal(windows.covers, whole.covers)
    torch.testing.assert_close(
        windows_axis(WindowAxis([0], 18, 18, 18), 4, CPU).back, picture_axis(4, 18, 18, CPU).back
    )


@pytest.mark.parametrize("reach", [1, 3, 30])
def test_labels_across_the_border(reach: int) -> None:
    truth, prediction = blobs(3), blobs(4, void=False)
    near = oracles.near_labels(truth, NUMBER, reach)
    found = oracles.beyond_the_border(prediction, truth, near)
    for image in range(3):
        mine, true = plain(prediction[image]), plain(truth[image])
        wanted = np.zeros(true.shape, bool)
        for label in range(NUMBER):
            wanted |= (mine == label) & plain_oracles.near(true == label, reach)
        scored = true != VOID
        assert ((found[image].numpy() == (wanted & (mine != true))) | ~scored).all()
        assert wanted.any()


@pytest.mark.parametrize("reach", [1, 2, 12])
def test_bands_are_masks_less_their_erosion(reach: int) -> None:
    truth, prediction = blobs(5), blobs(6, void=False)
    for labels in (truth, prediction):
        found = oracles.boundary_labels(labels, truth, NUMBER, reach)
        for image in range(3):
            scored = plain(truth[image]) != VOID
            wanted = np.where(scored, NUMBER, -1)
            for label in range(NUMBER):
                wanted[plain_oracles.eroded_band((plain(labels[image]) == label) & scored, reach)] = label
            assert (plain(found[image]) == wanted).all()


def test_the_band_is_that_of_the_paper() -> None:
    assert [oracles.band_width(*size) for size in ((480, 640), (336, 336), (10, 10))] == [16, 10, 1]


@pytest.mark.parametrize("columns", [[(4, 5), (10, 11), (13, 14)], [(3, 6), (9, 12), (15, 18)], []])
@pytest.mark.parametrize("reach", [1, 4])
def test_seams_by_row_and_by_column(columns: list[tuple[int, int]], reach: int) -> None:
    truth, prediction = blobs(7), blobs(8, void=False)
    across = oracles.seam_pixels(prediction, truth, NUMBER, ([], columns), reach)
    down = oracles.seam_pixels(prediction.mT, truth.mT, NUMBER, (columns, []), reach).mT
    assert torch.equal(across, down)
    for image in range(3):
        true = np.where(plain(truth[image]) == VOID, -1, plain(truth[image]))
        wanted = plain_oracles.seam_pixels(plain(prediction[image]), true, columns, reach) & (true >= 0)
        assert (across[image].numpy() == wanted).all()
        assert wanted.any() == bool(columns)


def test_where_windows_begin_and_end() -> None:
    """Windows of 12 every 7 pixels of 22 begin at 0, 7 and 10 and end at 12, 19 and 22."""
    starts = window_starts(22, 12, 7)
    assert seam_places(WindowAxis(starts, 12, 22, 22)) == [(6, 7), (9, 10), (11, 12), (18, 19)]
    assert seam_places(WindowAxis(starts, 12, 22, 44)) == [(12, 15), (18, 21), (22, 25), (36, 39)]
    assert seam_places(WindowAxis([0], 22, 22, 44)) == []


def test_regions_are_connected_parts() -> None:
    truth = blobs(9)
    found = oracles.true_regions(truth, NUMBER)
    for image in range(3):
        parts = plain_oracles.regions(plain(truth[image]), NUMBER)
        numbers = [{int(found[image][pixel]) for pixel in part} for part in parts]
        assert sorted(number for of_part in numbers for number in of_part) == list(range(len(parts)))
        assert (found[image] >= 0).sum() == sum(map(len, parts))


def test_regions_whose_vote_is_right() -> None:
    truth = blobs(10)
    prediction = truth.where(torch.rand(truth.shape, generator=torch.Generator().manual_seed(0)) < 0.5, 1)
    prediction = prediction.where(prediction < NUMBER, 0)
    found = oracles.regions_right(prediction, truth, oracles.true_regions(truth, NUMBER), NUMBER)
    for image in range(3):
        wanted = plain_oracles.regions_right(plain(prediction[image]), plain(truth[image]), NUMBER)
        assert (found[image].numpy() == wanted).all()
        assert wanted.any()
        assert not wanted.all()


@pytest.mark.parametrize("background", [0, 3])
def test_the_best_threshold_is_the_best_of_all(background: int) -> None:
    truth, labels = blobs(11), blobs(12, void=False)
    # Few values, so that many pixels lie on either side together.
    probability = torch.randint(0, 12, truth.shape, generator=torch.Generator().manual_seed(3)) / 12
    sure = truth == labels
    probability = probability.where(~sure, (probability + 0.3).clamp(max=1)).float()
    found = oracles.best_threshold(labels, probability, truth, background, NUMBER)
    for image in range(3):
        arrays = (plain(labels[image]), probability[image].numpy(), plain(truth[image]))
        wanted = plain_oracles.best_threshold(*arrays, background, NUMBER)
        scored = plain(truth[image]) != VOID
        assert (plain(found[image]) == wanted)[scored].all()
    assert not torch.equal(found, labels)
