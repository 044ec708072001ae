"""Tables of a run's studies from their counts, by the studies that made them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cliptrase.common.errors import InputError
from cliptrase.evaluation.counts import Counts
from cliptrase.evidence.findings import Finding, Unequal, unequal
from cliptrase.evidence.told import ToldSetting
from cliptrase.methods import Method, get_method
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.report.foreign import path_inside
from cliptrase.runs.counts_file import read_counts
from cliptrase.studies.audit import Audit
from cliptrase.studies.base import Studied, Study
from cliptrase.studies.boundary import BoundaryIoU
from cliptrase.studies.budget import ErrorBudget
from cliptrase.studies.sweep import Sweep

_STUDIES: Mapping[str, Callable[[EvaluationProtocol], Study]] = {
    "explain": ErrorBudget,
    "boundary": lambda _: BoundaryIoU(),
    "audit": lambda _: Audit(),
    "sweep": Sweep,
}


def restudied(
    folder: Path,
    document: Mapping[str, Any],
    protocol: EvaluationProtocol,
    settings: Sequence[ToldSetting],
    counts: Mapping[str, Mapping[str, Counts]],
    known: Mapping[str, Study],
) -> tuple[list[str], list[Finding]]:
    """Which studies cannot be made anew here, and where the tables of the others are not what their counts give.

    Those of methods, names or values that this version does not know cannot.

    Args:
        folder: the run's.
        document: content of its `results.json`.
        protocol: of the run.
        settings: its data sets.
        counts: the run's own, by data set and method.
        known: further studies by name.
    """
    studies = {name: make(protocol) for name, make in _STUDIES.items()} | dict(known)
    unknown: list[str] = []
    findings: list[Finding] = []
    for name, told in document["studies"].items():
        made = None
        if all(setting.named for setting in settings) and counts.keys() == document["settings"].keys():
            made = _tables(name, studies.get(name), folder, document, protocol, settings, counts)
        if made is None or isinstance(made, Finding):
            unknown.append(name)
            findings += [made] if made else []
        elif differing := list(unequal(told, made)):
            findings.append(_finding(name, made, differing))
    return unknown, findings


def _tables(
    name: str,
    study: Study | None,
    folder: Path,
    document: Mapping[str, Any],
    protocol: EvaluationProtocol,
    settings: Sequence[ToldSetting],
    counts: Mapping[str, Mapping[str, Counts]],
) -> dict[str, Any] | Finding | None:
    """A study as `results.json` has it; None where it cannot be made here, what is wrong where no hash is told."""
    provenance = document["provenance"]
    identities, hashes = provenance.get("studies"), provenance.get("study_counts")
    if study is None or not isinstance(identities, Mapping) or identities.get(name) != study.identity:
        return None
    try:
        methods = list(_methods(document))
        found: dict[str, Mapping[str, Counts]] = {}
        for setting in settings:
            variants, labels = study.variants(setting, methods), study.num_labels(setting)
            if not variants:  # nothing is varied here, and no file is written
                found[setting.name] = {}
                continue
            path_inside(folder, f"studies/{name}/{setting.name}.npz")
            of_setting = hashes.get(setting.name) if isinstance(hashes, Mapping) else None
            told = of_setting.get(name) if isinstance(of_setting, Mapping) else None
            if not isinstance(told, str):
                what = f"provenance.study_counts.{setting.name}.{name}"
                return Finding("results.json", what, told, "a SHA-256", "should be")
            found[setting.name] = read_counts(folder, setting.name, variants, labels, told, name)
    except (
        InputError,
        ValueError,
        KeyError,
        TypeError,
        OSError,
        RuntimeError,
    ):  # the hashes' check names what is wrong
        return None
    tables = study.tables(Studied.of(protocol, methods, settings, found, counts))
    made: dict[str, Any] = json.loads(json.dumps({"tables": [table.document() for table in tables]}))
    return made


def _methods(document: Mapping[str, Any]) -> Iterator[Method]:
    """The methods of a run.

    Raises:
        InputError: one is a user's own, whose code is not run here.
    """
    for name in document["methods"]:
        if ":" in name or name.endswith(".py"):
            raise InputError(f"method {name} is a user's own")
        yield get_method(name)


def _finding(name: str, made: Mapping[str, Any], differing: Sequence[Unequal]) -> Finding:
    """One finding for all values of a study that differ, the first named by its row and column."""
    first, *others = differing
    keys = [key for key in first.place if isinstance(key, str)]
    what = f"{keys[-1]} of study {name}" if keys else f"study {name}"
    match first.place:
        case ("tables", int(table), "rows", int(row), int(column), *_):
            line, columns = made["tables"][table]["rows"][row], made["tables"][table]["columns"]
            about = " ".join(str(cell) for cell in line[:column][:3])
            what = f"{columns[column]['name']} of {about} in study {name}"
    return Finding("results.json", what, first.found, first.expected, "the counts give", tuple(others))
