"""Segmentation scores from one confusion matrix over the whole data set, and counts of each picture."""

import math
from collections.abc import Sequence
from typing import Generic, NamedTuple, SupportsFloat, TypeVar

import torch
from torch import Tensor

from cliptrase.protocols.definitions import Classes, Definition, get_definition

Value = TypeVar("Value", bound=SupportsFloat)


class Scores(NamedTuple, Generic[Value]):
    """Percentages, unrounded: float64 tensors of the same shape, or floats."""

    pAcc: Value
    mAcc: Value
    fwIoU: Value
    mIoU: Value

    def floats(self) -> "Scores[float]":
        """The same as floats, of tensors that hold one number each."""
        return Scores(*map(float, self))

    def rounded(self) -> dict[str, float | None]:
        """By name to two decimals, of single numbers; None where nothing was scored.

        >>> Scores(100.0, 33.333, 50.0, float("nan")).rounded()
        {'pAcc': 100.0, 'mAcc': 33.33, 'fwIoU': 50.0, 'mIoU': None}
        """
        return {name: rounded(value) for name, value in zip(self._fields, self, strict=True)}


class ClassScores(NamedTuple):
    """Scores of each class, as fractions."""

    accuracy: Tensor  # (..., C) float64 in [0, 1]; NaN where a denominator is 0
    iou: Tensor  # (..., C) float64 in [0, 1], likewise


def rounded(value: SupportsFloat) -> float | None:
    """A score to two decimals, None for NaN.

    >>> rounded(33.333), rounded(float("nan"))
    (33.33, None)
    """
    number = float(value)
    return None if math.isnan(number) else round(number, 2)


def confusion_matrix(prediction: Tensor, target: Tensor, num_labels: int, rows: int | None = None) -> Tensor:
    """Counts of (ground truth, prediction) pairs; ground truth outside [0, rows) is left out.

    Args:
        prediction: integer tensor of any shape, values in [0, num_labels) where the target counts.
        target: integer tensor of the same shape.
        num_labels: C.
        rows: R kinds of ground truth; None for C.

    Returns:
        (R, C) int64, rows are ground truth.

    Raises:
        ValueError: shapes differ, or a prediction that counts is out of range (it would land in another row).
    """
    if prediction.shape != target.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(target.shape)} differ in shape")
    rows = num_labels if rows is None else rows
    target = target.to(prediction.device, torch.int64)
    ignored = (target < 0) | (target >= rows)
    if prediction.numel() and not 0 <= int(prediction.min()) <= int(prediction.max()) < num_labels:
        chosen = prediction[~ignored]
        if chosen.numel() and not 0 <= int(chosen.min()) <= int(chosen.max()) < num_labels:
            raise ValueError(f"predictions reach {int(chosen.min())}..{int(chosen.max())}, labels 0..{num_labels - 1}")
    # What is left out is counted apart, which is several times faster than picking out the rest.
    pair = (target * num_labels + prediction).masked_fill_(ignored, rows * num_labels)
    counts = torch.bincount(pair.flatten(), minlength=rows * num_labels + 1)[:-1]
    return counts.view(rows, num_labels)


def margins(confusion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hits, truth and predicted pixels of each class.

    Args:
        confusion: (..., C, C) integer, rows are ground truth.

    Returns:
        three (..., C) tensors: the diagonal, the sums of rows and the sums of columns.

    >>> [margin.tolist() for margin in margins(torch.tensor([[6, 2], [1, 0]]))]
    [[6, 0], [8, 1], [7, 2]]
    """
    return confusion.diagonal(dim1=-2, dim2=-1), confusion.sum(-1), confusion.sum(-2)


def scores(hits: Tensor, truth: Tensor, predicted: Tensor, definition: Definition | str) -> Scores[Tensor]:
    """Scores of data sets from each class's pixels, summed over a data set's pictures.

    Pixels without ground truth count in none of the three.

    Args:
        hits: (..., C) pixels of each class that are predicted as such.
        truth: (..., C) ground-truth pixels.
        predicted: (..., C) predicted pixels.
        definition: a row of `DEFINITIONS`, its name, or another definition.

    Returns:
        percentages, (...) float64 each; NaN where the truth holds no pixel.

    Raises:
        InputError: there is no definition of that name.

    >>> confusion = torch.tensor([[6, 2, 0], [1, 0, 1], [0, 0, 0]])
    >>> scores(*margins(confusion), "detectron2").rounded()
    {'pAcc': 60.0, 'mAcc': 37.5, 'fwIoU': 53.33, 'mIoU': 33.33}
    >>> scores(*margins(confusion), "mmseg").rounded()["mIoU"]  # a class that is only predicted counts 0
    22.22
    """
    rule = get_definition(definition)
    accuracy, iou = class_scores(hits, truth, predicted, rule)
    hits, truth, predicted = hits.double(), truth.double(), predicted.double()
    total = truth.sum(-1)
    averages = (
        hits.sum(-1) / total,
        _mean(accuracy, in_mean(rule.accuracy_over, hits, truth, predicted)),
        torch.where(truth > 0, truth / total[..., None] * iou, 0).sum(-1),
        _mean(iou, in_mean(rule.iou_over, hits, truth, predicted)),
    )
    return Scores(*(torch.where(total > 0, 100 * average, math.nan) for average in averages))


def class_scores(hits: Tensor, truth: Tensor, predicted: Tensor, definition: Definition | str) -> ClassScores:
    """Accuracy and IoU of each class; arguments and errors as for `scores`.

    >>> confusion = torch.tensor([[6, 2, 0], [1, 0, 1], [0, 0, 0]])
    >>> class_scores(*margins(confusion), "detectron2").accuracy
    tensor([0.7500, 0.0000,    nan], dtype=torch.float64)
    """
    added = get_definition(definition).added
    hits, truth, predicted = hits.double(), truth.double(), predicted.double()
    return ClassScores(hits / (truth + added), hits / (truth + predicted - hits + added))


def mean_iou(
    hits: Tensor, truth: Tensor, predicted: Tensor, definition: Definition | str, labels: Sequence[int]
) -> Tensor:
    """Mean IoU over some of the classes: those of a definition's mean that are among them.

    Args:
        hits: as for `scores`, as all that follow.
        truth: likewise.
        predicted: likewise.
        definition: likewise.
        labels: of the classes.

    Returns:
        percent, (...) float64; NaN where the truth holds no pixel at all, or none of the classes counts.

    >>> confusion = torch.tensor([[6, 2, 0], [1, 0, 1], [0, 0, 0]])
    >>> [rounded(mean_iou(*margins(confusion), definition, [0, 2])) for definition in ("detectron2", "mmseg")]
    [66.67, 33.33]
    """
    rule = get_definition(definition)
    among = torch.zeros(truth.shape[-1], dtype=torch.bool, device=truth.device)
    among[list(labels)] = True
    iou = class_scores(hits, truth, predicted, rule).iou
    mean = 100 * _mean(iou, in_mean(rule.iou_over, hits, truth, predicted) & among)
    return torch.where(truth.sum(-1) > 0, mean, math.nan)


def in_mean(classes: Classes, hits: Tensor, truth: Tensor, predicted: Tensor) -> Tensor:
    """Which classes a mean is over: (..., C) bool.

    Args:
        classes: as a `Definition` says it.
        hits: (..., C) pixels.
        truth: likewise.
        predicted: likewise.

    >>> in_mean("union", *margins(torch.tensor([[6, 2, 0], [1, 0, 0], [0, 0, 0]]))).tolist()
    [True, True, False]
    """
    if classes == "all":
        return torch.ones_like(truth, dtype=torch.bool)
    return truth > 0 if classes == "truth" else truth + predicted - hits > 0


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean over the last axis of those values that a mask holds; NaN for none."""
    return torch.where(where, values, 0).sum(-1) / where.sum(-1)


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
        bin_of_pixel = (labels + first).masked_fill_(~where, bins)
        return torch.bincount(bin_of_pixel.flatten(), minlength=bins + 1)[:-1].view(-1, num_labels)

    hit = count(target, scored & (prediction == target))
    return torch.stack([hit, count(target, scored), count(prediction, scored)], 1).int()


def batch_counts(prediction: Tensor, target: Tensor, num_labels: int) -> tuple[Tensor, Tensor]:
    """`confusion_matrix` of a batch and its `picture_counts`; arguments and errors as for the first.

    Of few labels both come from one pass over the pixels.

    Args:
        prediction: (B, H, W).
        target: (B, H, W).
        num_labels: C.

    Returns:
        (C, C) int64 and (B, 3, C) int32.
    """
    if num_labels**2 > math.prod(target.shape[1:]) or prediction.shape != target.shape:
        confusion = confusion_matrix(prediction, target, num_labels)
        return confusion, picture_counts(prediction, target, num_labels)
    image = torch.arange(len(target), device=target.device).view(-1, 1, 1) * num_labels
    scored = (target >= 0) & (target < num_labels)
    # Truth of each picture as labels of its own: the rows are the pictures' matrices one after the other.
    counts = confusion_matrix(prediction, (target + image).where(scored, -1), num_labels, len(target) * num_labels)
    by_picture = counts.view(len(target), num_labels, num_labels)
    return by_picture.sum(0), torch.stack(margins(by_picture), 1).int()
