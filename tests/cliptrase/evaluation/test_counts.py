"""Counts of a data set: the same for any split into batches and processes, as plain as each image's own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from cliptrase.common.timing import StageTimer, listening
from cliptrase.evaluation.counts import Counts, SegmentationCounts
from tests import references

STEMS = ["scene_10", "scene_2", "b/1", "a", "scene_1", "void"]
METHODS = ["one", "two"]


def maps(seed: int = 0) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    rng = np.random.default_rng(seed)
    predictions = {method: torch.from_numpy(rng.integers(0, 3, (5, 6, 7))) for method in METHODS}
    return predictions, torch.from_numpy(rng.integers(-1, 4, (5, 6, 7)))


def counted(batches: Sequence[Sequence[int]], left_out: Sequence[int] = ()) -> SegmentationCounts:
    counts = SegmentationCounts(METHODS, 3, STEMS)
    predictions, labels = maps()
    for index in batches:
        places = list(index)
        part = {method: found[places] for method, found in predictions.items()}
        counts.update(part, labels[places], places, left_out)
    return counts


def told(counts: dict[str, Counts]) -> dict[str, list[object]]:
    """Counts as JSON holds them."""
    return {
        method: [one.confusion.tolist(), one.images, one.pictures.tolist(), one.stems, one.left_out]
        for method, one in counts.items()
    }


@pytest.mark.parametrize("batches", [[[0, 1, 2, 3, 4]], [[4], [3, 0], [], [1, 2]]])
def test_batches_make_no_difference(batches: list[list[int]]) -> None:
    totals = counted(batches, [5, -1]).compute()
    assert list(totals) == METHODS
    predictions, labels = maps()
    for method, found in totals.items():
        assert found.stems == sorted(STEMS[:5])
        assert found.left_out == ["void"]
        assert found.images == 5
        plain = [
            np.array(references.confusion(predictions[method][place].numpy(), labels[place].numpy(), 3))
            for place in (STEMS.index(stem) for stem in found.stems)
        ]
        assert found.confusion.tolist() == sum(plain).tolist()  # type: ignore[attr-defined]
        assert found.pictures.tolist() == [
            [one.diagonal().tolist(), *map(list, (one.sum(1), one.sum(0)))] for one in plain
        ]


def test_an_image_that_was_counted_twice_is_named() -> None:
    with pytest.raises(ValueError, match="image scene_2 was counted twice"):
        counted([[0, 1], [2, 1]]).compute()


def test_images_without_names_are_in_the_order_of_their_numbers() -> None:
    counts = SegmentationCounts(["one"], 3)
    labels = torch.zeros(1, 2, 2, dtype=torch.int64)
    for number in (10, 9, 1):
        counts.update({"one": labels}, labels, [number])
    assert counts.compute()["one"].stems == ["1", "9", "10"]


def test_what_is_counted_may_go_on_or_start_anew() -> None:
    counts = counted([[0, 1]])
    assert counts.compute()["one"].images == 2
    predictions, labels = maps()
    counts.update({method: found[2:] for method, found in predictions.items()}, labels[2:], [2, 3, 4])
    assert told(counts.compute()) == told(counted([range(5)]).compute())
    counts.reset()
    assert counts.confusion.dtype == torch.int64
    counts.update({method: found[:1] for method, found in predictions.items()}, labels[:1], [0])
    assert told(counts.compute()) == told(counted([[0]]).compute())


def test_counts_of_two_halves_are_merged() -> None:
    first, second = counted([[4, 0]]), counted([[3, 1], [2]])
    first.merge_state(second)
    assert told(first.compute()) == told(counted([range(5)]).compute())


PROCESS = """
import json, sys, torch, torch.distributed
from tests.cliptrase.evaluation.test_counts import counted, told
rank, batches = int(sys.argv[1]), json.loads(sys.argv[2])
store = torch.distributed.FileStore(sys.argv[3], 3)
torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=3)
counts = counted(batches, [5] if rank == 1 else [-1])
found = told(counts.compute())
assert told(counts.compute()) == found  # the process's own are as they were
print(json.dumps(found))
"""


@pytest.mark.ddp
def test_processes_are_brought_together(tmp_path: Path) -> None:
    """One has more images than another, one has none and counts nothing at all."""
    root = Path(__file__).resolve().parents[3]
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROCESS, str(rank), json.dumps(batches), str(tmp_path / "store")],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root), "GLOO_SOCKET_IFNAME": "lo"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank, batches in enumerate(([[4], [0, 1, 2]], [[3]], []))
    ]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert found[0] == json.loads(json.dumps(told(counted([range(5)], [5]).compute())))
    assert found[1] == found[2] == found[0]


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_no_image_at_all() -> None:
    found = SegmentationCounts(["one"], 3).compute()["one"]
    assert found.pictures.shape == (0, 3, 3)
    assert (found.images, found.stems, int(found.confusion.sum())) == (0, [], 0)


def test_counts_beyond_float32() -> None:
    """One pixel in 2^24 + 1 and more is not lost."""
    counts = SegmentationCounts(["one"], 2)
    counts.confusion[0] += torch.tensor([[2**24, 0], [0, 0]])
    counts.update({"one": torch.zeros(1, 1, 1, dtype=torch.int64)}, torch.zeros(1, 1, 1, dtype=torch.int64), [0])
    assert int(counts.compute()["one"].confusion[0, 0]) == 2**24 + 1


def test_counts_stay_out_of_checkpoints_and_in_integers() -> None:
    counts = counted([[0]])
    assert counts.state_dict() == {}
    counts.half()
    assert counts.confusion.dtype == torch.int64
    assert counts.compute()["one"].pictures.dtype == torch.int32


def test_each_method_has_its_own_seconds() -> None:
    counts, timer = SegmentationCounts(METHODS, 3), StageTimer()
    predictions, labels = maps()
    with listening(timer):
        counts.update(predictions, labels, range(5))
    one, two, none = (timer.seconds(name)["scores"] for name in ("one", "two", "none"))
    assert 0 < none < min(one, two)
    assert one + two - none == pytest.approx(timer.seconds()["scores"])
