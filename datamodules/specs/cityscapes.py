"""Cityscapes (Cordts et al., CVPR 2016): 500 validation images of streets, 19 classes.

Label maps are `*_gtFine_labelTrainIds.png`, which `python -m datamodules.prepare cityscapes` makes of the archive's
labelIds, and mmseg's converter too; images and maps lie in one folder a city.
"""

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.spec import MMSEG, DatasetSpec, Layout, joined, renamed, shipped_names

_SCLIP = joined(shipped_names("cityscapes19"))

Cityscapes = DatasetSpec(
    name="Cityscapes",
    description="The 19 evaluated classes, in the publisher's folders; CLIPtrase has no scores for it.",
    folder="cityscapes",
    images=("leftImg8bit/val",),
    labels="gtFine/val",
    vocabulary=Vocabulary(single_names(shipped_names("cityscapes19"))),
    vocabularies={
        **dict.fromkeys(("sclip", "clearclip", "proxyclip"), Vocabulary(_SCLIP)),
        "sfp": Vocabulary(renamed(_SCLIP, "person", "people")),
    },
    images_expected={500: ""},
    image_suffix="_leftImg8bit",
    label_suffix="_gtFine_labelTrainIds",
    preparation="cityscapes",
    nearly_everywhere=255,  # the car's bonnet and the border of every frame are not scored
    layouts={
        MMSEG: Layout(
            folders=("cityscapes", ""),
            images=("leftImg8bit/val",),
            labels="gtFine/val",
            image_suffix="_leftImg8bit",
            label_suffix="_gtFine_labelTrainIds",
            images_expected={500: ""},
            nearly_everywhere=255,
        )
    },
)
