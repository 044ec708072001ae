"""The publishers' trees of `raw_layouts` as mmsegmentation's users hold them, written here by facts of their own.

`mmseg(root)` and `detectron2(root)` hold the same images and the same labels of all eight data sets.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.prepare.command import main
from tests.datamodules.raw_layouts import LAYOUTS, Layout, png, relabel

SETTINGS = ("VOC21", "VOC20", "PC60", "PC59", "COCOObject", "COCO171", "Cityscapes", "ADE150")
PREPARED = ("voc", "pcontext", "ade150", "coco", "cocoobject", "cityscapes")


def sources(folder: Path) -> dict[str, Layout]:
    """The publishers' archives, unpacked, with VOC's own maps."""
    makers = {**LAYOUTS, "voc": lambda source: LAYOUTS["voc"](source, maps="SegmentationClass")}  # type: ignore[call-arg]
    return {name: makers[name](folder / name) for name in PREPARED}


def prepared(layouts: dict[str, Layout], root: Path) -> Path:
    """What `prepare` makes of them."""
    for name, layout in layouts.items():
        void = ["--keep-void"] if name == "voc" else []
        assert main([name, "--source", str(layout.source), "--root", str(root), "--workers", "1", *void]) == 0
    return root


def detectron2(layouts: dict[str, Layout], root: Path) -> Path:
    """The label maps that the tests of `prepare` expect, and VOC's with void apart."""
    for layout in layouts.values():
        for name, labels in layout.labels.items():
            save(root / name, labels)
        for name, image in layout.images.items():
            copy(image, root / name)
    for path in sorted((layouts["voc"].source / "SegmentationClass").iterdir()):
        labels = relabel(read(path), lambda value: {0: 20, 255: 255}.get(value, value - 1))
        save(root / "VOC2012/annotations_detectron2_void/val" / path.name, labels)
    return root


def mmseg(layouts: dict[str, Layout], root: Path) -> Path:
    """The publishers' own folders, with the maps that mmsegmentation's converters write."""
    voc = root / "VOCdevkit/VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets"):
        shutil.copytree(layouts["voc"].source / folder, voc / folder)
    shutil.copytree(layouts["ade150"].source / "ADEChallengeData2016", root / "ADEChallengeData2016")
    shutil.copytree(layouts["cityscapes"].source, root / "cityscapes")

    def each(name: str, part: str) -> Iterable[tuple[str, NDArray[np.int64]]]:
        """Name of the image and the labels that detectron2's folder has."""
        for path, labels in layouts[name].labels.items():
            if part in path:
                yield Path(path).stem, labels

    context = root / "VOCdevkit/VOC2010"
    shutil.copytree(layouts["pcontext"].source / "VOCdevkit/VOC2010/JPEGImages", context / "JPEGImages")
    for name, labels in each("pcontext", "pcontext/"):
        png(context / "SegmentationClassContext" / f"{name}.png", relabel(labels, first(255)), palette=True)
    listed = context / "ImageSets/SegmentationContext/val.txt"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(f"{name}\n" for name, _ in each("pcontext", "pcontext/")))
    for folder, source, end, change in (
        ("coco_stuff164k", "coco", "_labelTrainIds", int),
        ("coco_object", "cocoobject", "_instanceTrainIds", first(80)),
    ):
        shutil.copytree(layouts[source].source / "val2017", root / folder / "images/val2017")
        raw = root / folder / "annotations/val2017"
        shutil.copytree(layouts[source].source / "stuffthingmaps/val2017", raw)
        for name, labels in each(source, ""):
            png(raw / f"{name}{end}.png", relabel(labels, change))
    for path, labels in layouts["cityscapes"].labels.items():
        png(root / path, labels)
    return root


def first(background: int) -> Callable[[int], int]:
    """Background first, from labels in which it is another value."""
    return lambda value: 0 if value == background else value + 1


def read(path: Path) -> NDArray[np.int64]:
    with Image.open(path) as file:
        return np.array(file).astype(np.int64)


def save(path: Path, labels: NDArray[np.int64]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels.astype(np.uint16 if path.suffix == ".tif" else np.uint8)).save(path)


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
