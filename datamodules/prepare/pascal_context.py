"""PASCAL-Context: `trainval/*.mat` on the pictures of VOC2010, and a list of names."""

from datamodules.prepare.plan import Plan, Recipe, Task
from datamodules.prepare.recode import in_order, recoding, shipped_ids
from datamodules.prepare.sources import JPEG, Request, below, first_there, named_files, read_list, read_mat
from datamodules.specs.pascal_context import PC59, PC60, PC459

_RAW_IDS = range(460)  # 0 is unlabelled
_FREQUENT = recoding(in_order(shipped_ids("context59")), rest=_RAW_IDS)
_ALL = recoding({raw: raw - 1 for raw in _RAW_IDS if raw}, rest=(0,), rest_label=65535)


def plan(request: Request) -> Plan:
    """Fills `pcontext/val/image` and `label` (59 labels, 8 bits), `pcontext_full/val/image` and `label` (459, 16 bits).

    VOC2010's own list `ImageSets/Main/val.txt` has 5,105 pictures, the one of PASCAL in Detail 5,104.

    Raises:
        DataError: what is needed is not in the source.
    """
    places = ("", "VOC2010", "VOCdevkit/VOC2010")
    pictures = first_there(request.source, below(places, "JPEGImages"), "pictures", "*.jpg")
    maps = first_there(request.source, below(places, "trainval"), "label maps", "*.mat")
    names_file = request.list_file or first_there(
        request.source, below(places, "ImageSets/Main/val.txt", "val.txt"), "list of the validation pictures"
    )
    names = read_list(names_file)
    images = named_files(pictures, JPEG, names, names_file.name)
    labels = named_files(maps, (".mat",), names, names_file.name)
    targets = [(request.root / spec.folder, spec) for spec in (PC59, PC459)]
    return Plan(
        Recipe(read_mat, (_FREQUENT, _ALL), overwrite=request.overwrite),
        tuple(
            Task(
                images[name],
                labels[name],
                tuple(folder / spec.images[0] / images[name].name for folder, spec in targets),
                tuple(
                    folder / spec.labels / f"{name}{suffix}"
                    for (folder, spec), suffix in zip(targets, (".png", ".tif"), strict=True)
                ),
            )
            for name in names
        ),
        (PC59, PC60, PC459),
        (f"pictures listed in {names_file}",),
    )
