"""PASCAL VOC 2012: `JPEGImages`, `SegmentationClassAug` or `SegmentationClass`, and a list of names.

The released folders of CLIPtrase merge void with background and may come of either. Where void is told from background,
maps are those of `SegmentationClass`, as SCLIP and its forks read them: `SegmentationClassAug` is made of SBD's masks,
which may lack void.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from datamodules.errors import DataError
from datamodules.layouts import note_of, noted_edition
from datamodules.prepare.plan import Plan, Recipe, Task
from datamodules.prepare.recode import Recoding, recoding
from datamodules.prepare.sources import JPEG, PNG, Request, below, first_there, named_files, read_list
from datamodules.reading import read_labels
from datamodules.spec import LabelScheme
from datamodules.specs.voc import VOC20, VOC21

# Void, the outline of objects, is 255; 0 is background, which the released folders merge with it.
_OBJECTS = {raw: raw - 1 for raw in range(1, 21)}
_MERGED = recoding(_OBJECTS, rest=(0, 255))
_WITH_VOID = recoding({**_OBJECTS, 0: 20}, rest=(255,))

_VOID = replace(VOC21.with_labels(LabelScheme("plain", void=True)), name="VOC with void apart")

_MAPS = ("SegmentationClassAug", "SegmentationClass")
_VOID_VALUE = 255
_RECODINGS = {"merged": _MERGED, "void": _WITH_VOID}
_COMPARED = 5  # maps that are there already


def plan(request: Request) -> Plan:
    """Fills `VOC2012/images_detectron2/val` and `annotations_detectron2/val`.

    With `keep_void` also `annotations_detectron2_void/val`: 0..19 the objects, 20 background, 255 void.

    Raises:
        DataError: what is needed is not in the source, or maps that are there already were made of other ones.
    """
    places = ("", "VOC2012", "VOCdevkit/VOC2012")
    pictures = first_there(request.source, below(places, "JPEGImages"), "pictures", "*.jpg")
    folders = {"merged": first_there(request.source, below(places, *_MAPS), "label maps", "*.png")}
    if request.keep_void:
        folders["void"] = first_there(request.source, below(places, *_MAPS[::-1]), "label maps", "*.png")
    names_file = request.list_file or first_there(
        request.source, below(places, "ImageSets/Segmentation/val.txt", "val.txt"), "list of the validation pictures"
    )
    names = read_list(names_file)
    images = named_files(pictures, JPEG, names, names_file.name)
    labels = {kind: named_files(maps, PNG, names, names_file.name) for kind, maps in folders.items()}
    specs = (VOC20, VOC21, *((_VOID,) if request.keep_void else ()))
    root = request.root / VOC20.folder
    targets = {"merged": root / VOC20.labels, "void": root / _VOID.labels}
    for kind, maps in folders.items():
        if not request.overwrite:
            _require_same_source(targets[kind], maps, labels[kind], _RECODINGS[kind])
    for kind, maps in folders.items():
        _remember(targets[kind], maps)
    notes = [f"label maps of {folders['merged']}, pictures listed in {names_file}"]
    if request.keep_void:
        notes += [f"label maps with void apart of {folders['void']}", *_without_void(folders["void"], labels["void"])]
    return Plan(
        Recipe(
            read_labels,
            tuple(_RECODINGS[kind] for kind in folders),
            leave_out_unlabelled=True,
            overwrite=request.overwrite,
        ),
        tuple(
            Task(
                images[name],
                labels["merged"][name],
                (root / VOC20.images[0] / images[name].name,),
                tuple(targets[kind] / f"{name}.png" for kind in folders),
                tuple(labels[kind][name] for kind in folders if kind != "merged"),
            )
            for name in names
        ),
        specs,
        tuple(notes),
    )


def _require_same_source(target: Path, maps: Path, labels: Mapping[str, Path], recoding: Recoding) -> None:
    """Maps that are there already must be of the folder that the missing ones will be of.

    Raises:
        DataError: they are not, by the note beside them or by some of the maps themselves.
    """
    there = [name for name in labels if (target / f"{name}.png").is_file()]
    if not there:
        return
    before = noted_edition(target)
    if not before:
        made = [name for name in there[:_COMPARED] if not _is_made_of(target / f"{name}.png", labels[name], recoding)]
        before = f"other maps than {maps}" if made else maps.name
    if before != maps.name:
        raise DataError(
            f"the label maps in {target} were made of {before}, the missing ones would be of {maps.name}; "
            "make all of them anew by --overwrite"
        )


def _is_made_of(target: Path, labels: Path, recoding: Recoding) -> bool:
    try:
        made, raw = read_labels(target), read_labels(labels)
        return made.shape == raw.shape and bool((made == recoding.apply(raw, labels)).all())
    except DataError:
        return True  # complained of when its turn comes


def _remember(target: Path, maps: Path) -> None:
    """Notes beside the folder of made maps which folder they come of."""
    if noted_edition(target) != maps.name:
        target.parent.mkdir(parents=True, exist_ok=True)
        note_of(target).write_text(json.dumps({"label_maps": maps.name}), encoding="utf-8")


def _without_void(folder: Path, labels: Mapping[str, Path]) -> list[str]:
    """A sentence where no map has a pixel of void, which every outline of an object in VOC has."""
    for path in labels.values():
        try:
            if (read_labels(path) == _VOID_VALUE).any():
                return []
        except DataError:
            continue  # complained of when its turn comes
    cure = "" if folder.name == "SegmentationClass" else "; put VOC's own SegmentationClass beside it"
    return [f"warning: no map of {folder} has void ({_VOID_VALUE}), so nothing is left out of the scores{cure}"]
