"""Preparations of broken sources, with interruptions, and with wrong options."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from datamodules import parallel
from datamodules.errors import DataError
from datamodules.prepare import plan
from datamodules.prepare.command import main
from datamodules.prepare.sources import read_list
from tests.datamodules.raw_layouts import LAYOUTS, SIZES, Layout, ade150, pcontext, picture, png, voc
from tests.datamodules.test_prepare import check_labels, prepare

REPOSITORY = Path(__file__).resolve().parents[2]

NOTE = ".prepared.json"  # says of what label maps were made, before the first is


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def raw_file(layout: Layout, pattern: str) -> Path:
    return sorted(layout.source.rglob(pattern))[1]


RAW_MAPS = {
    "voc": "SegmentationClassAug/*.png",
    "pcontext": "*.mat",
    "ade150": "annotations/validation/*.png",
    "adefull": "*_seg.png",
    "coco": "stuffthingmaps/val2017/*.png",
    "cocoobject": "stuffthingmaps/val2017/*.png",
    "cityscapes": "*_labelIds.png",
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_broken_map_among_good_ones(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = LAYOUTS[name](tmp_path / "raw"), tmp_path / "datasets"
    broken = raw_file(layout, RAW_MAPS[name])
    whole = broken.read_bytes()
    truncate(broken)
    assert prepare(name, layout, root) == 1
    printed = capsys.readouterr()
    assert "2 written, 0 there already, 0 left out for want of a labelled pixel, 1 failed" in printed.out
    assert printed.err.startswith(f"error: {broken} cannot be read")
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err
    stem = broken.name.split("_gtFine")[0].split("_seg")[0].removesuffix(broken.suffix)
    assert not list(root.rglob(f"*{stem}*"))

    broken.write_bytes(whole)
    assert prepare(name, layout, root) == 0
    assert "1 written, 2 there already" in capsys.readouterr().out
    check_labels(layout, root)


@pytest.mark.parametrize("name", LAYOUTS)
def test_interrupted_and_continued(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted when a file is written but not yet renamed, at every file in turn."""
    layout, root = LAYOUTS[name](tmp_path / "raw"), tmp_path / "datasets"
    files = len(layout.labels) + len(layout.images)
    replace, left = os.replace, 1

    def interrupted(source: Path, target: Path) -> None:
        nonlocal left
        assert source.name.startswith(".")
        assert not target.exists()  # until it is whole
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        replace(source, target)

    monkeypatch.setattr(plan.os, "replace", interrupted)
    for done in range(1, files + 1):
        made = [path for path in root.rglob("*") if path.is_file() and not path.name.endswith(NOTE)]
        assert len(made) == done - 1  # nothing half written lies about
        left = 1
        if done < files:
            assert prepare(name, layout, root) == 130
            assert "interrupted: the same command continues" in capsys.readouterr().err
    assert prepare(name, layout, root) == 0
    check_labels(layout, root)


def test_killed_and_continued(tmp_path: Path) -> None:
    """A run in two processes is killed without notice; what it left bears its name only if whole."""
    source, root = tmp_path / "raw", tmp_path / "datasets"
    layout = ade150(source)
    for number in range(100, 400):
        picture(source / f"ADEChallengeData2016/images/validation/ADE_val_{number:08}.jpg", SIZES[0], number)
        png(source / f"ADEChallengeData2016/annotations/validation/ADE_val_{number:08}.png", np.full(SIZES[0], 7))
    command = [sys.executable, "-m", "datamodules.prepare", "ade150", "--workers", "2"]
    command += ["--source", str(source), "--root", str(root)]
    with subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True) as process:
        made = root / "ADEChallengeData2016" / "annotations_detectron2" / "validation"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (made.is_dir() and len(os.listdir(made)) > 5):
            time.sleep(0.01)
        os.killpg(process.pid, 9)
    for path in root.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            with Image.open(path) as file:
                file.load()
    assert prepare("ade150", layout, root) == 0
    check_labels(layout, root)
    assert len(os.listdir(made)) == 303


def test_what_a_killed_run_left_is_no_data(tmp_path: Path) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    for name in [*layout.labels, *layout.images]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).with_name(f".{Path(name).name}.part").write_bytes(b"half")
    assert prepare("voc", layout, root) == 0
    check_labels(layout, root)
    assert not list(root.rglob("*.part"))


def test_wrong_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    png(layout.source / "SegmentationClassAug" / "2008_000002.png", np.ones((9, 8)))
    assert prepare("voc", layout, root) == 1
    assert "2008_000002.png has 8 x 9 pixels, its picture" in capsys.readouterr().err


def test_broken_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    truncate(layout.source / "JPEGImages" / "2008_000002.jpg")
    assert prepare("voc", layout, root) == 1
    assert "2008_000002.jpg cannot be read as a picture" in capsys.readouterr().err
    assert not list(root.rglob("2008_000002.*"))


def test_colour_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    picture(layout.source / "SegmentationClassAug" / "2008_000002.png", SIZES[1], 0)
    assert prepare("voc", layout, root) == 1
    assert "holds RGB colours" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"), [("voc", 21), ("ade150", 151), ("coco", 11), ("cocoobject", 181 + 1), ("cityscapes", 40)]
)
def test_values_that_the_publisher_does_not_have(
    name: str, value: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, root = LAYOUTS[name](tmp_path / "raw"), tmp_path / "datasets"
    path = raw_file(layout, RAW_MAPS[name])
    with Image.open(path) as file:
        raw = np.array(file)
    raw[3, 4] = value
    png(path, raw)
    assert prepare(name, layout, root) == 1
    assert f"{path} holds the value {value}," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"labels": np.ones(SIZES[0])}, "has no variable 'LabelMap'"),
        ({"LabelMap": np.ones((*SIZES[0], 3))}, "holds a LabelMap of shape (24, 36, 3)"),
        ({"LabelMap": np.full(SIZES[0], 460)}, "holds the value 460"),
    ],
)
def test_strange_mat_files(
    content: dict[str, object], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, root = pcontext(tmp_path / "raw"), tmp_path / "datasets"
    savemat(layout.source / "trainval" / "2008_000002.mat", content)
    assert prepare("pcontext", layout, root) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", LAYOUTS)
def test_missing_files_are_told_before_anything_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout, root = LAYOUTS[name](tmp_path / "raw"), tmp_path / "datasets"
    raw_file(layout, RAW_MAPS[name]).unlink()
    assert prepare(name, layout, root) == 1
    assert "1 of 3 files" in capsys.readouterr().err
    assert not root.exists()


@pytest.mark.parametrize("name", LAYOUTS)
def test_empty_source_says_where_it_looked(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "raw").mkdir()
    assert main([name, "--source", str(tmp_path / "raw"), "--root", str(tmp_path / "datasets")]) == 1
    message = capsys.readouterr().err
    assert f"in {tmp_path / 'raw'}: looked for {tmp_path / 'raw'}" in message
    assert message.count("\n") == 1


def test_many_failures_are_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, root = tmp_path / "raw", tmp_path / "datasets"
    layout = ade150(source)
    for number in range(100, 112):
        picture(source / f"ADEChallengeData2016/images/validation/ADE_val_{number:08}.jpg", SIZES[0], number)
        png(source / f"ADEChallengeData2016/annotations/validation/ADE_val_{number:08}.png", np.full(SIZES[0], 200))
    assert prepare("ade150", layout, root) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1] == "error: and 2 more"


def test_files_of_another_preparation_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    picture(root / "VOC2012/images_detectron2/val/2007_000001.jpg", (8, 8), 0)
    png(root / "VOC2012/annotations_detectron2/val/2007_000001.png", np.zeros((8, 8)))
    assert prepare("voc", layout, root) == 1
    assert "but are not of this preparation; move them away" in capsys.readouterr().err


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plan.os, "replace", full)
    assert prepare("voc", layout, root) == 1
    message = capsys.readouterr().err
    assert "No space left on device" in message
    assert message.count("\n") == 1
    assert not [path for path in root.rglob("*") if path.is_file() and not path.name.endswith(NOTE)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "the following arguments are required: NAME"),
        (["imagenet", "--source", ".", "--root", "."], "NAME 'imagenet' is not known; take one of voc, "),
        (["voc", "--source", "."], "the following arguments are required: --root"),
        (["voc", "--source", ".", "--root", ".", "--workers", "0"], "--workers: 0 is less than 1"),
        (["coco", "--source", ".", "--root", ".", "--keep-void"], "prepare has no option --keep-void; "),
        (["coco", "--sorce", ".", "--root", "."], "prepare has no option --sorce; did you mean --source? "),
    ],
)
def test_wrong_usage(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {expected}")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["voc", "--help"]) == 0
    assert "--keep-void" in capsys.readouterr().out


def test_source_that_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["voc", "--source", str(tmp_path / "nowhere"), "--root", str(tmp_path)]) == 1
    assert "nowhere is no folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"), [("\n\n", "names no picture"), ("a\nb\na\n", "names a twice"), (None, "cannot be read")]
)
def test_strange_lists(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "val.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_list(path)


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")  # Python 3.12 on, with numpy's threads
def test_a_killed_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="fewer --workers"):
        list(parallel.each(os._exit, [3, 3, 3, 3], 2, "test"))
