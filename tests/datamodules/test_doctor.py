"""The doctor: every planted fault is found, and none in a good tree."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.benchmark import ALL_SETTINGS
from datamodules.card import Card
from datamodules.doctor.command import main

REPOSITORY = Path(__file__).resolve().parents[2]
SIZE = (20, 30)


def paths(root: Path, card: Card, number: int) -> tuple[Path, Path]:
    folder, stem = root / card.folder, f"scene_{number}"
    ending = ".tif" if card.ignore_label > 255 else ".png"
    labels = folder / card.labels / f"{stem}{card.label_suffix}{ending}"
    return folder / card.images[0] / f"{stem}{card.image_suffix}.jpg", labels


def save(path: Path, labels: NDArray[np.integer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels.astype(np.uint16 if path.suffix == ".tif" else np.uint8)).save(path)


def labels_of(root: Path, card: Card, number: int) -> NDArray[np.int64]:
    with Image.open(paths(root, card, number)[1]) as file:
        return np.array(file).astype(np.int64)


def write(root: Path, card: Card, count: int = 6) -> None:
    """A good tree: six labels and some unlabelled pixels a map; every label somewhere if there are maps enough."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image, labels = paths(root, card, number)
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)).save(image)
        content = np.repeat((np.arange(6) + 6 * number) % card.valid_labels, SIZE[1] // 6)
        tiled = np.tile(content, (SIZE[0], 1))
        if card.name != "COCOObject":
            tiled[:2] = card.ignore_label
        save(labels, tiled)


def change(root: Path, card: Card, function: Any, count: int = 6) -> None:
    for number in range(count):
        save(paths(root, card, number)[1], function(labels_of(root, card, number)))


def card_of(name: str) -> Card:
    return ALL_SETTINGS[name].card


def report(root: Path, *names: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    asked = ["--setting", *names] if names else []
    status = main(["--root", str(root), "--json", "--workers", "1", *asked])
    return status, json.loads(capsys.readouterr().out)


def findings(root: Path, name: str, capsys: pytest.CaptureFixture[str], status: int = 1) -> dict[str, str]:
    """Errors and warnings of a setting, kind to message; the exit status is checked."""
    got, found = report(root, name, capsys=capsys)
    assert got == status
    assert (found["errors"] > 0) == (status == 1)
    assert found["settings"][name]["state"] == ("faulty" if status else "good")
    return {
        finding["kind"]: finding["message"]
        for finding in found["settings"][name]["findings"]
        if finding["level"] in ("error", "warning") and finding["kind"] != "count"
    }


@pytest.mark.parametrize("name", ALL_SETTINGS)
def test_good_tree(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of(name))
    assert findings(tmp_path, name, capsys, status=0) == {}


def test_good_tree_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ALL_SETTINGS:
        write(tmp_path, card_of(name))
    status, found = report(tmp_path, capsys=capsys)
    assert status == 0
    assert found["errors"] == 0
    assert list(found["settings"]) == list(ALL_SETTINGS)
    assert {setting["state"] for setting in found["settings"].values()} == {"good"}


def test_parity_data_sets_are_good(parity: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = report(parity / "datasets", capsys=capsys)
    assert status == 0
    kinds = {item["kind"] for setting in found["settings"].values() for item in setting["findings"]}
    assert kinds == {"count", "classes", "missing"}
    states = {name for name, setting in found["settings"].items() if setting["state"] == "not there"}
    assert states == {"Cityscapes", "COCOObject"}


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
    labels.rename(labels.with_name("annotations"))
    assert main(["--root", str(tmp_path), "--workers", "1"]) == 1
    assert "no folder of label maps" in capsys.readouterr().out


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
    assert main([]) == 2
    assert main(["--root", str(tmp_path), "--setting", "ImageNet"]) == 2
    assert "usage:" in capsys.readouterr().err


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
    card = card_of("Cityscapes")
    write(tmp_path, card)
    paths(tmp_path, card, 2)[side].unlink()
    found = findings(tmp_path, "Cityscapes", capsys)
    assert found["unpaired"].startswith("1 label maps have no picture" if side == 0 else "1 pictures have no label map")
    assert "scene_2" in found["unpaired"]


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", ["VOC20", "ADEfull"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_unreadable(side: int, name: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of(name)
    write(tmp_path, card)
    path = paths(tmp_path, card, 1)[side]
    content = path.read_bytes()
    path.write_bytes({"truncated": content[: len(content) * 2 // 3], "empty": b"", "text": b"no picture"}[damage])
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"unreadable"}
    assert path.name in found["unreadable"]


def test_wrong_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("VOC21")
    write(tmp_path, card)
    save(paths(tmp_path, card, 3)[1], labels_of(tmp_path, card, 3).T)
    found = findings(tmp_path, "VOC21", capsys)
    assert set(found) == {"size"}
    assert "(20 x 30, the picture 30 x 20): scene_3.png" in found["size"]


@pytest.mark.parametrize(("name", "value"), [("VOC20", 77), ("COCO171", 200), ("PC459", 5000), ("COCOObject", 90)])
def test_values_beyond_the_classes(name: str, value: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of(name)
    write(tmp_path, card)
    labels = labels_of(tmp_path, card, 4)
    labels[5, 5] = value
    save(paths(tmp_path, card, 4)[1], labels)
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"values"}
    assert f"1 label maps hold {value}" in found["values"]
    assert "scene_4" in found["values"]


def test_colour_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("VOC20")
    write(tmp_path, card)
    for number in range(6):
        labels = labels_of(tmp_path, card, number)
        Image.fromarray(np.stack([labels, labels, labels], axis=-1).astype(np.uint8)).save(
            paths(tmp_path, card, number)[1]
        )
    found = findings(tmp_path, "VOC20", capsys)
    assert set(found) == {"colour"}
    assert found["colour"].startswith("6 label maps hold colours")


def test_palette_maps_are_index_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("VOC20")
    write(tmp_path, card)
    with Image.open(paths(tmp_path, card, 0)[1]) as file:
        image = file.copy()
    image.putpalette(list(range(256)) * 3)
    image.save(paths(tmp_path, card, 0)[1])
    assert findings(tmp_path, "VOC20", capsys, status=0) == {}


@pytest.mark.parametrize("name", ["VOC20", "PC59", "ADE150", "PC459", "ADEfull"])
def test_not_yet_shifted(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The publishers' 1..C with 0 for unlabelled; VOC's have 255 too."""
    card = card_of(name)
    write(tmp_path, card, count=card.valid_labels // 6 + 1)

    def raw(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        shifted = np.where(labels == card.ignore_label, 0, labels + 1)
        if card.name == "VOC20":
            shifted[:, 0] = 255
        return shifted

    change(tmp_path, card, raw, count=card.valid_labels // 6 + 1)
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"values", "shift"}
    assert "not yet shifted" in found["shift"]


def test_voc_background_not_yet_shifted_without_the_last_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = card_of("VOC21")
    write(tmp_path, card, count=3)

    def raw(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        shifted = np.where(labels == card.ignore_label, 255, labels + 1)
        shifted[4:14] = 0
        return shifted

    change(tmp_path, card, raw, count=3)
    found = findings(tmp_path, "VOC21", capsys)
    assert set(found) == {"shift"}
    assert "as background does before the shift; here it is 'aeroplane'" in found["shift"]


def test_all_values_one_too_high(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("PC59")
    write(tmp_path, card, count=10)
    change(tmp_path, card, lambda labels: np.where(labels == 255, 255, labels + 1), count=10)
    found = findings(tmp_path, "PC59", capsys)
    assert set(found) == {"values", "shift"}
    assert "labels look one too high" in found["shift"]


@pytest.mark.parametrize("name", ["ADE150", "PC459"])
def test_shifted_once_too_often(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of(name)
    count = card.valid_labels // 6 + 1
    write(tmp_path, card, count)
    change(tmp_path, card, lambda labels: (labels - 1) % (card.ignore_label + 1), count)
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"values", "shift"}
    assert "shifted once too often" in found["shift"]


@pytest.mark.parametrize(("way", "step"), [("high", 1), ("low", -1)])
def test_labels_that_may_be_shifted(way: str, step: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first or last class alone never occurs: suspicious, but possible."""
    card = card_of("Cityscapes")
    write(tmp_path, card, count=12)
    edge = 18 if step > 0 else 0
    change(tmp_path, card, lambda labels: np.where((labels == 255) | (labels == edge), 255, labels + step), count=12)
    found = findings(tmp_path, "Cityscapes", capsys, status=0)
    assert set(found) == {"shift"}
    assert f"may be one too {way}" in found["shift"]


@pytest.mark.parametrize("name", ["VOC21", "PC60", "PC459", "ADE150"])
def test_labels_that_may_be_not_yet_shifted(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few raw maps without the last class: only that nothing is unlabelled tells."""
    card = card_of(name)
    write(tmp_path, card, count=3)
    change(tmp_path, card, lambda labels: np.where(labels == card.ignore_label, 0, labels + 1), count=3)
    found = findings(tmp_path, name, capsys, status=0)
    assert set(found) == {"shift"}
    assert f"none of 3 label maps holds {card.ignore_label}, but 3 hold 0" in found["shift"]
    assert "may be not yet shifted" in found["shift"]


@pytest.mark.parametrize("name", ["PC459", "ADEfull"])
def test_ignore_value_of_eight_bits(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of(name)
    write(tmp_path, card)
    change(tmp_path, card, lambda labels: np.where(labels == 65535, 255, labels))
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"ignore"}
    assert "6 of 6 label maps hold 255 and none 65535" in found["ignore"]


def test_ignore_value_of_sixteen_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("PC59")
    write(tmp_path, card)
    for number in range(6):
        labels = labels_of(tmp_path, card, number)
        Image.fromarray(np.where(labels == 255, 65535, labels).astype(np.uint16)).save(paths(tmp_path, card, number)[1])
    found = findings(tmp_path, "PC59", capsys)
    assert set(found) == {"values", "ignore"}
    assert "unlabelled pixels are 65535 in 6 label maps, but 255 in PC59" in found["ignore"]


def test_classes_that_never_occur_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, card_of("VOC20"), count=3)
    status, found = report(tmp_path, "VOC20", capsys=capsys)
    assert status == 0
    assert found["settings"]["VOC20"]["classes_never_seen"] == ["train", "tv"]
    finding = next(item for item in found["settings"]["VOC20"]["findings"] if item["kind"] == "classes")
    assert finding["level"] == "info"
    assert finding["message"] == "2 of 20 classes never occur: 'train', 'tv'"


def test_names_that_differ_by_the_ending_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("VOC20")
    write(tmp_path, card)
    image = paths(tmp_path, card, 0)[0]
    with Image.open(image) as file:
        file.save(image.with_suffix(".png"))
    assert set(findings(tmp_path, "VOC20", capsys)) == {"ambiguous"}


def test_cityscapes_with_raw_ids_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("Cityscapes")
    write(tmp_path, card)
    for number in range(6):
        labels = paths(tmp_path, card, number)[1]
        labels.rename(labels.with_name(labels.name.replace("labelTrainIds", "labelIds")))
    found = findings(tmp_path, "Cityscapes", capsys)
    assert "but 6 files such as scene_0_gtFine_labelIds.png" in found["empty"]
    assert "prepare cityscapes" in found["empty"]


def test_empty_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = card_of("ADE150")
    for path in paths(tmp_path, card, 0):
        path.parent.mkdir(parents=True)
    assert set(findings(tmp_path, "ADE150", capsys)) == {"empty"}


def test_as_a_program_in_two_processes(tmp_path: Path) -> None:
    card = card_of("PC459")
    write(tmp_path, card, count=20)
    truncated = paths(tmp_path, card, 7)[1]
    truncated.write_bytes(truncated.read_bytes()[:-200])
    command = [sys.executable, "-m", "datamodules.doctor", "--root", str(tmp_path), "--json", "--workers", "2"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)["settings"]["PC459"]["findings"]
    assert [finding["files"] for finding in found if finding["kind"] == "unreadable"] == [[str(truncated)]]
