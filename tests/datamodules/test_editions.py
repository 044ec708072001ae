"""A setting as each protocol asks for it: vocabularies, void, sizes of its own, OpenCV's resizing."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cliptrase.vocabulary import Vocabulary
from datamodules import VOC20, VOC21, Benchmark, COCOObject, SpecDataModule
from datamodules.errors import DataError
from datamodules.modules import DATA_MODULES
from datamodules.photos import Photos
from datamodules.shapes import Shapes
from datamodules.spec import DatasetSpec, LabelScheme, shipped_names
from datamodules.specs import BENCHMARKS, DATASETS
from datamodules.transforms import Geometry
from tests.kit import save_labels, scene, write_detectron2_tree


def vocabularies() -> list[tuple[DatasetSpec, str]]:
    return [(spec, name) for spec in DATASETS.values() for name in spec.vocabularies]


@pytest.mark.parametrize(("spec", "name"), vocabularies(), ids=lambda value: getattr(value, "name", value))
def test_every_vocabulary_has_the_settings_labels(spec: DatasetSpec, name: str) -> None:
    other = spec.with_labels(LabelScheme(name)).vocabulary
    assert len(other.classes) == len(spec.vocabulary.classes)
    assert other.background_index == spec.vocabulary.background_index
    assert len(other.name_to_label) == len(other.names)
    assert other.digest != spec.vocabulary.digest


def test_all_but_three_settings_have_the_fields_names() -> None:
    """SCLIP and those after it know eight settings; MESS has names of its own."""
    for vocabulary in ("sclip", "clearclip", "sfp", "proxyclip"):
        without = {name for name, spec in DATASETS.items() if vocabulary not in spec.vocabularies}
        assert without == {"PC459", "ADEfull", "COCO80", *BENCHMARKS["mess"]}


def test_names_of_voc21() -> None:
    released, plain, sclip, clearclip = (
        VOC21.spec.with_labels(LabelScheme(name)).vocabulary for name in ("released", "plain", "sclip", "clearclip")
    )
    assert plain.background == clearclip.background == ("background",)
    assert len(sclip.background) == 26  # spec of the field's protocols: 26 stuff words
    assert released.background == shipped_names("voc21_background")
    assert sclip.classes[14][:2] == ("person", "person in shirt")
    assert sclip.label_names[19] == "television monitor"
    assert len({vocabulary.digest for vocabulary in (released, plain, sclip, clearclip)}) == 4


PERSONS = ("shirt", "jeans", "dress", "sweater", "skirt", "jacket")


def test_names_of_sfp() -> None:
    """SCLIP's, but for one word in three data sets."""
    changed = {"VOC20", "VOC21", "Cityscapes"}
    for name, spec in DATASETS.items():
        sclip, sfp = (spec.with_labels(LabelScheme(which)).vocabulary for which in ("sclip", "sfp"))
        assert (sclip == sfp) == (sclip.digest == sfp.digest) == (name not in changed), name
        assert sclip.background == sfp.background
        others = [(ours, theirs) for ours, theirs in zip(sfp.classes, sclip.classes, strict=True) if ours != theirs]
        clothed = tuple(f"person in {cloth}" for cloth in PERSONS) if name.startswith("VOC") else ()
        assert others == ([(("people", *clothed), ("person", *clothed))] if name in changed else []), name


def test_names_of_proxyclip() -> None:
    """A word a class, with stuff words as the background of VOC21 and COCO-Object."""

    def names(dataset: str, which: str = "proxyclip") -> Vocabulary:
        return DATASETS[dataset].with_labels(LabelScheme(which)).vocabulary

    for dataset in ("VOC20", "VOC21", "COCOObject"):
        assert all(len(synonyms) == 1 for synonyms in names(dataset).classes)
    assert names("VOC20").names[3::8] == ("ship", "dog", "tvmonitor")
    assert names("VOC21").classes == names("VOC20").classes
    assert names("VOC21").background == names("VOC21", "sclip").background
    assert names("COCOObject").names[9] == "traffic light"
    background = names("COCOObject").background
    assert (len(background), background[:3], background[-1]) == (17, ("sky", "wall", "tree"), "rail")
    assert set(background) < set(names("COCOObject", "sclip").background)
    assert names("PC60").background == ("background",)
    for dataset in ("PC59", "PC60", "COCO171", "Cityscapes", "ADE150"):
        assert names(dataset).digest == names(dataset, "sclip").digest


def test_a_vocabulary_that_a_setting_does_not_have_leaves_the_released_one() -> None:
    spec = DATASETS["PC459"]
    assert spec.with_labels(LabelScheme("sclip")).vocabulary is spec.vocabulary


def test_every_data_module_takes_an_edition(tmp_path: Path) -> None:
    wanted: Vocabulary = VOC20.spec.vocabularies["sclip"]
    single: SpecDataModule = VOC20(root=tmp_path, label_scheme=LabelScheme("sclip"))
    assert single.settings[0].vocabulary == wanted
    write_detectron2_tree(tmp_path, VOC20.spec, ((40, 40),))
    several = Benchmark(["VOC20"], root=tmp_path, label_scheme=LabelScheme("sclip"))
    assert several.settings[0].vocabulary == wanted


def test_void_is_left_out_where_it_is_told_from_background(tmp_path: Path) -> None:
    """20 is background and 255 void in the folder that keeps void; in the released folder both are background."""
    raw = np.zeros((40, 50), np.uint8)
    raw[:10], raw[10:20] = 255, 20
    write_detectron2_tree(tmp_path, VOC21.spec, ((40, 50),))
    save_labels(tmp_path / "VOC2012/annotations_detectron2_void/val/scene_0.png", raw)
    module = VOC21(root=tmp_path, geometry=Geometry("whole_image", 40), label_scheme=LabelScheme(void=True))
    module.setup("test")
    labels = module.datasets[0][0].labels
    assert labels is not None
    np.testing.assert_array_equal(labels.numpy(), np.where(raw == 255, -1, raw.astype(int)))


@pytest.mark.parametrize(
    ("module", "command"),
    [
        (VOC21, "cliptrase prepare voc --keep-void"),
        (COCOObject, "cliptrase prepare cocoobject"),
    ],
)
def test_label_maps_that_are_made_here_are_named(tmp_path: Path, module: type[SpecDataModule], command: str) -> None:
    (tmp_path / module.spec.folder / module.spec.images[0]).mkdir(parents=True)
    made = module(root=tmp_path, label_scheme=LabelScheme(void=True))
    with pytest.raises(DataError, match=f"no folder .*; make detectron2's by: {command}"):
        made.setup("test")


def test_a_setting_has_a_size_of_its_own(tmp_path: Path) -> None:
    write_detectron2_tree(tmp_path, VOC20.spec, ((40, 50),))
    geometry = Geometry("whole_image", 40, 2048, "opencv", {"VOC20": 60})
    for name, size in (("VOC20", (60, 75)), ("VOC21", (40, 50))):
        module = DATA_MODULES[name](root=tmp_path, geometry=geometry)
        module.setup("predict")
        assert module.datasets[0][0].image.shape[1:] == size


@pytest.mark.parametrize("wanted", [40, 60])
def test_scenes_and_photos_too(tmp_path: Path, wanted: int) -> None:
    geometry = Geometry("whole_image", 40, 2048, "opencv", {"Shapes": wanted, "Photos": wanted})
    Image.fromarray(scene(0, 50, 50)[0]).save(tmp_path / "own.png")
    for module in (Shapes(1, geometry=geometry), Photos([str(tmp_path / "own.png")], "cat; dog", geometry=geometry)):
        module.prepare_data()
        module.setup("predict")
        assert module.datasets[0][0].image.shape[1] == wanted


def test_opencv_resizes_without_antialias() -> None:
    """mmseg's Resize is OpenCV's INTER_LINEAR, whose half-pixel samples PIL's filter does not have when it shrinks."""
    image = scene(1, 90, 120)[0]
    shown = Geometry("whole_image", 36, 2048, "opencv").transform()(image=image)["image"]
    np.testing.assert_array_equal(shown, cv2.resize(image, (48, 36), interpolation=cv2.INTER_LINEAR))
    smooth = Geometry("whole_image", 36, 2048).transform()(image=image)["image"]
    assert np.abs(shown.astype(int) - smooth).mean() > 2
