"""Segmentation scores from one confusion matrix over the whole data set, and counts of each picture."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Scores(NamedTuple):
    """Figures in percent, unrounded."""

    pAcc: float
    mAcc: float
    fwIoU: float
    mIoU: float

    def rounded(self) -> dict[str, float | None]:
        """By name, two decimals; None where nothing was scored."""
        return {name: None if math.isnan(value) else round(value, 2) for name, value in self._asdict().items()}


class ClassScores(NamedTuple):
    """Per-class fractions and pixel counts."""

    accuracy: Tensor  # (C,) float64 in [0, 1]; NaN where detectron2 accuracy is undefined
    iou: Tensor  # (C,) float64 in [0, 1], likewise
    pixels: Tensor  # (C,) int64 ground-truth pixels


def confusion_matrix(prediction: Tensor, target: Tensor, num_labels: int) -> Tensor:
    """Counts of (ground truth, prediction) pairs; ground truth outside [0, num_labels) is left out.

    Args:
        prediction: integer tensor of any shape, values in [0, num_labels) where the target counts.
        target: integer tensor of the same shape.
        num_labels: C.

    Returns:
        (C, C) int64, rows are ground truth.

    Raises:
        ValueError: shapes differ, or a prediction that counts is out of range (it would land in another row).
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    target = target.to(prediction.device, torch.int64)
    ignored = (target < 0) | (target >= num_labels)
    if prediction.numel() and not 0 <= int(prediction.min()) <= int(prediction.max()) < num_labels:
        chosen = prediction[~ignored]
        if chosen.numel() and not 0 <= int(chosen.min()) <= int(chosen.max()) < num_labels:
            raise ValueError(f"predictions reach {int(chosen.min())}..{int(chosen.max())}, labels 0..{num_labels - 1}")
    # What is left out is counted apart, which is several times faster than picking out the rest.
    pair = (target * num_labels + prediction).masked_fill_(ignored, num_labels**2)
    counts = torch.bincount(pair.flatten(), minlength=num_labels**2 + 1)[:-1]
    return counts.view(num_labels, num_labels)


def released_scores(confusion: Tensor) -> Scores:
    """Scores as the released CLIPtrase code defines them, which made the published figures.

    0.01 pixels are added to each denominator; mAcc is over all classes, an absent one counting 0; mIoU and fwIoU
    are over classes present in the ground truth.

    Args:
        confusion: (C, C) int64, rows are ground truth.
    """
    accuracy, iou, pixels = released_class_scores(confusion)
    return _summary(confusion, accuracy.mean(), iou[pixels > 0])


def released_class_scores(confusion: Tensor) -> ClassScores:
    """Accuracy and IoU of each class by the released definition: (C, C) int64 to three (C,) tensors."""
    hit, truth, predicted = _margins(confusion)
    return ClassScores(hit / (truth + 0.01), hit / (truth + predicted - hit + 0.01), confusion.sum(1))


def detectron2_scores(confusion: Tensor) -> Scores:
    """Scores as detectron2's SemSegEvaluator defines them: nothing added, means over classes present in the truth.

    Args:
        confusion: (C, C) int64, rows are ground truth.
    """
    accuracy, iou, pixels = detectron2_class_scores(confusion)
    present = pixels > 0
    return _summary(confusion, accuracy[present].mean(), iou[present])


def detectron2_class_scores(confusion: Tensor) -> ClassScores:
    """Accuracy and IoU of each class with nothing added: (C, C) int64 to three (C,) tensors.

    Accuracy is NaN for a class absent from the truth, IoU for one that is neither there nor predicted.
    """
    hit, truth, predicted = _margins(confusion)
    return ClassScores(hit / truth, hit / (truth + predicted - hit), confusion.sum(1))


def mmseg_scores(confusion: Tensor) -> Scores:
    """Scores as mmsegmentation's IoUMetric defines them, pAcc being its aAcc.

    A class that is predicted but absent from the truth counts in mIoU, by 0; mAcc is over classes present in the
    truth. IoUMetric has no fwIoU: it is detectron2's.

    Args:
        confusion: (C, C) int64, rows are ground truth.
    """
    accuracy, iou, pixels = mmseg_class_scores(confusion)
    present = pixels > 0
    return _summary(confusion, accuracy[present].mean(), iou[present], iou[~iou.isnan()])


def mmseg_class_scores(confusion: Tensor) -> ClassScores:
    """Accuracy and IoU of each class as mmsegmentation's IoUMetric: a single class's are detectron2's."""
    return detectron2_class_scores(confusion)


def mean_iou(counts: Tensor, definition: str) -> Tensor:
    """The mIoU of many sets of pictures at once, as the functions above define it.

    Args:
        counts: (..., 3, C) hits, truth and predicted pixels of each class, summed over a set's pictures.
        definition: of the mean and its classes.

    Returns:
        (...) float64 percent, NaN where no class is averaged.
    """
    hit, truth, predicted = counts.double().unbind(-2)  # (..., C) each
    union = truth + predicted - hit
    averaged = union > 0 if definition == "mmseg" else truth > 0
    iou = hit / (union + (0.01 if definition == "released" else 0))
    return 100 * torch.where(averaged, iou, 0).sum(-1) / averaged.sum(-1)


def picture_counts(prediction: Tensor, target: Tensor, num_labels: int) -> Tensor:
    """Hits, truth and predicted pixels of each class in each picture; truth outside [0, num_labels) is left out.

    Args:
        prediction: (B, H, W) integer, values in [0, num_labels) where the target counts.
        target: (B, H, W) integer.
        num_labels: C.

    Returns:
        (B, 3, C) int32; summed over pictures, they are the confusion matrix's diagonal, row and column sums.
    """
    target = target.to(prediction.device, torch.int64)
    scored = (target >= 0) & (target < num_labels)
    first = torch.arange(len(target), device=target.device).view(-1, 1, 1) * num_labels
    bins = len(target) * num_labels

    def count(labels: Tensor, where: Tensor) -> Tensor:
        kept = (labels + first).masked_fill_(~where, bins)
        return torch.bincount(kept.flatten(), minlength=bins + 1)[:-1].view(-1, num_labels)

    hit = count(target, scored & (prediction == target))
    return torch.stack([hit, count(target, scored), count(prediction, scored)], 1).int()


def _summary(confusion: Tensor, accuracy: Tensor, present_iou: Tensor, averaged: Tensor | None = None) -> Scores:
    """Percentages of mean accuracy () and the IoU of present classes (P,); NaN where nothing was scored.

    `averaged` holds the IoU of the classes of the mean where they are not just those.
    """
    hit, truth, _ = _margins(confusion)
    frequency = truth[truth > 0] / truth.sum()
    if not len(frequency):
        return Scores(*[float("nan")] * 4)
    return Scores(
        pAcc=100 * float(hit.sum() / truth.sum()),
        mAcc=100 * float(accuracy),
        fwIoU=100 * float((frequency * present_iou).sum()),
        mIoU=100 * float((present_iou if averaged is None else averaged).mean()),
    )


def _margins(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """True positives, ground-truth and predicted pixels of each class, (C,) float64 each."""
    counts = confusion.double()
    return counts.diagonal(), counts.sum(1), counts.sum(0)
