"""Protocols: values out of range, labels, digests."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliptrase.errors import InputError
from cliptrase.protocol import Protocol
from cliptrase.templates import TEMPLATES

WINDOWS: dict[str, Any] = {"name": "sclip", "window": 224, "stride": 112, "logit_scale": 40}


@pytest.mark.parametrize("key", ["size", "longest", "eps", "min_samples"])
@pytest.mark.parametrize("value", [0, -1])
def test_values_out_of_range(key: str, value: int) -> None:
    with pytest.raises(InputError, match=f"protocol.{key} must be greater than 0, not {value}"):
        Protocol(**{key: value})  # type: ignore[arg-type]


def test_labels_are_short_for_what_was_published() -> None:
    assert Protocol().label == "paper 336"
    assert Protocol(size=224, eps=0.7, min_samples=3).label == "paper 224"
    assert Protocol("detectron2", size=640, templates="vild").label == "detectron2"


@pytest.mark.parametrize(
    ("change", "words"), [({"eps": 0.9}, "eps 0.9"), ({"min_samples": 3}, "min_samples 3"), ({"size": 448}, "448")]
)
def test_labels_say_what_is_not(change: dict[str, Any], words: str) -> None:
    label = replace(Protocol(), **change).label
    assert words in label
    assert label != Protocol().label


def test_configs_hold_the_published_values() -> None:
    """A label without further words says so; `size` and `name` alone would leave other values out."""
    for name in ("paper_224", "paper_336", "detectron2", "sclip", "clearclip"):
        values = yaml.safe_load(Path(f"configs/{name}.yaml").read_text())["protocol"]
        assert Protocol(**values).label == name.replace("_", " ")


def test_windows_have_values_for_settings() -> None:
    values = yaml.safe_load(Path("configs/sclip.yaml").read_text())["protocol"]
    protocol = Protocol(**values)
    assert (protocol.of("VOC21").logit_scale, protocol.of("VOC21").min_area) == (65, 0.1)
    assert protocol.of("COCO171").size == 448
    assert protocol.of("PC59") == replace(protocol, own={})
    assert replace(protocol, own={}).label == "sclip, no values for settings"
    assert replace(protocol, vocabulary="plain").label == "sclip, vocabulary plain"
    assert replace(protocol, own={}).digest != protocol.digest
    assert replace(protocol, logit_scale=40.0).digest == protocol.digest


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"window": 224}, "protocol.window is for the protocols sclip and clearclip, not paper; leave it out"),
        ({"min_area": 0.1}, "protocol.min_area is for the protocols sclip and clearclip"),
        (
            {"name": "sclip", "window": 224, "stride": 112},
            "protocol.logit_scale must be greater than 0, not 0; configs/sclip.yaml has one that works",
        ),
        ({**WINDOWS, "stride": 225}, "protocol.stride 225 leaves gaps between windows of 224 pixels; take 224 or less"),
        ({**WINDOWS, "background_threshold": 1}, r"protocol.background_threshold is a share in \[0, 1\), not 1"),
        ({**WINDOWS, "own": {"VOC21": {"scale": 1}}}, "protocol.own.VOC21 sets 'scale'; it may set size, window, "),
        ({**WINDOWS, "own": {"VOC21": {"size": 33.5}}}, "protocol.own.VOC21.size must be a whole number, not 33.5"),
        ({**WINDOWS, "own": {"VOC21": {"stride": 300}}}, "protocol.stride 300 leaves gaps"),
    ],
)
def test_windows_out_of_range(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Protocol(**values)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["eps", "logit_scale", "background_threshold", "min_area"])
def test_numbers_that_are_none(key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"protocol.{key} .*, not {value}"):
        Protocol(**{**WINDOWS, key: value})
    with pytest.raises(InputError, match=f"protocol.{key} .*, not {value}"):
        Protocol(**WINDOWS, own={"VOC21": {key: value}})


@pytest.mark.parametrize("size", [64, 336])
def test_labels_tell_protocols_apart(size: int) -> None:
    """At sizes that nobody has published too."""
    usual = Protocol(**WINDOWS, size=size)
    changes: list[dict[str, Any]] = [
        *({"window": 96, "stride": 48}, {"stride": 56}, {"logit_scale": 10}, {"background_threshold": 0.3}),
        *({"min_area": 0.2}, {"vocabulary": "plain"}, {"own": {"PC59": {"logit_scale": 3}}}, {"longest": 1000}),
        *({"eps": 0.3}, {"min_samples": 9}, {"templates": "vild"}),
    ]
    labels = {replace(usual, **change).label for change in changes} | {usual.label}
    assert len(labels) == len(changes) + 1
    assert Protocol(size=448, vocabulary="plain").label != Protocol(size=448).label


def test_scores_by_protocol() -> None:
    assert Protocol().scoring == Protocol("photos").scoring == "released"
    assert Protocol("detectron2").scoring == "textbook"
    assert Protocol(**WINDOWS).scoring == "mmseg"


def test_every_value_is_in_the_digest() -> None:
    usual = Protocol()
    others = [
        replace(usual, name="detectron2"),
        replace(usual, size=224),
        replace(usual, longest=2000),
        replace(usual, templates="vild"),
        replace(usual, eps=0.7),
        replace(usual, min_samples=3),
        replace(usual, vocabulary="plain"),
    ]
    assert len({protocol.digest for protocol in (usual, *others)}) == len(others) + 1
    assert Protocol().digest == usual.digest


def test_templates() -> None:
    """80 of ImageNet in CLIP's order, the 14 of ViLD; each has one place for the name."""
    assert {name: len(templates) for name, templates in TEMPLATES.items()} == {"imagenet": 80, "vild": 14}
    for templates in TEMPLATES.values():
        assert all(template.count("{}") == 1 for template in templates)
        assert len(set(templates)) == len(templates)
    assert TEMPLATES["imagenet"][0] == "a bad photo of a {}."
    assert TEMPLATES["imagenet"][-1] == "a tattoo of the {}."
