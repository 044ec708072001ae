"""COCO-Stuff (Caesar et al., CVPR 2018) on COCO (Lin et al., ECCV 2014) val2017: 5,000 pictures."""

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.base import PublishedSetting
from datamodules.spec import DatasetSpec, Published, joined, shipped_names, shipped_synonyms

_CLASSES = single_names(shipped_names("coco_stuff171"))
_THINGS = 80
_PLAIN = Vocabulary(_CLASSES[:_THINGS], ("background",))


class COCO171(PublishedSetting):
    """80 things and 91 stuff classes."""

    spec = DatasetSpec(
        name="COCO171",
        folder="coco",
        images=("val2017",),
        labels="stuffthingmaps_detectron2/val2017",
        vocabulary=Vocabulary(_CLASSES),
        vocabularies=dict.fromkeys(("sclip", "clearclip"), Vocabulary(joined(shipped_names("coco_stuff171")))),
        published={
            "paper 224": Published(pAcc=38.9, mAcc=44.47, fwIoU=26.87, mIoU=22.84),
            "paper 336": Published(pAcc=40.14, mAcc=45.09, fwIoU=27.96, mIoU=24.06),
        },
        images_expected="5000",
    )


class COCO80(PublishedSetting):
    """80 things and background, read from the 171-class maps as released.

    Stuff label 80 ("banner") falls on the background's index and is scored as background; stuff labels 81..170 are
    left out; unlabelled pixels are background. This is not the COCO-Object of other papers.
    """

    spec = DatasetSpec(
        name="COCO80",
        folder="coco",
        images=("val2017",),
        labels="stuffthingmaps_detectron2/val2017",
        vocabulary=Vocabulary(_CLASSES[:_THINGS], background=shipped_names("coco80_background")),
        vocabularies={"plain": _PLAIN},
        ignored_is_background=True,
        raw_labels=len(_CLASSES),
        published={
            "paper 224": Published(pAcc=50.08, mAcc=62.5, fwIoU=38.19, mIoU=43.56),
            "paper 336": Published(pAcc=50.01, mAcc=62.55, fwIoU=38.24, mIoU=44.84),
        },
        images_expected="5000",
    )


class COCOObject(PublishedSetting):
    """80 things and background as other papers score them: all that is no thing is background, nothing is ignored.

    Label maps (0..79 and 80 for background) are made by `python -m datamodules.prepare cocoobject`. The paper has no
    figures for it; the background prompts are those of COCO80.
    """

    spec = DatasetSpec(
        name="COCOObject",
        folder="coco",
        images=("val2017",),
        labels="objects_detectron2/val2017",
        vocabulary=Vocabulary(_CLASSES[:_THINGS], background=shipped_names("coco80_background")),
        vocabularies={
            "plain": _PLAIN,
            "sclip": Vocabulary(
                shipped_synonyms("sclip_coco_object80"), shipped_names("sclip_background"), as_released=True
            ),  # "bed" is a class and a background prompt
            "clearclip": _PLAIN,
        },
        prepare_command="python -m datamodules.prepare cocoobject",
        images_expected="5000",
    )
