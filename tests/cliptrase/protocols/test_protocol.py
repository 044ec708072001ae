"""A protocol's values: what each may be, what cannot be together, labels, digests."""

import re
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliptrase.clip.templates import TEMPLATES
from cliptrase.common.errors import InputError
from cliptrase.protocols.protocol import FIELDS, EvaluationProtocol
from cliptrase.protocols.table import PROTOCOLS, get_protocol
from datamodules.specs import BENCHMARKS, DATASETS

SCLIP = PROTOCOLS["sclip"]


@pytest.mark.parametrize("key", ["size", "eps", "min_samples", "version"])
@pytest.mark.parametrize("value", [0, -1])
def test_values_out_of_range(key: str, value: int) -> None:
    with pytest.raises(InputError, match=f"protocol.{key} must be greater than 0, not {value}"):
        get_protocol(**{key: value})  # type: ignore[arg-type]


def test_labels_are_short_for_what_was_published() -> None:
    assert get_protocol().label == "paper 336"
    assert get_protocol(size=224, eps=0.7, min_samples=3).label == "paper 224"
    assert get_protocol("detectron2", size=640, templates="vild").label == "detectron2"


@pytest.mark.parametrize(
    ("change", "words"), [({"eps": 0.9}, "eps 0.9"), ({"min_samples": 3}, "min_samples 3"), ({"size": 448}, "448")]
)
def test_labels_say_what_is_not(change: dict[str, Any], words: str) -> None:
    label = replace(get_protocol(), **change).label
    assert words in label
    assert label != get_protocol().label


def test_where_protocols_agree() -> None:
    """By their values for a setting; a changed value ends it, and so does another geometry under equal values."""
    sclip, naclip = get_protocol("sclip"), get_protocol("naclip")
    agreed = {setting for setting in DATASETS if naclip.agrees_on(setting, sclip)}
    assert agreed >= {"PC59", "Cityscapes", "ADE150"}
    assert not agreed & {"VOC20", "VOC21", "PC60", "COCOObject", "COCO171"}
    assert not naclip.agrees_on("PC59", replace(sclip, stride=56))
    assert not naclip.agrees_on("PC59", get_protocol("clearclip"))
    assert not get_protocol("paper").agrees_on("PC59", get_protocol("whole"))
    scclip = get_protocol("scclip")
    eight = BENCHMARKS["sclip"]
    assert {setting for setting in eight if scclip.agrees_on(setting, sclip)} == agreed & {*eight} | {"VOC20"}
    assert {setting for setting in eight if scclip.agrees_on(setting, naclip)} == agreed & {*eight} | {"COCO171"}
    assert replace(sclip, name="another", base=None).agrees_on("VOC21", sclip)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": ["paper"]}, "protocol.name must be a text in one line, not ['paper']"),
        ({"name": ""}, "protocol.name must be a text in one line, not ''"),
        ({"templates": "x"}, "protocol.templates must be one of imagenet, vild, not 'x'"),
        (
            {"templates": "Imagenet"},
            "protocol.templates must be one of imagenet, vild, not 'Imagenet'; did you mean imagenet?",
        ),
        (
            {"vocabulary": "y"},
            "protocol.vocabulary must be one of released, plain, sclip, clearclip, sfp, proxyclip, not 'y'",
        ),
        ({"scoring": "textbook"}, "protocol.scoring must be one of released, detectron2, mmseg, not 'textbook'"),
        ({"unit_features": 1}, "protocol.unit_features must be true or false, not 1"),
        ({"size": 100.5}, "protocol.size must be a whole number, not 100.5"),
        ({"size": True}, "protocol.size must be a whole number or 'own', not True"),
        ({"size": "336"}, "protocol.size must be a whole number or 'own', not '336'"),
        ({"size": 2**31}, "protocol.size must be at most 16384, not 2147483648"),
        ({"size": "large"}, "protocol.size must be a whole number or 'own', not 'large'"),
        ({"longest": 2**31}, "protocol.longest must be at most 16384, not 2147483648"),
        ({"longest": -1}, "protocol.longest must be 0 or more, not -1"),
        ({"eps": 1e300}, "protocol.eps must be at most 1e+06, not 1e+300"),
        ({"eps": [1]}, "protocol.eps must be a number, not [1]"),
        ({"overrides": "x"}, "protocol.overrides must name values by setting, like {'VOC21': {'logit_scale': 65}}"),
        ({"overrides": {"VOC21": 3}}, "protocol.overrides must name values by setting"),
        (
            {"overrides": {"VOC21": {"size": True}}},
            "protocol.overrides.VOC21.size must be a whole number or 'own', not True",
        ),
        ({"overrides": {"VOC21": {"size": 33.5}}}, "protocol.overrides.VOC21.size must be a whole number, not 33.5"),
        (
            {"overrides": {"VOC21": {"scale": 1}}},
            "protocol.overrides.VOC21 has no field 'scale'; it has size, window, ",
        ),
        ({"overrides": {"VOC21": {"strides": 1}}}, "has no field 'strides'; did you mean stride?"),
        ({"overrides": {3: {"size": 1}}}, "a name in protocol.overrides must be a text in one line, not 3"),
        ({"window": -5}, "protocol.window must be 0 or more, not -5"),
        ({"window": "images"}, "protocol.window must be a whole number or 'image', not 'images'"),
        ({"background_threshold": 1}, "protocol.background_threshold is a share in [0, 1), not 1"),
    ],
)
def test_wrong_values_are_refused_when_made(values: dict[str, Any], words: str) -> None:
    """In one sentence that knows nothing of the command line."""
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        get_protocol("sclip", **values)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "values", "words"),
    [
        (
            "paper",
            {"size": "own"},
            "protocol.size own cannot be with view centre_crop, which cuts out a square; take a n",
        ),
        ("whole", {"size": "own", "fit": "exact"}, "protocol.size own cannot be with fit exact, for images are seldom"),
        ("paper", {"longest": 1344}, "protocol.longest 1344 is for view whole_image, a centre crop has no longer side"),
        ("paper", {"view": "whole_image"}, "protocol.fit exact is for view centre_crop"),
        ("paper", {"label_area": "canvas"}, "label_area canvas is for padded images, and protocol.fit exact pads none"),
        ("paper", {"window": 224}, "protocol.stride must be greater than 0 for windows, not 0"),
        ("paper", {"stride": 112}, "protocol.stride 112 is for windows, and protocol.window is 0; take 0, or give "),
        ("paper", {"window": 224, "stride": 112}, "protocol.fit exact cannot be with windows"),
        ("paper", {"min_area": 0.1}, "protocol.min_area 0.1 is for decision softmax, not argmax; take 0"),
        ("whole", {"decision": "softmax", "logit_scale": 40}, "protocol.decision softmax needs windows; take "),
        ("sclip", {"vote": "majority"}, "protocol.vote majority cannot be with windows, whose logits are averaged"),
        ("sclip", {"class_token_weight": "pixels"}, "protocol.class_token_weight pixels cannot be with windows"),
        ("sclip", {"fit": "pad"}, "protocol.fit pad cannot be with windows"),
        ("sclip", {"logit_scale": 0}, "protocol.logit_scale must be greater than 0 under decision softmax, not 0"),
        ("sclip", {"decision": "argmax"}, "protocol.logit_scale 40 is for decision softmax, not argmax; take 0"),
        ("sclip", {"stride": 0}, "protocol.stride must be greater than 0 for windows, not 0"),
        ("sclip", {"stride": 225}, "protocol.stride 225 leaves gaps between windows of 224 pixels; take 224 or less"),
        ("sclip", {"window": "image"}, "protocol.stride 112 is for several windows, and protocol.window image is one"),
        ("sclip", {"overrides": {"VOC21": {"stride": 300}}}, "protocol.stride 300 leaves gaps"),
    ],
)
def test_what_cannot_be_together_is_refused(row: str, values: dict[str, Any], words: str) -> None:
    """And never treated as something else in silence."""
    with pytest.raises(InputError, match=re.escape(words)):
        get_protocol(row, **values)


_ANYTHING = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.sampled_from(sorted(PROTOCOLS)), st.dictionaries(st.sampled_from(list(FIELDS)), _ANYTHING))
def test_anything_is_taken_or_refused(row: str, values: dict[str, Any]) -> None:
    """What is taken has the types and the ranges that the docstring gives."""
    try:
        protocol = get_protocol(row, **values)
    except InputError:
        return
    assert all(type(getattr(protocol, key)) is int for key in ("longest", "min_samples", "stride", "version"))
    assert type(protocol.window) is int or protocol.window == "image"
    assert type(protocol.size) is int or (protocol.size == "own" and protocol.view == "whole_image")
    assert all(0 < value <= 16384 for value in (protocol.size, protocol.min_samples) if value != "own")
    assert 0 < protocol.eps <= 1e6
    assert 0 <= protocol.background_threshold < 1
    assert protocol.label
    assert protocol.digest


def test_windows_have_values_for_settings() -> None:
    assert (SCLIP.on("VOC21").logit_scale, SCLIP.on("VOC21").min_area) == (65, 0.1)
    assert SCLIP.on("COCO171").size == 448
    assert SCLIP.on("PC59") == replace(SCLIP, overrides={})
    assert replace(SCLIP, overrides={}).label == "sclip, no values for settings"
    assert replace(SCLIP, vocabulary="plain").label == "sclip, vocabulary plain"
    assert replace(SCLIP, overrides={}).digest != SCLIP.digest
    assert replace(SCLIP, logit_scale=40).digest == SCLIP.digest


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["eps", "logit_scale", "background_threshold", "min_area"])
def test_numbers_that_are_none(key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"protocol.{key} .*, not {value}"):
        get_protocol("sclip", **{key: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"protocol.overrides.VOC21.{key} .*, not {value}"):
        get_protocol("sclip", overrides={"VOC21": {key: value}})


@pytest.mark.parametrize("size", [64, 336])
def test_labels_tell_protocols_apart(size: int) -> None:
    """At sizes that nobody has published too."""
    usual = get_protocol("sclip", size=size)
    changes: list[dict[str, Any]] = [
        *({"window": 96, "stride": 48}, {"stride": 56}, {"logit_scale": 10}, {"background_threshold": 0.3}),
        *({"min_area": 0.2}, {"vocabulary": "plain"}, {"overrides": {"PC59": {"logit_scale": 3}}}, {"longest": 1000}),
        *({"eps": 0.3}, {"min_samples": 9}, {"templates": "vild"}, {"unit_features": False}, {"void": "background"}),
        *({"interpolation": "bicubic"}, {"normalisation": "clip"}, {"scoring": "released"}, {"version": 2}),
    ]
    labels = {replace(usual, **change).label for change in changes} | {usual.label}
    assert len(labels) == len(changes) + 1
    assert get_protocol(size=448, vocabulary="plain").label != get_protocol(size=448).label


def test_every_value_is_in_the_digest() -> None:
    """Each field has another value than its row's that can be, alone or with the fields that belong to it."""
    others: dict[str, tuple[str, dict[str, Any]]] = {
        "name": ("paper", {"name": "mine"}),
        "version": ("paper", {"version": 2}),
        "size": ("paper", {"size": 224}),
        "view": ("sclip", {"view": "centre_crop", "longest": 0}),
        "longest": ("whole", {"longest": 2000}),
        "interpolation": ("paper", {"interpolation": "opencv"}),
        "normalisation": ("paper", {"normalisation": "mmseg"}),
        "fit": ("whole", {"fit": "trim"}),
        "label_area": ("whole", {"label_area": "canvas"}),
        "window": ("sclip", {"window": 200}),
        "stride": ("sclip", {"stride": 100}),
        "unit_features": ("paper", {"unit_features": False}),
        "class_token_weight": ("paper", {"class_token_weight": "none"}),
        "decision": (
            "sclip",
            {"decision": "argmax", "logit_scale": 0, "background_threshold": 0, "min_area": 0, "overrides": {}},
        ),
        "logit_scale": ("sclip", {"logit_scale": 3}),
        "min_area": ("sclip", {"min_area": 0.3}),
        "background_threshold": ("sclip", {"background_threshold": 0.3}),
        "eps": ("paper", {"eps": 0.7}),
        "min_samples": ("paper", {"min_samples": 3}),
        "vote": ("paper", {"vote": "mean"}),
        "templates": ("paper", {"templates": "vild"}),
        "vocabulary": ("paper", {"vocabulary": "plain"}),
        "void": ("paper", {"void": "ignored"}),
        "scoring": ("paper", {"scoring": "mmseg"}),
        "overrides": ("paper", {"overrides": {"PC59": {"size": 224}}}),
    }
    assert others.keys() == FIELDS.keys()
    for row, change in others.values():
        assert get_protocol(row, **change).digest != get_protocol(row).digest
    assert get_protocol().digest == get_protocol("paper_336").digest


def test_values_hold_every_field() -> None:
    names = {row.name for row in fields(EvaluationProtocol)} - {"base"}
    assert SCLIP.values().keys() == FIELDS.keys() == names
    assert EvaluationProtocol(**SCLIP.values()) == SCLIP


def test_templates() -> None:
    """80 of ImageNet in CLIP's order, the 14 of ViLD; each has one place for the name."""
    assert {name: len(templates) for name, templates in TEMPLATES.items()} == {"imagenet": 80, "vild": 14}
    for templates in TEMPLATES.values():
        assert all(template.count("{}") == 1 for template in templates)
        assert len(set(templates)) == len(templates)
    assert TEMPLATES["imagenet"][0] == "a bad photo of a {}."
    assert TEMPLATES["imagenet"][-1] == "a tattoo of the {}."
