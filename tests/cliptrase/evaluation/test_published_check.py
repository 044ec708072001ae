"""`--check published`: figures that should be the published ones are, or are named with both."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cliptrase.common.errors import InputError
from cliptrase.evaluation.published import published_beside
from cliptrase.evaluation.published_check import ALLOWED, check_published
from cliptrase.evaluation.records import ResultKey, SettingResult
from cliptrase.metrics import Scores
from cliptrase.protocols.table import get_protocol
from cliptrase.runs.printing import require_published, say_published
from datamodules.specs import DATASETS
from tests.command import QUIET, complaint

KEY = ResultKey("paper 336", "0", "0")
NAN = float("nan")


def result(name: str, found: Sequence[float], published: Sequence[float] | None, remarks: Sequence[str] = ()) -> Any:
    """A result whose scores are as given."""
    confusion = torch.eye(2, dtype=torch.int64)
    made = SettingResult.from_confusion(name, KEY, ("a", "b"), confusion, 2, published, remarks=remarks)
    return SettingResult(**{**vars(made), "scores": {**made.scores, "released": Scores(*found)}})


PAPER = (89.51, 91.77, 82.15, 81.2)


@pytest.mark.parametrize(
    ("found", "off"),
    [
        (PAPER, []),
        ((89.61, 91.67, 82.25, 81.1), []),  # by a tenth, as printed
        ((89.614, 91.77, 82.15, 81.2), []),
        ((89.62, 91.77, 82.15, 81.2), ["pAcc of cliptrase on VOC20 is 89.62, published 89.51"]),
        ((89.51, 91.77, 82.15, 81.09), ["mIoU of cliptrase on VOC20 is 81.09, published 81.20"]),
        ((89.51, NAN, 82.15, 81.2), ["mAcc of cliptrase on VOC20 is -, published 91.77"]),
        (
            (89.51, 0.0, 82.15, 100.0),
            [
                "mAcc of cliptrase on VOC20 is 0.00, published 91.77",
                "mIoU of cliptrase on VOC20 is 100.00, published 81.20",
            ],
        ),
    ],
)
def test_figures_that_are_off(found: Sequence[float], off: list[str]) -> None:
    check = check_published({"cliptrase": [result("VOC20", found, PAPER)], "vanilla": [result("VOC20", found, None)]})
    assert len(check.checked) == 4
    assert [one.sentence for one in check.off] == off
    assert check.passed == (not off)
    if off:
        assert check.sentence.startswith(
            f"{len(off)} of 4 figures that should be published ones are off by more than 0.1: "
        )
        assert all(sentence in check.sentence for sentence in off)
    else:
        assert check.sentence == "4 figures that should be published ones are within 0.1 of them"


def test_a_source_that_gives_mIoU_alone() -> None:  # noqa: N802 (the field's name)
    check = check_published({"sclip": [result("VOC20", (1, 2, 3, 81.5), (NAN, NAN, NAN, 81.54))]})
    assert [one.column for one in check.checked] == ["mIoU"]
    assert check.passed


def test_what_does_not_compare_is_not_checked() -> None:
    """Other weights or pictures: nothing to check is no success."""
    far = result("VOC20", (1, 1, 1, 1), PAPER, ["2 of 1449 images"])
    alone = check_published({"cliptrase": [far]})
    assert not alone.passed
    assert alone.sentence == ("no figure can be checked against a published one (cliptrase on VOC20: 2 of 1449 images)")
    both = check_published({"cliptrase": [far, result("PC59", PAPER, PAPER)]})
    assert both.passed
    assert both.sentence.endswith("within 0.1 of them; not checked: cliptrase on VOC20: 2 of 1449 images")
    nobody = check_published({"mine": [result("VOC20", PAPER, None)]})
    assert not nobody.passed
    assert "nobody publishes scores" in nobody.sentence


def test_what_a_run_says(capsys: pytest.CaptureFixture[str]) -> None:
    def run(*found: float) -> Any:
        return SimpleNamespace(results={"cliptrase": [result("VOC20", found, PAPER)]})

    say_published(run(*PAPER))
    assert capsys.readouterr().out == "check: 4 figures that should be published ones are within 0.1 of them\n"
    with pytest.raises(InputError, match=re.escape("--check published: 1 of 4 figures")):
        say_published(run(89.51, 91.77, 82.15, 70.0))
    assert capsys.readouterr().out == "check: mIoU of cliptrase on VOC20 is 70.00, published 81.20\n"


def test_a_benchmark_of_published_figures_can_be_asked_for() -> None:
    """Every published figure of a method under its authors' protocol lets the run begin."""
    for name, method, setting in (("paper", "cliptrase", "VOC20"), ("sclip", "sclip", "COCOObject")):
        protocol = get_protocol(name)
        assert published_beside(protocol, method, setting)
        require_published(SimpleNamespace(protocol=protocol, method_names=["gem", method]), [setting])  # type: ignore[arg-type]
    assert ALLOWED == 0.1


def test_nothing_published_is_told_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", "demo", "--data.scenes", "2", "--check", "published", *QUIET]
    sentence = complaint(capsys, "test", *words, "--trainer.default_root_dir", str(tmp_path / "out"))
    assert sentence.startswith(
        "no figure of this run can be checked: nobody publishes scores of cliptrase, vanilla, maskclip, "
        "cliptrase-regions on Shapes under protocol paper 224, eps 0.5; leave out --check published"
    )
    assert list((tmp_path / "out").glob("*")) == []
    assert complaint(capsys, "test", "--check", "x", status=2) == "--check x is not known; take published"
    assert "it goes with 'test'" in complaint(capsys, "predict", *words)


def test_pictures_that_are_not_all(
    detectron2_tree: Callable[..., Path], tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run's files are there, its table names what differs, and its status is 1."""
    root = detectron2_tree(DATASETS["VOC20"], sizes=[(64, 64)] * 2)
    out = str(tmp_path / "out")
    words = ["--config", "paper_224", "--data", "VOC20", "--data.root", str(root), "--check", "published", *QUIET]
    words += ["--model.clip", f"local-dir:{tiny_clip}", "--trainer.default_root_dir", out]
    sentence = complaint(capsys, "test", *words)
    assert sentence.startswith(
        "--check published: no figure can be checked against a published one (cliptrase on VOC20: "
    )
    assert "2 of 1449 images" in sentence
    assert "weights of its own" in sentence
    assert list((tmp_path / "out").glob("*/results.json"))
