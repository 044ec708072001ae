"""Class lists as tables whose header names the columns."""

import csv
from collections.abc import Sequence
from typing import NamedTuple

from datamodules.class_lists.patterns import has_form
from datamodules.class_lists.source import (
    CHANNEL_WORDS,
    COLOUR_WORDS,
    NAME_WORDS,
    NUMBER,
    NUMBER_WORDS,
    WHOLE_COLOUR_WORDS,
    ClassList,
    Line,
    Source,
    as_head,
    is_another_order,
    numbered,
)
from datamodules.colours import Colour, colour_of

_NO_NAMES = {*NUMBER_WORDS, *COLOUR_WORDS} - {*NAME_WORDS}


class _Row(NamedTuple):
    number: int  # of the line
    cells: list[str]


def read_table(source: Source, lines: Sequence[Line]) -> ClassList | None:
    """Columns under a header that names them, such as `name,r,g,b` or `Pixel Value, Class`; None without one."""
    head = lines[0]
    delimiter = next((mark for mark in "\t;," if mark in head.text), "")
    columns = [as_head(cell) for cell in head.text.split(delimiter or None)]
    if not delimiter:
        return _one_column(source, lines, columns)
    if {*NAME_WORDS}.isdisjoint(columns) or _NO_NAMES.isdisjoint(columns):
        _refuse_other_header(source, lines, columns, delimiter)
        return None
    rows = _rows(source, lines, columns, delimiter)
    name, number = _places(source, head, columns, rows)
    for row in rows:
        cell = row.cells[name]
        if not cell or NUMBER.fullmatch(cell):
            source.refuse(row.number, f"{cell!r} stands where the header has {columns[name]!r}", "mend the line")
        if ";" in cell and not source.synonyms:
            source.refuse(row.number, f"{cell!r} holds a semicolon", "leave one name, or write a comma within it")
    if source.by_colour:
        colours = _colours(source, head, columns, rows)
        return ClassList([row.cells[name] for row in rows], [row.number for row in rows], None, colours)
    if number is not None:
        return numbered(source, [(row.cells[number], row.cells[name], row.number) for row in rows])
    for place, column in enumerate(columns):
        if column not in COLOUR_WORDS and is_another_order([row.cells[place] for row in rows]):
            source.refuse(
                head.number,
                f"the column {column!r} numbers the lines in another order than they stand in",
                "call it id if these are the labels, or take it away",
            )
    return ClassList([row.cells[name] for row in rows], [row.number for row in rows], None)


def _one_column(source: Source, lines: Sequence[Line], columns: Sequence[str]) -> ClassList | None:
    """A table of names alone; refuses a header whose columns nothing separates."""
    head = lines[0]
    if len(columns) == 1 and columns[0] in NAME_WORDS and _is_table(source):
        rest = [Line(line.number, line.text.strip('"')) for line in lines[1:]]
        return ClassList([line.text for line in rest], [line.number for line in rest], None)
    words = {*columns}
    if len(columns) > 1 and words <= {*NAME_WORDS, *_NO_NAMES} and words & {*NAME_WORDS} and words & _NO_NAMES:
        source.refuse(head.number, f"{head.text[:40]!r} looks like a header", "separate its columns by commas")
    return None


def _refuse_other_header(source: Source, lines: Sequence[Line], columns: Sequence[str], delimiter: str) -> None:
    """Refuses a header that names no columns that are known: of a table, or above lines of as many columns."""
    head = lines[0]
    cure = "name the columns, as in name,r,g,b or id,name, or write a text file of one class a line"
    quoted = head.text.startswith(("'", '"'))
    if _is_table(source) and not quoted and not source.synonyms and not has_form(lines):
        source.refuse(head.number, f"{head.text[:40]!r} is no header that is known", cure)
    alike = len(lines) > 2 and all(line.text.count(delimiter) == len(columns) - 1 for line in lines)
    if columns[0] in NAME_WORDS and alike and not quoted and not source.synonyms:
        source.refuse(head.number, f"{head.text[:40]!r} looks like a header", cure)


def _rows(source: Source, lines: Sequence[Line], columns: Sequence[str], delimiter: str) -> list[_Row]:
    rows = []
    for line in lines[1:]:
        try:
            cells = next(csv.reader([line.text], delimiter=delimiter, strict=True, skipinitialspace=True))
        except csv.Error as error:
            source.refuse(lines[0].number, f"this table cannot be read ({error})", "mend its quotation marks")
        rows.append(_Row(line.number, [cell.strip() for cell in cells]))
    for row in rows:
        if len(row.cells) != len(columns):
            source.refuse(
                row.number,
                f"{len(row.cells)} columns stand here, {len(columns)} in the header",
                "quote names that hold a comma",
            )
    return rows


def _places(source: Source, head: Line, columns: Sequence[str], rows: Sequence[_Row]) -> tuple[int, int | None]:
    """The column of the names, and that of the numbers where there is one."""

    def is_numeric(place: int) -> bool:
        return all(NUMBER.fullmatch(row.cells[place]) for row in rows)

    named = [place for place, column in enumerate(columns) if column in NAME_WORDS]
    if len(named) > 1:  # `label,name`: numbers and names
        named = [place for place in named if not is_numeric(place)] or named
        named.sort(key=lambda place: NAME_WORDS.index(columns[place]))
    numbers = [
        place
        for place, column in enumerate(columns)
        if place != named[0]
        and column not in COLOUR_WORDS
        and (column in NUMBER_WORDS or (column in NAME_WORDS and is_numeric(place)))
    ]
    if len(numbers) > 1 and not source.by_colour:
        source.refuse(
            head.number,
            f"the columns {columns[numbers[0]]!r} and {columns[numbers[1]]!r} both number the classes",
            "leave one of them",
        )
    return named[0], numbers[0] if numbers else None


def _colours(source: Source, head: Line, columns: Sequence[str], rows: Sequence[_Row]) -> list[tuple[Colour, ...]]:
    """The colour of each row, from three columns or one."""
    whole = [place for place, column in enumerate(columns) if column in WHOLE_COLOUR_WORDS][:1]
    channels = [place for words in CHANNEL_WORDS for place, column in enumerate(columns) if column in words]
    places = channels if len(channels) == 3 else whole
    if not places:
        source.refuse(head.number, f"no column of {head.text[:40]!r} holds colours", "name them r,g,b or color")
    found: list[tuple[Colour, ...]] = []
    for row in rows:
        cells = [row.cells[place] for place in places]
        try:
            found.append((colour_of(cells if len(cells) == 3 else cells[0]),))
        except ValueError as error:
            source.refuse(row.number, str(error))
    return found


def _is_table(source: Source) -> bool:
    return source.path.suffix.lower() in (".csv", ".tsv")
