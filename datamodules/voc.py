"""PASCAL VOC 2012 (Everingham et al., IJCV 2015) in detectron2 layout: 1,449 validation pictures."""

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.base import PublishedSetting
from datamodules.spec import DatasetSpec, Published, shipped_names, shipped_synonyms

_CLASSES = single_names(shipped_names("voc20"))
_SCLIP = shipped_synonyms("sclip_voc20")
_CLEARCLIP = single_names(shipped_names("clearclip_voc20"))


class VOC20(PublishedSetting):
    """20 objects; background and void are not scored. Logits are weighted by the class token's."""

    spec = DatasetSpec(
        name="VOC20",
        folder="VOC2012",
        images=("images_detectron2/val",),
        labels="annotations_detectron2/val",
        vocabulary=Vocabulary(_CLASSES),
        vocabularies={"sclip": Vocabulary(_SCLIP), "clearclip": Vocabulary(_CLEARCLIP)},
        class_token_weighting=True,
        published={
            "paper 224": Published(pAcc=89.68, mAcc=91.4, fwIoU=82.49, mIoU=80.95),
            "paper 336": Published(pAcc=89.51, mAcc=91.77, fwIoU=82.15, mIoU=81.2),
        },
        images_expected="1449",
    )


class VOC21(PublishedSetting):
    """20 objects and background. The folder merges background and void, so void is scored as background too.

    Protocols that leave void out read `annotations_detectron2_void`, where background is 20 and void 255. The
    background prompts are the released ones, with "bed" twice and "beachhill" in one word.
    """

    spec = DatasetSpec(
        name="VOC21",
        folder="VOC2012",
        images=("images_detectron2/val",),
        labels="annotations_detectron2/val",
        vocabulary=Vocabulary(_CLASSES, background=shipped_names("voc21_background")),
        vocabularies={
            "plain": Vocabulary(_CLASSES, ("background",)),
            "sclip": Vocabulary(_SCLIP, shipped_names("sclip_background")),
            "clearclip": Vocabulary(_CLEARCLIP, ("background",)),
        },
        ignored_is_background=True,
        void_labels="annotations_detectron2_void/val",
        published={
            "paper 224": Published(pAcc=78.63, mAcc=84.11, fwIoU=67.67, mIoU=50.88),
            "paper 336": Published(pAcc=79.93, mAcc=85.24, fwIoU=69.1, mIoU=53.04),
        },
        images_expected="1449",
    )
