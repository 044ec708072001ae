"""Protocols: values out of range, labels, digests."""

from dataclasses import replace
from typing import Any

import pytest

from cliptrase.errors import InputError
from cliptrase.protocol import Protocol
from cliptrase.templates import TEMPLATES


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


def test_every_value_is_in_the_digest() -> None:
    usual = Protocol()
    others = [
        replace(usual, name="detectron2"),
        replace(usual, size=224),
        replace(usual, longest=2000),
        replace(usual, templates="vild"),
        replace(usual, eps=0.7),
        replace(usual, min_samples=3),
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
