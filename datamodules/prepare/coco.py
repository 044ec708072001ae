"""COCO val2017 with COCO-Stuff's `stuffthingmaps`: 171 labels, or things and background."""

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


def plan_stuff(request: Request) -> Plan:
    """Fills `coco/val2017` and `coco/stuffthingmaps_detectron2/val2017`: labels 0..170, 255 unlabelled.

    Raises:
        DataError: what is needed is not in the source.
    """
    return _plan(request, _STUFF, (COCO171, COCO80))


def plan_objects(request: Request) -> Plan:
    """Fills `coco/val2017` and `coco/objects_detectron2/val2017`: things 0..79, everything else 80.

    Raises:
        DataError: what is needed is not in the source.
    """
    return _plan(request, _OBJECTS, (COCOObject,))


def _plan(request: Request, labels: Recoding, specs: tuple[DatasetSpec, ...]) -> Plan:
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
    folder = request.root / specs[0].folder
    images = folder / specs[0].images[0]
    if images.is_dir() and images.samefile(maps):
        raise DataError(
            f"{maps} holds the stuffthingmaps among the pictures; move its .png files to "
            f"{folder / 'stuffthingmaps' / 'val2017'}"
        )
    return Plan(
        Recipe(read_labels, (labels,), overwrite=request.overwrite),
        tuple(
            Task(image, raw, (images / image.name,), (folder / specs[0].labels / f"{stem}.png",))
            for stem, image, raw in paired(pictures, JPEG, maps)
        ),
        specs,
    )
