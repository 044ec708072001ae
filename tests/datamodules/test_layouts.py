"""A data set in the layout in which somebody holds it: the same scores and masks, and no layout for another."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import VOC20, Benchmark, DataError
from datamodules.census import Census
from datamodules.checks import check_pairs
from datamodules.doctor.command import main as doctor
from datamodules.layouts import candidates, located, say_found
from datamodules.modules import DATA_MODULES
from datamodules.spec import DatasetSpec, LabelScheme
from datamodules.specs import BENCHMARKS, DATASETS
from datamodules.transforms import Geometry
from tests.command import run
from tests.datamodules.mmseg_layouts import SETTINGS, detectron2, mmseg, prepared, read, sources
from tests.datamodules.raw_layouts import Layout, png


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Layout]:
    return sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def trees(layouts: dict[str, Layout], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("trees")
    return {make.__name__: make(layouts, root / make.__name__) for make in (prepared, detectron2, mmseg)}


@pytest.fixture
def held(trees: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of mmseg's tree, to be changed."""
    return shutil.copytree(trees["mmseg"], tmp_path / "held")


@pytest.mark.parametrize("protocol", ["sclip", "paper"])
def test_scores_and_masks_are_equal_in_every_layout(
    protocol: str, trees: dict[str, Path], tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(SETTINGS) == set(BENCHMARKS["sclip"])
    found: dict[str, dict[str, Any]] = {}
    masks: dict[str, dict[str, bytes]] = {}
    for name, root in trees.items():
        options = ["--protocol", protocol, "--data", "Benchmark", "--data.settings", "sclip", "--data.root", str(root)]
        options += ["--model.clip", f"local-dir:{tiny_clip}", "--model.method", "sclip", "--trainer.callbacks", "[]"]
        options += ["--protocol.size", {"sclip": "224", "paper": "112"}[protocol]]
        found[name] = run("test", tmp_path / name, *options).results["settings"]
        assert f"found in {'mmseg' if name == 'mmseg' else 'detectron2'} layout: VOC21 (" in capsys.readouterr().err
        if name == "detectron2":
            continue  # its pictures are those of the prepared tree
        folder = run("predict", tmp_path / f"{name}_masks", *options).folder / "masks"
        masks[name] = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.png")}
        assert len(masks[name]) == 3 * len(SETTINGS)
    kept = ("images", "scores", "intervals", "per_class", "protocol_hash", "vocabulary_hash")
    assert masks["mmseg"] == masks["prepared"]
    for name in ("detectron2", "mmseg"):
        for setting in SETTINGS:
            for key in kept:
                assert found[name][setting][key] == found["prepared"][setting][key], (name, setting, key)
    assert len(set(masks["mmseg"].values())) > len(SETTINGS)
    assert all(entry["images"] == 3 for entry in found["mmseg"].values())
    assert any(entry["scores"]["mmseg"]["mIoU"] > 0 for entry in found["mmseg"].values())
    void = "void not scored" if protocol == "sclip" else "void scored as background"
    editions = {name: {setting: entry["edition"] for setting, entry in found[name].items()} for name in found}
    assert editions["mmseg"] | {"PC60": ".mat files", "PC59": ".mat files"} == editions["prepared"]
    assert editions["mmseg"]["PC60"] == editions["mmseg"]["PC59"] == "PASCAL in Detail"
    assert editions["prepared"]["VOC21"] == f"SegmentationClass, {void}"


@pytest.mark.parametrize("void", [True, False])
@pytest.mark.parametrize("view", ["whole_image", "centre_crop"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_label_is_equal(setting: str, view: Any, void: bool, trees: dict[str, Path]) -> None:
    """The datasets themselves, also whether a crop holds anything to score."""
    found = []
    for root in trees.values():
        module = DATA_MODULES[setting](
            root=root, num_workers=0, geometry=Geometry(view, 16), label_scheme=LabelScheme(void=void)
        )
        module.setup("test")
        found.append([module.datasets[0][number] for number in range(3)])
    for items in zip(*found, strict=True):
        first = items[0]
        for item in items[1:]:
            assert (item.valid, item.stem) == (first.valid, first.stem)
            assert first.labels is not None
            assert item.labels is not None
            np.testing.assert_array_equal(item.labels.numpy(), first.labels.numpy())


@pytest.mark.parametrize("setting", ["VOC21", "PC60", "COCOObject"])
@pytest.mark.parametrize("void", [True, False])
def test_a_crop_of_background_alone_is_empty_in_both_layouts_or_in_neither(
    setting: str, void: bool, trees: dict[str, Path], tmp_path: Path
) -> None:
    valid = {}
    for name in ("detectron2", "mmseg"):
        root = shutil.copytree(trees[name], tmp_path / name)
        module = DATA_MODULES[setting](
            root=root, num_workers=0, geometry=Geometry("centre_crop", 16), label_scheme=LabelScheme(void=void)
        )
        (spec,) = module.settings
        background = {"mmseg": 0, "detectron2": {"VOC21": 20 if void else 255, "PC60": 255}.get(setting, 80)}[name]
        for path in (root / spec.folder / spec.labels).glob(f"*{spec.label_suffix}.png"):
            png(path, np.full_like(read(path), background))
        module.setup("test")
        item = module.datasets[0][0]
        assert item.labels is not None
        valid[name] = item.valid, item.labels.unique().tolist()
    assert valid["detectron2"] == valid["mmseg"]
    assert valid["mmseg"] == (
        setting == "COCOObject" or (setting == "VOC21" and void),
        [DATASETS[setting].vocabulary.background_index],
    )


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_root_may_be_the_data_sets_own_folder(setting: str, trees: dict[str, Path]) -> None:
    """`data_root` of a fork's configuration."""
    common = located(trees["mmseg"], DATASETS[setting])
    own = located(trees["mmseg"] / common.folder, DATASETS[setting])
    assert (own.layout, own.folder) == ("mmseg" if setting != "Cityscapes" else own.layout, "")
    module = DATA_MODULES[setting](root=trees["mmseg"] / common.folder)
    assert len(module.pairs(module.settings[0], with_labels=True)) == 3


def test_auto_takes_the_layout_that_is_whole(held: Path) -> None:
    """An empty folder, or one without label maps, is no data set."""
    (held / "VOC2012/images_detectron2/val").mkdir(parents=True)
    assert located(held, VOC20.spec).layout == "mmseg"
    (held / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").unlink()
    assert located(held, VOC20.spec).layout == "detectron2"  # neither is whole: what makes it whole is told of this one
    with pytest.raises(DataError, match=r"no folder of label maps for VOC20: looked for .*detectron2.*mmseg.*make"):
        VOC20(root=held).setup("test")


def both(trees: dict[str, Path], root: Path) -> Path:
    shutil.copytree(trees["mmseg"], root)
    return shutil.copytree(trees["prepared"], root, dirs_exist_ok=True)


def test_two_whole_layouts_of_one_edition_are_one(trees: dict[str, Path], tmp_path: Path) -> None:
    root = both(trees, tmp_path / "both")
    for name in set(SETTINGS) - {"PC59", "PC60"}:
        assert located(root, DATASETS[name]).layout == "detectron2"
        for layout in ("mmseg", "detectron2"):
            assert located(root, DATASETS[name], layout).layout == layout


def test_two_whole_layouts_of_two_editions_are_to_be_chosen_from(trees: dict[str, Path], tmp_path: Path) -> None:
    root = both(trees, tmp_path / "both")
    asked = (
        r"PC59 lies in two layouts in .*detectron2 in .* \(\.mat files\) and mmseg in .* \(PASCAL in Detail\); choose"
    )
    with pytest.raises(DataError, match=asked):
        DATA_MODULES["PC59"](root=root).setup("test")
    for layout, edition in (("detectron2", ".mat files"), ("mmseg", "PASCAL in Detail")):
        (spec,) = DATA_MODULES["PC59"](root=root, layout=layout).settings
        assert (spec.layout, spec.edition_text) == (layout, edition)
    (root / "VOC2012/annotations_detectron2/.val.prepared.json").unlink()
    with pytest.raises(DataError, match=r"VOC20 lies in two layouts .*\(labels of a source that is not noted\)"):
        VOC20(root=root).setup("test")
    note = root / "VOC2012/annotations_detectron2/.val.prepared.json"
    note.write_text(json.dumps({"label_maps": "SegmentationClassAug"}))
    with pytest.raises(DataError, match=r"\(SegmentationClassAug\) and mmseg in .* \(SegmentationClass\)"):
        VOC20(root=root).setup("test")


def test_layouts_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`layout` 'mmsegmentation' is none; take one of auto, detectron2, mmseg"):
        VOC20(root=tmp_path, layout="mmsegmentation")
    with pytest.raises(DataError, match="`layout` mmseg: PC459 is not known in it, only in detectron2"):
        DATA_MODULES["PC459"](root=tmp_path, layout="mmseg").setup("test")


def test_a_benchmark_names_both_layouts_and_what_is_known_in_one(held: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"none of the folders .*VOC2012.* \(detectron2\), .*VOCdevkit/VOC2012.* \(mmseg\) is"
    ):
        Benchmark(["VOC20"], root=tmp_path / "empty").prepare_data()
    shutil.rmtree(held / "coco_object")
    module = Benchmark(["VOC20", "COCOObject", "PC459"], root=held, layout="mmseg")
    assert module.missing["PC459"] == "not known in mmseg layout"
    assert [spec.name for spec in module.settings] == ["VOC20", "COCOObject"]  # images are there: they can be predicted
    assert say_found(module.settings) == "found in mmseg layout: VOC20 (SegmentationClass), COCOObject"


def census(root: Path, spec: DatasetSpec) -> Census:
    module = DATA_MODULES[spec.name](root=root)
    return check_pairs(module.pairs(spec, with_labels=True), spec, progress=False)


@pytest.mark.parametrize("setting", [name for name in SETTINGS if name not in ("COCO171", "Cityscapes")])
@pytest.mark.parametrize("void", [True, False])
def test_shifted_maps_in_the_place_of_others_are_told(
    setting: str, void: bool, trees: dict[str, Path], held: Path
) -> None:
    """detectron2's maps where mmseg's are read: every value is known, and every class is another."""
    spec, scheme = DATASETS[setting], LabelScheme(void=void)
    made, there = located(trees["prepared"], spec, scheme=scheme), located(held, spec, scheme=scheme)
    assert not any("look like" in doubt for doubt in census(held, there).doubts())
    target = held / there.folder / there.labels
    for path in (trees["prepared"] / made.folder / made.labels).glob("*.png"):
        labels = read(path)
        labels[labels == 0] = 1  # few pictures hold the first class
        png(target / f"{path.stem}{there.label_suffix}.png", labels)
    assert any("do not look like label maps of mmseg layout" in doubt for doubt in census(held, there).doubts())
    assert doctor(["--root", str(held), "--setting", setting, "--workers", "1"]) == 1


@pytest.mark.parametrize("setting", ["VOC20", "VOC21", "COCOObject", "PC59", "PC60", "ADE150"])
def test_maps_that_are_not_shifted_are_told(setting: str, trees: dict[str, Path], tmp_path: Path) -> None:
    """The reverse: mmseg's maps in detectron2's folder, whether or not the last class occurs."""
    root = shutil.copytree(trees["prepared"], tmp_path / "root")
    there = located(root, DATASETS[setting], "detectron2")
    held = located(trees["mmseg"], DATASETS[setting], "mmseg")
    last = held.valid_labels + held.label_offset - 1
    for path in (trees["mmseg"] / held.folder / held.labels).glob(f"*{held.label_suffix}.png"):
        name = f"{path.stem.removesuffix(held.label_suffix)}.png"
        labels = read(path)
        labels[labels == last] = 0
        labels[: labels.shape[0] * 2 // 3] = 0  # as pictures have it
        png(root / there.folder / there.labels / name, labels)
    assert any(re.search("before the shift|not yet shifted", doubt) for doubt in census(root, there).doubts())


def test_the_doctor_knows_both_layouts(
    trees: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def report(root: Path, *options: str) -> dict[str, Any]:
        assert doctor(["--root", str(root), "--json", "--workers", "1", *options]) == 0
        settings: dict[str, Any] = json.loads(capsys.readouterr().out)["settings"]
        return {name: entry for name, entry in settings.items() if entry["state"] != "not there"}

    found = report(trees["mmseg"])
    assert set(found) == set(SETTINGS)
    assert {entry["layout"] for name, entry in found.items() if name != "Cityscapes"} == {"mmseg"}
    assert {(entry["pictures"], entry["label_maps"], entry["state"]) for entry in found.values()} == {(3, 3, "good")}
    assert not any(entry["classes_never_seen"][-1:] == ["background"] for entry in found.values())
    assert found["PC60"]["edition"] == "PASCAL in Detail"
    together = report(both(trees, tmp_path / "both"))
    doubled = set(SETTINGS) - {"Cityscapes"}
    assert {f"{name} in mmseg layout" for name in doubled} | doubled <= set(together)
    assert set(report(tmp_path / "both", "--layout", "mmseg")) == set(SETTINGS)
    assert doctor(["--root", str(tmp_path / "both"), "--setting", "PC459", "--layout", "mmseg"]) == 1
    assert "PC459 is not known in it" in capsys.readouterr().err
    assert doctor(["--root", str(trees["mmseg"]), "--workers", "1"]) == 0
    assert "in mmseg layout" not in "".join(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("VOC20:")
    )


def test_a_list_that_is_not_there_is_found_by_the_doctor(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (held / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").unlink()
    assert doctor(["--root", str(held), "--setting", "VOC20", "--workers", "1"]) == 1
    assert "the list" in capsys.readouterr().out


def test_every_place_has_a_row_of_its_own() -> None:
    """No two places of a data set in one layout are alike, and no layout changes names."""
    for name in SETTINGS:
        places = candidates(Path("root"), DATASETS[name])
        assert {place.layout for place in places} == {"detectron2", "mmseg"}
        assert len({(place.layout, place.folder) for place in places}) == len(places)
        assert len({place.vocabulary.digest for place in places}) == 1
