"""Where figures of others may stand: beside a method only under the very protocol that is theirs."""

import json
from pathlib import Path
from typing import Any

import pytest

from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.comparison_tables import comparison_markdown, comparison_texts
from cliptrase.evaluation.published import (
    TITLE,
    elsewhere_rows,
    published_beside,
    published_elsewhere,
    published_systems,
)
from cliptrase.evaluation.results import COLUMNS
from cliptrase.methods import METHODS
from cliptrase.protocol import Protocol
from cliptrase.report.page import Run, page
from datamodules.benchmark import ALL_SETTINGS

SYSTEMS = published_systems()
LABELS = ("paper 224", "paper 336", "detectron2", "sclip", "clearclip", "sclip, eps 0.5", "photos")


def test_entries_are_whole() -> None:
    assert len({(system.system, system.source) for system in SYSTEMS}) == len(SYSTEMS)
    for system in SYSTEMS:
        assert system.source
        assert system.mIoU.keys() <= ALL_SETTINGS.keys()
        assert all(0 < figure < 100 for figure in system.mIoU.values())
        assert bool(system.protocol) == bool(system.method)
        assert not system.method or (system.method in METHODS and not system.adds)


@pytest.mark.parametrize("label", LABELS)
def test_only_the_own_protocol_brings_a_figure_beside_ours(label: str) -> None:
    own = {system.method: system for system in SYSTEMS if system.protocol == label}
    for method in METHODS:
        for setting in ALL_SETTINGS:
            found = published_beside(label, method, setting)
            if method in own and setting in own[method].mIoU:
                assert found == (own[method].mIoU[setting], own[method].source)
            else:
                assert found is None
    assert published_beside(label, "sclip+regions", "VOC20") is None
    assert {"sclip": {"sclip", "naclip"}, "clearclip": {"clearclip"}}.get(label, set()) == own.keys()


def test_protocols_with_figures_are_the_published_ones() -> None:
    """The labels that the entries name are those of shipped protocols without changed values."""
    import yaml

    labels = {
        Protocol(**yaml.safe_load(path.read_text(encoding="utf-8"))["protocol"]).label
        for path in Path("configs").glob("*.yaml")
    }
    assert {system.protocol for system in SYSTEMS if system.protocol} <= labels


@pytest.mark.parametrize("label", LABELS)
def test_a_figure_stands_in_one_place(label: str) -> None:
    """Beside a method of the run, or in the list of its own; a method that did not run leaves its figure there."""
    for methods in (["sclip", "vanilla"], ["clearclip"], ["naclip", "sclip"]):
        listed = published_elsewhere(label, methods, ["VOC20", "ADEfull"])
        beside = [system for system in SYSTEMS if system.is_of(label, system.method) and system.method in methods]
        assert [system for system in SYSTEMS if "VOC20" in system.mIoU and system not in beside] == listed
    assert published_elsewhere(label, ["sclip"], ["ADEfull", "Shapes"]) == []


def test_the_list_as_a_table() -> None:
    heads, *rows = elsewhere_rows([system for system in SYSTEMS if system.adds], ["ADEfull", "PC59", "VOC20"])
    assert heads == ["system", "source", "beyond CLIP ViT-B/16", "PC59", "VOC20"]
    for row, system in zip(rows, (system for system in SYSTEMS if system.adds), strict=True):
        assert row == [
            system.system,
            system.source,
            system.adds,
            str(system.mIoU["PC59"]),
            str(system.mIoU["VOC20"]),
        ]


def document(label: str, methods: list[str]) -> dict[str, Any]:
    """A run's results on VOC20 as the module makes them under a protocol."""

    def result(method: str) -> dict[str, Any]:
        beside = published_beside(label, method, "VOC20")
        figures = dict.fromkeys(COLUMNS, 12.5)
        return {
            "images": 7,
            "definition": "mmseg",
            **dict.fromkeys(("scores", "textbook", "mmseg"), figures),
            "intervals": None,
            "published": dict.fromkeys(COLUMNS) | {"mIoU": beside[0]} if beside else None,
            "published_source": beside[1] if beside else None,
            "per_class": [],
        }

    by_method = {method: {"settings": {"VOC20": result(method)}} for method in methods}
    return {
        "settings": by_method[methods[0]]["settings"],
        "methods": by_method,
        "provenance": {"protocol": {"label": label}},
    }


@pytest.mark.parametrize("label", ["sclip", "clearclip", "paper 336", "sclip, eps 0.5"])
def test_documents_keep_the_rule(label: str) -> None:
    """Above the list's title only figures of the run's protocol; below it all others, each with its source."""
    methods = ["cliptrase", "sclip", "naclip", "clearclip"]
    found = document(label, methods)
    texts = [page([Run("run", found)]), comparison_markdown(Comparison(found))]
    for text in texts:
        above, below = text.split(TITLE)
        for system in SYSTEMS:
            if "VOC20" in system.mIoU:
                own = system.protocol == label
                assert (f"{system.mIoU['VOC20']:.2f}" in above) == own
                assert (system.source in below and f"{system.mIoU['VOC20']}<" in below.replace(" |", "<")) != own


def test_a_run_of_one_method_has_the_list_alone() -> None:
    found = Comparison(document("paper 336", ["cliptrase"]))
    (text,) = comparison_texts(found).values()
    assert text.startswith(f"## {TITLE}")
    assert "cliptrase" not in text
    elsewhere = json.loads(json.dumps(found.document).replace("VOC20", "Shapes"))
    assert comparison_texts(Comparison(elsewhere)) == {}
