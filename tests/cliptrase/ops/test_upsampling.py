"""The highest map by pixel against the whole stack upsampled by torch, and the memory that it takes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from cliptrase.ops.upsampling import bilinear_matrix, upsampled_argmax
from tests import references

SIZE = (72, 96)  # torch resizes to 64 x 64 and less by another kernel, whose last bit depends on the channel


def whole(maps: Tensor, size: tuple[int, int], weight: Tensor | None = None) -> Tensor:
    maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    return (maps if weight is None else maps * weight[:, :, None, None]).argmax(1)


def random_maps(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cells", [1, 7, 1 << 20])
def test_it_is_the_whole_stacks_argmax(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps 2 = 3 = 11 and 0 = 8 tie everywhere, and the lowest is taken."""
    monkeypatch.setattr("cliptrase.ops.upsampling._CELLS", {"cpu": cells, "cuda": cells})
    maps = random_maps(2, 13, 9, 12)
    maps[:, 3] = maps[:, 11] = maps[:, 2] = maps[:, 2] + 1
    maps[:, 8] = maps[:, 0] = maps[:, 0] + 1
    found = upsampled_argmax(maps, SIZE)
    assert torch.equal(found, whole(maps, SIZE))
    assert not {3, 8, 11} & set(found.unique().tolist())
    assert {0, 2} <= set(found.unique().tolist())


@pytest.mark.parametrize("cells", [5, 1 << 20])
def test_weights_of_either_sign_come_after_the_upsampling(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliptrase.ops.upsampling._CELLS", {"cpu": cells, "cuda": cells})
    maps, weight = random_maps(2, 9, 9, 12), random_maps(2, 9, seed=2)
    found = upsampled_argmax(maps, SIZE, weight)
    assert torch.equal(found, whole(maps, SIZE, weight))
    assert not torch.equal(found, whole(maps, SIZE))


@given(
    st.integers(1, 6),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.sampled_from([1e-30, 1.0, 1e30]),
    st.integers(0, 2**32 - 1),
)
def test_any_grid_to_any_size(
    count: int, grid: tuple[int, int], size: tuple[int, int], scale: float, seed: int
) -> None:
    """Enlarged, reduced, whole factors and others; where two maps are equal but for rounding, either will do."""
    maps = random_maps(2, count, *grid, seed=seed)
    found = upsampled_argmax(maps * scale, size)
    full = np.stack([references.bilinear(picture.numpy(), size) for picture in maps])
    chosen = np.take_along_axis(full, found.unsqueeze(1).numpy(), 1)[:, 0]
    assert (full.max(1) - chosen).max() < 1e-5


def test_smooth_maps_as_they_come_and_in_any_memory_order() -> None:
    """Few names a cell, the usual case; channels last is how logits lie in memory."""
    coarse = random_maps(2, 60, 4, 4)
    maps = F.interpolate(coarse, (14, 14), mode="bicubic").contiguous()
    found = upsampled_argmax(maps, (224, 224))
    assert torch.equal(found, whole(maps, (224, 224)))
    assert torch.equal(found, upsampled_argmax(maps.to(memory_format=torch.channels_last), (224, 224)))


def test_a_picture_does_not_depend_on_its_batch() -> None:
    maps = random_maps(3, 20, 6, 5) * torch.tensor([1, 1e6, 1e-6]).view(3, 1, 1, 1)
    together = upsampled_argmax(maps, (50, 40))
    alone = torch.cat([upsampled_argmax(one.unsqueeze(0), (50, 40)) for one in maps])
    assert torch.equal(together, alone)


def test_all_equal_and_nothing_comparable_are_the_first_name() -> None:
    assert (upsampled_argmax(torch.zeros(1, 5, 2, 2), (8, 8)) == 0).all()
    assert (upsampled_argmax(torch.full((1, 5, 2, 2), float("nan")), (8, 8)) == 0).all()


@pytest.mark.parametrize("size", [(40, 21), (5, 7), (3, 4), (224, 30)])
def test_matrix_upsamples_bilinearly_with_half_pixel_centres(size: tuple[int, int]) -> None:
    maps = random_maps(1, 3, 5, 7)
    rows, columns = (bilinear_matrix(maps.shape[2 + i], size[i], maps.device) for i in (0, 1))
    full = rows @ maps @ columns.T
    np.testing.assert_allclose(full[0].numpy(), references.bilinear(maps[0].numpy(), size), atol=1e-5)
    torch.testing.assert_close(full, F.interpolate(maps, size, mode="bilinear"))


def peak_bytes(work: Callable[[], object], folder: Path) -> int:
    """Most bytes that torch held during `work` beyond those held at its first allocation, from its own profiler."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    profile.export_chrome_trace(str(folder / "trace.json"))
    events = json.loads((folder / "trace.json").read_text())["traceEvents"]
    memory = [event["args"] for event in events if event.get("name") == "[memory]"]
    memory = [args for args in memory if args["Device Type"] == 0]
    first = memory[0]["Total Allocated"] - memory[0]["Bytes"]
    return max(args["Total Allocated"] for args in memory) - first


@pytest.mark.parametrize("names", [120, pytest.param(847, marks=pytest.mark.slow)])
def test_memory_hardly_grows_with_the_names(names: int, tmp_path: Path) -> None:
    """8 pictures at 336 x 336: 847 full-size maps would take 2,918 MiB and 120 take 413; 24 are the bound."""
    maps = random_maps(8, names, 21, 21)
    size = (336, 336)
    one_map = 8 * size[0] * size[1] * 4
    assert peak_bytes(lambda: upsampled_argmax(maps, size), tmp_path) < 24 * one_map
    assert peak_bytes(lambda: whole(maps[:, :30], size), tmp_path) > 30 * one_map  # what the measure sees
