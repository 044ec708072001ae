"""Methods against data sets, one row a method: mIoU and difference to the first method, each with its interval."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from cliptrase.evaluation import notes
from cliptrase.evaluation.conditions import STAND_IN, STAND_IN_TITLE
from cliptrase.evaluation.formatting import INTERVAL, best_of, is_best
from cliptrase.evaluation.published import elsewhere_rows, protocol_of, published_elsewhere

SPEED = (
    "Images per second are those of a run of the method alone: work that methods share is charged in full to each of "
    "them; work of other methods is not charged. The wait for data is that of this run."
)
HOW = (
    "Intervals come from what each picture adds to the mIoU (infinitesimal jackknife, Student's t); all methods are "
    "scored on the same pictures. If the interval of a difference excludes 0, the two methods differ at the 95 % level."
)


class Cell(NamedTuple):
    """One method on one setting, or on the average of several."""

    images: int | None  # None for an average: settings may share pictures
    vocabulary_hash: str | None
    edition: str  # of the labels, see `ResultKey`
    mIoU: float | None  # noqa: N815 (the name in results.json)
    interval: Sequence[float] | None
    difference: float | None  # to the first method, in points
    difference_interval: Sequence[float] | None
    published: float | None  # by the method's authors under this very protocol
    source: str | None
    remarks: Sequence[str] = ()  # what differs from the conditions of published scores


class Beside(NamedTuple):
    """What a method's authors publish, and why it does not compare; nothing where they publish nothing."""

    published: float | None
    source: str | None
    remarks: Sequence[str]


class Row(NamedTuple):
    """One method."""

    method: str
    cells: dict[str, Cell]  # by setting
    average: Cell | None  # mean mIoU over settings; None for a single one, or where one has no score
    images_per_second: float | None


@dataclass(frozen=True)
class Comparison:
    """The methods of one run, which all its settings are scored for under one protocol.

    Attributes:
        document: content of the run's `results.json`.
    """

    document: Mapping[str, Any]

    @cached_property
    def rows(self) -> list[Row]:
        """One a method, the run's first method first."""
        speeds = self.provenance.get("images_per_second_by_method") or {}
        return [_row(method, part, speeds.get(method)) for method, part in self.document["methods"].items()]

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the scores were made."""
        provenance: Mapping[str, Any] = self.document["provenance"]
        return provenance

    @property
    def settings(self) -> list[str]:
        """Names, in the run's order."""
        return list(self.document["settings"])

    @property
    def first(self) -> str:
        """The method that the others are compared with."""
        return self.rows[0].method

    @property
    def protocol(self) -> str:
        """The protocol's label."""
        return str((self.provenance.get("protocol") or {}).get("label", "of an unknown protocol"))

    @property
    def protocol_hash(self) -> str:
        """Of all the protocol's values."""
        return str((self.provenance.get("protocol") or {}).get("hash", ""))

    @property
    def origin(self) -> str:
        """Hashes of protocol and vocabularies in a sentence: what must be equal for scores to compare."""
        if not self.rows:
            return ""
        words = ", ".join(f"{name} {cell.vocabulary_hash or 'unknown'}" for name, cell in self.rows[0].cells.items())
        return f"Hash of the protocol: {self.protocol_hash}; of the names: {words}."

    @property
    def definition(self) -> str:
        """Name of the definition of the scores under the run's protocol."""
        return str(self.document["headline"]["definition"])

    @property
    def title(self) -> str:
        """What the table holds."""
        named = f"mIoU, percent, {INTERVAL}s over pictures; protocol {self.protocol}, {self.definition} definitions"
        return f"{named}; {STAND_IN_TITLE}" if self.stand_in else named

    @property
    def stand_in(self) -> bool:
        """Whether the embedded model stands in for CLIP."""
        return bool((self.provenance.get("model") or {}).get("clip") == "embedded")

    @property
    def notes(self) -> list[str]:
        """Sentences that stand below the run's tables."""
        return notes.notes(self.document)

    @cached_property
    def best(self) -> dict[str | None, float | None]:
        """The highest mIoU by setting, None for the average; None as a score where no two methods have one."""
        names = [*self.settings, None]
        scores = [[cell.mIoU if (cell := self.cell(row, name)) else None for name in names] for row in self.rows]
        return dict(zip(names, best_of(scores), strict=True)) if scores else {}

    def cell(self, row: Row, name: str | None) -> Cell | None:
        """A method's cell of a setting, or of the average for None."""
        return row.average if name is None else row.cells[name]

    def leads(self, row: Row, name: str | None) -> bool:
        """Whether a method's score on a setting, or on the average for None, is the best."""
        cell = self.cell(row, name)
        return cell is not None and is_best(cell.mIoU, self.best[name])

    @property
    def with_average(self) -> bool:
        """Whether there is a mean over settings."""
        return any(row.average is not None for row in self.rows)

    @property
    def has_published(self) -> list[str]:
        """Settings for which a method's authors publish a score under this very protocol."""
        return [name for name in self.settings if any(row.cells[name].published is not None for row in self.rows)]

    @property
    def lines(self) -> Iterator[tuple[Row, list[tuple[Cell | Beside | None, bool]]]]:
        """Each method's cells, published scores beside, and whether a cell is the best of its column."""
        for row in self.rows:
            line: list[tuple[Cell | Beside | None, bool]] = []
            for name, cell in row.cells.items():
                line.append((cell, self.leads(row, name)))
                if name in self.has_published:
                    line.append((Beside(cell.published, cell.source, cell.remarks), False))
            yield row, [*line, *([(row.average, self.leads(row, None))] if self.with_average else [])]

    @property
    def elsewhere(self) -> list[list[str]]:
        """Figures of other systems and protocols, a line of heads first; empty where there are none."""
        methods = [row.method for row in self.rows]
        systems = published_elsewhere(protocol_of(self.provenance), methods, self.settings)
        return elsewhere_rows(systems, self.settings) if systems else []

    @property
    def memory(self) -> str:
        """The run's peak memory in words: the methods share a run, so no method has one."""
        return f"Peak memory of the run: {self.provenance.get('peak_memory_mib', '-')} MiB."


def _row(method: str, part: Mapping[str, Any], speed: float | None) -> Row:
    """A method of `results.json`."""
    cells = {name: _cell(result) for name, result in part["settings"].items()}
    remarks = list(dict.fromkeys(_of_setting(name, remark) for name, cell in cells.items() for remark in cell.remarks))
    average = part["average"]
    mean = Cell(None, None, "", average["mIoU"], *_intervals(average), None, None, remarks) if average else None
    return Row(method, cells, mean, speed)


def _of_setting(name: str, remark: str) -> str:
    """A setting's remark beside an average; the model is all settings' alike."""
    return remark if remark == STAND_IN else f"{name}: {remark}"


def _intervals(part: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Interval, difference to the first method and its interval, each None where there is none."""
    intervals = part["intervals"] or {}
    difference = intervals.get("difference_to_first") or {}
    return intervals.get("mIoU"), difference.get("mIoU"), difference.get("interval")


def _cell(result: Mapping[str, Any]) -> Cell:
    """A data set's result of `results.json`."""
    published = (result["published"] or {}).get("mIoU")
    return Cell(
        result["images"],
        result["vocabulary_hash"],
        result["edition"],
        result["scores"][result["definition"]]["mIoU"],
        *_intervals(result),
        published,
        result["published_source"],
        result["remarks"],
    )
