"""Precisions for Lightning's Trainer that Lightning does not know by name."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from pytorch_lightning.plugins.precision import Precision

from cliptrase.ops.integer_products import IntegerProducts
from cliptrase.ops.precision import AUTO, INTEGERS, chosen


class IntegerPrecision(Precision):
    """`int8x3`, for `Trainer(plugins=IntegerPrecision())`; see `ops.integer_products`."""

    precision = INTEGERS  # type: ignore[assignment]  # Lightning lists its own

    @contextmanager
    def forward_context(self) -> Iterator[None]:
        """Every step runs within it."""
        with IntegerProducts():
            yield


def precision_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A Trainer's options as Lightning takes them: `auto` chosen by device, `int8x3` as a plugin.

    Args:
        options: the Trainer's, of which `precision`, `accelerator` and `plugins` count.

    Returns:
        those that differ.

    Raises:
        InputError: the device does not multiply integers.
    """
    precision, accelerator = options.get("precision"), options.get("accelerator") or "auto"
    if precision not in (AUTO, INTEGERS):
        return {}
    on_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
    precision = chosen(precision, torch.device("cpu" if on_cpu else "cuda"))
    if precision != INTEGERS:
        return {"precision": precision}
    plugins = options.get("plugins") or []
    plugins = plugins if isinstance(plugins, list) else [plugins]
    return {"precision": None, "plugins": [*plugins, IntegerPrecision()]}
