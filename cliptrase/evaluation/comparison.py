"""Methods against settings, one row a method: mIoU and difference to the first method, each with its interval."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rich.table import Table

from cliptrase.evaluation.markdown import markdown_table
from cliptrase.evaluation.published import TITLE, elsewhere_rows, published_elsewhere
from cliptrase.evaluation.results import INTERVAL, figure, interval_text

SPEED = (
    "Images per second are those of a run of the method alone: what methods share counts in full with each of them, "
    "what only others need not at all."
)
HOW = (
    "Intervals: pictures drawn with replacement, the same ones for all methods, bias-corrected and accelerated. An "
    "interval of a difference that does not hold 0 tells two methods apart."
)


class Cell(NamedTuple):
    """One method on one setting."""

    images: int
    vocabulary_hash: str | None
    mIoU: float | None  # noqa: N815 (the name in results.json)
    interval: Sequence[float] | None
    difference: float | None  # to the first method, in points
    difference_interval: Sequence[float] | None
    published: float | None  # by the method's authors under this very protocol
    source: str | None


class Row(NamedTuple):
    """One method."""

    method: str
    cells: dict[str, Cell]  # by setting
    images_per_second: float | None

    @property
    def average(self) -> float | None:
        """Mean mIoU over settings; None for a single one, or where one has no figure."""
        values = [cell.mIoU for cell in self.cells.values()]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(values) > 1 else None


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
        return [
            Row(method, {name: _cell(result) for name, result in part["settings"].items()}, speeds.get(method))
            for method, part in self.document["methods"].items()
        ]

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the figures were made."""
        found: Mapping[str, Any] = self.document.get("provenance") or {}
        return found

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
        """Hashes of protocol and vocabularies in a sentence: what must be equal for figures to compare."""
        if not self.rows:
            return ""
        words = ", ".join(f"{name} {cell.vocabulary_hash or 'unknown'}" for name, cell in self.rows[0].cells.items())
        return f"Hash of the protocol: {self.protocol_hash}; of the names: {words}."

    @property
    def definition(self) -> str:
        """Whose definition of the scores: the protocol's own."""
        settings: Mapping[str, Mapping[str, Any]] = self.document["settings"]
        return next((str(result.get("definition", "released")) for result in settings.values()), "released")

    @property
    def title(self) -> str:
        """What the table holds."""
        return f"mIoU, percent, {INTERVAL}s over pictures; protocol {self.protocol}, {self.definition} definitions"

    @property
    def with_average(self) -> bool:
        """Whether there is a mean over settings."""
        return any(row.average is not None for row in self.rows)

    @property
    def has_published(self) -> list[str]:
        """Settings for which a method's authors publish a figure under this very protocol."""
        return [name for name in self.settings if any(row.cells[name].published is not None for row in self.rows)]

    @property
    def elsewhere(self) -> list[list[str]]:
        """Figures of other systems and protocols, a line of heads first; empty where there are none."""
        methods = [row.method for row in self.rows]
        systems = published_elsewhere(self.protocol, methods, self.settings)
        return elsewhere_rows(systems, self.settings) if systems else []

    @property
    def memory(self) -> str:
        """The run's peak memory in words: the methods share a run, so there is no figure for each."""
        return f"Peak memory of the run: {self.provenance.get('peak_memory_mib', '-')} MiB."


def _cell(result: Mapping[str, Any]) -> Cell:
    """A result of `results.json`, of an older version too."""
    definition = result.get("definition", "released")
    scores = result["scores" if definition == "released" else definition]
    intervals = result.get("intervals") or {}
    difference = intervals.get("difference_to_first") or {}
    published = (result.get("published") or {}).get("mIoU")
    source = result.get("published_source")
    return Cell(
        result["images"],
        result.get("vocabulary_hash"),
        scores["mIoU"],
        intervals.get("mIoU"),
        difference.get("mIoU"),
        difference.get("interval"),
        published,
        source or ("the paper" if published is not None else None),
    )


def comparison_csv(found: Comparison) -> str:
    """Content of `comparison.csv`: a line for each method and setting."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    heads = [
        "method",
        "setting",
        "protocol",
        "protocol_hash",
        "vocabulary_hash",
        "definition",
        "images",
        "mIoU",
        "low",
        "high",
    ]
    heads += ["difference", "difference_low", "difference_high", "published_mIoU", "published_source"]
    writer.writerow([*heads, "images_per_second", "run_peak_memory_mib"])
    for row in found.rows:
        for name, cell in row.cells.items():
            figures = [cell.images, cell.mIoU, *(cell.interval or ("", "")), cell.difference]
            beside = [*(cell.difference_interval or ("", "")), cell.published, cell.source]
            made = [row.images_per_second, found.provenance.get("peak_memory_mib")]
            origin = [found.protocol, found.protocol_hash, cell.vocabulary_hash, found.definition]
            writer.writerow([row.method, name, *origin, *figures, *beside, *made])
    return buffer.getvalue()


def comparison_markdown(found: Comparison) -> str:
    """Content of `comparison.md`: figures, differences, and what others publish in a list of its own."""
    heads, differences = ["method"], ["method"]
    for name in found.settings:
        heads += [name, *([f"{name} published (ViT-B/16)"] if name in found.has_published else [])]
        differences.append(name)
    heads += [*(["average"] if found.with_average else []), "images/s"]
    rows = []
    for row in found.rows:
        line = [row.method]
        for name in found.settings:
            cell = row.cells[name]
            line.append(figure(cell.mIoU) + (f" ({interval_text(cell.interval)})" if cell.interval else ""))
            if name in found.has_published:
                line.append("" if cell.published is None else f"{figure(cell.published)} ({cell.source})")
        rows.append([*line, *([figure(row.average)] if found.with_average else []), figure(row.images_per_second)])
    parts = ["# Comparison of methods", found.title, markdown_table(heads, rows)]
    if len(found.rows) > 1:
        below = [[row.method, *(difference_text(row.cells[name]) for name in found.settings)] for row in found.rows[1:]]
        parts += [f"Difference to {found.first}, points:", markdown_table(differences, below)]
    parts += [f"{HOW} {SPEED} {found.memory} {found.origin}"]
    return "\n\n".join([*parts, *_elsewhere_markdown(found)]) + "\n"


def _elsewhere_markdown(found: Comparison) -> list[str]:
    """Heading, unit and table of what others publish; nothing where they publish nothing on the run's settings."""
    rows = found.elsewhere
    return [f"## {TITLE}", "mIoU, percent", markdown_table(rows[0], rows[1:])] if rows else []


def comparison_texts(found: Comparison) -> dict[str, str]:
    """By TensorBoard's tag the comparison of several methods, or what others publish beside a single one.

    The tags stand in the group of `scores`, for TensorBoard opens only the first groups.
    """
    if len(found.rows) > 1:
        return {"scores/comparison": comparison_markdown(found)}
    return {"scores/published elsewhere": "\n\n".join(parts)} if (parts := _elsewhere_markdown(found)) else {}


def difference_text(cell: Cell) -> str:
    """`+1.23 (0.12 to 2.34)`, or `-` where there is none."""
    if cell.difference is None or cell.difference_interval is None:
        return "-"
    return f"{cell.difference:+.2f} ({interval_text(cell.difference_interval, signed=True)})"


def comparison_table(found: Comparison) -> Table:
    """The comparison on a terminal: in each cell mIoU, its interval, the difference and the difference's interval."""
    caption = f"in a cell: mIoU, its interval, difference to {found.first}, its interval\n{found.memory}"
    table = Table(title=found.title, caption=caption, title_justify="left", caption_justify="left", show_lines=True)
    table.add_column("method")
    for name in found.settings:
        table.add_column(name, justify="right")
        if name in found.has_published:
            table.add_column(f"{name}\npublished\n(ViT-B/16)", justify="right", style="dim")
    for name in ("average",) if found.with_average else ():
        table.add_column(name, justify="right")
    table.add_column("images/s", justify="right")
    for row in found.rows:
        line = [row.method]
        for name in found.settings:
            cell = row.cells[name]
            lines = [figure(cell.mIoU), interval_text(cell.interval) if cell.interval else ""]
            if cell.difference is not None and cell.difference_interval is not None:
                lines += [f"{cell.difference:+.2f}", interval_text(cell.difference_interval, signed=True)]
            line.append("\n".join(lines))
            if name in found.has_published:
                line.append("" if cell.published is None else figure(cell.published))
        table.add_row(*line, *([figure(row.average)] if found.with_average else []), figure(row.images_per_second))
    return table
