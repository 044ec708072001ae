"""Slow references in plain Python and NumPy, written from the method's description and sharing no code with it."""

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import lil_matrix

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


def pamr(maps: Array, pixels: Array, steps: int = 10, dilations: Sequence[int] = (8, 16)) -> Array:
    """(C, H, W) maps under (3, H, W) normalised pixels: pixel by pixel the weights, then one matrix for a step."""
    names, height, width = maps.shape
    matrix = lil_matrix((height * width, height * width))
    for y in range(height):
        for x in range(width):
            centre = pixels[:, y, x].astype(np.float64)
            seen, places = [], []
            for distance in dilations:
                for row in (y - distance, y, y + distance):
                    for column in (x - distance, x, x + distance):
                        inside = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
                        seen.append(pixels[:, inside[0], inside[1]].astype(np.float64))
                        if (row, column) != (y, x):
                            places.append((inside[0] * width + inside[1], len(seen) - 1))
            deviation = np.std(seen, axis=0, ddof=1)
            alike = [-np.mean(abs(centre - seen[number]) / (1e-8 + 0.1 * deviation)) for _, number in places]
            for (place, _), weight in zip(places, softmax_rows(np.array(alike)), strict=True):
                matrix[y * width + x, place] += weight
    rows = matrix.tocsr()
    values = maps.reshape(names, -1).T.astype(np.float64)
    for _ in range(steps):
        values = rows @ values
    return values.T.reshape(maps.shape)


def tlp(maps: Array, pixels: Array, text: Array, grid: int = 80, steps: int = 25) -> Array:
    """(C, H, W) cosines under (3, H, W) normalised pixels and (C, E) text: the system as one matrix, edge by edge."""
    names, height, width = maps.shape
    down, across = max(1, round(height / grid)), max(1, round(width / grid))
    rows, columns = height // down, width // across

    def pooled(values: Array) -> Array:
        cells = [
            [
                values[:, y * down : (y + 1) * down, x * across : (x + 1) * across].mean((1, 2), dtype=np.float64)
                for x in range(columns)
            ]
            for y in range(rows)
        ]
        return np.array(cells).transpose(2, 0, 1)

    cosines, guide = pooled(maps), pooled(pixels)
    similarity = softmax_rows(text.astype(np.float64) @ text.T.astype(np.float64) / 0.5) + 10 * np.eye(names)
    own = np.diag(similarity / (similarity.sum(1, keepdims=True) + 1e-6))
    share = softmax_rows(cosines.transpose(1, 2, 0))  # (rows, columns, C)

    def agreement(one: tuple[int, int], other: tuple[int, int]) -> float:
        return min(max(float((own * share[one] * share[other]).sum()), 0), 1)

    cells = [(y, x) for y in range(rows) for x in range(columns)]
    trust = [max(share[cell].max(), 0.05) ** 2 * (1 + agreement(cell, cell)) for cell in cells]
    matrix = lil_matrix((len(cells), len(cells)))
    for number, confidence in enumerate(trust):
        matrix[number, number] += confidence
    grey = 0.299 * guide[0] + 0.587 * guide[1] + 0.114 * guide[2]
    for step in ((0, 1), (1, 0)):
        pairs = [(cell, (cell[0] + step[0], cell[1] + step[1])) for cell in cells]
        pairs = [(one, other) for one, other in pairs if other[0] < rows and other[1] < columns]
        apart = [abs(grey[one] - grey[other]) for one, other in pairs]
        usual = np.mean(apart) + 1e-6
        for (one, other), difference in zip(pairs, apart, strict=True):
            edge = np.exp(-5 * difference / usual) * (1 + agreement(one, other))
            edge = min(max(edge, 0), 1)
            i, j = one[0] * columns + one[1], other[0] * columns + other[1]
            matrix[i, i] += edge
            matrix[j, j] += edge
            matrix[i, j] -= edge
            matrix[j, i] -= edge
    system = matrix.tocsr()
    found = cosines.reshape(names, -1).T.copy()  # (cells, C)
    residual = np.array(trust)[:, None] * found - system @ found
    direction, length = residual.copy(), (residual**2).sum()
    for _ in range(steps):
        image = system @ direction
        step_length = length / ((direction * image).sum() + 1e-12)
        found += step_length * direction
        residual = residual - step_length * image
        before, length = length, (residual**2).sum()
        direction = residual + length / (before + 1e-12) * direction
    return bilinear(found.T.reshape(names, rows, columns), (height, width))


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
