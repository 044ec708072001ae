"""ADE20K: the scene-parsing benchmark with 150 classes, and the full annotation with 847."""

from pathlib import Path

import numpy as np

from datamodules.errors import DataError
from datamodules.prepare.plan import Plan, Recipe, Task
from datamodules.prepare.recode import Raw, in_order, recoding, shipped_ids
from datamodules.prepare.sources import JPEG, Request, below, first_there, paired
from datamodules.reading import read_header, read_image, read_labels
from datamodules.specs.ade20k import ADE150, ADEfull

_SCENE_PARSING = recoding({raw: raw - 1 for raw in range(1, 151)}, rest=(0,))
_FULL = recoding(in_order(shipped_ids("ade847")), rest=range(26 * 256), rest_label=65535)
_FULL_SHORTER_SIDE = 512


def plan_150(request: Request) -> Plan:
    """Fills `ADEChallengeData2016/images/validation` and `annotations_detectron2/validation`.

    Raises:
        DataError: what is needed is not in the source.
    """
    spec = ADE150
    places = ("", spec.folder)
    pictures = first_there(request.source, below(places, "images/validation"), "pictures", "*.jpg")
    maps = first_there(request.source, below(places, "annotations/validation"), "label maps", "*.png")
    folder = request.root / spec.folder
    return Plan(
        Recipe(read_labels, (_SCENE_PARSING,), overwrite=request.overwrite),
        tuple(
            Task(image, labels, (folder / spec.images[0] / image.name,), (folder / spec.labels / f"{stem}.png",))
            for stem, image, labels in paired(pictures, JPEG, maps)
        ),
        (spec,),
    )


def plan_full(request: Request) -> Plan:
    """Fills `ADE20K_2021_17_01/images_detectron2/validation` and `annotations_detectron2/validation`, not by scene.

    Pictures whose shorter side exceeds 512 are reduced to it and saved as JPEG of quality 95; the others are copied.

    Raises:
        DataError: what is needed is not in the source.
    """
    spec = ADEfull
    scenes = first_there(request.source, below(("", spec.folder), "images/ADE/validation"), "scenes", "**/*_seg.png")
    folder = request.root / spec.folder
    return Plan(
        Recipe(read_full, (_FULL,), shorter_side=_FULL_SHORTER_SIDE, overwrite=request.overwrite),
        tuple(
            Task(
                image,
                labels,
                (folder / spec.images[0] / image.name,),
                (folder / spec.labels / f"{image.stem}.tif",),
            )
            for _, image, labels in paired(scenes, JPEG, scenes, "_seg")
        ),
        (spec,),
    )


def read_full(path: Path) -> Raw:
    """Object ids of a `*_seg.png`, (H, W) int32: R/10*256+G (index_ade20k.pkl's `objectnames`, counted from 1).

    Raises:
        DataError: the file cannot be read or holds grey values.
    """
    colours = read_image(path)
    mode = read_header(path).mode
    if mode not in ("RGB", "RGBA"):
        raise DataError(f"{path} holds {mode} values, not the colours of ADE20K's full annotation")
    return colours[..., 0].astype(np.int32) // 10 * 256 + colours[..., 1]
