"""Triton kernels against the tensor code, by Triton's interpreter on the CPU; and built for GPUs that are not here."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cliptrase.ops import kernels
from cliptrase.ops.median import median_filter
from cliptrase.ops.upsampling import upsampled_argmax

pytest.importorskip("triton", reason="Triton comes with PyTorch on Linux only")

SIZES = [(72, 21), (5, 7)]
HARD = [((28, 37), (97, 131)), ((13, 7), (61, 53))]  # grids and label maps, for maps that nearly tie everywhere
WINDOWS = [(7, (3, 14, 20)), (7, (2, 5, 3)), (3, (2, 7, 40)), (7, (1, 1, 1))]

# The interpreter is chosen when kernels are defined, so it has a process of its own.
INTERPRETED = """
import sys
import torch
from cliptrase.ops import kernels
cases = torch.load(sys.argv[1])
found = {"highest": [kernels.highest_map(*case) for case in cases["highest"]],
         "median": [kernels.median_window(*case) for case in cases["median"]]}
torch.save(found, sys.argv[2])
"""


def cases() -> dict[str, list[Any]]:
    """Maps with ties, weights of either sign, sizes up and down; windows wider than the map, ties and infinities."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 13, 9, 12, generator=generator)
    maps[:, 11] = maps[:, 2] = maps[:, 2] + 1
    weight = torch.randn(2, 13, generator=generator)
    logits = torch.randn(2, 30, 13, generator=generator).mT.unflatten(2, (5, 6))  # as they lie in memory
    windows = [torch.randn(shape, generator=generator) for _, shape in WINDOWS]
    windows[0][0] = windows[0][0].round()
    windows[0][1, :2] = float("inf")
    windows[0][2, 3:9, 3:9] = -float("inf")
    highest = [(maps, size, given) for size in SIZES for given in (None, weight)] + [(logits, (70, 80), None)]
    for grid, size in HARD:  # a position that is off by float32's last digit gives another name here and there
        one, apart = (torch.randn(1, names, *grid, generator=generator) for names in (1, 4))
        highest.append((one + 1e-6 * apart, size, None))
    return {
        "highest": highest,
        "median": [(window, size) for window, (size, _) in zip(windows, WINDOWS, strict=True)],
    }


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Tensor]]:
    folder = tmp_path_factory.mktemp("kernels")
    torch.save(cases(), folder / "cases.pt")
    command = [sys.executable, "-c", INTERPRETED, str(folder / "cases.pt"), str(folder / "found.pt")]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    root = Path(__file__).resolve().parents[3]
    subprocess.run(command, env=environment, cwd=root, check=True, timeout=300)
    found: dict[str, list[Tensor]] = torch.load(folder / "found.pt")
    return found


def test_the_highest_map_is_the_tensor_codes(interpreted: dict[str, list[Tensor]]) -> None:
    """On every pixel."""
    for (maps, size, weight), found in zip(cases()["highest"], interpreted["highest"], strict=True):
        usual = upsampled_argmax(maps, size, weight)
        assert found.dtype == usual.dtype
        assert torch.equal(found, usual)
        if maps.shape[1] == 13 and weight is None and torch.equal(maps[:, 2], maps[:, 11]):
            assert not (found == 11).any()  # the lowest on a tie
        assert len(found.unique()) > 3


def test_the_median_is_the_tensor_codes(interpreted: dict[str, list[Tensor]]) -> None:
    for (maps, size), found in zip(cases()["median"], interpreted["median"], strict=True):
        assert torch.equal(found, median_filter(maps, size))


@pytest.mark.parametrize("capability", [75, 90])
def test_they_build_for_gpus(capability: int) -> None:
    """The interpreter takes more than the compiler does; building needs no GPU."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from cliptrase.ops import triton_kernels

    pointers = {"maps": "*fp32", "weight": "*fp32", "winners": "*i64", "medians": "*fp32"}
    pointers |= {f"{axis}_cells": "*i64" for axis in ("row", "column")}
    pointers |= {f"{axis}_shares": "*fp32" for axis in ("row", "column")}
    fixed = {"WEIGHTED": True, "BLOCK": 32, "SIZE": 7, "LANES": 64}
    for kernel in (triton_kernels.highest, triton_kernels.median):
        signature = {name: pointers.get(name, "i32") for name in kernel.arg_names}
        constants = {name: fixed[name] for name in kernel.arg_names if name in fixed}
        source = ASTSource(kernel, signature | dict.fromkeys(constants, "constexpr"), constants)
        built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"enable_fp_fusion": False})
        assert built.asm["cubin"]


@pytest.fixture
def fresh_trial() -> Iterator[None]:
    kernels.usable.cache_clear()
    yield
    kernels.usable.cache_clear()


def test_on_a_gpu_the_kernels_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.randn(1, 3, 4, 4)
    monkeypatch.setattr(kernels, "usable", lambda device: True)
    monkeypatch.setattr(kernels, "highest_map", lambda maps, size, weight: ("highest", size, weight))
    monkeypatch.setattr(kernels, "median_window", lambda maps, size: ("median", size))
    assert upsampled_argmax(maps, (8, 8)) == ("highest", (8, 8), None)
    assert median_filter(maps[0], 5) == ("median", 5)
    assert isinstance(median_filter(maps[0].double()), Tensor)  # the kernel orders float32 by its bits


@pytest.mark.usefixtures("fresh_trial")
def test_a_cpu_takes_the_tensor_code() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not kernels.usable(torch.device("cpu"))


@pytest.mark.usefixtures("fresh_trial")
@pytest.mark.parametrize(("error", "warns"), [(ImportError("no triton"), False), (RuntimeError("no C compiler"), True)])
def test_kernels_that_cannot_be_built_are_left(error: Exception, warns: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise error

    monkeypatch.setattr(kernels, "highest_map", fail)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: torch.ones(shape))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not kernels.usable(torch.device("cuda"))
        assert not kernels.usable(torch.device("cuda"))  # not tried again
    assert [str(one.message) for one in caught] == [
        "Triton kernels cannot run here (no C compiler); slower tensor code does the same"
    ] * warns
