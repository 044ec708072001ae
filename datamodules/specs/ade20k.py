"""ADE20K (Zhou et al., IJCV 2019) in detectron2 layout, and with 150 classes in mmseg's: 2,000 images."""

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.spec import MMSEG, DatasetSpec, Layout, RawMaps, joined, shipped_names

# ClearCLIP, SFP and ProxyCLIP took SCLIP's list as it is.
_SCLIP = Vocabulary(joined(shipped_names("ade150")))

ADE150 = DatasetSpec(
    name="ADE150",
    description="The scene-parsing benchmark's 150 classes.",
    folder="ADEChallengeData2016",
    images=("images/validation",),
    labels="annotations_detectron2/validation",
    vocabulary=Vocabulary(single_names(shipped_names("ade150"))),
    vocabularies=dict.fromkeys(("sclip", "clearclip", "sfp", "proxyclip"), _SCLIP),
    images_expected={2000: ""},
    preparation="ade150",
    raw=RawMaps(unlabelled=0),
    layouts={
        MMSEG: Layout(
            folders=("ADEChallengeData2016", ""),
            images=("images/validation",),
            labels="annotations/validation",
            images_expected={2000: ""},
            label_offset=1,
            nowhere=255,
        )
    },
)

# A name with commas ("building, edifice") is one prompt.
ADEfull = DatasetSpec(
    name="ADEfull",
    description="847 classes of the full annotation, 16-bit label maps.",
    folder="ADE20K_2021_17_01",
    images=("images_detectron2/validation", "images/validation"),
    labels="annotations_detectron2/validation",
    vocabulary=Vocabulary(single_names(shipped_names("ade847"))),
    ignore_label=65535,
    images_expected={2000: ""},
    preparation="adefull",
)
