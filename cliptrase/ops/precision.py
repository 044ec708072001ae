"""Precisions that a tower may run in, by Lightning's names and one of this project's own.

- `32-true`: float32.
- `int8x3`: float32, but layers multiply by `integer_products`: nearly the same labels in some 0.6 of the
  time, on CPUs with AVX-512 VNNI.
- `bf16-mixed`, `16-mixed`: torch's autocast, where borders move by up to a percent of the pixels.

`auto` takes `int8x3` where the device has such products and `32-true` elsewhere. Correlation, clustering, logits and
upsampling are float32 under every one.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

from cliptrase.common.errors import InputError
from cliptrase.ops import integer_products

Precision = Literal["32-true", "int8x3", "bf16-mixed", "16-mixed", "auto"]
INTEGERS = "int8x3"
AUTO = "auto"
PRECISIONS = ("32-true", INTEGERS, "bf16-mixed", "16-mixed")
_HALF = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def check_precision(precision: object) -> None:
    """Refuses what is no precision.

    Raises:
        InputError: it is none.
    """
    if precision not in (*PRECISIONS, AUTO):
        raise InputError(f"`precision` {precision!r} is none of {', '.join(PRECISIONS)} and {AUTO}")


def chosen(precision: str, device: torch.device) -> str:
    """One of `PRECISIONS`: what `auto` is on a device.

    Raises:
        InputError: no such precision, or the device does not multiply integers.
    """
    check_precision(precision)
    usable = integer_products.usable(device)
    if precision == AUTO:
        return INTEGERS if usable else "32-true"
    if precision == INTEGERS and not usable:
        raise InputError(
            f"`trainer.precision` {INTEGERS} multiplies 8-bit integers, for which {device.type} has no fast "
            f"instructions here (wanted: a CPU with AVX-512 VNNI); take 32-true, or {AUTO}, which chooses"
        )
    return precision


def in_precision(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Within it a tower runs in a precision; under `32-true` in that which is set outside.

    Raises:
        InputError: see `chosen`.
    """
    precision = chosen(precision, device)
    if precision == INTEGERS:
        return integer_products.IntegerProducts()
    return torch.autocast(device.type, _HALF[precision]) if precision in _HALF else nullcontext()
