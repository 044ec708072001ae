"""Slow references of the oracles in plain Python and NumPy, written from their definitions, sharing no code with them.

All take one (H, W) label map at a time; truth outside [0, num_labels) is not scored.
"""

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.references import bilinear

Labels = NDArray[np.int64]
Mask = NDArray[np.bool_]


def on_patches(truth: Labels, num_labels: int, box: tuple[float, float, float, float], grid: tuple[int, int]) -> Labels:
    """The most frequent label of every patch of a box (top, left, height, width), as (num_labels, h, w) of 0 and 1."""
    top, left, height, width = box
    shares = np.zeros((num_labels, *grid))
    for row in range(grid[0]):
        for column in range(grid[1]):
            votes = Counter(
                int(truth[y, x])
                for y in range(truth.shape[0])
                for x in range(truth.shape[1])
                if int((y + 0.5 - top) * grid[0] // height) == row
                and int((x + 0.5 - left) * grid[1] // width) == column
                and 0 <= truth[y, x] < num_labels
            )
            if votes:
                most = max(votes.values())
                shares[min(label for label, count in votes.items() if count == most), row, column] = 1
    return shares


def windowed_maps(
    truth: Labels, num_labels: int, starts: tuple[Sequence[int], Sequence[int]], side: int, grid: int
) -> NDArray[np.float64]:
    """Mean over windows of the upsampled patches, for a label map of the picture's own size: (num_labels, H, W)."""
    total = np.zeros((num_labels, *truth.shape))
    count = np.zeros(truth.shape)
    for top in starts[0]:
        for left in starts[1]:
            patches = on_patches(truth, num_labels, (top, left, side, side), (grid, grid))
            total[:, top : top + side, left : left + side] += bilinear(patches, (side, side))
            count[top : top + side, left : left + side] += 1
    return total / count


def near(mask: Mask, reach: int) -> Mask:
    """Pixels with a pixel of the mask at most `reach` rows and columns away."""
    return np.array(
        [
            [
                mask[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].any()
                for x in range(mask.shape[1])
            ]
            for y in range(mask.shape[0])
        ]
    )


def eroded_band(mask: Mask, times: int) -> Mask:
    """A mask less itself eroded so often by 3 x 3, a ring of zeros around the picture: Boundary IoU's released code."""
    padded = np.pad(mask, 1)
    for _ in range(times):
        smaller = padded.copy()
        for y in range(padded.shape[0]):
            for x in range(padded.shape[1]):
                smaller[y, x] = padded[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].all()
        padded = smaller
    return mask & ~padded[1:-1, 1:-1]


def boundary_iou(pictures: Sequence[tuple[Labels, Labels]], num_labels: int, reach: int) -> float:
    """Mean over the truth's classes of the bands' IoU, percent, of pairs of prediction and truth."""
    ious = []
    for label in range(num_labels):
        shared = together = held = 0
        for prediction, truth in pictures:
            scored = (truth >= 0) & (truth < num_labels)
            mine = eroded_band((prediction == label) & scored, reach)
            true = eroded_band(truth == label, reach)
            held += int((truth == label).sum())
            shared += int((mine & true).sum())
            together += int((mine | true).sum())
        if held:
            ious.append(shared / together)
    return 100 * sum(ious) / len(ious)


def seam_pixels(prediction: Labels, truth: Labels, columns: Sequence[tuple[int, int]], reach: int) -> Mask:
    """Wrong pixels along borders between columns, row by row."""
    found = np.zeros(truth.shape, bool)
    width = truth.shape[1]
    for y in range(truth.shape[0]):
        mine, true = prediction[y], truth[y]
        for before, after in columns:
            if mine[before] == mine[after] or true[before] != true[after]:
                continue
            for start, step in ((before, -1), (after, 1)):
                x, steps = start, 0
                while 0 <= x < width and steps < reach and mine[x] == mine[start] and true[x] == true[start]:
                    found[y, x] = True
                    x, steps = x + step, steps + 1
                for x in range(before + 1, after):
                    if mine[x] == mine[start] and true[x] == true[start]:
                        found[y, x] = True
    return found & (prediction != truth)


def regions(truth: Labels, num_labels: int) -> list[list[tuple[int, int]]]:
    """Connected pixels of one label, sharing a side or a corner."""
    seen, found = set(), []
    for start in np.ndindex(*truth.shape):
        if start in seen or not 0 <= truth[start] < num_labels:
            continue
        queue, part = deque([start]), []
        seen.add(start)
        while queue:
            y, x = queue.popleft()
            part.append((y, x))
            for other in ((y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
                inside = 0 <= other[0] < truth.shape[0] and 0 <= other[1] < truth.shape[1]
                if inside and other not in seen and truth[other] == truth[start]:
                    seen.add(other)
                    queue.append(other)
        found.append(part)
    return found


def regions_right(prediction: Labels, truth: Labels, num_labels: int) -> Mask:
    """Pixels of regions whose most frequent label, the lowest on a tie, is the true one."""
    found = np.zeros(truth.shape, bool)
    for part in regions(truth, num_labels):
        votes = Counter(int(prediction[pixel]) for pixel in part)
        most = max(votes.values())
        if min(label for label, count in votes.items() if count == most) == truth[part[0]]:
            for pixel in part:
                found[pixel] = True
    return found


def best_threshold(
    labels: Labels, probability: NDArray[np.float32], truth: Labels, background: int, num_labels: int
) -> Labels:
    """The label map with the most right pixels of all that a threshold can give, by the lowest such threshold."""
    scored = (truth >= 0) & (truth < num_labels)
    best, most = labels, -1
    for threshold in [*sorted(probability.ravel().tolist()), np.inf]:
        map_of_it = np.where(probability < threshold, background, labels)
        right = int(((map_of_it == truth) & scored).sum())
        if right > most:
            best, most = map_of_it, right
    return best
