"""Small trees as the publishers' archives unpack to, with the label maps that a preparation must make of them.

The expected maps are made pixel by pixel from facts written here, not from the package's tables.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from datamodules.spec import shipped_names

SIZES = ((24, 36), (30, 20), (16, 16))
COCO_UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
CITYSCAPES = dict(zip((7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33), range(19), strict=True))
# Some of the 847, from first to last.
ADE_FULL = {2978: 0, 312: 1, 2420: 2, 2855: 3, 2131: 4, 976: 5, 10: 210, 1857: 255, 2526: 155, 3148: 846}


class Layout(NamedTuple):
    """What was written, and what must come of it."""

    source: Path
    labels: dict[str, NDArray[np.int64]]  # path below the root to label map
    images: dict[str, Path]  # path below the root to the picture that it is a copy of
    settings: tuple[str, ...]


def picture(path: Path, size: tuple[int, int], seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC).save(path)
    return path


def png(path: Path, raw: NDArray[np.integer], palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(raw.astype(np.uint8))
    if palette:
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    image.save(path)


def raw_map(size: tuple[int, int], ids: list[int], seed: int) -> NDArray[np.int64]:
    """Every id stands somewhere, as far as there is room."""
    rng = np.random.default_rng(seed)
    raw = rng.choice(ids, size)
    raw.flat[rng.permutation(raw.size)[: len(ids)]] = rng.permutation(ids)[: raw.size]
    return raw


def relabel(raw: NDArray[np.int64], label: Callable[[int], int]) -> NDArray[np.int64]:
    return np.array([[label(int(value)) for value in row] for row in raw])


def voc(source: Path, palette: bool = False, maps: str = "SegmentationClassAug") -> Layout:
    names = ["2007_000033", "2008_000002", "2011_003256"]
    labels, images = {}, {}
    for seed, (name, size) in enumerate(zip(names, SIZES, strict=True)):
        jpeg = picture(source / "JPEGImages" / f"{name}.jpg", size, seed)
        raw = raw_map(size, [*range(21), 255], seed)
        png(source / maps / f"{name}.png", raw, palette)
        labels[f"VOC2012/annotations_detectron2/val/{name}.png"] = relabel(
            raw, lambda value: 255 if value in (0, 255) else value - 1
        )
        images[f"VOC2012/images_detectron2/val/{name}.jpg"] = jpeg
    picture(source / "JPEGImages" / "2007_000001.jpg", (8, 8), 9)  # of the training set
    lists = source / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("\n".join(names) + "\n")
    return Layout(source, labels, images, ("VOC20", "VOC21"))


def pcontext(source: Path) -> Layout:
    every = ["", *shipped_names("context459")]  # raw id to name
    named = {name: label for label, name in enumerate(shipped_names("context59"))}
    named["table"] = named.pop("diningtable")
    names = ["2008_000002", "2008_000003", "2010_006086"]
    labels, images = {}, {}
    for seed, (name, size) in enumerate(zip(names, SIZES, strict=True)):
        jpeg = picture(source / "VOCdevkit" / "VOC2010" / "JPEGImages" / f"{name}.jpg", size, seed)
        raw = raw_map(size, list(range(460)), seed)
        (source / "trainval").mkdir(exist_ok=True)
        savemat(source / "trainval" / f"{name}.mat", {"LabelMap": raw.astype(np.uint16)}, do_compression=seed == 0)
        labels[f"pcontext/val/label/{name}.png"] = relabel(raw, lambda value: named.get(every[value], 255))
        labels[f"pcontext_full/val/label/{name}.tif"] = relabel(raw, lambda value: value - 1 if value else 65535)
        images[f"pcontext/val/image/{name}.jpg"] = images[f"pcontext_full/val/image/{name}.jpg"] = jpeg
    lists = source / "VOCdevkit" / "VOC2010" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("".join(f"{name} -1\n" for name in names))
    return Layout(source, labels, images, ("PC59", "PC60", "PC459"))


def ade150(source: Path) -> Layout:
    labels, images = {}, {}
    for seed, size in enumerate(SIZES):
        name = f"ADE_val_{seed + 1:08}"
        jpeg = picture(source / "ADEChallengeData2016" / "images" / "validation" / f"{name}.jpg", size, seed)
        raw = raw_map(size, list(range(151)), seed)
        png(source / "ADEChallengeData2016" / "annotations" / "validation" / f"{name}.png", raw)
        labels[f"ADEChallengeData2016/annotations_detectron2/validation/{name}.png"] = relabel(
            raw, lambda value: value - 1 if value else 255
        )
        images[f"ADEChallengeData2016/images/validation/{name}.jpg"] = jpeg
    return Layout(source, labels, images, ("ADE150",))


def full_colours(raw: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
    """`*_seg.png` of class ids: R is ten times the upper byte and up to 9 more, G the lower byte, B the instance."""
    noise = np.random.default_rng(seed).integers(0, 6, (2, *raw.shape))
    return np.stack([raw // 256 * 10 + noise[0], raw % 256, noise[1]], axis=-1).astype(np.uint8)


def adefull(source: Path) -> Layout:
    labels, images = {}, {}
    for seed, (scene, size) in enumerate(
        zip(("urban/street", "home_or_hotel/attic", "urban/alley"), SIZES, strict=True)
    ):
        folder = source / "ADE20K_2021_17_01" / "images" / "ADE" / "validation" / scene
        name = f"ADE_val_{seed + 1:08}"
        jpeg = picture(folder / f"{name}.jpg", size, seed)
        raw = raw_map(size, [*ADE_FULL, 0, 1, 3688], seed)
        Image.fromarray(full_colours(raw, seed)).save(folder / f"{name}_seg.png")
        png(folder / f"{name}_parts_1.png", raw % 7)
        png(folder / name / f"instance_000_{name}.png", raw % 2)
        labels[f"ADE20K_2021_17_01/annotations_detectron2/validation/{name}.tif"] = relabel(
            raw, lambda value: ADE_FULL.get(value, 65535)
        )
        images[f"ADE20K_2021_17_01/images_detectron2/validation/{name}.jpg"] = jpeg
    return Layout(source, labels, images, ("ADEfull",))


def _coco(source: Path, folder: str, label: Callable[[int], int], settings: tuple[str, ...]) -> Layout:
    labels, images = {}, {}
    for seed, size in enumerate(SIZES):
        name = f"{139 + seed:012}"
        jpeg = picture(source / "val2017" / f"{name}.jpg", size, seed)
        raw = raw_map(size, [value for value in range(182) if value + 1 not in COCO_UNUSED] + [255], seed)
        png(source / "stuffthingmaps" / "val2017" / f"{name}.png", raw)
        labels[f"coco/{folder}/val2017/{name}.png"] = relabel(raw, label)
        images[f"coco/val2017/{name}.jpg"] = jpeg
    return Layout(source, labels, images, settings)


def coco_label(value: int) -> int:
    return value - sum(unused - 1 < value for unused in COCO_UNUSED)


def coco(source: Path) -> Layout:
    return _coco(
        source,
        "stuffthingmaps_detectron2",
        lambda value: 255 if value == 255 else coco_label(value),
        ("COCO171", "COCO80"),
    )


def cocoobject(source: Path) -> Layout:
    return _coco(source, "objects_detectron2", lambda value: min(coco_label(value), 80), ("COCOObject",))


def cityscapes(source: Path) -> Layout:
    labels, images = {}, {}
    for seed, (city, size) in enumerate(zip(("frankfurt", "lindau", "munster"), SIZES, strict=True)):
        name = f"{city}_00000{seed}_000294"
        image = picture(source / "leftImg8bit" / "val" / city / f"{name}_leftImg8bit.png", size, seed)
        raw = raw_map(size, list(range(34)), seed)
        png(source / "gtFine" / "val" / city / f"{name}_gtFine_labelIds.png", raw)
        png(source / "gtFine" / "val" / city / f"{name}_gtFine_instanceIds.png", raw % 5)
        labels[f"cityscapes/gtFine/val/{city}/{name}_gtFine_labelTrainIds.png"] = relabel(
            raw, lambda value: CITYSCAPES.get(value, 255)
        )
        images[f"cityscapes/leftImg8bit/val/{city}/{name}_leftImg8bit.png"] = image
    return Layout(source, labels, images, ("Cityscapes",))


LAYOUTS: dict[str, Callable[[Path], Layout]] = {
    "voc": voc,
    "pcontext": pcontext,
    "ade150": ade150,
    "adefull": adefull,
    "coco": coco,
    "cocoobject": cocoobject,
    "cityscapes": cityscapes,
}
