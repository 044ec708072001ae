"""PAMR and TLP against their released codes and slow references, for any shape, batch, precision and part of names."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cliptrase.refinements import pamr as pamr_module
from cliptrase.refinements.maps import Guide, Maps, Refinement
from cliptrase.refinements.pamr import affinities, neighbours, pamr, propagate
from cliptrase.refinements.tlp import tlp
from tests import references
from tests.kit import MEAN, STD, scene_batch

GOLDEN = Path(__file__).parents[2] / "golden" / "refinements.npz"
CASES = ("21_90x121", "22_203x331")
FUNCTIONS: dict[str, Refinement] = {"pamr": pamr, "tlp": tlp}
RESULTS = {"pamr": "refined", "tlp": "propagated"}
SHAPES = [(40, 40), (33, 57), (70, 21), (1, 1), (1, 40), (3, 100)]


def guide(seeds: Sequence[int], height: int, width: int, names: int = 7, grid: int | None = None) -> Guide:
    images = scene_batch(seeds, height, width) / 255
    text = torch.randn(names, 16, generator=torch.Generator().manual_seed(names))
    options = {} if grid is None else {"tlp_grid": grid}
    pixels = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    return Guide(pixels, images, F.normalize(text, dim=1), options)


def cosines(count: int, names: int, height: int, width: int) -> Tensor:
    coarse = torch.randn(count, names, 4, 5, generator=torch.Generator().manual_seed(names)) / 10 + 0.2
    return F.interpolate(coarse, (height, width), mode="bilinear")


def refined(name: str, maps: Tensor, given: Guide, step: int = 1 << 30) -> Tensor:
    """All maps after a refinement, `step` names at a time before it."""

    def parts() -> Maps:
        for first in range(0, maps.shape[1], step):
            yield first, maps[:, first : first + step]

    found = list(FUNCTIONS[name](parts, given)())
    assert [first for first, _ in found] == np.cumsum([0, *(part.shape[1] for _, part in found)])[:-1].tolist()
    return torch.cat([part for _, part in found], 1)


def agree(found: NDArray[np.float32], expected: NDArray[np.floating], tolerance: float = 1e-5) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def golden_case(name: str, case: str, stored: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Every third row and column of what a refinement makes of a case's coarse maps."""
    seed, size = case.split("_")
    height, width = map(int, size.split("x"))
    given = guide([int(seed)], height, width)
    if name == "tlp":
        given = Guide(given.pixels, given.images, torch.from_numpy(stored[f"{case}/text"]))
    maps = F.interpolate(torch.from_numpy(stored[f"{case}/coarse"])[None], (height, width), mode="bilinear")
    return refined(name, maps, given)[0].numpy()[:, ::3, ::3]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_golden_rows(name: str, case: str) -> None:
    with np.load(GOLDEN) as file:
        stored = {key.removeprefix(f"{name}/"): file[key] for key in file.files if key.startswith(name)}
    found = golden_case(name, case, stored)
    agree(found[:, :: found.shape[1] // 6], stored[f"{case}/{RESULTS[name]}"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_everything_that_is_stored(name: str, case: str, parity: Path) -> None:
    with np.load(parity / "methods2" / f"{name}.npz") as file:
        stored = dict(file)
    agree(golden_case(name, case, stored), stored[f"{case}/{RESULTS[name]}"])


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_pamr_pixel_by_pixel(height: int, width: int) -> None:
    given = guide([1, 2], height, width)
    maps = cosines(2, 7, height, width)
    found = refined("pamr", maps, given)
    assert found.dtype == torch.float32
    for number in range(2):
        agree(found[number].numpy(), references.pamr(maps[number].numpy(), given.pixels[number].numpy()))


def test_pamr_with_other_constants() -> None:
    given = guide([1], 21, 30)
    maps = cosines(1, 3, 21, 30)
    ((_, found),) = pamr(lambda: iter([(0, maps)]), given, 3, (1, 2, 4))()
    agree(found[0].numpy(), references.pamr(maps[0].numpy(), given.pixels[0].numpy(), 3, (1, 2, 4)))


def test_pamr_of_a_flat_picture_is_the_plain_mean() -> None:
    """Where all colours are one, all neighbours weigh the same; and weights are shares everywhere."""
    flat = torch.full((1, 3, 20, 30), 0.3)
    torch.testing.assert_close(affinities(flat), torch.full((1, 20, 30, 16), 1 / 16), rtol=0, atol=1e-7)
    weights = affinities(guide([3], 20, 30).pixels)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(3), torch.ones(1, 20, 30), rtol=0, atol=1e-6)
    constant = torch.full((1, 2, 20, 30), 0.7)
    torch.testing.assert_close(propagate(constant, weights, neighbours(flat)), constant, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "grid"), [(64, 64, 80), (75, 121, 60), (99, 52, 50), (123, 90, 40)])
def test_tlp_cell_by_cell(height: int, width: int, grid: int) -> None:
    """With remainders that pooling drops, and none."""
    given = guide([1, 2], height, width, grid=grid)
    maps = cosines(2, 7, height, width)
    found = refined("tlp", maps, given)
    assert found.dtype == torch.float32
    for number in range(2):
        picture, text = given.pixels[number].numpy(), given.text.numpy()
        agree(found[number].numpy(), references.tlp(maps[number].numpy(), picture, text, grid))


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_tlp_of_a_line(shape: tuple[int, int]) -> None:
    found = refined("tlp", cosines(1, 7, *shape), guide([1], *shape))
    assert found.shape == (1, 7, *shape)
    assert found.isfinite().all()


@pytest.mark.parametrize("shape", [(40, 40), (33, 170)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_batch_is_its_pictures_one_by_one(name: str, shape: tuple[int, int]) -> None:
    together = guide([1, 2, 3], *shape)
    maps = cosines(3, 40, *shape)
    together = Guide(together.pixels, together.images, guide([1], *shape, names=40).text)
    found = refined(name, maps, together)
    for number in range(3):
        one = slice(number, number + 1)
        alone = refined(name, maps[one], Guide(together.pixels[one], together.images[one], together.text))
        assert torch.equal(found[one], alone)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_few_names_at_a_time_are_all_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = guide([1, 2], 37, 50, names=45, grid=20)
    maps = cosines(2, 45, 37, 50)
    found = refined(name, maps, given)
    for step in (1, 2, 7, 32):
        assert torch.equal(refined(name, maps, given, step), found)
    monkeypatch.setattr(pamr_module, "_NAMES", 5)
    monkeypatch.setattr("cliptrase.refinements.maps.VALUES", 3 * 2 * 37 * 50)
    assert torch.equal(refined(name, maps, given, 7), found)


def test_bands_of_a_picture_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = guide([1, 2], 60, 45).pixels
    whole = affinities(pixels)
    monkeypatch.setattr(pamr_module, "_BAND", {"cpu": 1})
    torch.testing.assert_close(affinities(pixels), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_float32_whatever_the_precision(name: str, dtype: torch.dtype) -> None:
    given, maps = guide([1], 33, 57), cosines(1, 7, 33, 57).to(dtype)
    expected = refined(name, maps.float(), given)
    with torch.autocast("cpu", torch.bfloat16):
        found = refined(name, maps, given)
        half = refined(name, maps, Guide(given.pixels.double(), given.images, given.text.double()))
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    torch.testing.assert_close(half, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_maps_are_taken_as_often_as_they_are_wanted(name: str) -> None:
    """What it gets stays as it was, and the second time is the first."""
    given, maps = guide([1], 33, 57), cosines(1, 7, 33, 57)
    before = maps.clone()
    again = FUNCTIONS[name](lambda: iter([(0, maps)]), given)
    first, second = list(again()), list(again())
    assert torch.equal(first[0][1], second[0][1])
    assert torch.equal(maps, before)


def test_weights_are_computed_once_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once a part of names, nor once a method."""
    calls: list[Callable[..., Tensor]] = []

    def counted(pixels: Tensor, dilations: tuple[int, ...]) -> Tensor:
        calls.append(affinities)
        return affinities(pixels, dilations)

    monkeypatch.setattr(pamr_module, "affinities", counted)
    given, maps = guide([1], 33, 57), cosines(1, 7, 33, 57)
    refined("pamr", maps, given, 2)
    refined("pamr", maps, Guide(given.pixels, given.images, given.text, made=given.made), 3)
    assert len(calls) == 1
    refined("pamr", maps, guide([1], 33, 57))
    assert len(calls) == 2


def test_tlp_asks_for_maps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []

    def parts() -> Maps:
        taken.append(1)
        yield 0, cosines(1, 7, 33, 57)

    again = tlp(parts, guide([1], 33, 57))
    list(again())
    list(again())
    assert len(taken) == 1
