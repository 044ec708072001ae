"""Counts of a data set that is under way: what lies among its files may be anything."""

from pathlib import Path

import pytest
import torch

from cliptrase.evaluation.counts import SegmentationCounts
from cliptrase.runs.partial import PartialCounts, Wanted, kept_datasets, write_partial

WANTED = {"VOC20": Wanted({"": (1, 2)}, images=4)}


@pytest.mark.parametrize(("stranger", "taken_up"), [("Other.1.0.npz", True), ("VOC20.2.0.npz", False)])
def test_a_folder_among_the_files_is_taken_away(stranger: str, taken_up: bool, tmp_path: Path) -> None:
    state = SegmentationCounts(["mine"], num_labels=2).so_far()
    write_partial(tmp_path, "VOC20", 1, 0, {"": state}, "inputs")
    folder = tmp_path / "unfinished" / "counts"
    (folder / stranger).mkdir()
    (folder / stranger / "a file").touch()
    partial = PartialCounts()
    if taken_up:
        partial.take_up(tmp_path, WANTED, "inputs")
    else:
        with pytest.warns(UserWarning, match="not a regular file.*: VOC20 is scored again"):
            partial.take_up(tmp_path, WANTED, "inputs")
    assert bool(partial.states("VOC20")) == taken_up
    assert sorted(kept_datasets(tmp_path)) == (["VOC20"] if taken_up else [])
    assert not (folder / stranger).is_dir()


def test_counts_of_one_image_twice_name_the_folder(tmp_path: Path) -> None:
    counts = SegmentationCounts(["mine"], num_labels=2)
    counts.update({}, torch.empty(0), index=[], left_out=[3])
    for rank in range(2):
        write_partial(tmp_path, "VOC20", 1, rank, {"": counts.so_far()}, "inputs")
    with pytest.warns(UserWarning, match=r"unfinished/counts cannot be used \(images of VOC20 are not each there once"):
        PartialCounts().take_up(tmp_path, WANTED, "inputs")
    assert not kept_datasets(tmp_path)
