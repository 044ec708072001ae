"""PASCAL-Context (Mottaghi et al., CVPR 2014) in detectron2 and mmseg layout.

5,104 or 5,105 validation images, by list. The masks of the publisher's .mat files and those of PASCAL in Detail, which
mmseg's converter reads, differ: three systems score about 1.5 points of mIoU more on the former
(open-mmlab/mmsegmentation#474).
"""

from dataclasses import replace

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.spec import MMSEG, DatasetSpec, Layout, RawMaps, shipped_names

_CLASSES = single_names(shipped_names("context59"))
_SCLIP = single_names(shipped_names("sclip_context59"))
# ClearCLIP, SFP and ProxyCLIP took SCLIP's lists as they are.
_AS_SCLIP = ("sclip", "clearclip", "sfp", "proxyclip")
_EXPECTED = {5105: "ImageSets/Main/val.txt of VOC2010", 5104: "the list of PASCAL in Detail"}
_RAW = RawMaps(unlabelled=0)
_MAT = ".mat files"
_MMSEG = Layout(
    folders=("VOCdevkit/VOC2010", ""),
    images=("JPEGImages",),
    labels="SegmentationClassContext",
    list_file="ImageSets/SegmentationContext/val.txt",
    images_expected={5104: "the list of PASCAL in Detail"},
    label_offset=1,
    edition="PASCAL in Detail",
    nowhere=255,
)

PC59 = DatasetSpec(
    name="PC59",
    description="The 59 most frequent classes; everything else is not scored.",
    folder="pcontext",
    images=("val/image",),
    labels="val/label",
    vocabulary=Vocabulary(_CLASSES),
    vocabularies=dict.fromkeys(_AS_SCLIP, Vocabulary(_SCLIP)),
    images_expected=_EXPECTED,
    preparation="pcontext",
    raw=_RAW,
    edition=_MAT,
    layouts={MMSEG: _MMSEG},
)

PC60 = DatasetSpec(
    name="PC60",
    description="59 classes and background, which is everything else.",
    folder="pcontext",
    images=("val/image",),
    labels="val/label",
    vocabulary=Vocabulary(_CLASSES, background=("background",)),
    vocabularies=dict.fromkeys(_AS_SCLIP, Vocabulary(_SCLIP, ("background",))),
    ignored_is_background=True,
    images_expected=_EXPECTED,
    preparation="pcontext",
    raw=_RAW,
    edition=_MAT,
    layouts={MMSEG: replace(_MMSEG, below="rest")},
)

PC459 = DatasetSpec(
    name="PC459",
    description="All 459 classes, 16-bit label maps.",
    folder="pcontext_full",
    images=("val/image",),
    labels="val/label",
    vocabulary=Vocabulary(single_names(shipped_names("context459"))),
    ignore_label=65535,
    images_expected=_EXPECTED,
    preparation="pcontext",
    raw=_RAW,
)
