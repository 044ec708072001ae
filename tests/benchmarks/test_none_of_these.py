"""Figures of the threshold: counted by hand, their bounds, and a run of two scenes."""

import csv
from pathlib import Path

import numpy as np
import pytest

from benchmarks import none_of_these
from benchmarks.none_of_these import ASKED, count, figures
from cliptrase.inference.neutral_words import NEUTRAL_WORDS
from datamodules.shapes_scenes import NAMES

NOTHING = len(NAMES)


def maps(*rows: list[int]) -> list[np.ndarray]:
    return [np.array([row], dtype=np.int64) for row in rows]


def test_counts_by_hand() -> None:
    """Six pixels: 0 right, 0 lost, 1 wrong; elsewhere: called 0 and kept, called 0 and none, called 1 and none."""
    (truth,) = maps([0, 0, 1, NOTHING, NOTHING, NOTHING])
    before, after = maps([0, 0, 0, 0, 0, 1], [0, NOTHING, 0, 0, NOTHING, NOTHING])
    counts = count([(before, after)], [truth])
    assert counts.elsewhere.tolist() == [3]
    assert counts.false.tolist() == [[3, 1]]
    assert counts.right.tolist() == [[2, 1]]
    assert counts.hits[0][:, [0, 1, NOTHING]].tolist() == [[2, 0, 0], [1, 0, 2]]
    assert counts.union[0][:, [0, 1, NOTHING]].tolist() == [[5, 2, 3], [4, 1, 4]]
    found = figures(counts)
    assert found["false_before"] == 100
    assert found["false"] == pytest.approx(100 / 3)
    assert found["lost"] == 50
    assert found["mIoU_before"] == pytest.approx(100 * (2 / 5 + 0 + 0) / 3)
    assert found["mIoU"] == pytest.approx(100 * (1 / 4 + 0 + 2 / 4) / 3)
    assert found["false_low"] == found["false_high"] == found["false"]  # one picture shows nothing of how they differ


def test_without_pixels_elsewhere_none_is_no_class() -> None:
    (truth,) = maps([0, 0, 1, 1])
    found = figures(count([tuple(maps([0, 0, 1, 0], [0, NOTHING, 1, 0]))], [truth]))  # type: ignore[list-item]
    assert "false" not in found
    assert found["mIoU_before"] == pytest.approx(100 * (2 / 3 + 1 / 2) / 2)
    assert found["mIoU"] == pytest.approx(100 * (1 / 3 + 1 / 2) / 2)
    assert found["mIoU_gain"] == pytest.approx(found["mIoU"] - found["mIoU_before"])


def test_bounds_hold_the_share_of_pictures() -> None:
    """Of 40 pictures 4 are named in full: bounds are near those of the binomial distribution, 2 to 20 percent."""
    truth = [np.full((1, 10), NOTHING)] * 40
    named, none = np.zeros((1, 10), dtype=np.int64), truth[0]
    found = figures(count([(named, named if number < 4 else none) for number in range(40)], truth))
    assert found["false"] == pytest.approx(10)
    assert 0 <= found["false_low"] < 5
    assert 17 < found["false_high"] < 22
    assert "lost" not in found


def test_what_is_asked() -> None:
    draws = np.random.default_rng(0)
    assert not set(ASKED["8 absent"]([0, 3, 5], draws)) & {0, 3, 5}
    assert [len(ASKED[name]([0, 3, 5], draws)) for name in ASKED] == [1, 3, 8, 3, 8, 16]


def test_a_run(tmp_path: Path, text_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPTRASE_CACHE", str(text_cache))
    monkeypatch.setattr(none_of_these, "NEUTRAL_WORDS", NEUTRAL_WORDS[::3])
    out = tmp_path / "found.csv"
    options = ["--scenes", "3", "--split", "val", "--methods", "sclip", "--threads", "1", "--out", str(out)]
    none_of_these.main([*options, "--asked", "1 absent", "all present"])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["asked"], row["neutral"]) for row in rows] == [
        (asked, neutral) for asked in ("1 absent", "all present") for neutral in ("all", "without the scenes' names")
    ]
    assert [(row["false_before"], row["lost"] == "") for row in rows] == [("100.0", True)] * 2 + [("", False)] * 2
    assert all(float(row["false"]) < 50 for row in rows[:2])
    assert {"commit", "command", "device", "threads"} <= set(rows[0])
