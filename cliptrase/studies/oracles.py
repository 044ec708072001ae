"""Oracles: which pixels a cause of errors explains, from label maps and their truth.

All are functions of (B, H, W) int64 label maps on any device. Truth outside [0, number of labels) is not scored: such
pixels belong to no region, border no class and take no part in anything. An oracle never looks at what a label means.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.ndimage
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.inference.grid import GridAxis
from cliptrase.regions import majority_vote

SHARE = 0.02  # of the diagonal: the band of Boundary IoU
_TOUCHING = np.ones((3, 3), int)  # pixels that share a corner are of one region


def band_width(height: int, width: int) -> int:
    """Pixels of Boundary IoU's band on one side of a border: 0.02 of the diagonal, rounded, at least 1.

    Source: Cheng et al., *Boundary IoU*, CVPR 2021, released code (`mask_to_boundary`).

    >>> band_width(224, 224), band_width(4, 4)
    (6, 1)
    """
    return max(1, round(SHARE * math.hypot(height, width)))


def pooled_truth(truth: Tensor, num_labels: int, rows: GridAxis, columns: GridAxis) -> Tensor:
    """The truth as maps on the patch grid can show it: each patch has the label of most of its pixels.

    Patches are brought back as methods bring their maps, bilinearly and with the mean over windows, and a pixel takes
    the label of the highest; the lower label of a tie.

    Args:
        truth: (B, H, W) int64.
        num_labels: of the vocabulary.
        rows: patches from top to bottom.
        columns: patches from left to right.

    Returns:
        (B, H, W) int64 in [0, num_labels); of no meaning where the truth is not scored.
    """
    pooled = torch.zeros_like(truth)
    for image, labels in enumerate(truth):
        held = labels[_scored(labels, num_labels)].unique()  # (L,) in rising order
        if len(held):
            masks = (labels == held.view(-1, 1, 1)).float()
            pixels = rows.covers @ masks @ columns.covers.T  # (L, h, w)
            most = pixels.argmax(0)
            grid = torch.zeros_like(pixels).scatter_(0, most.unsqueeze(0), (pixels.amax(0) > 0).float().unsqueeze(0))
            pooled[image] = held[(rows.back @ grid @ columns.back.T).argmax(0)]
    return pooled


def near_labels(truth: Tensor, num_labels: int, reach: int) -> dict[int, Tensor]:
    """Where each label of the truth is at most `reach` pixels away.

    Distance is that of Boundary IoU's band, a square of side 2 reach + 1 around a pixel: its released code erodes masks
    `reach` times by 3 x 3.

    Args:
        truth: (B, H, W) int64.
        num_labels: of the vocabulary.
        reach: see `band_width`.

    Returns:
        by label (B, H, W) bool.
    """
    held = truth[_scored(truth, num_labels)].unique().tolist()
    return {label: _highest_near((truth == label).byte(), reach) > 0 for label in held}


def beyond_the_border(predictions: Tensor, truth: Tensor, near: Mapping[int, Tensor]) -> Tensor:
    """Wrong pixels that bear the label of a region across a border.

    All of them lie in the band of Boundary IoU. A pixel of the band whose label the truth has nowhere near would be as
    wrong without any border, and is not among them.

    Args:
        predictions: (B, H, W) int64.
        truth: (B, H, W) int64.
        near: from `near_labels`.

    Returns:
        (B, H, W) bool; of no meaning where the truth is not scored.
    """
    found = torch.zeros_like(truth, dtype=torch.bool)
    for label, there in near.items():
        found |= (predictions == label) & there
    return found & (predictions != truth)


def seam_pixels(
    predictions: Tensor, truth: Tensor, num_labels: int, borders: Sequence[Sequence[tuple[int, int]]], reach: int
) -> Tensor:
    """Wrong pixels along borders of windows where the label changes and the truth does not.

    At each place along a border the two pixels that meet there are compared. Where they differ in label and not in
    truth, the pixels of each side belong to the seam from the border on, as long as label and truth stay those of the
    pixel at the border, at most `reach` of them.

    Args:
        predictions: (B, H, W) int64.
        truth: (B, H, W) int64.
        num_labels: of the vocabulary.
        borders: between rows and between columns, each as the last place before it and the first after it; see
            `inference.grid.seam_places`.
        reach: in pixels.

    Returns:
        (B, H, W) bool.
    """
    scored = _scored(truth, num_labels)
    truth = truth.where(scored, -1)
    between_rows, between_columns = borders
    found = _seams(predictions, truth, between_rows, reach)
    found = found | _seams(predictions.mT, truth.mT, between_columns, reach).mT
    return found & scored & (predictions != truth)


def true_regions(truth: Tensor, num_labels: int) -> Tensor:
    """Connected parts of each label of the truth; pixels that share a corner are connected.

    Args:
        truth: (B, H, W) int64.
        num_labels: of the vocabulary.

    Returns:
        (B, H, W) int64 from 0 on in each picture, -1 where the truth is not scored.
    """
    regions = np.full(truth.shape, -1, np.int64)
    for image, labels in enumerate(truth.cpu().numpy()):
        first = 0
        for label in np.unique(labels[(labels >= 0) & (labels < num_labels)]):
            parts, number = scipy.ndimage.label(labels == label, _TOUCHING)
            regions[image][parts > 0] = parts[parts > 0] + (first - 1)
            first += number
    return torch.from_numpy(regions).to(truth.device)


def regions_right(predictions: Tensor, truth: Tensor, regions: Tensor, num_labels: int) -> Tensor:
    """Pixels of true regions whose most frequent label is the true one; the lowest label on a tie.

    Args:
        predictions: (B, H, W) int64 in [0, num_labels).
        truth: (B, H, W) int64.
        regions: from `true_regions`.
        num_labels: of the vocabulary.

    Returns:
        (B, H, W) bool.
    """
    return (majority_vote(predictions, regions, num_labels) == truth) & (regions >= 0)


def best_threshold(labels: Tensor, probability: Tensor, truth: Tensor, background: int, num_labels: int) -> Tensor:
    """Label maps under the background threshold by which most pixels of a picture are right, the lowest of several.

    All thresholds are tried: a pixel becomes background where its probability is lower.

    Args:
        labels: (B, H, W) int64 before the threshold.
        probability: (B, H, W) float32 that is compared with it.
        truth: (B, H, W) int64.
        background: label.
        num_labels: of the vocabulary.

    Returns:
        (B, H, W) int64.
    """
    scored = _scored(truth, num_labels).flatten(1)
    gain = (truth == background).long() - (labels == truth).long()
    # Of pixels that are background already, or not scored, no threshold depends.
    counts = scored & (labels != background).flatten(1)
    infinite = torch.full_like(probability[:, :1, 0], math.inf)  # (B, 1)
    ordered, order = probability.flatten(1).masked_fill(~counts, math.inf).sort(1)
    gains = gain.flatten(1).masked_fill(~counts, 0).gather(1, order).cumsum(1)
    # After k pixels in rising order, k = 0 .. N; pixels of one probability fall together.
    total = torch.cat([torch.zeros_like(gains[:, :1]), gains], 1)
    bounds = torch.cat([ordered, infinite], 1)
    below = torch.cat([-infinite, ordered], 1)
    chosen = total.masked_fill((below == bounds) & (bounds < math.inf), -(1 << 62)).argmax(1, keepdim=True)
    threshold = bounds.gather(1, chosen).unsqueeze(2)  # (B, 1, 1)
    return labels.masked_fill(probability < threshold, background)


def boundary_labels(labels: Tensor, truth: Tensor, num_labels: int, reach: int) -> Tensor:
    """A label map with only the bands of Boundary IoU: the mask of each class less the mask eroded.

    As in the released code what lies outside of the picture belongs to no mask, so that a mask has a band along the
    picture's edge too. Neither does a pixel whose truth is not scored.

    Args:
        labels: (B, H, W) int64 in [0, num_labels), predictions or the truth itself.
        truth: (B, H, W) int64.
        num_labels: of the vocabulary.
        reach: see `band_width`.

    Returns:
        (B, H, W) int64: the label in the bands, `num_labels` elsewhere, -1 where the truth is not scored.
    """
    scored = _scored(truth, num_labels)
    masks = labels.where(scored, -1).int()
    height, width = labels.shape[1:]
    band = _highest_near(masks, reach) != -_highest_near(-masks, reach)
    for side, length in ((1, height), (2, width)):
        band.narrow(side, 0, min(reach, length)).fill_(True)
        band.narrow(side, max(length - reach, 0), min(reach, length)).fill_(True)
    return masks.where(band | ~scored, num_labels).long()


def _scored(truth: Tensor, num_labels: int) -> Tensor:
    return (truth >= 0) & (truth < num_labels)


def _highest_near(values: Tensor, reach: int) -> Tensor:
    """Highest of the values in a square around each pixel, of those inside the picture: (B, H, W) of whole numbers."""
    for axis in (1, 2):
        padding = (0, 0, reach, reach) if axis == 1 else (reach, reach)
        values = F.pad(values, padding, value=torch.iinfo(values.dtype).min)
        width, side = 1, 2 * reach + 1  # a window of twice the width is the higher of two
        while width < side:
            step = min(width, side - width)
            length = values.shape[axis] - step
            values = torch.maximum(values.narrow(axis, 0, length), values.narrow(axis, step, length))
            width += step
    return values


def _seams(predictions: Tensor, truth: Tensor, borders: Sequence[tuple[int, int]], reach: int) -> Tensor:
    """Pixels of seams between rows, right ones too; truth is -1 where it is not scored."""
    found = torch.zeros(truth.shape, dtype=torch.int32, device=truth.device)
    if not borders:
        return found.bool()
    before, after = torch.tensor(borders, device=truth.device).T
    label_before, label_after, under = predictions[:, before], predictions[:, after], truth[:, before]  # (B, n, W)
    seam = (label_before != label_after) & (under == truth[:, after]) & (under >= 0)
    last = truth.shape[1] - 1

    def mark(rows: Tensor, label: Tensor, alive: Tensor) -> Tensor:
        """Those of the rows, one a border, that go on with a side's label and truth."""
        inside = ((rows >= 0) & (rows <= last)).view(1, -1, 1)
        rows = rows.clamp(0, last)
        alive = alive & inside & (predictions[:, rows] == label) & (truth[:, rows] == under)
        found.index_add_(1, rows, alive.int())
        return alive

    for start, step, label in ((before, -1, label_before), (after, 1, label_after)):
        alive = seam
        for distance in range(reach):
            alive = mark(start + step * distance, label, alive)
        # Blends of both sides, where the label map is larger than the picture.
        for blend in range(1, int((after - before).max())):
            between = (before + blend < after).view(1, -1, 1)
            mark(before + blend, label, seam & between)
    return found.bool()
