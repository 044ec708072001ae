"""Names by pixel in strips against the whole stack at once, and the memory that they take."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.classification import check_grid, patch_logits, upsampled_argmax, upsampled_strips
from tests import references

SIZE = (72, 96)  # torch resizes to 64 x 64 and less by another kernel, whose last bit depends on the channel
MAP = SIZE[0] * SIZE[1] * 4


def whole(logits: Tensor, size: tuple[int, int], weight: Tensor | None = None) -> Tensor:
    maps = F.interpolate(logits, size, mode="bilinear", align_corners=False)
    return (maps if weight is None else maps * weight[:, :, None, None]).argmax(1)


@pytest.mark.parametrize("limit", [1, 3 * MAP, 4 * MAP, 14 * MAP, 1 << 30])
def test_strips_give_what_the_whole_stack_gives(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """13 names in strips of 1, 1, 2, 7 and 13; names 2 = 3 = 11 and 0 = 8 tie everywhere."""
    monkeypatch.setattr("cliptrase.classification._STRIP_BYTES", {"cpu": limit, "cuda": limit})
    logits = torch.randn(2, 13, 9, 12, generator=torch.Generator().manual_seed(1))
    logits[:, 3] = logits[:, 11] = logits[:, 2] = logits[:, 2] + 1
    logits[:, 8] = logits[:, 0] = logits[:, 0] + 1
    found = upsampled_argmax(logits, SIZE)
    assert torch.equal(found, whole(logits, SIZE))
    assert not {3, 8, 11} & set(found.unique().tolist())
    assert {0, 2} <= set(found.unique().tolist())


@pytest.mark.parametrize("limit", [1, 1 << 30])
def test_weights_come_after_the_upsampling(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliptrase.classification._STRIP_BYTES", {"cpu": limit, "cuda": limit})
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 9, 9, 12, generator=generator)
    weight = torch.randn(2, 9, generator=generator)
    found = upsampled_argmax(logits, SIZE, weight)
    assert torch.equal(found, whole(logits, SIZE, weight))
    assert not torch.equal(found, whole(logits, SIZE))


def test_all_equal_is_the_first_name() -> None:
    assert (upsampled_argmax(torch.zeros(1, 5, 2, 2), (8, 8)) == 0).all()


def test_upsampling_is_bilinear_with_half_pixel_centres() -> None:
    logits = torch.randn(1, 3, 5, 7, generator=torch.Generator().manual_seed(3))
    maps = torch.cat([strip for _, strip in upsampled_strips(logits, (40, 21))], 1)
    np.testing.assert_allclose(maps[0].numpy(), references.bilinear(logits[0].numpy(), (40, 21)), atol=1e-5)


def test_patch_logits_are_scaled_inner_products() -> None:
    rng = np.random.default_rng(4)
    patches, text = rng.normal(size=(2, 6, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    logits = patch_logits(torch.from_numpy(patches), torch.from_numpy(text), 100.0, (2, 3)).numpy()
    assert logits.shape == (2, 3, 2, 3)
    for picture in range(2):
        for name in range(3):
            for patch in range(6):
                expected = 100 * float(patches[picture, patch] @ text[name])
                assert logits[picture, name, patch // 3, patch % 3] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_grid() -> None:
    assert check_grid((224, 336), (16, 14)) == (14, 24)
    with pytest.raises(ValueError, match="225 x 224 pixels is not whole patches of 16 x 16"):
        check_grid((225, 224), (16, 16))
    with pytest.raises(KeyError):
        check_grid((0, 16), (16, 16), KeyError)


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
def test_memory_does_not_grow_with_the_names(names: int, tmp_path: Path) -> None:
    """8 pictures at 336 x 336: 847 full-size maps would take 2,918 MiB and 120 take 413; 16 are the bound."""
    logits = torch.randn(8, names, 21, 21, generator=torch.Generator().manual_seed(0))
    size = (336, 336)
    one_map = 8 * size[0] * size[1] * 4
    assert peak_bytes(lambda: upsampled_argmax(logits, size), tmp_path) < 16 * one_map
    assert peak_bytes(lambda: whole(logits[:, :20], size), tmp_path) > 20 * one_map  # what the measure sees
