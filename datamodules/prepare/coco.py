"""COCO val2017 with COCO-Stuff's `stuffthingmaps`: 171 labels, or things and background.

Where the publisher's maps are not there, the train ids that mmsegmentation's converters wrote beside them are read.
"""

from collections.abc import Mapping
from pathlib import Path

from datamodules.errors import DataError
from datamodules.prepare.plan import Plan, Recipe, Task
from datamodules.prepare.recode import Recoding, recoding, shipped_ids
from datamodules.prepare.sources import JPEG, Request, below, first_there, paired
from datamodules.reading import read_labels
from datamodules.spec import DatasetSpec
from datamodules.specs.coco import COCO80, COCO171, COCOObject

_THINGS = 80
# The maps hold COCO-Stuff's id less 1, and 255 where nothing is labelled.
_LABELS = {raw - 1: label for label, raw in enumerate(shipped_ids("coco_stuff171"))}
_STUFF = recoding(_LABELS, rest=(255,))
_OBJECTS = recoding(
    {raw: label for raw, label in _LABELS.items() if label < _THINGS}, rest=(*_LABELS, 255), rest_label=_THINGS
)
# Files by the end of their names: the publisher's, whose names have none, and those of mmsegmentation's converters.
_TRAIN_IDS, _INSTANCE_IDS = "_labelTrainIds", "_instanceTrainIds"
_TRAIN = {label: label for label in range(len(_LABELS))}
_FROM_TRAIN = recoding(_TRAIN, rest=(255,))
_STUFF_FROM = {"": _STUFF, _TRAIN_IDS: _FROM_TRAIN}
_OBJECTS_FROM = {
    "": _OBJECTS,
    _INSTANCE_IDS: recoding({0: _THINGS} | {label + 1: label for label in range(_THINGS)}, rest=(255,)),
    _TRAIN_IDS: recoding({label: min(label, _THINGS) for label in _TRAIN}, rest=(255,), rest_label=_THINGS),
}


def plan_stuff(request: Request) -> Plan:
    """Fills `coco/val2017` and `coco/stuffthingmaps_detectron2/val2017`: labels 0..170, 255 unlabelled.

    Raises:
        DataError: what is needed is not in the source.
    """
    return _plan(request, _STUFF_FROM, (COCO171, COCO80))


def plan_objects(request: Request) -> Plan:
    """Fills `coco/val2017` and `coco/objects_detectron2/val2017`: things 0..79, everything else 80.

    Raises:
        DataError: what is needed is not in the source.
    """
    return _plan(request, _OBJECTS_FROM, (COCOObject,))


def _plan(request: Request, recodings: Mapping[str, Recoding], specs: tuple[DatasetSpec, ...]) -> Plan:
    places = ("", "coco", "images")
    pictures = first_there(request.source, below(places, "val2017"), "pictures", "*.jpg")
    maps = first_there(
        request.source,
        below(
            ("stuffthingmaps", "coco/stuffthingmaps", "annotations", "stuffthingmaps_trainval2017", *places), "val2017"
        ),
        "label maps",
        "*.png",
    )
    end = next((end for end in recodings if _has(maps, end)), "")
    folder = request.root / specs[0].folder
    images = folder / specs[0].images[0]
    if images.is_dir() and images.samefile(maps):
        raise DataError(
            f"{maps} holds the stuffthingmaps among the pictures; move its .png files to "
            f"{folder / 'stuffthingmaps' / 'val2017'}"
        )
    return Plan(
        Recipe(read_labels, (recodings[end],), overwrite=request.overwrite),
        tuple(
            Task(image, raw, (images / image.name,), (folder / specs[0].labels / f"{stem}.png",))
            for stem, image, raw in paired(pictures, JPEG, maps, end)
        ),
        specs,
        (f"label maps *{end}.png of {maps}, train ids of mmsegmentation's converter",) if end else (),
    )


def _has(maps: Path, end: str) -> bool:
    """Whether a folder has label maps whose names end so; without an end, any that no converter wrote."""
    names = (path.stem for path in maps.glob(f"*{end}.png"))
    return any(end or not name.endswith((_TRAIN_IDS, _INSTANCE_IDS)) for name in names)
