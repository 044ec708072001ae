"""DINO's and DINOv2's vision transformer by loops in float64 NumPy, sharing no code with timm or the project.

It reads a state dict by facebookresearch's names and shows each image alone.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def patch_tokens(state: Mapping[str, Array], image: Array, heads: int) -> Array:
    """(n, W) tokens of the patches after the final LayerNorm.

    Args:
        state: parameters; `register_tokens` and LayerScale's `gamma` where there are any.
        image: (3, H, W) normalised, whole patches.
        heads: of every block.
    """
    weights = {name: np.asarray(value, dtype=np.float64) for name, value in state.items()}
    kernel = weights["patch_embed.proj.weight"]  # (W, 3, p, p)
    side = kernel.shape[2]
    grid = (image.shape[1] // side, image.shape[2] // side)
    patches = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            shown = image[:, row * side : (row + 1) * side, column * side : (column + 1) * side]
            patches.append([float((shown * one).sum()) for one in kernel])
    table, registers = weights["pos_embed"][0], weights.get("register_tokens")
    tokens = np.array(patches) + weights["patch_embed.proj.bias"]
    tokens = tokens + resampled(table[1:], grid, antialias=registers is not None)
    before = [weights["cls_token"][0] + table[:1], *([registers[0]] if registers is not None else [])]
    x = np.concatenate([*before, tokens])
    for block in range(sum(name.endswith("attn.qkv.weight") for name in weights)):
        part = {name.removeprefix(f"blocks.{block}."): value for name, value in weights.items()}
        one = np.ones(x.shape[1])
        x = x + part.get("ls1.gamma", one) * _attention(part, _norm(part, "norm1", x), heads)
        hidden = _linear(part, "mlp.fc1", _norm(part, "norm2", x))
        hidden = np.vectorize(lambda value: value * (1 + math.erf(value / math.sqrt(2))) / 2)(hidden)
        x = x + part.get("ls2.gamma", one) * _linear(part, "mlp.fc2", hidden)
    return _norm(weights, "norm", x)[len(x) - len(tokens) :]


def resampled(table: Array, grid: tuple[int, int], antialias: bool) -> Array:
    """(g * g, W) rows of a square grid at (h, w): (h * w, W).

    Without antialias by facebookresearch's scale factor (h + 0.1) / g, with it to the exact size.
    """
    native = math.isqrt(len(table))
    if grid == (native, native):
        return table
    weigh = _low_passed if antialias else _shifted
    rows, columns = weigh(native, grid[0]), weigh(native, grid[1])
    square = table.reshape(native, native, -1)
    out = []
    for vertical in rows:
        for horizontal in columns:
            mixed = np.zeros(table.shape[1])
            for row, a in vertical.items():
                for column, b in horizontal.items():
                    mixed += a * b * square[row, column]
            out.append(mixed)
    return np.array(out)


def _shifted(native: int, wanted: int) -> list[dict[int, float]]:
    """For each place wanted the native places and their weights: cubic convolution, a = -0.75, edges repeated."""
    found = []
    for place in range(wanted):
        centre = (place + 0.5) * native / (wanted + 0.1) - 0.5
        weights: dict[int, float] = {}
        for step in range(-1, 3):
            source = math.floor(centre) + step
            inside = min(max(source, 0), native - 1)
            weights[inside] = weights.get(inside, 0) + _cubic(centre - source, -0.75)
        found.append(weights)
    return found


def _low_passed(native: int, wanted: int) -> list[dict[int, float]]:
    """The same where the kernel, a = -0.5, widens as the grid shrinks, and only places inside count."""
    ratio = native / wanted
    wide = max(ratio, 1.0)
    found = []
    for place in range(wanted):
        centre = (place + 0.5) * ratio - 0.5
        weights = {source: _cubic((source - centre) / wide, -0.5) for source in range(native)}
        total = sum(weights.values())
        found.append({source: weight / total for source, weight in weights.items()})
    return found


def _cubic(distance: float, a: float) -> float:
    x = abs(distance)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def _attention(part: Mapping[str, Array], x: Array, heads: int) -> Array:
    query, key, value = np.split(_linear(part, "attn.qkv", x), 3, axis=1)
    size = x.shape[1] // heads
    out = np.zeros_like(x)
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        for token in range(len(x)):
            logits = key[:, own] @ query[token, own] / math.sqrt(size)
            weights = np.exp(logits - logits.max())
            out[token, own] = weights / weights.sum() @ value[:, own]
    return _linear(part, "attn.proj", out)


def _linear(part: Mapping[str, Array], name: str, x: Array) -> Array:
    product: Array = x @ part[f"{name}.weight"].T + part[f"{name}.bias"]
    return product


def _norm(part: Mapping[str, Array], name: str, x: Array) -> Array:
    rows = [(row - row.mean()) / math.sqrt(row.var() + 1e-6) for row in x]
    normed: Array = np.array(rows) * part[f"{name}.weight"] + part[f"{name}.bias"]
    return normed
