"""The page of several runs: paired differences of the runs' own counts in one table, else the reason."""

import re
from pathlib import Path

import pytest

from cliptrase.cli.known import known_data
from cliptrase.cli.report import main
from cliptrase.evidence.pairing import AVERAGE, pair_runs
from cliptrase.evidence.pairing_page import beside_first
from cliptrase.evidence.verification import verify_run
from tests.evidence_runs import change_document, write_run


def test_differences_are_those_of_compare(tmp_path: Path) -> None:
    mine = write_run(tmp_path / "mine", ("cliptrase", "gem"), ("VOC20", "PC59"))
    theirs = write_run(tmp_path / "theirs", ("gem", "naclip"), ("VOC20", "PC59"), predictions=5)
    known = known_data()
    beside = beside_first([mine, theirs], known)
    pairs = pair_runs([verify_run(mine, known), verify_run(theirs, known)]).pairs
    assert {pair.setting for pair in pairs} == {"VOC20", "PC59", AVERAGE}
    for pair in pairs:
        setting = "" if pair.setting == AVERAGE else pair.setting
        (found,) = [one for one in beside.pairs[1, setting, pair.other.method] if one.to == f"A {pair.one.method}"]
        assert (found.value, found.interval) == (pair.difference.value, pair.difference.interval)
        assert found.twin == pair.same_method
    assert beside.notes == []


def test_what_is_not_paired_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write_run(tmp_path / "mine", ("gem",))
    other_truth = write_run(tmp_path / "truth", ("gem",), truth=3)
    elsewhere = write_run(tmp_path / "elsewhere", ("gem",), ("PC59",))
    forged = write_run(tmp_path / "forged", ("gem",))
    change_document(forged, lambda document: document["headline"].update(mIoU=1.0))
    bare = write_run(tmp_path / "bare", ("gem",))
    (bare / "confusion" / "VOC20.npz").unlink()
    notes = beside_first([mine, other_truth, elsewhere, forged, bare], known_data()).notes
    assert len(notes) == 4
    assert notes[0].startswith("A and B are not paired on VOC20: the ground truth differs on 12 of 12 pictures")
    assert notes[1] == "A and C have no data set in common."
    assert notes[2].startswith("A and D are not paired: ")
    assert "mIoU of the headline is 1.0" in notes[2]
    assert notes[3].startswith("A and E are not paired: ")
    assert main([str(mine), str(forged), "--out", str(tmp_path / "page.html")]) == 0
    html = (tmp_path / "page.html").read_text()
    assert "A and B are not paired: " in html
    assert re.search(r">VOC20, B</th>", html)  # rows of its own
