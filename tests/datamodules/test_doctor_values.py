"""The doctor: faults of label values are found."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.shift import Values, doubt
from datamodules.spec import LAYOUTS
from tests.datamodules.doctor_trees import card_of, change, findings, labels_of, paths, report, save, write


@pytest.mark.parametrize(("name", "value"), [("VOC20", 77), ("COCO171", 200), ("PC459", 5000), ("COCOObject", 90)])
def test_values_beyond_the_classes(name: str, value: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of(name)
    write(tmp_path, spec)
    labels = labels_of(tmp_path, spec, 4)
    labels[5, 5] = value
    save(paths(tmp_path, spec, 4)[1], labels)
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"values"}
    assert f"1 label maps hold {value}" in found["values"]
    assert "scene_4" in found["values"]


@pytest.mark.parametrize("name", ["VOC20", "PC59", "ADE150", "PC459", "ADEfull"])
def test_not_yet_shifted(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The publishers' 1..C with 0 for unlabelled; VOC's have 255 too."""
    spec = card_of(name)
    write(tmp_path, spec, count=spec.valid_labels // 6 + 1)

    def raw(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        shifted = np.where(labels == spec.ignore_label, 0, labels + 1)
        if spec.name == "VOC20":
            shifted[:, 0] = 255
        return shifted

    change(tmp_path, spec, raw, count=spec.valid_labels // 6 + 1)
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"values", "shift"}
    assert "not yet shifted" in found["shift"]


def test_voc_background_not_yet_shifted_without_the_last_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = card_of("VOC21")
    write(tmp_path, spec, count=3)

    def raw(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        shifted = np.where(labels == spec.ignore_label, 255, labels + 1)
        shifted[4:14] = 0
        return shifted

    change(tmp_path, spec, raw, count=3)
    found = findings(tmp_path, "VOC21", capsys)
    assert set(found) == {"shift"}
    assert "as background does before the shift; here it is 'aeroplane'" in found["shift"]


def test_all_values_one_too_high(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("PC59")
    write(tmp_path, spec, count=10)
    change(tmp_path, spec, lambda labels: np.where(labels == 255, 255, labels + 1), count=10)
    found = findings(tmp_path, "PC59", capsys)
    assert set(found) == {"values", "shift"}
    assert "labels look one too high" in found["shift"]


@pytest.mark.parametrize("name", ["ADE150", "PC459"])
def test_shifted_once_too_often(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of(name)
    count = spec.valid_labels // 6 + 1
    write(tmp_path, spec, count)
    change(tmp_path, spec, lambda labels: (labels - 1) % (spec.ignore_label + 1), count)
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"values", "shift"}
    assert "shifted once too often" in found["shift"]


@pytest.mark.parametrize(("way", "step"), [("high", 1), ("low", -1)])
def test_labels_that_may_be_shifted(way: str, step: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first or last class alone never occurs: suspicious, but possible."""
    spec = card_of("Cityscapes")
    write(tmp_path, spec, count=12)
    edge = 18 if step > 0 else 0
    change(tmp_path, spec, lambda labels: np.where((labels == 255) | (labels == edge), 255, labels + step), count=12)
    found = findings(tmp_path, "Cityscapes", capsys, status=0)
    assert set(found) == {"shift"}
    assert f"may be one too {way}" in found["shift"]


@pytest.mark.parametrize("name", ["VOC21", "PC60", "PC459", "ADE150"])
def test_labels_that_may_be_not_yet_shifted(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A few raw maps without the last class: only that nothing is unlabelled tells."""
    spec = card_of(name)
    write(tmp_path, spec, count=3)
    change(tmp_path, spec, lambda labels: np.where(labels == spec.ignore_label, 0, labels + 1), count=3)
    found = findings(tmp_path, name, capsys, status=0)
    assert set(found) == {"shift"}
    assert f"none of 3 label maps holds {spec.ignore_label}, but 3 hold 0" in found["shift"]
    assert "may be not yet shifted" in found["shift"]


@pytest.mark.parametrize("name", ["PC459", "ADEfull"])
def test_ignore_value_of_eight_bits(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of(name)
    write(tmp_path, spec)
    change(tmp_path, spec, lambda labels: np.where(labels == 65535, 255, labels))
    found = findings(tmp_path, name, capsys)
    assert set(found) == {"ignore"}
    assert "6 of 6 label maps hold 255 and none 65535" in found["ignore"]


def test_ignore_value_of_sixteen_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = card_of("PC59")
    write(tmp_path, spec)
    for number in range(6):
        labels = labels_of(tmp_path, spec, number)
        Image.fromarray(np.where(labels == 255, 65535, labels).astype(np.uint16)).save(paths(tmp_path, spec, number)[1])
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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_cityscapes_without_unlabelled_pixels_is_doubted(layout: str) -> None:
    """Every frame has the car's bonnet and a border, which are not scored; maps without them may count from 1."""
    (spec, *_) = card_of("Cityscapes").in_layout(layout)
    maps = {1: 5, 3: 5, 11: 4}
    doubted = doubt(spec, Values(dict.fromkeys(maps, 100), maps, 5))
    assert doubted is not None
    assert doubted.level == "warning"
    assert "value 255, the unlabelled pixels that nearly every map has, is in 0 of 5" in doubted.sentence
    assert doubt(spec, Values({**dict.fromkeys(maps, 100), 255: 9}, {**maps, 255: 5}, 5)) is None
