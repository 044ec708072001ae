"""Every figure of a run from its counts, by the code that made them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.scoreboard import Scoreboard
from cliptrase.evidence.findings import FROM_THAT, THIS_VERSION, Finding, Unequal, unequal
from cliptrase.evidence.told import ToldSetting, told_conditions
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.report.foreign import path_inside, read_regular, sentence_of
from cliptrase.runs.counts_file import parse_counts

_LARGEST = 4 << 30  # bytes of a file of counts
_SOURCE = "the counts give"
# Values that follow from what this version knows, or from what the run says of itself, instead.
_NOT_OF_COUNTS = {
    **dict.fromkeys(("published", "published_source", "images_expected"), THIS_VERSION),
    **dict.fromkeys(("remarks", "published_comparable"), FROM_THAT),
    "name": "the vocabulary has",
    **dict.fromkeys(("protocol", "protocol_hash", "definition"), "provenance gives"),
}
_OF_PROTOCOL = ("protocol", "protocol_hash", "published", "published_source", "published_comparable", "remarks")


def read_told_counts(folder: Path, document: Mapping[str, Any]) -> tuple[dict[str, dict[str, Counts]], list[Finding]]:
    """A run's counts by data set and method, as far as they can be used, and what is wrong with their files.

    A file of another hash than told is read all the same: figures then show what was changed.

    Args:
        folder: the run's.
        document: content of its `results.json`.
    """
    told = document["provenance"].get("counts")
    hashes: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    found: dict[str, dict[str, Counts]] = {}
    findings = []
    for name, result in document["settings"].items():
        file = f"confusion/{name}.npz"
        try:
            content = read_regular(path_inside(folder, file), _LARGEST)
            if (digest := hashlib.sha256(content).hexdigest()) != hashes.get(name):
                findings.append(Finding(file, "its SHA-256", digest, hashes.get(name), "results.json says"))
            found[name] = parse_counts(content, list(document["methods"]), len(result["per_class"]))
            truths = [counts.pictures[:, 1] for counts in found[name].values()]
            if not all(torch.equal(truth, truths[0]) for truth in truths):
                findings.append(Finding(file, "the ground truth", "another for each method", "one", "should be"))
        except (OSError, ValueError, RuntimeError) as error:
            findings.append(Finding(file, "its content", f"of no use ({sentence_of(error)})", "counts", "should be"))
    return found, findings


def study_findings(folder: Path, document: Mapping[str, Any]) -> Iterator[Finding]:
    """Files of counts of studies whose hash is another than told."""
    told = document["provenance"].get("study_counts")
    for name, by_study in (told if isinstance(told, Mapping) else {}).items():
        for study, digest in (by_study if isinstance(by_study, Mapping) else {}).items():
            file = f"studies/{study}/{name}.npz"
            try:
                found = hashlib.sha256(read_regular(path_inside(folder, file), _LARGEST)).hexdigest()
            except (OSError, ValueError, RuntimeError) as error:
                found = f"of no use ({sentence_of(error)})"
            if found != digest:
                yield Finding(file, "its SHA-256", found, digest, "results.json says")


def recounted(
    document: Mapping[str, Any],
    counts: Mapping[str, Mapping[str, Counts]],
    protocol: EvaluationProtocol,
    settings: Sequence[ToldSetting],
) -> dict[str, Any]:
    """Content of `results.json` as the counts and the protocol give it, without provenance.

    Args:
        document: what the run says.
        counts: by data set and method; data sets without are left out.
        protocol: of the run.
        settings: of the run.
    """
    board = Scoreboard(list(document["methods"]), protocol)
    for name, of_methods in counts.items():
        board.add(name, of_methods)
    results = board.results(settings, told_conditions(document["settings"], document["provenance"]))
    made: dict[str, Any] = json.loads(json.dumps(board.document(results, settings, {})))
    return made


def figure_findings(
    document: Mapping[str, Any], made: Mapping[str, Any], benchmarks: bool = True, protocol: bool = True
) -> Iterator[Finding]:
    """What a document says otherwise than counts do: one finding for each method and data set, average and benchmark.

    What `headline` and `settings` repeat is compared with what the document itself says of the main method.

    Args:
        document: what the run says.
        made: what `recounted` gives; its data sets alone are compared.
        benchmarks: whether it is known of which benchmarks the data sets are.
        protocol: whether the protocol is sure; else what hangs on it alone is not compared.
    """
    whole = made["settings"].keys() == document["settings"].keys()
    for method, part in document["methods"].items():
        own = made["methods"][method]
        for name in own["settings"]:
            differing = [
                one
                for one in unequal(part["settings"][name], own["settings"][name])
                if protocol or one.place[0] not in _OF_PROTOCOL
            ]
            yield from _together(f"of {method} on {name}", differing, _SOURCE)
        if whole and (benchmarks or not part["benchmarks"]):
            average = list(unequal(part["average"], own["average"]))
            yield from _together(f"of the average of {method}", average, _SOURCE)
            for name in dict.fromkeys([*own["benchmarks"], *part["benchmarks"]]):
                both = part["benchmarks"].get(name), own["benchmarks"].get(name)
                yield from _together(f"of {name} of {method}", list(unequal(*both)), _SOURCE)
    main, first = next(iter(document["methods"].items()))
    for name, result in document["settings"].items():
        repeated = list(unequal(result, first["settings"][name]))
        yield from _together(f"of {name} under `settings`", repeated, f"{main} under `methods` has")
    headline = list(unequal(document["headline"], _headline(first)))
    yield from _together("of the headline", headline, f"{main} under `methods` has")


def _headline(main: Mapping[str, Any]) -> dict[str, Any]:
    """The headline that follows from what a document says of its main method."""
    results, average = list(main["settings"].values()), main["average"]
    single = results[0] if len(results) == 1 else None
    part = single or average or {}
    definition = results[0]["definition"]
    score = single["scores"][definition]["mIoU"] if single else part.get("mIoU")
    return {"definition": definition, "mIoU": score, "interval": (part.get("intervals") or {}).get("mIoU")}


def _together(of_what: str, differing: Sequence[Unequal], source: str) -> Iterator[Finding]:
    """One finding for all that differs and follows from one source, the score that people quote first."""
    by_source: dict[str, list[Unequal]] = {}
    for one in sorted(differing, key=_importance):
        by_source.setdefault(_source(one, source), []).append(one)
    for of_source, (first, *others) in by_source.items():
        what = f"{_named(first)} {of_what}"
        yield Finding("results.json", what, first.found, first.expected, of_source, tuple(others))


def _source(one: Unequal, source: str) -> str:
    """Words before the expected value."""
    if source != _SOURCE:
        return source
    return next((_NOT_OF_COUNTS[key] for key in one.place if key in _NOT_OF_COUNTS), source)


def _importance(one: Unequal) -> int:
    return next((rank for rank, word in enumerate(("mIoU", "scores", "images")) if word in one.place), 3)


def _named(one: Unequal) -> str:
    """The last keys of a place, such as `released mIoU` or `interval`."""
    words = [str(key) for key in one.place if isinstance(key, str) and key not in ("scores", "per_class", "intervals")]
    if one.place[:1] == ("per_class",) and len(one.place) > 1:
        words = [f"class {one.place[1]}", *words]
    if "intervals" in one.place:
        words = ["interval of", *words]
    return " ".join(words) or "all"
