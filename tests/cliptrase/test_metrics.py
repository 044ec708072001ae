"""Scores against plain Python, and the Metric that sums them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from cliptrase.common.errors import InputError
from cliptrase.metrics import (
    Scores,
    batch_counts,
    class_scores,
    confusion_matrix,
    margins,
    picture_counts,
    scores,
)
from cliptrase.protocols.definitions import DEFINITIONS, Definition, get_definition
from tests import references


def of_matrix(confusion: Tensor, definition: str) -> Scores[float]:
    return scores(*margins(confusion), definition).floats()


def by_reference(plain: list[list[int]], definition: str) -> dict[str, float] | None:
    if definition == "mmseg":
        return references.mmseg_scores(plain)
    return references.scores(plain, released=definition == "released")


@st.composite
def maps(draw: st.DrawFn) -> tuple[int, np.ndarray, np.ndarray]:
    """A number of labels, predictions within it, and truth that misses classes or holds what is not scored."""
    num_labels = draw(st.integers(1, 6))
    pixels = draw(st.integers(1, 40))
    present = draw(st.lists(st.integers(0, num_labels - 1), min_size=1, max_size=3))
    truth = draw(st.lists(st.sampled_from([*present, -1, num_labels, 255]), min_size=pixels, max_size=pixels))
    guess = draw(st.lists(st.integers(0, num_labels - 1), min_size=pixels, max_size=pixels))
    return num_labels, np.array(guess), np.array(truth)


def check_scores(found: Scores[float], expected: dict[str, float] | None) -> None:
    if expected is None:
        assert all(math.isnan(value) for value in found)
        assert set(found.rounded().values()) == {None}
    else:
        assert found._asdict() == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert found.rounded() == {name: round(value, 2) for name, value in found._asdict().items()}


@given(maps())
@example((1, np.zeros(4, int), np.zeros(4, int)))
@example((3, np.zeros(4, int), np.full(4, 255)))
@example((3, np.full(5, 2), np.array([0, 0, 1, 255, -1])))
def test_scores_are_the_plain_ones(case: tuple[int, np.ndarray, np.ndarray]) -> None:
    num_labels, guess, truth = case
    counts = confusion_matrix(torch.from_numpy(guess), torch.from_numpy(truth), num_labels)
    plain = references.confusion(guess, truth, num_labels)
    assert counts.tolist() == plain
    assert counts.dtype == torch.int64
    for definition in DEFINITIONS:
        check_scores(of_matrix(counts, definition), by_reference(plain, definition))


@given(maps())
@example((1, np.zeros(4, int), np.zeros(4, int)))
@example((3, np.full(5, 2), np.array([0, 0, 1, 255, -1])))
@example((3, np.zeros(4, int), np.full(4, 255)))
def test_counts_of_pictures_add_up_to_the_scores(case: tuple[int, np.ndarray, np.ndarray]) -> None:
    """Each picture's counts are its own confusion matrix's, and their sum gives every definition's mIoU."""
    num_labels, guess, truth = case
    prediction, target = (torch.from_numpy(np.stack([row, row[::-1]])[:, None].copy()) for row in (guess, truth))
    prediction[1] = prediction[1].roll(1)
    counts = picture_counts(prediction, target, num_labels)
    assert counts.shape == (2, 3, num_labels)
    assert counts.dtype == torch.int32
    for own, one, other in zip(counts, prediction, target, strict=True):
        plain = torch.tensor(references.confusion(one.numpy(), other.numpy(), num_labels))
        assert own.tolist() == [plain.diagonal().tolist(), plain.sum(1).tolist(), plain.sum(0).tolist()]
    confusion = confusion_matrix(prediction, target, num_labels)
    for definition in DEFINITIONS:
        together = scores(*torch.stack([counts.sum(0), counts[0]]).unbind(-2), definition)  # (2,) each
        expected = of_matrix(confusion, definition)
        assert [float(value[0]) for value in together] == pytest.approx(list(expected), rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(("number", "side"), [(5, 4), (4, 4), (3, 40)])  # above, at and below as many pixels
def test_one_pass_over_a_batch_counts_the_same(number: int, side: int) -> None:
    generator = torch.Generator().manual_seed(number)
    prediction = torch.randint(0, number, (3, side, side), generator=generator)
    target = torch.randint(-1, number + 1, (3, side, side), generator=generator)
    confusion, pictures = batch_counts(prediction, target, number)
    assert torch.equal(confusion, confusion_matrix(prediction, target, number))
    assert torch.equal(pictures, picture_counts(prediction, target, number))
    prediction[0, 0, 0], target[0, 0, 0] = number, 0
    with pytest.raises(ValueError, match=f"labels 0..{number - 1}"):
        batch_counts(prediction, target, number)
    with pytest.raises(ValueError, match="differ in shape"):
        batch_counts(prediction[:2], target, number)


def test_a_class_predicted_but_absent_counts_in_mmsegs_mean() -> None:
    """Class 2 is absent from the truth but predicted; class 3 is nowhere."""
    counts = torch.tensor([[6, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    mmseg, detectron2 = (of_matrix(counts, name) for name in ("mmseg", "detectron2"))
    assert mmseg.mIoU == pytest.approx(100 * (6 / 9) / 3)
    assert mmseg[:3] == detectron2[:3]
    classes = class_scores(*margins(counts), "mmseg")
    assert classes.iou.tolist() == pytest.approx([6 / 9, 0, 0, math.nan], nan_ok=True)
    assert classes.accuracy.tolist() == pytest.approx([6 / 8, 0, math.nan, math.nan], nan_ok=True)


def test_released_and_detectron2_by_hand() -> None:
    """Class 2 is absent from the truth but predicted; class 3 is nowhere."""
    counts = torch.tensor([[6, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    released, detectron2 = (of_matrix(counts, name) for name in ("released", "detectron2"))
    assert released.pAcc == detectron2.pAcc == 60
    assert released.mAcc == pytest.approx(100 * (6 / 8.01) / 4)
    assert detectron2.mAcc == pytest.approx(100 * (6 / 8) / 2)
    assert released.mIoU == pytest.approx(100 * (6 / 9.01) / 2)
    assert detectron2.mIoU == pytest.approx(100 * (6 / 9) / 2)
    assert released.fwIoU == pytest.approx(100 * 0.8 * 6 / 9.01)
    assert detectron2.fwIoU == pytest.approx(100 * 0.8 * 6 / 9)
    assert released.rounded() == {"pAcc": 60, "mAcc": 18.73, "fwIoU": 53.27, "mIoU": 33.3}


def test_scores_of_each_class() -> None:
    counts = torch.tensor([[6, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    released, detectron2 = (class_scores(*margins(counts), name) for name in ("released", "detectron2"))
    assert margins(counts)[1].tolist() == [8, 2, 0, 0]
    assert released.accuracy.tolist() == pytest.approx([6 / 8.01, 0, 0, 0])
    assert released.iou.tolist() == pytest.approx([6 / 9.01, 0, 0, 0])
    assert detectron2.accuracy.tolist() == pytest.approx([0.75, 0, math.nan, math.nan], nan_ok=True)
    assert detectron2.iou.tolist() == pytest.approx([6 / 9, 0, 0, math.nan], nan_ok=True)
    assert released.iou.dtype == torch.float64


def test_a_definition_of_ones_own() -> None:
    """It needs no row in the table: here all classes count in both means, and one pixel is added."""
    counts = torch.tensor([[6, 2, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    result = scores(*margins(counts), Definition("mine", 1.0, "all", "all", "this test")).floats()
    assert result.mAcc == pytest.approx(100 * (6 / 9) / 4)
    assert result.mIoU == pytest.approx(100 * (6 / 10) / 4)


def test_definitions_are_read_only_and_an_unknown_one_is_named() -> None:
    with pytest.raises(TypeError):
        DEFINITIONS["mine"] = DEFINITIONS["mmseg"]  # type: ignore[index]
    assert [name == row.name for name, row in DEFINITIONS.items()] == [True] * 3
    with pytest.raises(InputError, match="no definition 'textbook'; take one of released, detectron2, mmseg"):
        get_definition("textbook")


def test_shapes_that_differ_and_predictions_out_of_range() -> None:
    zeros = torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"prediction \(1, 2, 2\) and target \(1, 2, 3\) differ in shape"):
        confusion_matrix(zeros, torch.zeros(1, 2, 3, dtype=torch.int64), 3)
    for wrong in (3, -1):
        with pytest.raises(ValueError, match=r"predictions reach .*, labels 0\.\.2"):
            confusion_matrix(zeros + wrong, zeros, 3)
    assert confusion_matrix(zeros + 3, zeros + 255, 3).sum() == 0  # where nothing is scored nothing is wrong


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_integer_types_of_label_maps(dtype: torch.dtype) -> None:
    truth = torch.tensor([[[0, 1, 2, 100]]]).to(dtype)
    guess = torch.tensor([[[0, 2, 2, 1]]])
    assert confusion_matrix(guess, truth, 3).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]
