"""ADE20K (Zhou et al., IJCV 2019) in detectron2 layout: 2,000 validation pictures, 150 or 847 classes."""

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.base import PublishedSetting
from datamodules.spec import DatasetSpec, Published, joined, shipped_names


class ADE150(PublishedSetting):
    """The scene-parsing benchmark's 150 classes."""

    spec = DatasetSpec(
        name="ADE150",
        folder="ADEChallengeData2016",
        images=("images/validation",),
        labels="annotations_detectron2/validation",
        vocabulary=Vocabulary(single_names(shipped_names("ade150"))),
        vocabularies=dict.fromkeys(("sclip", "clearclip"), Vocabulary(joined(shipped_names("ade150")))),
        published={
            "paper 224": Published(pAcc=38.57, mAcc=39.17, fwIoU=27.96, mIoU=16.35),
            "paper 336": Published(pAcc=39.92, mAcc=37.75, fwIoU=29.17, mIoU=17.04),
        },
        images_expected="2000",
    )


class ADEfull(PublishedSetting):
    """847 classes of the full annotation, 16-bit label maps; a name with commas ("building, edifice") is one prompt."""

    spec = DatasetSpec(
        name="ADEfull",
        folder="ADE20K_2021_17_01",
        images=("images_detectron2/validation", "images/validation"),
        labels="annotations_detectron2/validation",
        vocabulary=Vocabulary(single_names(shipped_names("ade847"))),
        ignore_label=65535,
        published={
            "paper 224": Published(pAcc=25.45, mAcc=18.78, fwIoU=18.99, mIoU=6.31),
            "paper 336": Published(pAcc=26.73, mAcc=17.99, fwIoU=20.3, mIoU=5.89),
        },
        images_expected="2000",
    )
