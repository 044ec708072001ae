"""The field's protocols once more: values of the released configurations, and a slow run of a picture under them."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from cliptrase.vocabulary import Vocabulary

MEAN = (122.771, 116.746, 104.094)
STD = (68.501, 66.632, 70.323)
LONGEST = 2048

Cosines = Callable[[Tensor], Tensor]
"""Of normalised pixels (1, 3, h, w) with whole patches: (C, rows, columns) cosines of names and patches."""


class Published(NamedTuple):
    """Values of a released configuration; a threshold acts where there is a background."""

    size: int
    window: int | None  # None for one as large as the picture
    stride: int
    scale: float = 40
    threshold: float = 0.1
    area: float = 0


_SLIDE = Published(336, 224, 112)
_WHOLE = Published(336, None, 0)
_LARGE = Published(336, 336, 112)
_SCCLIP = {
    "VOC21": _SLIDE._replace(scale=50, threshold=0.15, area=0.1),
    "PC60": _SLIDE._replace(threshold=0.15),
    "COCOObject": _SLIDE._replace(scale=55, threshold=0.35),
    **dict.fromkeys(("VOC20", "PC59", "COCO171", "ADE150"), _SLIDE),
    "Cityscapes": _SLIDE._replace(size=560),
}
VALUES: Mapping[str, Mapping[str, Published]] = {
    "naclip": {
        **dict.fromkeys(("VOC21", "VOC20"), _WHOLE),
        **dict.fromkeys(("PC60", "COCOObject", "PC59", "COCO171", "ADE150"), _SLIDE),
        "Cityscapes": _SLIDE._replace(size=560),
    },
    "scclip": _SCCLIP,
    "sfp": {**_SCCLIP, "ADE150": _SLIDE._replace(size=384)},
    "proxyclip": {
        "VOC21": _LARGE._replace(threshold=0.2),
        "PC60": _LARGE._replace(threshold=0.15),
        "COCOObject": _LARGE._replace(threshold=0.25),
        **dict.fromkeys(("VOC20", "PC59", "COCO171"), _LARGE._replace(threshold=0)),
        "ADE150": _LARGE._replace(size=448, threshold=0),
        "Cityscapes": Published(448, 224, 112, threshold=0),
    },
}


def resized(image: NDArray[np.uint8], size: int) -> Tensor:
    """An (H, W, 3) image as mmseg resizes and normalises it: (1, 3, h, w)."""
    height, width = image.shape[:2]
    scale = min(size / min(height, width), LONGEST / max(height, width))
    shown = cv2.resize(image, (int(width * scale + 0.5), int(height * scale + 0.5)), interpolation=cv2.INTER_LINEAR)
    return ((torch.from_numpy(shown).float() - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1).unsqueeze(0)


def starts(length: int, window: int, stride: int) -> list[int]:
    """First pixels of windows from one border on, the last at the other."""
    found = [0]
    while found[-1] + window < length:
        found.append(min(found[-1] + stride, length - window))
    return found


@torch.no_grad()
def slide(pixels: Tensor, size: tuple[int, int], values: Published, cosines: Cosines, patch: int) -> Tensor:
    """(C, H, W) cosines of names at the picture's own size, a window at a time."""
    height, width = pixels.shape[2:]
    down, across = (min(values.window or side, side) for side in (height, width))
    total: Tensor | None = None
    count = torch.zeros(height, width)
    for top in starts(height, down, values.stride):
        for left in starts(width, across, values.stride):
            window = pixels[:, :, top : top + down, left : left + across]
            found = cosines(window[:, :, : down // patch * patch, : across // patch * patch])
            if total is None:
                total = torch.zeros(len(found), height, width)
            upsampled = F.interpolate(found.unsqueeze(0), (down, across), mode="bilinear", align_corners=False)
            total[:, top : top + down, left : left + across] += upsampled[0]
            count[top : top + down, left : left + across] += 1
    assert total is not None
    return F.interpolate((total / count).unsqueeze(0), size, mode="bilinear", align_corners=False)[0]


class Decision(NamedTuple):
    """Labels (H, W), and how near the second probability, or the threshold, is to the highest."""

    labels: Tensor
    margin: Tensor


def decide(cosines: Tensor, vocabulary: Vocabulary, values: Published) -> Decision:
    """Softmax over names, the highest name of a class, the area rule, the highest class, the threshold.

    The background is the first class, as in the released codes, so that a name of it and another class is its.
    """
    probability = (values.scale * cosines.double()).softmax(0)
    background = vocabulary.background_index
    classes = [*(probability[-len(vocabulary.background) :].amax(0)[None] if background is not None else ())]
    first = 0
    for synonyms in vocabulary.classes:
        classes.append(probability[first : first + len(synonyms)].amax(0))
        first += len(synonyms)
    shares = torch.stack(classes)
    if background is not None and values.area:
        best = shares.argmax(0)
        area = [int((best == number).sum()) for number in range(len(shares))]
        for number in range(1, len(shares)):
            if area[number] <= values.area * sum(area[1:]):
                shares[number] = 0
    highest, chosen = shares.amax(0), shares.argmax(0)
    margin = highest - shares.masked_fill(shares == highest, -1).amax(0)
    labels = torch.tensor(([] if background is None else [background]) + list(vocabulary.class_labels))[chosen]
    if background is not None:
        margin = torch.minimum(margin, (highest - values.threshold).abs())
        labels[highest < values.threshold] = background
    return Decision(labels, margin)


def mmseg_scores(pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], num_labels: int) -> tuple[float, float]:
    """aAcc and mIoU in percent of (prediction, truth) maps; truths outside of the labels are not scored."""
    hits, predicted, true = (np.zeros(num_labels) for _ in range(3))
    for found, truth in pairs:
        scored = (truth >= 0) & (truth < num_labels)
        for label in range(num_labels):
            hits[label] += ((found == label) & (truth == label)).sum()
            predicted[label] += ((found == label) & scored).sum()
            true[label] += (truth == label).sum()
    union = true + predicted - hits
    return 100 * hits.sum() / true.sum(), 100 * float(np.mean(hits[union > 0] / union[union > 0]))
