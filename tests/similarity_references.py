"""SC-CLIP and SFP patch by patch, from their description: no code of the package."""

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from torch import Tensor

from tests.plain_tower import PlainTower
from tests.references import Array


class Numbers(NamedTuple):
    """Constants of both methods, and the layers by number, the first being 1."""

    compared: int
    early: int
    first_added: int
    last_added: int
    similarity: float = 0.4
    scale: float = 3
    class_weight: float = 0.3


TWELVE = Numbers(9, 4, 4, 10)


def repaired(patches: Array, outliers: Collection[int], grid: tuple[int, int], isolated_stays: bool) -> Array:
    """(N, W): an outlier is the mean of its sound neighbours."""
    out = patches.copy()
    for number in outliers:
        row, column = divmod(number, grid[1])
        around = [
            y * grid[1] + x
            for y in range(max(row - 1, 0), min(row + 2, grid[0]))
            for x in range(max(column - 1, 0), min(column + 2, grid[1]))
        ]
        sound = [patches[other] for other in around if other not in outliers]
        if sound:
            out[number] = sum(sound) / len(sound)
        elif not isolated_stays:
            out[number] = 0
    return out


def local_outliers(patches: Array, neighbours: int = 30, quantile: float = 0.95) -> set[int]:
    """Numbers of SC-CLIP's outliers among (N, W) patches."""
    last, nearest = [], []
    for one in patches:
        distances = [float(((one - other) ** 2).sum()) for other in patches]
        order = sorted(range(len(patches)), key=distances.__getitem__)[: neighbours + 1]
        last.append(distances[order[-1]])
        nearest.append(order[1:])
    scores = [sum(last[i] / last[o] for o in near) / len(near) for i, near in enumerate(nearest)]
    place = quantile * (len(scores) - 1)
    low, ordered = math.floor(place), sorted(scores)
    assert place != low, "a quantile that is a score itself hangs on rounding"
    limit = ordered[low] + (place - low) * (ordered[low + 1] - ordered[low])
    return {number for number, score in enumerate(scores) if score > limit * (1 + 1e-9)}


def attended_outliers(attention: Array, factor: float = 1.5, most: int = 10) -> set[int]:
    """Numbers of SFP's outliers by (N+1, N+1) mean attention."""
    count = len(attention) - 1
    found = [j for j in range(count) if factor * attention[0, j + 1] > attention[j + 1, j + 1]]
    return set(sorted(found, key=lambda j: -attention[0, j + 1])[:most])


def cosines(patches: Array) -> Array:
    """(N, N); with a patch of length 0 all are 0."""
    lengths = [max(math.sqrt(float((one**2).sum())), 1e-12) for one in patches]
    units = np.stack([one / length for one, length in zip(patches, lengths, strict=True)])
    return units @ units.T


def aggregated(similar: Array, least: float, tokens: Array) -> Array:
    """(N, W') tokens, each the mean of similar ones."""
    out = []
    for row in similar:
        weights = [float(value) if value >= least else 0.0 for value in row]
        total = sum(weight * token for weight, token in zip(weights, tokens, strict=True))
        out.append(total / (sum(weights) + 1e-6))
    return np.stack(out)


def masked_softmax(similar: Array, scale: float) -> Array:
    """(N, N) weights among similarities above their mean; of a patch that has none, among its highest."""
    mean = similar.mean()
    out = np.zeros_like(similar)
    for i, row in enumerate(similar):
        for j, value in enumerate(row):
            if value >= min(mean, row.max()):
                out[i, j] = math.exp(scale * (value - mean))
        out[i] /= out[i].sum()
    return out


def features(method: str, tower: PlainTower, pixels: Tensor, numbers: Numbers) -> Array:
    """(N, E) features of the patches of one picture (1, 3, H, W), method `scclip` or `sfp`."""
    scclip = method == "scclip"
    tokens, attention = tower.after_blocks(pixels)
    before = tokens[-2][1:]
    outliers = local_outliers(before) if scclip else attended_outliers(attention[-2])
    first, compared = (
        repaired(patches, outliers, tower.grid(pixels), isolated_stays=scclip)
        for patches in (before, tokens[numbers.compared - 1][1:])
    )
    similar = cosines(compared)
    first = aggregated(similar, numbers.similarity, first)
    if not scclip:
        similar = np.where(similar >= numbers.similarity, similar, 0)
    by_similarity = masked_softmax(similar, numbers.scale)
    early = cosines(tokens[numbers.early - 1][1:])
    added = sum(tokens[numbers.first_added - 1 : numbers.last_added], start=np.zeros_like(tokens[0]))
    total = np.zeros_like(first)
    for patches, class_token, is_first in ((first, tokens[-2][0], True), (added[1:], added[0], False)):
        heads = tower.heads(-1, patches)
        by_key, by_query = tower.attention(heads.key, heads.key), tower.attention(heads.query, heads.query)
        weights = by_similarity
        if scclip:
            weights = (by_similarity + by_key) / 2
        elif is_first:
            weights = (by_similarity + by_key + by_query) / 3
        attended = tower.attended(-1, weights @ heads.value) + numbers.class_weight * class_token
        total = total + aggregated(early, numbers.similarity, attended)
    return tower.project(total)
