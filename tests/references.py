"""Slow references in plain Python and NumPy, written from the method's description and sharing no code with it."""

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def dbscan(points: Array, eps: float, min_samples: int) -> list[int]:
    """Labels of (N, F) float32 points.

    Distances are float64 differences of float32 coordinates, compared with the float32 square of eps; a point is its
    own neighbour. Clusters grow from the lowest core point on, breadth first, so that a border point falls to the
    lowest cluster that reaches it.
    """
    rows = [[float(value) for value in point] for point in points]
    limit = float(np.float32(eps) * np.float32(eps))
    near = [
        [j for j, b in enumerate(rows) if sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) <= limit] for a in rows
    ]
    labels = [-1] * len(rows)
    cluster = 0
    for start in range(len(rows)):
        if labels[start] != -1 or len(near[start]) < min_samples:
            continue
        labels[start] = cluster
        queue = deque([start])
        while queue:
            point = queue.popleft()
            if len(near[point]) < min_samples:
                continue  # a border point reaches nobody
            for other in near[point]:
                if labels[other] == -1:
                    labels[other] = cluster
                    queue.append(other)
        cluster += 1
    return labels


def median(image: Array, size: int = 7) -> Array:
    """Median over a square window of an (H, W) image, mirrored at the borders with the edge repeated."""
    radius = size // 2
    padded = np.pad(image, radius, mode="symmetric")
    out = np.empty_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            window = sorted(padded[row : row + size, column : column + size].ravel().tolist())
            out[row, column] = window[len(window) // 2]
    return out


def _bilinear_axis(values: Array, length: int, axis: int) -> Array:
    count = values.shape[axis]
    position = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, None)
    low = np.minimum(np.floor(position).astype(int), count - 1)
    high = np.minimum(low + 1, count - 1)
    share = np.expand_dims(position - low, tuple(i for i in range(values.ndim) if i != axis))
    return np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share


def bilinear(maps: Array, size: tuple[int, int]) -> Array:
    """Half-pixel-centred bilinear resampling of the last two axes to `size`, in float64."""
    maps = _bilinear_axis(maps.astype(np.float64), size[0], maps.ndim - 2)
    return _bilinear_axis(maps, size[1], maps.ndim - 1)


def _cubic(distance: float, a: float = -0.75) -> float:
    x = abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def _bicubic_row(values: Array, length: int, factor: float) -> Array:
    """(G, ...) to (length, ...): sample i sits at (i + 0.5) / factor - 0.5; indices beyond the ends take the ends."""
    out = np.zeros((length, *values.shape[1:]))
    for index in range(length):
        position = (index + 0.5) / factor - 0.5
        base = math.floor(position)
        for tap in range(base - 1, base + 3):
            out[index] += _cubic(position - tap) * values[min(max(tap, 0), len(values) - 1)]
    return out


def position_embedding(embedding: Array, native: tuple[int, int], grid: tuple[int, int]) -> Array:
    """(1 + G, W) position embedding resampled to a grid by the factor (h + 0.1) / g itself, class row kept."""
    if native == grid:
        return embedding
    values = embedding[1:].astype(np.float64).reshape(*native, -1)
    values = _bicubic_row(values, grid[0], (grid[0] + 0.1) / native[0])
    values = _bicubic_row(values.swapaxes(0, 1), grid[1], (grid[1] + 0.1) / native[1]).swapaxes(0, 1)
    return np.concatenate([embedding[:1], values.reshape(grid[0] * grid[1], -1)])


def _cosine(a: Array, b: Array) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def self_correlation(query: Array, key: Array, value: Array) -> Array:
    """(H, T, D) projections to (T, T): cosines pair by pair, averaged over q, k, v, then heads."""
    heads, tokens, _ = query.shape
    out = np.zeros((tokens, tokens))
    for i in range(tokens):
        for j in range(tokens):
            for head in range(heads):
                out[i, j] += sum(_cosine(p[head, i], p[head, j]) for p in (query, key, value)) / 3 / heads
    return out


def softmax_rows(scores: Array) -> Array:
    """Softmax over the last axis."""
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def denoise(correlation: Array) -> Array:
    """(N+1, N+1) to (N, N): entry (i, j) loses the class token's correlation with patch j, and is at least 0."""
    count = len(correlation) - 1
    out = np.zeros((count, count), dtype=correlation.dtype)
    for i in range(count):
        for j in range(count):
            out[i, j] = max(correlation[i + 1, j + 1] - correlation[0, j + 1], 0)
    return out


def region_scores(
    affinity: Array, clusters: Sequence[int], grid: tuple[int, int], size: tuple[int, int], smooth: Callable[..., Array]
) -> Array:
    """(K, H, W) maps whose argmax is the region; `smooth` is a 7 x 7 median of one map."""
    maps = []
    for number in range(max(clusters) + 1):
        members = [affinity[i].astype(np.float64) for i in range(len(clusters)) if clusters[i] == number]
        mean = (sum(members[1:], start=members[0]) / len(members)).reshape(grid)
        maps.append(bilinear(smooth(bilinear(mean, (4 * grid[0], 4 * grid[1]))), size))
    return np.stack(maps)


def majority_vote(labels: Array, regions: Array) -> Array:
    """(H, W) labels and region numbers (-1: none): each region's most frequent label, the lowest on a tie."""
    out = labels.copy()
    for region in set(regions[regions >= 0].tolist()):
        counts = Counter(labels[regions == region].tolist())
        out[regions == region] = min(counts, key=lambda label: (-counts[label], label))
    return out


def mean_logits_vote(logits: Array, regions: Array, unregioned: Array) -> Array:
    """(C, H, W) full-size logits: inside a region the name of the highest mean logit."""
    out = unregioned.copy()
    for region in set(regions[regions >= 0].tolist()):
        inside = regions == region
        means = [float(np.mean(name[inside], dtype=np.float64)) for name in logits]
        out[inside] = means.index(max(means))
    return out


def confusion(prediction: Array, target: Array, num_labels: int) -> list[list[int]]:
    """Counts by (truth, prediction); truth outside [0, num_labels) is left out."""
    counts = [[0] * num_labels for _ in range(num_labels)]
    for truth, guess in zip(target.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if 0 <= truth < num_labels:
            counts[truth][guess] += 1
    return counts


def scores(counts: Sequence[Sequence[int]], released: bool) -> dict[str, float] | None:
    """Percentages by the released definitions or detectron2's; None where nothing was scored."""
    labels = range(len(counts))
    total = sum(map(sum, counts))
    if not total:
        return None
    extra = 0.01 if released else 0.0
    accuracies, ious, weighted = [], [], 0.0
    for label in labels:
        hit = counts[label][label]
        truth = sum(counts[label])
        guessed = sum(counts[other][label] for other in labels)
        if truth:
            iou = hit / (truth + guessed - hit + extra)
            ious.append(iou)
            weighted += truth / total * iou
        if truth or released:
            accuracies.append(hit / (truth + extra))
    return {
        "pAcc": 100 * sum(counts[label][label] for label in labels) / total,
        "mAcc": 100 * sum(accuracies) / len(accuracies),
        "fwIoU": 100 * weighted,
        "mIoU": 100 * sum(ious) / len(ious),
    }


def mmseg_scores(counts: Sequence[Sequence[int]]) -> dict[str, float] | None:
    """Percentages as mmsegmentation's IoUMetric: detectron2's, but mIoU over all classes with a union."""
    plain = scores(counts, released=False)
    if plain is None:
        return None
    labels = range(len(counts))
    ious = []
    for label in labels:
        truth, guessed = sum(counts[label]), sum(counts[other][label] for other in labels)
        if union := truth + guessed - counts[label][label]:
            ious.append(counts[label][label] / union)
    return plain | {"mIoU": 100 * sum(ious) / len(ious)}
