"""COCO-Stuff (Caesar et al., CVPR 2018) on COCO (Lin et al., ECCV 2014) val2017: 5,000 images."""

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.spec import MMSEG, DatasetSpec, Layout, RawMaps, joined, shipped_names, shipped_synonyms

_CLASSES = single_names(shipped_names("coco_stuff171"))
_THINGS = 80
_PLAIN = Vocabulary(_CLASSES[:_THINGS], ("background",))
_SCLIP_STUFF = Vocabulary(joined(shipped_names("coco_stuff171")))
# "bed" is a class and a background prompt, of both.
_SCLIP = Vocabulary(shipped_synonyms("sclip_coco_object80"), shipped_names("sclip_background"), as_released=True)
_PROXYCLIP = Vocabulary(_CLASSES[:_THINGS], shipped_names("proxyclip_coco_object_background"), as_released=True)

COCO171 = DatasetSpec(
    name="COCO171",
    description="80 things and 91 stuff classes.",
    folder="coco",
    images=("val2017",),
    labels="stuffthingmaps_detectron2/val2017",
    vocabulary=Vocabulary(_CLASSES),
    vocabularies=dict.fromkeys(("sclip", "clearclip", "sfp", "proxyclip"), _SCLIP_STUFF),
    images_expected={5000: ""},
    preparation="coco",
    layouts={
        MMSEG: Layout(
            folders=("coco_stuff164k", ""),
            images=("images/val2017",),
            labels="annotations/val2017",
            label_suffix="_labelTrainIds",
            images_expected={5000: ""},
        )
    },
)

# Stuff label 80 ("banner") falls on the background's index and is scored as background; stuff labels 81..170 are left
# out; unlabelled pixels are background. This is not the COCO-Object of other papers.
COCO80 = DatasetSpec(
    name="COCO80",
    description="80 things and background, read from the 171-class maps as released; not the field's COCO-Object.",
    folder="coco",
    images=("val2017",),
    labels="stuffthingmaps_detectron2/val2017",
    vocabulary=Vocabulary(_CLASSES[:_THINGS], background=shipped_names("coco80_background")),
    vocabularies={"plain": _PLAIN},
    ignored_is_background=True,
    raw_labels=len(_CLASSES),
    images_expected={5000: ""},
    preparation="coco",
)

# Label maps hold 0..79, and 80 for background; the background prompts are those of COCO80.
COCOObject = DatasetSpec(
    name="COCOObject",
    description="80 things, everything else background, nothing ignored, as other papers score COCO-Object.",
    folder="coco",
    images=("val2017",),
    labels="objects_detectron2/val2017",
    vocabulary=Vocabulary(_CLASSES[:_THINGS], background=shipped_names("coco80_background")),
    vocabularies={"plain": _PLAIN, "sclip": _SCLIP, "clearclip": _PLAIN, "sfp": _SCLIP, "proxyclip": _PROXYCLIP},
    images_expected={5000: ""},
    preparation="cocoobject",
    raw=RawMaps(background=0),
    layouts={
        MMSEG: Layout(
            folders=("coco_object", "coco_stuff164k", ""),
            images=("images/val2017",),
            labels="annotations/val2017",
            label_suffix="_instanceTrainIds",
            images_expected={5000: ""},
            label_offset=1,
            below="background",
            nearly_everywhere=0,
        )
    },
)
