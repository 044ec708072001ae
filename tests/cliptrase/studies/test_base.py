"""What all studies share: which data sets they tell of, differences of figures, and the best of a table."""

import torch

from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.study_table import Column, StudyTable
from cliptrase.methods import get_methods
from cliptrase.protocols.table import get_protocol
from cliptrase.studies.base import Studied, figures
from datamodules.specs import DATASETS
from tests.evidence_runs import drawn_counts


def test_a_data_set_without_a_scored_picture_is_in_no_table() -> None:
    settings = [DATASETS["VOC20"], DATASETS["PC59"]]
    nothing = Counts(torch.zeros(59, 59, dtype=torch.int64), 0, torch.zeros(0, 3, 59, dtype=torch.int32), [])
    own = {"VOC20": {"gem": drawn_counts(20, 3, 1, 2)}, "PC59": {"gem": nothing}}
    found = Studied.of(get_protocol(), get_methods(["gem"]), settings, {}, own)
    assert [setting.name for setting in found.settings] == ["VOC20"]


def test_a_single_picture_has_a_difference_without_interval() -> None:
    pictures = torch.tensor([[[[6, 2], [8, 8], [10, 6]]], [[[8, 4], [8, 8], [12, 4]]]])
    first, other = figures(pictures, ["a"], "detectron2")
    assert (first.difference, first.interval, other.difference_interval) == (None, None, None)
    assert other.difference == other.mIoU - first.mIoU != 0


def test_the_best_is_of_methods_side_by_side() -> None:
    columns = [Column("setting"), Column("method"), Column("names"), Column("mIoU", "score"), Column("lost", "score")]
    rows = [
        ["A", "m", "own", 40.0, 9.0],
        ["A", "n", "own", 50.0, 8.0],
        ["A", "m", "plural", 45.0, 7.0],
        ["A", "n", "plural", 45.0, 6.0],  # equal: none is the best
        ["B", "m", "own", 60.0, 5.0],
        ["B", "n", "own", None, None],
    ]
    assert StudyTable("title", columns, rows).best == {(1, 3)}
