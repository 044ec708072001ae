"""PASCAL VOC 2012: `JPEGImages`, `SegmentationClassAug` or `SegmentationClass`, and a list of names."""

from dataclasses import replace

from cliptrase.vocabulary import Vocabulary
from datamodules.prepare.plan import Plan, Recipe, Task
from datamodules.prepare.recode import recoding
from datamodules.prepare.sources import JPEG, PNG, Request, below, first_there, named_files, read_list
from datamodules.reading import read_labels
from datamodules.voc import VOC20, VOC21

# Void, the outline of objects, is 255; 0 is background, which the released folders merge with it.
_OBJECTS = {raw: raw - 1 for raw in range(1, 21)}
_MERGED = recoding(_OBJECTS, rest=(0, 255))
_WITH_VOID = recoding({**_OBJECTS, 0: 20}, rest=(255,))

_VOID = replace(
    VOC21.card,
    name="VOC with void apart",
    labels="annotations_detectron2_void/val",
    vocabulary=Vocabulary(VOC20.card.vocabulary.classes, background=("background",)),
    ignored_is_background=False,
)


def plan(request: Request) -> Plan:
    """Fills `VOC2012/images_detectron2/val` and `annotations_detectron2/val`.

    With `keep_void` also `annotations_detectron2_void/val`: 0..19 the objects, 20 background, 255 void.

    Raises:
        DataError: what is needed is not in the source.
    """
    places = ("", "VOC2012", "VOCdevkit/VOC2012")
    pictures = first_there(request.source, below(places, "JPEGImages"), "pictures", "*.jpg")
    maps = first_there(
        request.source, below(places, "SegmentationClassAug", "SegmentationClass"), "label maps", "*.png"
    )
    names_file = request.list_file or first_there(
        request.source, below(places, "ImageSets/Segmentation/val.txt", "val.txt"), "list of the validation pictures"
    )
    names = read_list(names_file)
    images = named_files(pictures, JPEG, names, names_file.name)
    labels = named_files(maps, PNG, names, names_file.name)
    cards = (VOC20.card, VOC21.card, *((_VOID,) if request.keep_void else ()))
    folder = request.root / VOC20.card.folder
    label_folders = dict.fromkeys(folder / card.labels for card in cards)
    return Plan(
        Recipe(
            read_labels,
            (_MERGED, _WITH_VOID)[: len(label_folders)],
            leave_out_unlabelled=True,
            overwrite=request.overwrite,
        ),
        tuple(
            Task(
                images[name],
                labels[name],
                (folder / VOC20.card.images[0] / images[name].name,),
                tuple(place / f"{name}.png" for place in label_folders),
            )
            for name in names
        ),
        cards,
        (f"label maps of {maps}, pictures listed in {names_file}",),
    )
