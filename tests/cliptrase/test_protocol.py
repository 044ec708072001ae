"""Protocols: values out of range, labels, digests."""

import re
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cliptrase.clip.templates import TEMPLATES
from cliptrase.errors import InputError
from cliptrase.protocol import EvaluationProtocol, ProtocolName
from cliptrase.protocols import get_protocol
from datamodules.specs import DATASETS

WINDOWS: dict[str, Any] = {"name": "sclip", "window": 224, "stride": 112, "logit_scale": 40}


@pytest.mark.parametrize("key", ["size", "longest", "eps", "min_samples"])
@pytest.mark.parametrize("value", [0, -1])
def test_values_out_of_range(key: str, value: int) -> None:
    with pytest.raises(InputError, match=f"protocol.{key} must be greater than 0, not {value}"):
        EvaluationProtocol(**{key: value})  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    "name", ["paper_224", "paper_336", "detectron2", "whole", "photos", "sclip", "naclip", "clearclip"]
)
def test_configs_name_the_published_values(name: str) -> None:
    """A label without further words says that nothing is changed."""
    values = yaml.safe_load(Path(f"configs/{name}.yaml").read_text())["protocol"]
    assert EvaluationProtocol(**values).label == name.replace("_", " ")
    assert values.keys() <= {"name", "size"}


@pytest.mark.parametrize("name", get_args(ProtocolName))
def test_a_name_stands_for_all_its_values(name: ProtocolName) -> None:
    published = get_protocol(name)
    assert published.label == {"paper": "paper 336"}.get(name, name)
    assert EvaluationProtocol(**asdict(published)) == published
    other = get_protocol(name, size=published.size + 64)
    assert replace(other, size=published.size) == published  # nothing but the size is another
    assert other.label.startswith(f"{name} {other.size}, eps {published.eps:g}, min_samples {published.min_samples}, ")


def test_values_of_names() -> None:
    """Facts of the papers and their configurations, written here once more."""
    sclip, naclip, clearclip = get_protocol("sclip"), get_protocol("naclip"), get_protocol("clearclip")
    assert (sclip.size, sclip.window, sclip.stride, sclip.logit_scale, sclip.background_threshold) == (
        *(336, 224, 112, 40, 0.1),
    )
    assert (get_protocol("paper", size=224).eps, get_protocol("paper", size=224).min_samples) == (0.7, 3)
    assert (get_protocol("paper").size, get_protocol("paper").eps, get_protocol("paper").min_samples) == (336, 1.1, 7)
    assert get_protocol("paper", size=240).eps == 0.7  # of the nearest published size
    assert get_protocol("paper", size=448).eps == 1.1
    assert (clearclip.size, clearclip.window, clearclip.on("Cityscapes").window) == (448, 448, 224)
    assert {name: naclip.on(name).window for name in ("VOC20", "VOC21", "PC60", "COCO171")} == {
        **dict.fromkeys(("VOC20", "VOC21"), 0),
        **dict.fromkeys(("PC60", "COCO171"), 224),
    }
    for setting in DATASETS:
        own = naclip.on(setting)
        assert (own.logit_scale, own.min_area, own.background_threshold, own.vocabulary) == (40, 0, 0.1, "sclip")
        assert own.size == (560 if setting == "Cityscapes" else 336)


def test_where_protocols_agree() -> None:
    """By their values for a setting; a changed value ends it, and so does another geometry under equal values."""
    sclip, naclip = get_protocol("sclip"), get_protocol("naclip")
    agreed = {setting for setting in DATASETS if naclip.agrees_on(setting, sclip)}
    assert agreed >= {"PC59", "Cityscapes", "ADE150"}
    assert not agreed & {"VOC20", "VOC21", "PC60", "COCOObject", "COCO171"}
    assert not naclip.agrees_on("PC59", replace(sclip, stride=56))
    assert not naclip.agrees_on("PC59", get_protocol("clearclip"))
    assert not get_protocol("paper", longest=1344).agrees_on("PC59", get_protocol("whole"))


def test_notes() -> None:
    """Thresholds chosen for one method, regions that no paper measured; nothing where neither is in the run."""
    clearclip = get_protocol("clearclip")
    (sentence,) = clearclip.notes(["clearclip", "naclip", "vanilla"], ["VOC20", "VOC21", "PC60"])
    assert sentence == (
        "The background thresholds of clearclip (VOC21 0.5, PC60 0.15) were chosen for ClearCLIP, whose author names "
        "0.2 for plain CLIP: they may cost naclip, vanilla points."
    )
    assert clearclip.notes(["clearclip"], ["VOC21"]) == clearclip.notes(["naclip"], ["VOC20", "ADE150"]) == []
    assert replace(clearclip, overrides={"VOC21": {"background_threshold": 0.2}}).notes(["naclip"], ["VOC21"]) == []
    for name in ("sclip", "naclip"):
        (sentence,) = get_protocol(name).notes(["naclip", "vanilla+regions", "cliptrase"], ["VOC20"])
        assert sentence == (
            f"No paper has measured regions under {name}: eps and min_samples of vanilla+regions, cliptrase are this "
            "project's."
        )
        assert get_protocol(name).notes(["naclip", "cliptrase-regions"], ["VOC20", "VOC21"]) == []
    assert get_protocol("paper").notes(["cliptrase", "vanilla"], ["VOC21"]) == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"name": "foo"},
            "protocol.name must be one of paper, detectron2, whole, photos, sclip, naclip, clearclip, not 'foo'",
        ),
        ({"name": ["paper"]}, "protocol.name must be one of .*, not ['paper']"),
        ({"templates": "x"}, "protocol.templates must be one of imagenet, vild, not 'x'"),
        ({"vocabulary": "y"}, "protocol.vocabulary must be one of released, plain, sclip, clearclip, not 'y'"),
        ({"size": 100.5}, "protocol.size must be a whole number, not 100.5"),
        ({"size": True}, "protocol.size must be a whole number, not True"),
        ({"size": "336"}, "protocol.size must be a whole number, not '336'"),
        ({"size": 2**31}, "protocol.size must be at most 16384, not 2147483648"),
        ({"longest": 2**31}, "protocol.longest must be at most 16384, not 2147483648"),
        ({"eps": 1e300}, "protocol.eps must be at most 1e+06, not 1e+300"),
        ({"eps": [1]}, "protocol.eps must be a number, not [1]"),
        (
            {"name": "sclip", "overrides": "x"},
            "protocol.overrides must name values by setting, like {'VOC21': {'logit_scale': 65}}",
        ),
        ({"name": "sclip", "overrides": {"VOC21": 3}}, "protocol.overrides must name values by setting"),
        (
            {"name": "sclip", "overrides": {"VOC21": {"size": True}}},
            "protocol.overrides.VOC21.size must be a whole number, not True",
        ),
        ({"name": "sclip", "window": -5}, "protocol.window must be 0 or more, not -5"),
        ({"name": "sclip", "stride": 0}, "protocol.stride must be greater than 0, not 0"),
    ],
)
def test_wrong_values_are_refused_when_made(values: dict[str, Any], words: str) -> None:
    """In one sentence that knows nothing of the command line."""
    with pytest.raises(InputError, match=re.escape(words).replace(r"\.\*", ".*")) as caught:
        EvaluationProtocol(**values)
    assert "--" not in str(caught.value)


_ANYTHING = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.dictionaries(st.sampled_from([key.name for key in fields(EvaluationProtocol)]), _ANYTHING))
def test_anything_is_taken_or_refused(values: dict[str, Any]) -> None:
    """What is taken has the types and the ranges that the docstring gives."""
    try:
        protocol = EvaluationProtocol(**values)
    except InputError:
        return
    assert all(type(getattr(protocol, key)) is int for key in ("size", "longest", "min_samples", "window", "stride"))
    assert all(0 < value <= 16384 for value in (protocol.size, protocol.longest, protocol.min_samples))
    assert 0 < protocol.eps <= 1e6
    assert 0 <= protocol.background_threshold < 1
    assert protocol.label
    assert protocol.digest


def test_windows_have_values_for_settings() -> None:
    protocol = get_protocol("sclip")
    assert (protocol.on("VOC21").logit_scale, protocol.on("VOC21").min_area) == (65, 0.1)
    assert protocol.on("COCO171").size == 448
    assert protocol.on("PC59") == replace(protocol, overrides={})
    assert replace(protocol, overrides={}).label == "sclip, no values for settings"
    assert replace(protocol, vocabulary="plain").label == "sclip, vocabulary plain"
    assert replace(protocol, overrides={}).digest != protocol.digest
    assert replace(protocol, logit_scale=40.0).digest == protocol.digest


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"window": 224}, "protocol.window is for the protocols sclip, naclip and clearclip, not paper; leave it out"),
        ({"min_area": 0.1}, "protocol.min_area is for the protocols sclip, naclip and clearclip"),
        ({"name": "sclip", "logit_scale": 0}, "protocol.logit_scale must be greater than 0, not 0"),
        ({**WINDOWS, "stride": 225}, "protocol.stride 225 leaves gaps between windows of 224 pixels; take 224 or less"),
        ({**WINDOWS, "background_threshold": 1}, r"protocol.background_threshold is a share in \[0, 1\), not 1"),
        (
            {**WINDOWS, "overrides": {"VOC21": {"scale": 1}}},
            "protocol.overrides.VOC21 sets 'scale'; it may set size, window, ",
        ),
        (
            {**WINDOWS, "overrides": {"VOC21": {"size": 33.5}}},
            "protocol.overrides.VOC21.size must be a whole number, not 33.5",
        ),
        ({**WINDOWS, "overrides": {"VOC21": {"stride": 300}}}, "protocol.stride 300 leaves gaps"),
    ],
)
def test_windows_out_of_range(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        EvaluationProtocol(**values)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["eps", "logit_scale", "background_threshold", "min_area"])
def test_numbers_that_are_none(key: str, value: float) -> None:
    with pytest.raises(InputError, match=f"protocol.{key} .*, not {value}"):
        EvaluationProtocol(**{**WINDOWS, key: value})
    with pytest.raises(InputError, match=f"protocol.overrides.VOC21.{key} .*, not {value}"):
        EvaluationProtocol(**WINDOWS, overrides={"VOC21": {key: value}})


@pytest.mark.parametrize("size", [64, 336])
def test_labels_tell_protocols_apart(size: int) -> None:
    """At sizes that nobody has published too."""
    usual = EvaluationProtocol(**WINDOWS, size=size)
    changes: list[dict[str, Any]] = [
        *({"window": 96, "stride": 48}, {"stride": 56}, {"logit_scale": 10}, {"background_threshold": 0.3}),
        *({"min_area": 0.2}, {"vocabulary": "plain"}, {"overrides": {"PC59": {"logit_scale": 3}}}, {"longest": 1000}),
        *({"eps": 0.3}, {"min_samples": 9}, {"templates": "vild"}),
    ]
    labels = {replace(usual, **change).label for change in changes} | {usual.label}
    assert len(labels) == len(changes) + 1
    assert get_protocol(size=448, vocabulary="plain").label != get_protocol(size=448).label


def test_scores_by_protocol() -> None:
    assert get_protocol().scoring == get_protocol("whole").scoring == "released"
    assert get_protocol("detectron2").scoring == "detectron2"
    assert EvaluationProtocol(**WINDOWS).scoring == "mmseg"


def test_every_value_is_in_the_digest() -> None:
    usual = get_protocol()
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
    assert get_protocol().digest == usual.digest


def test_templates() -> None:
    """80 of ImageNet in CLIP's order, the 14 of ViLD; each has one place for the name."""
    assert {name: len(templates) for name, templates in TEMPLATES.items()} == {"imagenet": 80, "vild": 14}
    for templates in TEMPLATES.values():
        assert all(template.count("{}") == 1 for template in templates)
        assert len(set(templates)) == len(templates)
    assert TEMPLATES["imagenet"][0] == "a bad photo of a {}."
    assert TEMPLATES["imagenet"][-1] == "a tattoo of the {}."
