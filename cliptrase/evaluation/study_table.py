"""Tables of studies: what a study finds, in a form that the terminal, the report, CSV and `results.json` share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from cliptrase.evaluation.formatting import best_of, format_interval, format_score, is_best
from cliptrase.metrics import rounded

Kind = Literal["text", "count", "score", "points", "coefficient", "interval", "difference_interval"]
Value = str | int | float | Sequence[float] | None
CHARTS = ("", "stacked", "curve")
_HIGHER = ("mIoU", "BIoU")  # scores of which the highest is the best
KINDS: tuple[Kind, ...] = ("text", "count", "score", "points", "coefficient", "interval", "difference_interval")


class Column(NamedTuple):
    """A column of a study's table.

    Attributes:
        name: its head.
        kind: `text`; `count` of whole things; `score` in percent; `points`, a signed difference of scores; a
            `coefficient` from -1 to 1; an `interval` of a score, or of a difference.
    """

    name: str
    kind: Kind = "text"


@dataclass(frozen=True)
class StudyTable:
    """A table of figures.

    Attributes:
        title: what it holds.
        columns: of every row.
        rows: values, None where there is none.
        notes: sentences that stand below.
        chart: one of `CHARTS`. `stacked`: the report shows a bar for each different text before the last text column,
            of parts that the last text column names and the first number makes as long, 100 in all.
            `curve`: a line for each different text before the last text column, over what that column names, as high as
            the first score and with the first interval.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    notes: Sequence[str] = ()
    chart: str = ""

    def document(self) -> dict[str, Any]:
        """As `results.json` keeps it, numbers to two decimals."""
        return {
            "title": self.title,
            "columns": [column._asdict() for column in self.columns],
            "rows": [[_kept(value) for value in row] for row in self.rows],
            "notes": list(self.notes),
            "chart": self.chart,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "StudyTable":
        """What `document` kept."""
        columns = [Column(**column) for column in document["columns"]]
        return cls(document["title"], columns, document["rows"], document["notes"], document["chart"])

    @property
    def cells(self) -> list[list[str]]:
        """The rows as text."""
        kinds = [column.kind for column in self.columns]
        return [[_text(value, kind) for value, kind in zip(row, kinds, strict=True)] for row in self.rows]

    @property
    def best(self) -> set[tuple[int, int]]:
        """Row and column of each score that is the best of the methods beside it, on one data set under one condition.

        Only columns of `_HIGHER` are compared: of others the highest is not the best.
        """
        apart = [place for place, one in enumerate(self.columns) if one.kind == "text" and one.name != "method"]
        groups: dict[tuple[Value, ...], list[int]] = {}
        for number, row in enumerate(self.rows):
            groups.setdefault(tuple(row[place] for place in apart), []).append(number)
        found = set()
        for place, column in enumerate(self.columns):
            if column.kind != "score" or column.name not in _HIGHER:
                continue
            for numbers in groups.values():
                values = {
                    number: value for number in numbers if isinstance(value := self.rows[number][place], int | float)
                }
                best = best_of([[value] for value in values.values()])[0] if values else None
                leading = {(number, place) for number, value in values.items() if is_best(value, best)}
                found |= leading if len(leading) < len(values) else set()  # where all are equal none is the best
        return found


def study_tables(document: Mapping[str, Any]) -> list[StudyTable]:
    """All tables of a run's studies.

    Args:
        document: content of `results.json`.
    """
    return [StudyTable.of(table) for study in document.get("studies", {}).values() for table in study["tables"]]


def _kept(value: Value) -> Any:
    if isinstance(value, float):
        return rounded(value)
    if value is None or isinstance(value, str | int):
        return value
    return [rounded(bound) for bound in value]


def _text(value: Value, kind: Kind) -> str:
    if kind == "text":
        return "" if value is None else str(value)
    if kind == "count":
        return "-" if value is None else f"{value}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return format_interval(value, signed=kind == "difference_interval")
    if value is None or isinstance(value, str):
        return "" if "interval" in kind else "-"
    return format_score(value) if kind == "score" else f"{value:+.2f}"
