"""Scores as text, the same in every table."""

from collections.abc import Iterable, Mapping, Sequence

from cliptrase.evaluation.conditions import STAND_IN, STAND_IN_TITLE
from cliptrase.evaluation.intervals import LEVEL
from cliptrase.evaluation.records import SettingResult
from cliptrase.metrics import Scores

COLUMNS = Scores._fields
INTERVAL = f"{100 * LEVEL:g} % interval"
MAIN = "> main method"


def format_score(value: float | None) -> str:
    """Two decimals, or `-` where there is no score.

    >>> format_score(12.345), format_score(None), format_score(float("nan"))
    ('12.35', '-', '-')
    """
    return "-" if value is None or value != value else f"{value:.2f}"


def format_interval(bounds: Sequence[float], signed: bool = False) -> str:
    """Two bounds; `signed` for a difference.

    >>> format_interval((12.34, 56.78)), format_interval((-1.5, 2), signed=True)
    ('12.34 to 56.78', '-1.50 to +2.00')
    """
    return " to ".join(f"{bound:+.2f}" if signed else f"{bound:.2f}" for bound in bounds)


def best_of(rows: Sequence[Sequence[float | None]]) -> list[float | None]:
    """The highest score of each column as it is printed; None where fewer than two rows have one.

    >>> best_of([[1.004, 5], [1.003, None]])
    [1.0, None]
    """
    columns = (
        [round(value, 2) for value in column if value is not None and value == value]
        for column in zip(*rows, strict=True)
    )
    return [max(scores) if len(scores) > 1 else None for scores in columns]


def is_best(value: float | None, best: float | None) -> bool:
    """Whether a score is printed as the best one is."""
    return value is not None and best is not None and round(value, 2) == best


def marked(method: str, main: bool) -> str:
    """The main method's name has a mark, for bold is the best's."""
    return f"> {method}" if main else method


def with_remarks(results: Iterable[SettingResult]) -> bool:
    """Whether a table needs a column for remarks: a title alone says of the stand-in beside nothing published."""
    return any(result.remarks and (result.published or set(result.remarks) != {STAND_IN}) for result in results)


def stand_in(results: Mapping[str, Sequence[SettingResult]]) -> str:
    """End of a title that names the stand-in for CLIP; nothing for other models."""
    known = any(STAND_IN in result.remarks for settings in results.values() for result in settings)
    return f"; {STAND_IN_TITLE}" if known else ""
