"""Counts of a setting: the same for any split into batches, in a fixed order, as plain as each picture's own."""

import numpy as np
import pytest
import torch

from cliptrase.evaluation import counts as counting
from cliptrase.evaluation.counts import SettingCounter
from cliptrase.timing import StageTimer, listening
from tests import references

STEMS = ["scene_10", "scene_2", "b/1", "a", "scene_1"]


def maps(seed: int = 0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    rng = np.random.default_rng(seed)
    predictions = {method: torch.from_numpy(rng.integers(0, 3, (5, 6, 7))) for method in ("one", "two")}
    return predictions, torch.from_numpy(rng.integers(-1, 4, (5, 6, 7)))


def count(counter: SettingCounter, batches: list[list[int]]) -> None:
    predictions, labels = maps()
    for places in batches:
        part = {method: found[places] for method, found in predictions.items()}
        counter.update(part, labels[places], [STEMS[place] for place in places])


@pytest.mark.parametrize("batches", [[[0, 1, 2, 3, 4]], [[4], [3, 0], [1, 2]]])
def test_batches_make_no_difference(batches: list[list[int]]) -> None:
    counter = SettingCounter(["one", "two"], 3)
    count(counter, batches)
    totals = counter.totals()
    assert list(totals) == ["one", "two"]
    predictions, labels = maps()
    for method, found in totals.items():
        assert found.stems == sorted(STEMS)
        assert found.images == 5
        plain = [
            np.array(references.confusion(predictions[method][place].numpy(), labels[place].numpy(), 3))
            for place in (STEMS.index(stem) for stem in found.stems)
        ]
        assert found.confusion.tolist() == sum(plain).tolist()  # type: ignore[attr-defined]
        assert found.pictures.tolist() == [
            [one.diagonal().tolist(), *map(list, (one.sum(1), one.sum(0)))] for one in plain
        ]


def test_processes_are_brought_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the other process counted comes with its own names."""
    other = SettingCounter(["one", "two"], 3)
    count(other, [[0, 3]])
    mine = SettingCounter(["one", "two"], 3)
    count(mine, [[4, 1], [2]])
    monkeypatch.setattr(counting, "all_gather_rows", lambda rows: [*rows, *other._batches])
    together = SettingCounter(["one", "two"], 3)
    count(together, [[0, 1, 2, 3, 4]])
    found = mine.totals()["two"]
    monkeypatch.undo()
    expected = together.totals()["two"]
    assert torch.equal(found.pictures, expected.pictures)
    assert found.stems == expected.stems


def test_no_picture_at_all() -> None:
    found = SettingCounter(["one"], 3).totals()["one"]
    assert found.pictures.shape == (0, 3, 3)
    assert (found.images, found.stems, int(found.confusion.sum())) == (0, [], 0)


def test_each_method_has_its_own_seconds() -> None:
    counter, timer = SettingCounter(["one", "two"], 3), StageTimer()
    predictions, labels = maps()
    with listening(timer):
        counter.update(predictions, labels, STEMS)
    one, two, none = (timer.seconds(name)["scores"] for name in ("one", "two", "none"))
    assert 0 < none < min(one, two)
    assert one + two - none == pytest.approx(timer.seconds()["scores"])
