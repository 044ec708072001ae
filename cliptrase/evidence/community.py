"""Runs of many people in one table: a column holds only what was counted on equal data under one protocol."""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cliptrase.common.errors import InputError
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.formatting import best_of, is_best
from cliptrase.evidence.told import Known
from cliptrase.evidence.verification import Verification, verify_run

_RESULTS = "results.json"
_DEEPEST = 3  # folders between the one that is named and a run's


class Key(NamedTuple):
    """What is equal for all figures of a column; its fields stand in the column's head.

    Attributes:
        protocol: label.
        protocol_hash: of all its values.
        setting: the data set.
        edition: of the labels, empty where it is not known.
        images: that were scored.
        vocabulary_hash: of the names.
        data: digest of the images' names and of each image's ground-truth pixels by class.
    """

    protocol: str
    protocol_hash: str
    setting: str
    edition: str
    images: int
    vocabulary_hash: str
    data: str


class Entry(NamedTuple):
    """One method's figure in a column."""

    mIoU: float | None  # noqa: N815 (the name in results.json)
    interval: Sequence[float] | None
    remarks: Sequence[str]


@dataclass(frozen=True)
class Line:
    """One method of one verified run.

    Attributes:
        run: its folder below the one that was named.
        method: name.
        model: CLIP's architecture and tag or file.
        weights: hash of their content, and the guest where there is one.
        date: when it was made, as it says.
        entries: by column.
    """

    run: str
    method: str
    model: str
    weights: str
    date: str
    entries: Mapping[Key, Entry]


class Refused(NamedTuple):
    """A run that does not hold together."""

    run: str
    reason: str


@dataclass(frozen=True)
class Community:
    """The runs of a folder.

    Attributes:
        lines: of verified runs, methods of one name together.
        refused: the other runs, and what is wrong with them.
    """

    lines: Sequence[Line]
    refused: Sequence[Refused]

    @property
    def columns(self) -> list[Key]:
        """Those of a protocol together, then by data set."""
        return sorted({key for line in self.lines for key in line.entries})

    @property
    def runs(self) -> int:
        """How many are verified."""
        return len({line.run for line in self.lines})

    def leads(self, line: Line, key: Key) -> bool:
        """Whether a figure is the best of its column, as it is printed."""
        rows = [[one.entries[key].mIoU] for one in self.lines if key in one.entries]
        return key in line.entries and is_best(line.entries[key].mIoU, best_of(rows)[0])


def run_folders(folder: Path) -> list[Path]:
    """Folders of runs below a folder, itself not among them; none where it is a run's own."""
    if (folder / _RESULTS).exists() or not folder.is_dir():
        return []
    found = (path for depth in range(1, _DEEPEST + 1) for path in folder.glob(f"{'*/' * depth}{_RESULTS}"))
    return sorted(path.parent for path in found)


def gather(folders: Sequence[Path], known: Known) -> Community:
    """Verifies every run below some folders.

    Warns of runs that cannot be read at all.

    Args:
        folders: from which runs are named.
        known: what this version knows of data sets.

    Raises:
        InputError: no run lies below them.
    """
    named = [(str(run.relative_to(folder)), run) for folder in folders for run in run_folders(folder)]
    if not named:
        raise InputError(f"no run lies in {', '.join(map(str, folders))}; name a folder that holds folders of runs")
    lines: list[Line] = []
    refused = []
    for name, run in named:
        try:
            found = verify_run(run, known)
        except InputError as error:
            refused.append(Refused(name, str(error)))
            continue
        if found.verified:
            lines += _lines(name, found)
        else:
            more = f" (and {len(found.findings) - 1} more)" if len(found.findings) > 1 else ""
            refused.append(Refused(name, f"{found.findings[0].sentence}{more}"))
    for one in refused:
        warnings.warn(f"{one.run} is not verified: {one.reason}", stacklevel=2)
    return Community(sorted(lines, key=lambda line: (line.method, line.run)), refused)


def _lines(name: str, run: Verification) -> Iterator[Line]:
    provenance = run.document["provenance"]
    keys = {setting: _key(run.document["settings"][setting], setting, counts) for setting, counts in run.counts.items()}
    for method, part in run.document["methods"].items():
        entries = {key: _entry(part["settings"][setting]) for setting, key in keys.items()}
        yield Line(name, method, *_model(provenance["model"]), str(provenance.get("date", ""))[:10], entries)


def _key(result: Mapping[str, Any], setting: str, counts: Mapping[str, Counts]) -> Key:
    first = next(iter(counts.values()))
    data = hashlib.sha256(repr(first.stems).encode(errors="surrogatepass"))
    data.update(first.pictures[:, 1].contiguous().numpy().tobytes())
    return Key(
        result["protocol"],
        result["protocol_hash"],
        setting,
        result["edition"],
        result["images"],
        result["vocabulary_hash"],
        data.hexdigest()[:8],
    )


def _entry(result: Mapping[str, Any]) -> Entry:
    interval = (result["intervals"] or {}).get("mIoU")
    return Entry(result["scores"][result["definition"]]["mIoU"], interval, result["remarks"])


def _model(model: Mapping[str, Any]) -> tuple[str, str]:
    guest = model.get("guest")
    weights = f"weights {model.get('weights_hash')}" + (f"; guest {guest['architecture']}" if guest else "")
    return " ".join(filter(None, (model["clip"], model["pretrained"]))), weights
