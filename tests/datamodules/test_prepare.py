"""Preparations on small trees in the publishers' raw layouts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliptrase.cli import main as run_cli
from datamodules.doctor.command import main as doctor
from datamodules.folder import Folder
from datamodules.modules import DATA_MODULES
from datamodules.prepare.command import main
from datamodules.prepare.resize import linear, nearest, reduced_size
from datamodules.spec import shipped_names
from tests.datamodules import raw_layouts
from tests.datamodules.raw_layouts import (
    LAYOUTS,
    SIZES,
    Layout,
    adefull,
    coco,
    full_colours,
    pcontext,
    picture,
    png,
    voc,
)


def prepare(name: str, layout: Layout, root: Path, *options: str) -> int:
    return main([name, "--source", str(layout.source), "--root", str(root), "--workers", "1", *options])


def check_labels(layout: Layout, root: Path) -> None:
    for name, expected in layout.labels.items():
        with Image.open(root / name) as file:
            assert file.mode == ("I;16" if name.endswith(".tif") else "L"), name
            np.testing.assert_array_equal(np.array(file), expected, err_msg=name)


@pytest.mark.parametrize("name", LAYOUTS)
def test_makes_the_folders_of_the_settings(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = LAYOUTS[name](tmp_path / "raw"), tmp_path / "datasets"
    assert prepare(name, layout, root) == 0
    printed = capsys.readouterr().out
    assert "3 pictures: 3 written, 0 there already" in printed
    assert "but the published set has" in printed
    check_labels(layout, root)
    for target, source in layout.images.items():
        assert (root / target).read_bytes() == source.read_bytes()
    made = {path.relative_to(root).as_posix() for path in root.rglob("[!.]*") if path.is_file()}
    assert made == {*layout.labels, *layout.images}

    assert doctor(["--root", str(root), "--setting", *layout.settings, "--workers", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    kinds = {finding["kind"] for setting in report["settings"].values() for finding in setting["findings"]}
    assert kinds <= {"count", "classes"}

    for setting in layout.settings:
        module = DATA_MODULES[setting](root=root, num_workers=0, batch_size=1)
        module.prepare_data()
        module.setup("test")
        assert len(module.datasets[0]) == len(SIZES)
        item = module.datasets[0][0]
        assert item.labels is not None
        assert item.valid


@pytest.mark.parametrize("name", LAYOUTS)
def test_runs_again_without_writing(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = LAYOUTS[name](tmp_path / "raw"), tmp_path / "datasets"
    assert prepare(name, layout, root) == 0
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    capsys.readouterr()
    assert prepare(name, layout, root) == 0
    assert "0 written, 3 there already" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in root.rglob("*")}


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("voc", "VOC21"),
        ("pcontext", "PC59"),
        ("pcontext", "PC459"),
        ("ade150", "ADE150"),
        ("adefull", "ADEfull"),
        ("coco", "COCO171"),
        ("cocoobject", "COCOObject"),
        ("cityscapes", "Cityscapes"),
    ],
)
def test_prepared_folders_are_evaluated(name: str, setting: str, tmp_path: Path, tiny_clip: Path) -> None:
    layout, root = LAYOUTS[name](tmp_path / "raw"), tmp_path / "datasets"
    assert prepare(name, layout, root) == 0
    arguments = ["test", "--config", "configs/paper_224.yaml", "--model.clip", f"local-dir:{tiny_clip}"]
    arguments += [
        "--data",
        setting,
        "--data.root",
        str(root),
        "--data.num_workers",
        "0",
        "--trainer.accelerator",
        "cpu",
    ]
    arguments += ["--trainer.default_root_dir", str(tmp_path / "runs"), "--trainer.logger", "false"]
    assert run_cli(arguments) == 0
    results = json.loads(next((tmp_path / "runs").rglob("results.json")).read_text())
    assert results["settings"][setting]["images"] == len(SIZES)


def test_in_place(tmp_path: Path) -> None:
    """Archives unpacked where the settings read: pictures stay as they are, label maps come beside."""
    root = tmp_path / "datasets"
    layout = coco(root / "coco")
    before = {path: path.stat().st_mtime_ns for path in layout.images.values()}
    assert prepare("coco", layout, root) == 0
    assert prepare("coco", layout, root, "--overwrite") == 0
    check_labels(layout, root)
    assert before == {path: path.stat().st_mtime_ns for path in layout.images.values()}


@pytest.mark.parametrize(
    ("name", "end"), [("coco", "_labelTrainIds"), ("cocoobject", "_labelTrainIds"), ("cocoobject", "_instanceTrainIds")]
)
@pytest.mark.parametrize("beside", [False, True])
def test_train_ids_stand_for_maps_that_are_not_there(
    name: str, end: str, beside: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As mmsegmentation's converters write them into `annotations/val2017`; beside the publisher's they are nothing."""
    layout, root = LAYOUTS[name](tmp_path / "raw"), tmp_path / "datasets"
    maps = layout.source / "annotations" / "val2017"
    (layout.source / "val2017").rename(layout.source / "images_of_coco")
    (layout.source / "images").mkdir()
    (layout.source / "images_of_coco").rename(layout.source / "images" / "val2017")
    maps.parent.mkdir()
    (layout.source / "stuffthingmaps" / "val2017").rename(maps)
    for path in sorted(maps.iterdir()):
        with Image.open(path) as file:
            raw = np.array(file).astype(int)
        stuff = raw_layouts.relabel(raw, lambda value: 255 if value == 255 else raw_layouts.coco_label(value))
        things = raw_layouts.relabel(stuff, lambda value: value + 1 if value < 80 else 0)
        png(maps / f"{path.stem}{end}.png", stuff if end == "_labelTrainIds" else things)
        if not beside:
            path.unlink()
    assert prepare(name, layout, root) == 0
    printed = capsys.readouterr().out
    assert (f"label maps *{end}.png of {maps}, train ids of mmsegmentation's converter" in printed) == (not beside)
    assert "3 pictures: 3 written" in printed
    check_labels(layout, root)


def test_maps_among_the_pictures_are_refused_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "datasets"
    layout = coco(root / "coco")
    for path in (root / "coco" / "stuffthingmaps" / "val2017").iterdir():
        path.rename(root / "coco" / "val2017" / path.name)
    assert prepare("coco", layout, root) == 1
    assert "move its .png files" in capsys.readouterr().err


def test_overwrite_makes_files_anew(tmp_path: Path) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    assert prepare("voc", layout, root) == 0
    stale = root / next(iter(layout.labels))
    png(stale, np.zeros((4, 4), dtype=np.uint8))
    assert prepare("voc", layout, root, "--overwrite") == 0
    check_labels(layout, root)


def test_voc_reads_palette_maps_of_the_plain_folder(tmp_path: Path) -> None:
    layout, root = voc(tmp_path / "raw", palette=True, maps="SegmentationClass"), tmp_path / "datasets"
    assert prepare("voc", layout, root) == 0
    check_labels(layout, root)


def test_voc_prefers_the_augmented_maps(tmp_path: Path) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    for name in layout.labels:
        png(layout.source / "SegmentationClass" / Path(name).name, np.zeros((2, 2), dtype=np.uint8))
    assert prepare("voc", layout, root) == 0
    check_labels(layout, root)


def test_voc_own_list_with_folders_and_endings(tmp_path: Path) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    own = tmp_path / "mine.txt"
    own.write_text("/JPEGImages/2007_000033.jpg /SegmentationClassAug/2007_000033.png\n\n2011_003256\n")
    assert prepare("voc", layout, root, "--list", str(own)) == 0
    made = sorted(path.stem for path in (root / "VOC2012/annotations_detectron2/val").iterdir())
    assert made == ["2007_000033", "2011_003256"]


def test_voc_leaves_out_maps_without_an_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    png(layout.source / "SegmentationClassAug" / "2008_000002.png", np.full(SIZES[1], 255))
    assert prepare("voc", layout, root, "--keep-void") == 0
    assert "2 written, 0 there already, 1 left out" in capsys.readouterr().out
    assert not list(root.rglob("2008_000002.*"))


def test_voc_keep_void(tmp_path: Path) -> None:
    layout, root = voc(tmp_path / "raw"), tmp_path / "datasets"
    assert prepare("voc", layout, root, "--keep-void") == 0
    check_labels(layout, root)
    for name in layout.labels:
        with Image.open(layout.source / "SegmentationClassAug" / Path(name).name) as file:
            raw = np.array(file)
        with Image.open(root / "VOC2012" / "annotations_detectron2_void" / "val" / Path(name).name) as file:
            labels = np.array(file)
        assert (labels[raw == 0] == 20).all()
        assert (labels[raw == 255] == 255).all()
        objects = (raw > 0) & (raw < 255)
        np.testing.assert_array_equal(labels[objects], raw[objects] - 1)
    module = Folder(
        list(shipped_names("voc20")),
        images=root / "VOC2012/images_detectron2/val",
        labels=root / "VOC2012/annotations_detectron2_void/val",
        background_index=20,
        num_workers=0,
    )
    module.setup("test")
    items = [module.datasets[0][index] for index in range(len(SIZES))]
    assert all(item.labels is not None and 20 in item.labels for item in items)


def both_folders(tmp_path: Path) -> Layout:
    """VOC with two folders of maps: those of `SegmentationClassAug` have no void, as SBD's masks may."""
    layout = voc(tmp_path / "raw", maps="SegmentationClass")
    for path in sorted((layout.source / "SegmentationClass").iterdir()):
        with Image.open(path) as file:
            raw = np.array(file)
        png(layout.source / "SegmentationClassAug" / path.name, np.where(raw == 255, 0, raw))
    return layout


def test_void_comes_of_the_publishers_own_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The released, merged folder keeps its source; both are named."""
    layout, root = both_folders(tmp_path), tmp_path / "datasets"
    assert prepare("voc", layout, root, "--keep-void") == 0
    printed = capsys.readouterr().out
    assert f"label maps of {layout.source / 'SegmentationClassAug'}, pictures" in printed
    assert f"label maps with void apart of {layout.source / 'SegmentationClass'}\n" in printed
    assert "warning" not in printed
    for path in (layout.source / "SegmentationClass").iterdir():
        raw, labels = np.array(Image.open(path)), root / "VOC2012/annotations_detectron2_void/val" / path.name
        np.testing.assert_array_equal(np.array(Image.open(labels)) == 255, raw == 255)


def test_maps_without_void_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = both_folders(tmp_path), tmp_path / "datasets"
    shutil.rmtree(layout.source / "SegmentationClass")
    assert prepare("voc", layout, root, "--keep-void") == 0
    assert (
        f"warning: no map of {layout.source / 'SegmentationClassAug'} has void (255), so nothing is left out of the "
        "scores; put VOC's own SegmentationClass beside it"
    ) in capsys.readouterr().out


@pytest.mark.parametrize("noted", [True, False])
def test_maps_of_two_folders_are_not_mixed(noted: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the note beside the maps, and without it by the maps themselves."""
    layout, root = both_folders(tmp_path), tmp_path / "datasets"
    (layout.source / "SegmentationClass").rename(layout.source / "later")
    assert prepare("voc", layout, root, "--keep-void") == 0
    (layout.source / "later").rename(layout.source / "SegmentationClass")
    made = root / "VOC2012/annotations_detectron2_void/val"
    next(made.glob("*.png")).unlink()
    if not noted:
        (made.parent / ".val.prepared.json").unlink()
    capsys.readouterr()
    assert prepare("voc", layout, root, "--keep-void") == 1
    complaint = capsys.readouterr().err
    assert f"the label maps in {made} were made of " in complaint
    assert "the missing ones would be of SegmentationClass; make all of them anew by --overwrite" in complaint
    assert prepare("voc", layout, root, "--keep-void", "--overwrite") == 0
    assert prepare("voc", layout, root, "--keep-void") == 0
    assert all((np.array(Image.open(path)) == 255).any() for path in made.glob("*.png"))


def test_cityscapes_pairs_of_other_splits_stay_out(tmp_path: Path) -> None:
    layout, root = LAYOUTS["cityscapes"](tmp_path / "raw"), tmp_path / "datasets"
    picture(layout.source / "leftImg8bit" / "train" / "aachen" / "aachen_000000_000019_leftImg8bit.png", (8, 8), 0)
    assert prepare("cityscapes", layout, root) == 0
    assert not (root / "cityscapes" / "leftImg8bit" / "train").exists()


def test_large_ade_pictures_are_reduced(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    layout, root = adefull(tmp_path / "raw"), tmp_path / "datasets"
    name = "ADE_val_00000009"
    folder = layout.source / "ADE20K_2021_17_01/images/ADE/validation/urban/street"
    image = picture(folder / f"{name}.jpg", (560, 701), 1)
    raw = np.random.default_rng(1).choice([2978, 312, 2420, 7], (560, 701))
    Image.fromarray(full_colours(raw, 1)).save(folder / f"{name}_seg.png")
    assert prepare("adefull", layout, root) == 0

    known = np.select([raw == 2978, raw == 312, raw == 2420], [0, 1, 2], 65535).astype(np.uint16)
    expected = cv2.resize(known, (641, 512), interpolation=cv2.INTER_NEAREST)
    with Image.open(root / f"ADE20K_2021_17_01/annotations_detectron2/validation/{name}.tif") as file:
        np.testing.assert_array_equal(np.array(file), expected)
    with (
        Image.open(root / f"ADE20K_2021_17_01/images_detectron2/validation/{name}.jpg") as file,
        Image.open(image) as own,
    ):
        expected = cv2.resize(np.array(own), (641, 512), interpolation=cv2.INTER_LINEAR)
        assert np.abs(np.array(file).astype(int) - expected).mean() < 2
    check_labels(layout, root)


@pytest.mark.parametrize("size", [(513, 513), (700, 513), (600, 901), (1024, 2000)])
def test_reduction_is_opencvs(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    labels = rng.integers(0, 4000, size).astype(np.int32)
    new = reduced_size(*size, 512)
    assert min(new) == 512
    mine, theirs = linear(image, new), cv2.resize(image, new[::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(mine.astype(int) - theirs).max() <= 1  # OpenCV's weights have 11 bits
    np.testing.assert_array_equal(nearest(labels, new), cv2.resize(labels, new[::-1], interpolation=cv2.INTER_NEAREST))


def test_small_pictures_keep_their_size() -> None:
    assert reduced_size(512, 2000, 512) == (512, 2000)
    assert reduced_size(5000, 4000, None) == (5000, 4000)


def test_context_list_of_voc2010_beats_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layout, root = pcontext(tmp_path / "raw"), tmp_path / "datasets"
    (layout.source / "VOCdevkit/VOC2010/ImageSets/Main/val.txt").unlink()
    assert prepare("pcontext", layout, root) == 1
    assert "no list of the validation pictures" in capsys.readouterr().err
    own = tmp_path / "val.txt"
    own.write_text("\n".join({Path(name).stem for name in layout.labels}))
    assert prepare("pcontext", layout, root, "--list", str(own)) == 0
    check_labels(layout, root)
