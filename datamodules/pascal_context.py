"""PASCAL-Context (Mottaghi et al., CVPR 2014) in detectron2 layout: 5,104 or 5,105 validation pictures, by list."""

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.base import PublishedSetting
from datamodules.spec import DatasetSpec, Published, shipped_names

_CLASSES = single_names(shipped_names("context59"))
_SCLIP = single_names(shipped_names("sclip_context59"))
_EXPECTED = "5105 (by ImageSets/Main/val.txt of VOC2010) or 5104 (by the list of PASCAL in Detail)"


class PC59(PublishedSetting):
    """The 59 most frequent classes; everything else is not scored."""

    spec = DatasetSpec(
        name="PC59",
        folder="pcontext",
        images=("val/image",),
        labels="val/label",
        vocabulary=Vocabulary(_CLASSES),
        vocabularies=dict.fromkeys(("sclip", "clearclip"), Vocabulary(_SCLIP)),
        published={
            "paper 224": Published(pAcc=58.94, mAcc=57.08, fwIoU=45.28, mIoU=33.83),
            "paper 336": Published(pAcc=60.15, mAcc=57.47, fwIoU=46.64, mIoU=34.92),
        },
        images_expected=_EXPECTED,
    )


class PC60(PublishedSetting):
    """59 classes and background, which is everything else."""

    spec = DatasetSpec(
        name="PC60",
        folder="pcontext",
        images=("val/image",),
        labels="val/label",
        vocabulary=Vocabulary(_CLASSES, background=("background",)),
        vocabularies=dict.fromkeys(("sclip", "clearclip"), Vocabulary(_SCLIP, ("background",))),
        ignored_is_background=True,
        published={
            "paper 224": Published(pAcc=52.14, mAcc=56.08, fwIoU=37.61, mIoU=29.87),
            "paper 336": Published(pAcc=53.21, mAcc=56.43, fwIoU=38.76, mIoU=30.79),
        },
        images_expected=_EXPECTED,
    )


class PC459(PublishedSetting):
    """All 459 classes, 16-bit label maps."""

    spec = DatasetSpec(
        name="PC459",
        folder="pcontext_full",
        images=("val/image",),
        labels="val/label",
        vocabulary=Vocabulary(single_names(shipped_names("context459"))),
        ignore_label=65535,
        published={
            "paper 224": Published(pAcc=44.18, mAcc=21.53, fwIoU=35.22, mIoU=9.36),
            "paper 336": Published(pAcc=45.61, mAcc=21.26, fwIoU=36.66, mIoU=9.95),
        },
        images_expected=_EXPECTED,
    )
