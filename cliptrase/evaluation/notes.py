"""Sentences below a run's tables: what a reader has to know of the scores before comparing them."""

from collections.abc import Iterator, Mapping
from typing import Any

from cliptrase.evaluation.conditions import count_remark
from cliptrase.evaluation.intervals import FEW
from cliptrase.evaluation.published import protocol_of
from cliptrase.protocols import table as protocols


def notes(document: Mapping[str, Any]) -> list[str]:
    """All that is to be said of a run, most important first.

    Args:
        document: content of `results.json`.
    """
    protocol = protocol_of(document["provenance"])
    settings: Mapping[str, Mapping[str, Any]] = document["settings"]
    return [
        *_parts(document),
        *_editions(document["settings"]),
        *_benchmarks(document),
        *_guest(document["provenance"]),
        *(protocols.notes(protocol, list(document["methods"]), list(settings)) if protocol else []),
        *_rare(settings),
    ]


def _parts(document: Mapping[str, Any]) -> Iterator[str]:
    """Settings that are not the published ones, or that were not looked at as a whole."""
    for name, result in document["settings"].items():
        images, expected = result["images"], result["images_expected"] or ()
        remarks = [count_remark(images, result["images_available"], expected), result["cut"]]
        if any(remarks):
            yield f"{name}: {', '.join(filter(None, remarks))}."
    unfinished = document["provenance"].get("unfinished")
    if isinstance(unfinished, list) and unfinished:
        yield f"Not scored yet: {', '.join(map(str, unfinished))}; no average holds them."


def _editions(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Whose labels were scored, where several editions are in use."""
    named = [f"{name}: {result['edition']}" for name, result in settings.items() if result["edition"]]
    if named:
        yield f"Labels: {'; '.join(named)}. Scores of other editions do not compare."


def _benchmarks(document: Mapping[str, Any]) -> Iterator[str]:
    """How the average of a run counts the parts of a figure."""
    for method in [*document["methods"].values()][:1]:
        for name, found in method["benchmarks"].items():
            for figure in found["figures"]:
                if len(parts := figure["settings"]) > 1:
                    mean = f"{name}: {figure['name']} is the mean of {', '.join(parts)}"
                    yield f"{mean}, which count as one data set in every mean."


def _guest(provenance: Mapping[str, Any]) -> Iterator[str]:
    """Which second tower methods that read one had."""
    guest = (provenance.get("model") or {}).get("guest")
    if guest:
        yield f"Guest tower: {guest['name']} ({guest['architecture']}, weights {guest['weights_hash']})."


def _rare(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """How far the intervals of each setting can be trusted: with few pictures, and where classes are rare."""
    for name, result in settings.items():
        if result["images"] == 1:
            yield f"{name}: a single picture gives no interval."
        if not result["intervals"]:
            continue
        if result["images"] < FEW:
            yield f"{name}: {result['images']} pictures are too few for an interval to be trusted."
        if result["rare_classes"]:
            seen = sum(row["pixels"] > 0 for row in result["per_class"])
            occur = "occurs" if result["rare_classes"] == 1 else "occur"
            rare = f"{name}: {result['rare_classes']} of {seen} classes {occur} in fewer than ten pictures"
            held = result["simulated_coverage"]
            cover = f"; in simulation such intervals hold {held[0]} %, of differences {held[1]} %" if held else ""
            yield f"{rare}{cover}."
