"""ResCLIP written out in loops, from the paper and the released settings, sharing no code with the project's.

One picture or window at a time, in NumPy and float64 but where the released code rounds to less: the line's points to
float32, the weights of pairs to float16.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.references import bilinear, position_embedding, softmax_rows

Array = NDArray[Any]
Heads = tuple[Array, Array, Array]


def _array(parameter: Any) -> Array:
    found: Array = parameter.detach().double().numpy()
    return found


def _norm(layer: Any, x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + layer.eps) * _array(layer.weight) + _array(
        layer.bias
    )


def _linear(layer: Any, x: Array) -> Array:
    return x @ _array(layer.weight).T + _array(layer.bias)


def _heads(block: Any, x: Array) -> Heads:
    """Query, key and value, each (H, T, D)."""
    joined = _norm(block.ln_1, x) @ _array(block.attn.in_proj_weight).T + _array(block.attn.in_proj_bias)
    count = block.attn.num_heads
    query, key, value = (np.stack(np.split(part, count, axis=1)) for part in np.split(joined, 3, axis=1))
    return query, key, value


def _joined(heads: Array) -> Array:
    return np.concatenate(list(heads), axis=1)


def _attention(query: Array, key: Array) -> Array:
    """softmax(q k^T s), (H, T, T)."""
    return np.stack([softmax_rows(q @ k.T * q.shape[1] ** -0.5) for q, k in zip(query, key, strict=True)])


def _tower(visual: Any, pixels: Array, grid: tuple[int, int]) -> tuple[list[Array], Heads]:
    """Attention of all blocks, and what the last one attends with, of (3, H, W) pixels."""
    high, wide = visual.patch_size
    weight = _array(visual.conv1.weight).reshape(visual.conv1.out_channels, -1)
    patches = [
        weight @ pixels[:, y * high : (y + 1) * high, x * wide : (x + 1) * wide].ravel()
        for y in range(grid[0])
        for x in range(grid[1])
    ]
    x = np.stack([_array(visual.class_embedding), *patches])
    x = _norm(visual.ln_pre, x + position_embedding(_array(visual.positional_embedding), visual.grid_size, grid))
    maps = []
    for block in visual.transformer.resblocks:
        query, key, value = _heads(block, x)
        maps.append(_attention(query, key))
        x = x + _linear(block.attn.out_proj, _joined(maps[-1] @ value))
        hidden = _linear(block.mlp.c_fc, _norm(block.ln_2, x))
        x = x + _linear(block.mlp.c_proj, hidden / (1 + np.exp(-1.702 * hidden)))
    return maps, (query, key, value)


def _finished(visual: Any, attended: Array) -> Array:
    last = visual.transformer.resblocks[-1]
    return _norm(visual.ln_post, _linear(last.attn.out_proj, _joined(attended))) @ _array(visual.proj)


def _near(grid: tuple[int, int]) -> Array:
    """NACLIP's Gaussian of the distance on the grid, nothing for the class token."""
    places = [(y, x) for y in range(grid[0]) for x in range(grid[1])]
    addend = np.zeros((len(places) + 1, len(places) + 1))
    for i, (y, x) in enumerate(places):
        for j, (v, u) in enumerate(places):
            addend[i + 1, j + 1] = math.exp(-((y - v) ** 2 + (x - u) ** 2) / 50)
    return addend


def pamr(maps: Array, pixels: Array, steps: int = 10) -> Array:
    """(C, H, W) maps refined by (3, H, W) pixels, dilations 8 and 16."""
    height, width = pixels.shape[1:]
    offsets = [(d * y, d * x) for d in (8, 16) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)]
    centres = len((8, 16))

    def moved(values: Array, offset: tuple[int, int]) -> Array:
        rows = np.clip(np.arange(height) + offset[0], 0, height - 1)
        columns = np.clip(np.arange(width) + offset[1], 0, width - 1)
        return values[:, rows][:, :, columns]

    seen = np.stack([moved(pixels, offset) for offset in offsets])  # (16, 3, H, W)
    deviation = np.concatenate([seen, np.stack([pixels] * centres)]).std(0, ddof=1)
    alike = (-np.abs(seen - pixels) / (1e-8 + 0.1 * deviation)).mean(1)  # (16, H, W)
    weights = np.moveaxis(softmax_rows(np.moveaxis(alike, 0, -1)), -1, 0)
    for _ in range(steps):
        maps = sum(weight * moved(maps, offset) for weight, offset in zip(weights, offsets, strict=True))
    return maps


def patch_names(
    features: Array, text: Array, pixels: Array, grid: tuple[int, int], patch: tuple[int, int], threshold: float
) -> Array:
    """(h, w) names of patches, from (N, E) features of the first pass and the window's own (3, H, W) pixels."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = (unit @ text.T).T.reshape(len(text), *grid)
    maps = pamr(bilinear(cosines, pixels.shape[1:]), pixels)
    shares = np.moveaxis(softmax_rows(np.moveaxis(40 * maps, 0, -1)), -1, 0)
    best = shares.argmax(0)
    best[shares.max(0) < threshold] = 0
    names = np.zeros(grid, dtype=int)
    for y in range(grid[0]):
        for x in range(grid[1]):
            tile = best[y * patch[0] : (y + 1) * patch[0], x * patch[1] : (x + 1) * patch[1]]
            counts = Counter(tile.ravel().tolist())
            names[y, x] = min(counts, key=lambda name: (-counts[name], name))
    return names


def _reached(names: Array, a: tuple[int, int], b: tuple[int, int], longest: int) -> bool:
    """Whether the looked-at points of the line from a towards b all bear a's name."""
    one = np.float32(1)
    steps = torch.linspace(0, 1, longest + 1).numpy()
    for t in steps[: max(abs(a[0] - b[0]), abs(a[1] - b[1])) + 1]:
        y, x = (int(np.round(np.float32(s) * (one - t) + np.float32(e) * t)) for s, e in zip(a, b, strict=True))
        if names[y, x] != names[a]:
            return False
    return True


def pairs(names: Array) -> Array:
    """(N, N) weights of pairs of patches, in [0, 1], rounded to float16."""
    grid = names.shape
    places = [(y, x) for y in range(grid[0]) for x in range(grid[1])]
    count, longest = len(places), max(grid) - 1
    weights = np.zeros((count, count))
    for i, a in enumerate(places):
        for j, b in enumerate(places):
            if names[a] == names[b]:
                apart = max(abs(a[0] - b[0]), abs(a[1] - b[1]))
                weights[i, j] = 1 if _reached(names, a, b, longest) else math.exp(-apart / longest)
    taps = min(count, 31)
    taps -= taps % 2 == 0
    kernel = np.array([math.exp(-((tap - taps // 2) ** 2) / 50) for tap in range(taps)])
    kernel /= kernel.sum()
    smooth = np.zeros_like(weights)
    for j in range(count):
        for tap in range(taps):
            if 0 <= j + tap - taps // 2 < count:
                smooth[:, j] += kernel[tap] * weights[:, j + tap - taps // 2]
    smooth /= smooth.sum(1, keepdims=True) + 1e-8
    return (smooth / smooth.max()).astype(np.float16)


def resclip(
    visual: Any,
    pixels: Tensor,
    options: Mapping[str, float],
    text: Tensor | None = None,
    blocks: tuple[int, ...] = (5, 6, 7, 8),
) -> tuple[Array, Array | None]:
    """Features after ln_post and projection, class token first, and the patches' names.

    Args:
        visual: the open_clip tower.
        pixels: (3, H, W) normalised, of any size from a patch on.
        options: ResCLIP's settings by name.
        text: (C, E) names; without them its first part alone.
        blocks: whose attention is averaged.
    """
    shown = pixels.double().numpy()
    patch = tuple(visual.patch_size)
    grid = (shown.shape[1] // patch[0], shown.shape[2] // patch[1])
    maps, (_, key, value) = _tower(visual, shown, grid)
    earlier = sum(maps[block] for block in blocks) / len(blocks)
    similar = np.stack([k @ k.T * k.shape[1] ** -0.5 for k in key])

    def mixed(logits: Array) -> Array:
        own, share = softmax_rows(logits + _near(grid)), options["lambda_r"]
        return _finished(visual, options["tau_r"] * ((1 - share) * own + share * earlier) @ value)

    features = mixed(similar)
    if text is None:
        return features, None
    names = patch_names(features[1:], text.double().numpy(), shown, grid, patch, options["temp_thd"])
    share = options["lambda_s"]
    alike = np.pad((np.float32(share) * pairs(names)).astype(np.float16), ((1, 0), (1, 0)))
    return mixed(options["tau_s"] * ((1 - share) * similar + alike)), names
