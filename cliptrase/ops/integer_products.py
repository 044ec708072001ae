"""Layers' products as exact products of 8-bit integers: nearly float32's result in 0.4 of its time on a CPU with VNNI.

Each row of activations and of weights is a scale times integers of 16 bits, and each of these 254 times one integer of
8 bits plus another: x = s (254 x1 + x2). Of the four products of parts that of both lower ones, some 5e-5 of the
result, is left out; the others are exact, so that no row depends on what else is in the batch. A result is off by some
7e-5 of its spread, where bfloat16 is off by 3e-3.

Source: the splitting of Ozaki et al. (Numerical Algorithms 2012), on integer units as Ootomo, Ozaki and Yokota do it
(IJHPCA 2024), cut to two parts. CLIP's weights and tokens then lose less than their own rounding moves.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

_BASE = 254  # what the upper part counts: the lower one then is 127 at most
_LARGEST = 127 * _BASE  # integer of a row's largest magnitude
_LEAST = 1e-30  # scale of rows that are zero
_VALUES = 1 << 20  # of rows or results at a time: fewer mean more calls that pack the weights, more leave the cache
_WIDEST = 1 << 16  # columns whose mixed products, 2 * 127^2 each, sum to less than 2^31
_SAMPLES = 256  # values by which a change shows that torch does not count, such as one by `weight.data`


def usable(device: torch.device) -> bool:
    """Whether such products are fast there: on CPUs with AVX-512 VNNI."""
    return device.type == "cpu" and torch.cpu._is_vnni_supported() and torch.backends.mkldnn.is_available()


class _Packed(NamedTuple):
    """Weights of a layer as integers.

    Attributes:
        parts: (M, 2K) int8, the lower parts before the upper ones.
        scale: (M,) float32 of each row.
        place: of the values in memory, and how often torch saw them change.
        sample: some of the values.
    """

    parts: Tensor
    scale: Tensor
    place: tuple[int, int]
    sample: Tensor


_packed: WeakIdKeyDictionary = WeakIdKeyDictionary()  # by weight


class IntegerProducts(TorchFunctionMode):
    """Within it layers whose weights are float32 parameters multiply by `linear`, as `torch.autocast` has it.

    What needs a gradient, products of other kinds and layers of other types stay as they are.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """One call of torch."""
        if func is F.linear and not kwargs and _is_layer(*args):
            return linear(*args)
        return func(*args, **(kwargs or {}))


def _is_layer(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    given = [one for one in (x, weight, bias) if one is not None]
    if not isinstance(weight, nn.Parameter) or any(one.dtype != torch.float32 for one in given):
        return False
    if not 0 < weight.shape[1] <= _WIDEST or not len(weight) or weight.device != x.device:
        return False
    return not (torch.is_grad_enabled() and any(one.requires_grad for one in given))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear` by integers.

    Args:
        x: (..., K) float32.
        weight: (M, K) float32; its integers are kept as long as it lives and is not changed. K is 65536 at most.
        bias: (M,) or None.

    Returns:
        (..., M) float32; not finite where `x` is not.
    """
    rows, packed = x.reshape(-1, x.shape[-1]), _pack(weight)
    width = rows.shape[1]
    lower_first, upper = packed.parts.T, packed.parts[:, width:].T  # (2K, M), (K, M)
    found = rows.new_empty(len(rows), len(weight))
    added = rows.new_zeros(()) if bias is None else bias
    at_a_time = max(16, _VALUES // max(weight.shape))
    for part, result in zip(rows.split(at_a_time), found.split(at_a_time), strict=True):
        parts, scale = split(part)
        result.copy_(torch._int_mm(parts[:, :width], upper)).mul_(_BASE)  # 254 times an integer may pass 2^31
        result.add_(torch._int_mm(parts, lower_first)).mul_(scale)
        torch.addcmul(added, result, packed.scale, out=result)
    return found.view(*x.shape[:-1], len(weight))


def split(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows as a scale each and two parts of integers: row = scale (254 upper + lower), to 1.6e-5 of its largest.

    Args:
        rows: (N, K) float32.

    Returns:
        (N, 2K) int8, the upper parts before the lower ones; (N, 1) float32.
    """
    width = rows.shape[1]
    scale = rows.abs().amax(1, keepdim=True).clamp_min_(_LEAST).div_(_LARGEST)
    whole = rows * scale.reciprocal()
    parts = torch.empty(len(rows), 2 * width, dtype=torch.int8, device=rows.device)
    upper = (whole * (1 / _BASE)).round_()
    parts[:, :width] = upper
    parts[:, width:] = whole.sub_(upper, alpha=_BASE).round_()
    return parts, scale


def _pack(weight: Tensor) -> _Packed:
    values = weight.detach()
    place = (0 if weight.is_inference() else weight._version, weight.data_ptr())
    sample = values.flatten()[:: max(1, weight.numel() // _SAMPLES)]
    found: _Packed | None = _packed.get(weight)
    if found is None or found.place != place or not torch.equal(found.sample, sample):
        parts, scale = split(values)
        lower_first = parts.roll(weight.shape[1], dims=1)
        found = _packed[weight] = _Packed(lower_first, scale.mul_(_BASE).squeeze(1), place, sample.clone())
    return found
