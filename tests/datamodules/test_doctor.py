"""The doctor: faults of folders and files are found, and none in a good tree."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.doctor.command import main
from datamodules.spec import LabelScheme
from datamodules.specs import BENCHMARKS, DATASETS
from tests.datamodules.doctor_trees import SIZE, card_of, findings, labels_of, paths, report, save, write

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", DATASETS)
def test_good_tree(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of(name))
    assert findings(tmp_path, name, capsys, status=0) == {}


def test_good_tree_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in DATASETS:
        write(tmp_path, card_of(name))
    status, found = report(tmp_path, capsys=capsys)
    assert status == 0
    assert found["errors"] == 0
    assert list(found["settings"]) == list(DATASETS)
    assert {setting["state"] for setting in found["settings"].values()} == {"good"}


def test_parity_data_sets_are_good(parity: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = report(parity / "datasets", capsys=capsys)
    assert status == 0
    kinds = {item["kind"] for setting in found["settings"].values() for item in setting["findings"]}
    assert kinds == {"count", "classes", "missing"}
    states = {name for name, setting in found["settings"].items() if setting["state"] == "not there"}
    assert states == {"Cityscapes", "COCOObject", *BENCHMARKS["mess"]}


def test_void_apart_is_looked_at_where_it_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("VOC21")
    apart = spec.with_labels(LabelScheme(void=True))
    write(tmp_path, spec)
    write(tmp_path, apart)
    status, found = report(tmp_path, capsys=capsys)
    assert (status, found["settings"]["VOC21 with void apart"]["state"]) == (0, "good")
    save(paths(tmp_path, apart, 2)[1], np.full(SIZE, 40))
    status, found = report(tmp_path, "VOC21", capsys=capsys)
    assert (status, found["settings"]["VOC21"]["state"]) == (1, "good")
    (fault,) = (item for item in found["settings"]["VOC21 with void apart"]["findings"] if item["level"] == "error")
    assert "prepare voc --keep-void" in fault["message"]
    assert fault["files"] == [str(paths(tmp_path, apart, 2)[1])]


def test_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of("VOC20"))
    paths(tmp_path, card_of("VOC20"), 0)[0].unlink()
    assert main(["--root", str(tmp_path), "--workers", "1"]) == 1
    printed = capsys.readouterr().out
    assert "1449" in printed
    assert "5104 or 5105" in printed
    assert "VOC20: error: 1 label maps have no picture of their name: scene_0.png" in printed
    assert f"ADE150: info: not there: looked for {tmp_path / 'ADEChallengeData2016'}" in printed


def test_named_setting_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of("VOC20"))
    found = findings(tmp_path, "ADEfull", capsys)
    status, whole = report(tmp_path, "ADEfull", capsys=capsys)
    assert status == 1
    folder = tmp_path / "ADE20K_2021_17_01"
    looked = [folder / "images_detectron2/validation", folder / "images/validation"]
    looked.append(folder / "annotations_detectron2/validation")
    assert whole["settings"]["ADEfull"]["looked"] == [str(path) for path in looked]
    assert str(looked[-1]) in found["missing"]
    assert "prepare adefull" in found["missing"]


def test_label_folder_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of("ADE150"))
    labels = tmp_path / "ADEChallengeData2016" / "annotations_detectron2"
    labels.rename(labels.with_name("maps"))
    assert main(["--root", str(tmp_path), "--workers", "1"]) == 1
    printed = capsys.readouterr().out
    assert "no folder of label maps" in printed
    assert "in mmseg layout" in printed


def test_picture_folder_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of("PC59"))
    (tmp_path / "pcontext/val/image").rename(tmp_path / "pcontext/val/images")
    found = findings(tmp_path, "PC59", capsys)
    assert f"looked for {tmp_path / 'pcontext/val/image'}" in found["missing"]


def test_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path)]) == 1
    assert "no data set in" in capsys.readouterr().err
    assert main(["--root", str(tmp_path / "nowhere")]) == 1
    assert "nowhere is no folder" in capsys.readouterr().err


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in (
        ([], "give --root, the folder of the data sets, or --spec, a YAML file of your own data set"),
        (
            ["--root", str(tmp_path), "--setting", "ImageNet"],
            "--setting 'ImageNet' is not known; take one of ",
        ),
        (["--root", str(tmp_path), "--seting", "VOC20"], "doctor has no option --seting; did you mean --setting? "),
    ):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {expected}")


def test_objects_not_prepared_are_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of("COCO171"))
    status, found = report(tmp_path, capsys=capsys)
    assert status == 0
    assert found["settings"]["COCOObject"]["state"] == "not there"


def test_counts_are_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of("PC60"), count=3)
    status, found = report(tmp_path, "PC60", capsys=capsys)
    assert status == 0
    setting = found["settings"]["PC60"]
    assert (setting["pictures"], setting["label_maps"], sorted(setting["expected"])) == (3, 3, [5104, 5105])
    message = next(finding["message"] for finding in setting["findings"] if finding["kind"] == "count")
    assert "5105 (by ImageSets/Main/val.txt of VOC2010)" in message
    assert "5104 (by the list of PASCAL in Detail)" in message


def test_expected_count_is_no_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of("Cityscapes"), count=500)
    status, found = report(tmp_path, "Cityscapes", capsys=capsys)
    assert status == 0
    assert found["settings"]["Cityscapes"]["findings"] == []


@pytest.mark.parametrize("side", [0, 1])
def test_unpaired(side: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("Cityscapes")
    write(tmp_path, spec)
    paths(tmp_path, spec, 2)[side].unlink()
    found = findings(tmp_path, "Cityscapes", capsys)
    assert found["unpaired"].startswith("1 label maps have no picture" if side == 0 else "1 pictures have no label map")
    assert "scene_2" in found["unpaired"]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", ["VOC20", "ADEfull"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_unreadable(side: int, name: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of(name)
    write(tmp_path, spec)
    path = paths(tmp_path, spec, 1)[side]
    content = path.read_bytes()
    path.write_bytes({"truncated": content[: len(content) * 2 // 3], "empty": b"", "text": b"no picture"}[damage])
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"unreadable"}
    assert path.name in found["unreadable"]


def test_wrong_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("VOC21")
    write(tmp_path, spec)
    save(paths(tmp_path, spec, 3)[1], labels_of(tmp_path, spec, 3).T)
    found = findings(tmp_path, "VOC21", capsys)
    assert set(found) == {"size"}
    assert "(20 x 30, the picture 30 x 20): scene_3.png" in found["size"]


def test_colour_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("VOC20")
    write(tmp_path, spec)
    for number in range(6):
        labels = labels_of(tmp_path, spec, number)
        Image.fromarray(np.stack([labels, labels, labels + 1], axis=-1).astype(np.uint8)).save(
            paths(tmp_path, spec, number)[1]
        )
    found = findings(tmp_path, "VOC20", capsys)
    assert set(found) == {"colour"}
    assert found["colour"].startswith("6 label maps hold colours")


def test_palette_maps_are_index_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("VOC20")
    write(tmp_path, spec)
    with Image.open(paths(tmp_path, spec, 0)[1]) as file:
        image = file.copy()
    image.putpalette(list(range(256)) * 3)
    image.save(paths(tmp_path, spec, 0)[1])
    assert findings(tmp_path, "VOC20", capsys, status=0) == {}


def test_names_that_differ_by_the_ending_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("VOC20")
    write(tmp_path, spec)
    image = paths(tmp_path, spec, 0)[0]
    with Image.open(image) as file:
        file.save(image.with_suffix(".png"))
    assert set(findings(tmp_path, "VOC20", capsys)) == {"ambiguous"}


def test_cityscapes_with_raw_ids_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("Cityscapes")
    write(tmp_path, spec)
    for number in range(6):
        labels = paths(tmp_path, spec, number)[1]
        labels.rename(labels.with_name(labels.name.replace("labelTrainIds", "labelIds")))
    found = findings(tmp_path, "Cityscapes", capsys)
    assert "but 6 files such as scene_0_gtFine_labelIds.png" in found["empty"]
    assert "prepare cityscapes" in found["empty"]


def test_empty_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("ADE150")
    for path in paths(tmp_path, spec, 0):
        path.parent.mkdir(parents=True)
    assert set(findings(tmp_path, "ADE150", capsys)) == {"empty"}


def test_as_a_program_in_two_processes(tmp_path: Path) -> None:
    spec = card_of("PC459")
    write(tmp_path, spec, count=20)
    truncated = paths(tmp_path, spec, 7)[1]
    truncated.write_bytes(truncated.read_bytes()[:-200])
    command = [sys.executable, "-m", "datamodules.doctor", "--root", str(tmp_path), "--json", "--workers", "2"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)["settings"]["PC459"]["findings"]
    assert [finding["files"] for finding in found if finding["kind"] == "unreadable"] == [[str(truncated)]]
