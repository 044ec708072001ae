"""Cityscapes: `leftImg8bit/val` and `gtFine/val`, labelIds to train ids."""

from datamodules.prepare.plan import Plan, Recipe, Task
from datamodules.prepare.recode import in_order, recoding
from datamodules.prepare.sources import PNG, Request, below, first_there, paired
from datamodules.reading import read_labels
from datamodules.specs.cityscapes import Cityscapes

# labelIds of the 19 evaluated classes, in the order of their train ids; the others, and -1 as 255, are not evaluated.
_EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_LABEL_IDS = recoding(in_order(_EVALUATED), rest=(*range(34), 255))


def plan(request: Request) -> Plan:
    """Fills `cityscapes/leftImg8bit/val/<city>` and `cityscapes/gtFine/val/<city>` (`*_gtFine_labelTrainIds.png`).

    Raises:
        DataError: what is needed is not in the source.
    """
    spec = Cityscapes
    raw_suffix = spec.label_suffix.replace("labelTrainIds", "labelIds")
    places = ("", spec.folder)
    pictures = first_there(request.source, below(places, spec.images[0]), "pictures", f"**/*{spec.image_suffix}.png")
    maps = first_there(request.source, below(places, spec.labels), "label maps", f"**/*{raw_suffix}.png")
    folder = request.root / spec.folder
    return Plan(
        Recipe(read_labels, (_LABEL_IDS,), overwrite=request.overwrite),
        tuple(
            Task(
                image,
                labels,
                (folder / spec.images[0] / f"{stem}{spec.image_suffix}.png",),
                (folder / spec.labels / f"{stem}{spec.label_suffix}.png",),
            )
            for stem, image, labels in paired(pictures, PNG, maps, raw_suffix, spec.image_suffix)
        ),
        (spec,),
    )
