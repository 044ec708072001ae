"""Products of 8-bit integers against float64: how close, row by row, and what stays as it was."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.common.errors import InputError
from cliptrase.ops import integer_products, precision
from cliptrase.ops.integer_products import IntegerProducts, linear, split

CPU = torch.device("cpu")


def layer(inputs: int, outputs: int) -> nn.Linear:
    torch.manual_seed(inputs)
    return nn.Linear(inputs, outputs).requires_grad_(False)


def tokens(*shape: int) -> Tensor:
    """Rows of very different lengths, as a tower's tokens have."""
    generator = torch.Generator().manual_seed(shape[-1])
    return torch.randn(shape, generator=generator) * torch.rand(*shape[:-1], 1, generator=generator) ** 4


@pytest.mark.parametrize("inputs", [5, 64, 768, 3072])
def test_a_result_is_off_by_little(inputs: int) -> None:
    """Of its spread less than a twentieth of what bfloat16 is."""
    one, x = layer(inputs, 48), tokens(2, 40, inputs)
    exact = F.linear(x.double(), one.weight.double())
    found = linear(x, one.weight).double()
    half = F.linear(x.bfloat16(), one.weight.bfloat16()).double()
    spread = exact.std(-1, keepdim=True)
    assert found.shape == exact.shape
    off = ((found - exact) / spread).square().mean().sqrt()
    assert off < 1.2e-4
    assert off < ((half - exact) / spread).square().mean().sqrt() / 20


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_that_are_as_large_as_can_be(sign: int) -> None:
    """Of a wide layer all of whose products have one sign: 254 times the upper parts' sum is past 2^31."""
    x, weight = torch.full((32, 4096), 0.5), nn.Parameter(torch.full((16, 4096), sign * 0.25), requires_grad=False)
    torch.testing.assert_close(linear(x, weight), F.linear(x, weight), rtol=1e-5, atol=0)


def test_parts_are_the_row() -> None:
    x = tokens(30, 77)
    x[3] = 0
    parts, scale = split(x)
    assert parts.dtype == torch.int8
    assert parts.abs().max() <= 127
    again = (254 * parts[:, :77].double() + parts[:, 77:].double()) * scale
    assert ((again - x).abs() <= 1.6e-5 * x.abs().amax(1, keepdim=True)).all()
    assert not again[3].any()


def test_a_row_does_not_depend_on_others() -> None:
    """To the last bit, whatever is in the batch: the sums are of integers."""
    one, x = layer(96, 300), tokens(4000, 96)
    found = linear(x, one.weight, one.bias)
    for row in (0, 7, 1999, 3999):
        assert torch.equal(linear(x[row : row + 1], one.weight, one.bias)[0], found[row])


def test_layers_take_them_and_nothing_else_does() -> None:
    one, x = layer(64, 32), tokens(3, 10, 64)
    usual = one(x)
    with IntegerProducts():
        assert torch.equal(one(x), linear(x, one.weight, one.bias))
        assert not torch.equal(one(x), usual)
        assert torch.equal(F.linear(x, one.weight.clone()), F.linear(x, one.weight.detach().clone()))
        assert torch.equal(one.double()(x.double()), one(x.double()))
        wanting = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(one.float()(wanting).sum(), wanting)
        assert gradient.abs().sum() > 0
    assert torch.equal(one(x), usual)


def test_without_a_bias() -> None:
    one, x = layer(64, 32), tokens(10, 64)
    assert torch.equal(linear(x, one.weight), linear(x, one.weight, torch.zeros(32)))


def test_weights_that_change_are_packed_again() -> None:
    one, x = layer(64, 32), tokens(10, 64)
    before = linear(x, one.weight)
    one.weight.mul_(2)
    torch.testing.assert_close(linear(x, one.weight), 2 * before)
    one.weight.data = -one.weight.data
    torch.testing.assert_close(linear(x, one.weight), -2 * before)
    one.weight.data.mul_(4)  # torch counts no such change
    torch.testing.assert_close(linear(x, one.weight), -8 * before)


def test_layers_that_have_no_integers_stay_as_they_are() -> None:
    """Sums of 65537 columns may pass 2^31, and a bias of another type is torch's to refuse."""
    wide, x = layer(65537, 3), tokens(10, 64)
    with IntegerProducts():
        assert torch.equal(wide(torch.ones(2, 65537)), F.linear(torch.ones(2, 65537), wide.weight.clone(), wide.bias))
        with pytest.raises(RuntimeError, match="dtype"):
            F.linear(x, layer(64, 32).weight, torch.zeros(32).half())


def test_one_row_and_weights_of_inference_mode() -> None:
    with torch.inference_mode():
        one = layer(64, 32)
    x = tokens(10, 64)
    with IntegerProducts():
        assert torch.equal(one(x[3]), one(x)[3])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_told(value: float) -> None:
    one, x = layer(64, 32), tokens(10, 64)
    x[4, 5] = value
    assert linear(x, one.weight, one.bias).isfinite().all(1).tolist() == [row != 4 for row in range(10)]


@pytest.mark.parametrize(("usable", "auto"), [(True, "int8x3"), (False, "32-true")])
def test_auto_goes_by_the_device(usable: bool, auto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_products, "usable", lambda device: usable)
    assert precision.chosen("auto", CPU) == auto
    assert precision.chosen("bf16-mixed", CPU) == "bf16-mixed"
    if not usable:
        with pytest.raises(InputError, match=r"`trainer.precision` int8x3 multiplies 8-bit integers.*take 32-true"):
            precision.in_precision("int8x3", CPU)


def test_no_gpu_takes_integers() -> None:
    assert precision.chosen("auto", torch.device("cuda")) == "32-true"


def test_no_such_precision() -> None:
    with pytest.raises(InputError, match="'int8' is none of 32-true, int8x3, bf16-mixed, 16-mixed and auto"):
        precision.check_precision("int8")
