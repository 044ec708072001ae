"""PASCAL VOC 2012 (Everingham et al., IJCV 2015) in detectron2 and mmseg layout: 1,449 validation images.

`SegmentationClassAug`, which the merged detectron2 folder may be made of, has SBD's masks; mmseg's configurations read
VOC's own `SegmentationClass`. Which a folder was made of is noted beside it by `datamodules.prepare`.
"""

from dataclasses import replace

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.spec import MMSEG, DatasetSpec, Layout, RawMaps, VoidMaps, renamed, shipped_names, shipped_synonyms

_CLASSES = single_names(shipped_names("voc20"))
_SCLIP = shipped_synonyms("sclip_voc20")
_CLEARCLIP = single_names(shipped_names("clearclip_voc20"))  # ProxyCLIP's too
_SFP = renamed(_SCLIP, "person", "people")
_SCLIP_BACKGROUND = shipped_names("sclip_background")
_RAW = RawMaps(background=0, unlabelled=255)
_OWN = "SegmentationClass"
_MMSEG = Layout(
    folders=("VOCdevkit/VOC2012", ""),
    images=("JPEGImages",),
    labels="SegmentationClass",
    list_file="ImageSets/Segmentation/val.txt",
    images_expected={1449: ""},
    label_offset=1,
    edition=_OWN,
    nearly_everywhere=0,
)

VOC20 = DatasetSpec(
    name="VOC20",
    description="20 objects; background and void are not scored. Logits are weighted by the class token's.",
    folder="VOC2012",
    images=("images_detectron2/val",),
    labels="annotations_detectron2/val",
    vocabulary=Vocabulary(_CLASSES),
    vocabularies={
        "sclip": Vocabulary(_SCLIP),
        **dict.fromkeys(("clearclip", "proxyclip"), Vocabulary(_CLEARCLIP)),
        "sfp": Vocabulary(_SFP),
    },
    class_token_weighting=True,
    images_expected={1449: ""},
    preparation="voc",
    raw=_RAW,
    layouts={MMSEG: _MMSEG},
)

# The folder merges background and void, so void is scored as background too. The background prompts are the released
# ones, with "bed" twice and "beachhill" in one word.
VOC21 = DatasetSpec(
    name="VOC21",
    description="20 objects and background; void is background too, but for protocols that leave it out.",
    folder="VOC2012",
    images=("images_detectron2/val",),
    labels="annotations_detectron2/val",
    vocabulary=Vocabulary(_CLASSES, background=shipped_names("voc21_background")),
    vocabularies={
        "plain": Vocabulary(_CLASSES, ("background",)),
        "sclip": Vocabulary(_SCLIP, _SCLIP_BACKGROUND),
        "clearclip": Vocabulary(_CLEARCLIP, ("background",)),
        "sfp": Vocabulary(_SFP, _SCLIP_BACKGROUND),
        "proxyclip": Vocabulary(_CLEARCLIP, _SCLIP_BACKGROUND),
    },
    ignored_is_background=True,
    images_expected={1449: ""},
    preparation="voc",
    raw=_RAW,
    void=VoidMaps("annotations_detectron2_void/val", "voc --keep-void", edition=_OWN),
    layouts={
        MMSEG: replace(
            _MMSEG, ignored_is_background=True, void=VoidMaps(_MMSEG.labels, "", below="background", edition=_OWN)
        )
    },
)
