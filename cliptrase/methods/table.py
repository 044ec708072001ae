"""The methods that there are, a row each."""

from collections.abc import Mapping
from types import MappingProxyType

from cliptrase.methods.options import MethodOption
from cliptrase.methods.record import Method, Part
from cliptrase.protocols.values import Number, Share, Whole

# Of SC-CLIP and SFP. The weight for 24 blocks is what SC-CLIP's author names (SuleBai/SC-CLIP, issue 5).
_SIMILARITY = (
    MethodOption("similarity", 0.4, Share(), "cosine from which two patches are similar"),
    MethodOption("scale", 3, Number(1e6), "factor of similarity less its mean, before the softmax"),
    MethodOption(
        "class_weight",
        0.3,
        Number(1e6, zero=True),
        "weight of the class token, added to every patch",
        by_blocks={24: 0.1},
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("vanilla", "CLIP, Radford et al., ICML 2021", "cliptrase.readings.last_blocks:vanilla"),
            Method(
                "maskclip", "MaskCLIP, Zhou et al., ECCV 2022", "cliptrase.readings.last_blocks:maskclip", "bicubic"
            ),
            Method(
                "cliptrase",
                "CLIPtrase, Shao et al., ECCV 2024",
                "cliptrase.readings.last_blocks:cliptrase",
                regions=True,
            ),
            Method("sclip", "SCLIP, Wang et al., ECCV 2024", "cliptrase.readings.last_blocks:sclip"),
            Method("clearclip", "ClearCLIP, Lan et al., ECCV 2024", "cliptrase.readings.last_blocks:clearclip"),
            Method("naclip", "NACLIP, Hajimiri et al., WACV 2025", "cliptrase.readings.last_blocks:naclip"),
            Method(
                "clip_surgery",
                "CLIP Surgery, Li et al., 2023",
                "cliptrase.readings.last_blocks:clip_surgery",
                "bilinear",
            ),
            Method("gem", "GEM, Bousselham et al., CVPR 2024", "cliptrase.readings.last_blocks:gem", "antialias"),
            Method(
                "proxyclip",
                "ProxyCLIP, Lan et al., ECCV 2024",
                "cliptrase.readings.proxyclip:proxyclip",
                options=(
                    MethodOption("beta", 1.2, Number(1e6, zero=True), "share of the mean similarity taken off"),
                    MethodOption("gamma", 3, Number(1e6), "factor of the similarity that is left"),
                ),
            ),
            Method(
                "pearl",
                "PEARL, Pei et al., CVPR 2026",
                "cliptrase.readings.pearl:pearl",
                options=(
                    MethodOption(
                        "alpha",
                        0.08,
                        Number(1e6, zero=True),
                        "weight of the keys' own similarity",
                        by_dataset={"Cityscapes": 0.3, "ADE150": 0.3},
                    ),
                ),
            ),
            Method(
                "scclip",
                "SC-CLIP, Bai et al., 2024",
                "cliptrase.readings.scclip:scclip",
                options=(
                    MethodOption(
                        "neighbours", 30, Whole(10000), "nearest patches that tell whether a patch is an outlier"
                    ),
                    MethodOption("quantile", 0.95, Share(), "share of an image's patches that are no outliers"),
                    *_SIMILARITY,
                ),
            ),
            Method(
                "sfp",
                "SFP, Jin et al., ICCV 2025",
                "cliptrase.readings.sfp:sfp",
                options=(
                    MethodOption(
                        "factor",
                        1.5,
                        Number(1e6),
                        "factor of the class token's attention where it is compared with a patch's own",
                    ),
                    MethodOption("outliers", 10, Whole(10000, zero=True), "most outliers of an image"),
                    *_SIMILARITY,
                ),
            ),
            Method(
                "resclip",
                "ResCLIP, Yang et al., CVPR 2025",
                "cliptrase.readings.resclip:resclip",
                options=(
                    MethodOption("tau_r", 2, Number(1e6), "what each row of mixed attention sums to"),
                    MethodOption(
                        "lambda_r",
                        0.4,
                        Number(1, zero=True),
                        "share of earlier blocks' attention",
                        by_dataset={"VOC21": 0.3, "PC60": 0.3, "VOC20": 0.6, "Cityscapes": 0.2, "ADE150": 0.3},
                    ),
                    MethodOption(
                        "tau_s",
                        1.8,
                        Number(1e6),
                        "factor of the second pass's logits",
                        by_dataset={"VOC21": 2.2, "VOC20": 2.1, "Cityscapes": 2.1, "ADE150": 2.1},
                    ),
                    MethodOption(
                        "lambda_s",
                        0.7,
                        Number(1, zero=True),
                        "share of likeness by name in them",
                        by_dataset={"VOC20": 0.6, "Cityscapes": 0.6},
                    ),
                    MethodOption(
                        "temp_thd",
                        0.25,
                        Number(1, zero=True),
                        "first-pass probability under which a pixel bears name 0",
                        by_dataset={"VOC21": 0.5, "PC60": 0.3}
                        | dict.fromkeys(("COCOObject", "COCO171"), 0.11)
                        | dict.fromkeys(("VOC20", "Cityscapes"), 0.1),
                    ),
                ),
                parts=(
                    Part(
                        "sfr",
                        "its second pass, by likeness of patches",
                        "cliptrase.readings.resclip:resclip_rcs",
                        ("tau_s", "lambda_s", "temp_thd"),
                    ),
                ),
            ),
        )
    }
)
