"""Where figures of others may stand: beside a method only under the very protocol that is theirs."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from timm.models import is_model_pretrained

from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.evaluation.published import (
    TITLE,
    PublishedSystem,
    elsewhere_rows,
    protocol_of,
    published_beside,
    published_elsewhere,
    published_systems,
)
from cliptrase.methods import METHODS, get_method
from cliptrase.protocols import table as protocols
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.report.load import LoadedRun
from cliptrase.report.markdown import comparison_markdown, comparison_texts
from cliptrase.report.page import page
from datamodules.specs import BENCHMARKS, DATASETS
from tests.results_documents import columns, run_document, setting_entry

SYSTEMS = published_systems()
OTHERS = [system for system in SYSTEMS if system.system != "CLIPtrase"]
PROTOCOLS = [
    *protocols.PROTOCOLS.values(),
    *(get_protocol("sclip", eps=0.5), get_protocol("naclip", overrides={})),
]
NAMES = list(dict.fromkeys([*METHODS, *(system.method for system in SYSTEMS if system.method)]))


def test_entries_are_whole() -> None:
    assert len({(system.system, system.source, system.protocol) for system in SYSTEMS}) == len(SYSTEMS)
    for system in SYSTEMS:
        assert system.source
        assert system.mIoU.keys() <= DATASETS.keys()
        for scores in system.scores.values():
            assert scores.keys() in ({"mIoU"}, set(COLUMNS))
            assert all(0 < score < 100 for score in scores.values())
        assert bool(system.guest) == (system.method == "proxyclip")
        assert not system.guest or is_model_pretrained(system.guest)
        assert not system.protocol or (system.method and system.protocol in protocols.PROTOCOLS)
    own = [(system.method, system.protocol) for system in SYSTEMS if system.protocol]
    assert len(set(own)) == len(own)  # no two rows contend for one place


@pytest.mark.parametrize("name", sorted({system.method for system in SYSTEMS if system.method}))
def test_every_system_that_runs_here_is_a_method(name: str) -> None:
    """By the name that results and tables write, so that its figures find it."""
    assert get_method(name).name == name


def test_where_a_system_runs() -> None:
    rows = {(system.system, system.source): system for system in SYSTEMS}
    pamr = rows["NACLIP+PAMR", "sinahmr/NACLIP, README"]
    assert (pamr.here, pamr.adds, round(pamr.mean, 2)) == ("naclip+pamr under naclip", "PAMR", 42.45)
    assert [system.here for system in SYSTEMS if system.system == "PEARL"] == ["pearl+tlp under naclip"]
    assert rows["SFP", "PEARL, figure"].here == "sfp"  # a re-run, which stands beside nobody's
    assert {rows[key].system for key in rows if not rows[key].here} == {
        *("Trident", "CorrCLIP", "CASS", "OV-Stitcher", "CorrCLIP-B/16"),
    }
    assert all(system.here or system.adds for system in SYSTEMS)


def own_settings(system: PublishedSystem, protocol: EvaluationProtocol) -> set[str]:
    """Settings of a system whose every value is the same under the run's protocol."""
    if not system.protocol:
        return set()
    theirs = get_protocol(system.protocol)
    return {
        setting
        for setting in system.mIoU
        if theirs.windowed == protocol.windowed
        and replace(theirs.on(setting), name=protocol.name) == protocol.on(setting)
    }


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.label)
def test_only_the_own_protocol_brings_a_figure_beside_ours(protocol: EvaluationProtocol) -> None:
    for method in NAMES:
        for setting in DATASETS:
            beside = published_beside(protocol, method, setting)
            own = [row for row in SYSTEMS if row.method == method and setting in own_settings(row, protocol)]
            if own:
                (system,) = own
                assert beside is not None
                assert beside.source == system.source
                for column in COLUMNS:
                    score = getattr(beside, column)
                    assert math.isnan(score) if column not in system.scores[setting] else score > 0
                    assert math.isnan(score) or score == system.scores[setting][column]
            else:
                assert beside is None
    assert published_beside(protocol, "sclip+regions", "VOC20") is None


def test_who_stands_where() -> None:
    """NACLIP's figures stand under `sclip` where the two protocols agree, and nowhere else."""
    found = {
        protocol.label: {
            (method, setting) for method in NAMES for setting in DATASETS if published_beside(protocol, method, setting)
        }
        for protocol in PROTOCOLS
    }
    eight = set(BENCHMARKS["sclip"])
    at_naclip = {*("naclip", "naclip+pamr", "resclip", "pearl+tlp")}
    agreed = {"PC59", "Cityscapes", "ADE150"}

    def pairs(methods: set[str], settings: set[str]) -> set[tuple[str, str]]:
        return {(method, setting) for method in methods for setting in settings}

    assert found["sclip"] == (
        pairs({"sclip"}, eight) | pairs(at_naclip, agreed) | pairs({"scclip"}, agreed | {"VOC20"})
    )
    assert found["naclip"] == (
        pairs(at_naclip, eight) | pairs({"sclip"}, agreed) | pairs({"scclip"}, agreed | {"COCO171"})
    )
    assert found["scclip"] == (
        pairs({"scclip"}, eight) | pairs(at_naclip, agreed | {"COCO171"}) | pairs({"sclip"}, agreed | {"VOC20"})
    )
    assert found["sfp"] == pairs({"sfp"}, eight)
    assert found["proxyclip"] == pairs({"proxyclip"}, eight)
    assert {method for method, _ in found["clearclip"]} == {"clearclip"}
    paper = {("cliptrase", name) for name in BENCHMARKS["paper"]}
    assert found["paper 336"] == found["paper 224"] == paper
    assert not any(found[label] for label in ("detectron2", "whole", "photos", "sclip, eps 0.5"))


def test_scores_of_the_paper() -> None:
    """All four, by the size of the crop; another size is another protocol."""
    beside = [published_beside(get_protocol("paper", size=size), "cliptrase", "VOC20") for size in (224, 336)]
    assert [row and row[:5] for row in beside] == [
        (89.68, 91.4, 82.49, 80.95, "the paper"),
        (89.51, 91.77, 82.15, 81.2, "the paper"),
    ]
    assert published_beside(get_protocol("paper", size=448), "cliptrase", "VOC20") is None
    assert published_beside(get_protocol("paper"), "cliptrase-regions", "VOC20") is None


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.label)
@pytest.mark.parametrize("methods", [["sclip", "vanilla"], ["clearclip"], ["naclip", "sclip"], ["pearl+tlp", "scclip"]])
def test_a_figure_stands_in_one_place(protocol: EvaluationProtocol, methods: list[str]) -> None:
    """Beside a method of the run, or in the list of its own; a method that did not run leaves its figure there."""
    settings = ["VOC20", "PC59", "ADEfull"]
    listed = {
        (system.system, system.source, setting)
        for system in published_elsewhere(protocol, methods, settings)
        for setting in system.mIoU
    }
    for system in OTHERS:
        for setting in system.mIoU.keys() & set(settings):
            beside = system.method in methods and setting in own_settings(system, protocol)
            assert beside != ((system.system, system.source, setting) in listed)
    assert {setting for _, _, setting in listed} == {"VOC20", "PC59"}
    assert published_elsewhere(protocol, ["sclip"], ["ADEfull", "Shapes"]) == []


def test_a_protocol_that_is_not_known_has_no_figures_beside() -> None:
    assert protocol_of({}) is protocol_of({"protocol": {"label": "sclip"}}) is None
    assert protocol_of({"protocol": {**get_protocol("sclip").values(), "size": -1}}) is None
    assert protocol_of({"protocol": {"label": "sclip", **get_protocol("sclip").values(), "hash": ""}}) == get_protocol(
        "sclip"
    )
    everything = published_elsewhere(None, ["sclip"], list(DATASETS))
    assert everything == OTHERS


def test_the_list_as_a_table() -> None:
    heads, *rows = elsewhere_rows([system for system in SYSTEMS if system.adds], ["ADEfull", "PC59", "VOC20"])
    assert heads == ["system", "source", "beyond CLIP ViT-B/16", "here", "PC59", "VOC20"]
    for row, system in zip(rows, (system for system in SYSTEMS if system.adds), strict=True):
        assert row == [
            system.system,
            system.source,
            system.adds,
            system.here,
            *(str(system.mIoU.get(setting, "")) for setting in ("PC59", "VOC20")),
        ]


def document(protocol: EvaluationProtocol, methods: list[str]) -> dict[str, Any]:
    """A run's results on VOC20 as the module makes them under a protocol."""

    def result(method: str) -> dict[str, Any]:
        beside = published_beside(protocol, method, "VOC20")
        return setting_entry(
            12.5,
            definition="mmseg",
            published=columns(None) | {"mIoU": beside.mIoU} if beside else None,
            published_source=beside.source if beside else None,
        )

    return run_document(
        {method: {"VOC20": result(method)} for method in methods},
        {"protocol": {"label": protocol.label, **protocol.values()}},
    )


@pytest.mark.parametrize(
    "protocol",
    [
        get_protocol("sclip"),
        get_protocol("naclip"),
        get_protocol("clearclip"),
        get_protocol("paper"),
        get_protocol("sclip", eps=0.5),
    ],
    ids=lambda protocol: protocol.label,
)
def test_documents_keep_the_rule(protocol: EvaluationProtocol) -> None:
    """Above the list's title only figures of the run's protocol; below it all others, each with its source."""
    methods = ["cliptrase", "sclip", "naclip", "clearclip"]
    found = document(protocol, methods)
    texts = [page([LoadedRun("run", found)]), comparison_markdown(Comparison(found))]
    for text in texts:
        above, below = text.split(TITLE)
        assert "the paper" not in below
        for system in OTHERS:
            if "VOC20" in system.mIoU:
                own = system.method in methods and "VOC20" in own_settings(system, protocol)
                assert (f"{system.mIoU['VOC20']:.2f}" in above) == own
                listed = [line for line in below.replace("<tr>", "\n").splitlines() if system.source in line]
                assert any(f"{system.mIoU['VOC20']}" in line and system.system in line for line in listed) != own


def test_a_run_of_one_method_has_the_list_alone() -> None:
    found = Comparison(document(get_protocol(), ["cliptrase"]))
    (text,) = comparison_texts(found).values()
    assert text.startswith(f"## {TITLE}")
    assert "cliptrase" not in text
    elsewhere = json.loads(json.dumps(found.document).replace("VOC20", "Shapes"))
    assert comparison_texts(Comparison(elsewhere)) == {}
