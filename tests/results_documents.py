"""`results.json` documents of schema 2 made by hand, for tests of what reads them."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from cliptrase.evaluation.document import SCHEMA
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.protocols.definitions import DEFINITIONS


def columns(value: float | None, step: float = 0) -> dict[str, float | None]:
    """The four scores, each higher by a step than the one before."""
    return {column: None if value is None else value + number * step for number, column in enumerate(COLUMNS)}


def class_row(label: int, name: str, pixels: int, iou: float | None, accuracy: float | None = 50.0) -> dict[str, Any]:
    """One class, its scores the same by every definition."""
    scores = {definition: {"accuracy": accuracy, "IoU": iou} for definition in DEFINITIONS}
    return {"label": label, "name": name, "pixels": pixels, "scores": scores}


def setting_entry(value: float | None, **changes: Any) -> dict[str, Any]:
    """One method on one setting, of a whole data set that nobody published; the scores the same by every definition."""
    return {
        "images": 7,
        "images_available": 7,
        "images_expected": None,
        "cut": None,
        "protocol": "paper 336",
        "protocol_hash": "0",
        "vocabulary_hash": "0",
        "edition": "",
        "definition": "released",
        "scores": {definition: columns(value) for definition in DEFINITIONS},
        "intervals": None,
        "published": None,
        "published_source": None,
        "published_comparable": False,
        "remarks": [],
        "rare_classes": None,
        "simulated_coverage": None,
        "per_class": [],
        **changes,
    }


def run_document(
    methods: Mapping[str, Mapping[str, dict[str, Any]]],
    provenance: Mapping[str, Any] | None = None,
    averages: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A whole document.

    Args:
        methods: by method, the main one first, entries by setting.
        provenance: how the scores were made.
        averages: by method, None where a method has none.
    """
    settings = next(iter(methods.values()))
    first = next(iter(settings.values()))
    return {
        "schema": SCHEMA,
        "headline": {
            "definition": first["definition"],
            "mIoU": first["scores"][first["definition"]]["mIoU"],
            "interval": None,
        },
        "settings": copy.deepcopy(dict(settings)),
        "methods": {
            method: {"settings": dict(entries), "average": (averages or {}).get(method), "benchmarks": {}}
            for method, entries in methods.items()
        },
        "studies": {},
        "provenance": dict(provenance or {}),
    }


def class_rows(names: Sequence[str]) -> list[dict[str, Any]]:
    """Classes of falling numbers of pixels and rising IoU: 0, 10, 20 percent."""
    return [class_row(label, name, 5 - label, 10.0 * label) for label, name in enumerate(names)]
