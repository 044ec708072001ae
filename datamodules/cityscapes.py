"""Cityscapes (Cordts et al., CVPR 2016): 500 validation pictures of streets, 19 classes."""

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.base import PublishedSetting
from datamodules.spec import DatasetSpec, joined, shipped_names


class Cityscapes(PublishedSetting):
    """The 19 evaluated classes, in the publisher's own folders; the paper has no figures for it.

    Label maps are `*_gtFine_labelTrainIds.png`, which `python -m datamodules.prepare cityscapes` makes of the archive's
    labelIds; pictures and maps lie in one folder a city.
    """

    spec = DatasetSpec(
        name="Cityscapes",
        folder="cityscapes",
        images=("leftImg8bit/val",),
        labels="gtFine/val",
        vocabulary=Vocabulary(single_names(shipped_names("cityscapes19"))),
        vocabularies=dict.fromkeys(("sclip", "clearclip"), Vocabulary(joined(shipped_names("cityscapes19")))),
        prepare_command="python -m datamodules.prepare cityscapes",
        images_expected="500",
        image_suffix="_leftImg8bit",
        label_suffix="_gtFine_labelTrainIds",
    )
