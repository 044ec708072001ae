"""Tables of text: on a terminal as wide as its window at most, in a file at full width.

What does not fit gives way in this order, until it does: lines between columns, remarks (numbered notes below), names
that all rows have (into the title), intervals (under their figures), names (broken at spaces and before switches); then
a table goes on below with its names again.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from rich import box
from rich.cells import cell_len, chop_cells
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_BEST = "best"
_LEAST = 16  # columns of the window that sentences keep
# What is not broken of a text: all of it, what stands between spaces and before a +, what stands before any sign.
_WHOLE = re.compile(r".+")
_WORDS = re.compile(r"[^\s+]+\+?|\++")
_SIGNS = re.compile(r"[^-\s+_/\\,;:.=]*[-+_/\\,;:.=]+|[^-\s+_/\\,;:.=]+")


class Column(NamedTuple):
    r"""A column of a sheet.

    Attributes:
        head: its head, `\n` between lines.
        kind: `key`, a name that says what a row is; `number`; `interval`, of the column before; `words`, a sentence;
            `remark`, what is to be said of the row.
        alike: columns of one word here that are equal in every row are shown once on a terminal.
        style: of rich.
    """

    head: str
    kind: Literal["key", "number", "interval", "words", "remark"] = "number"
    alike: str = ""
    style: str = ""


class Cell(NamedTuple):
    r"""A cell of a sheet.

    Attributes:
        text: `\n` between lines.
        mark: `best` of its column, bold or where there are no styles with a `*`; or a style of rich.
        rest: what follows the text in lines of its own, unmarked.
    """

    text: str
    mark: str = ""
    rest: str = ""

    @property
    def whole(self) -> str:
        """All of its text."""
        return "\n".join(filter(None, (self.text, self.rest)))


@dataclass(frozen=True)
class Sheet:
    """A table.

    Attributes:
        title: a sentence above.
        columns: of every row.
        rows: cells.
        notes: sentences below.
        sections: numbers of rows that a line follows.
        lined: whether a line follows every row.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    sections: frozenset[int] = frozenset()
    lined: bool = False


def print_sheets(*sheets: Sheet) -> None:
    """Prints the first of some sheets that fits the window of a terminal, else the last made to fit; a file the first.

    Colours and bold are for terminals, and off where NO_COLOR is set (https://no-color.org).

    Args:
        sheets: the same figures, ever narrower.
    """
    console, width = _console()
    for part in rendered(sheets, width, console.color_system is not None):
        console.print(part, soft_wrap=isinstance(part, Text))


def print_sentence(text: str) -> None:
    """Prints a sentence, on a terminal with no word broken that fits."""
    console, width = _console()
    console.print(Text(wrapped(text, width)), soft_wrap=True)


def _console() -> tuple[Console, int | None]:
    """Standard output, and the columns of its window; None for a file."""
    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto")
    return (console, console.width) if console.is_terminal else (Console(width=100_000, color_system=None), None)


def rendered(sheets: Sequence[Sheet], width: int | None, styled: bool) -> Iterator[RenderableType]:
    """Title, table and notes of the first sheet that fits, else of the last made to fit.

    Args:
        sheets: see `print_sheets`.
        width: columns of the window; None for no limit, then the first is taken.
        styled: whether bold can be seen.
    """
    chosen, tables = _fitted(sheets, width, styled)
    if chosen.title:
        yield Text(wrapped(chosen.title, width), "italic" if styled else "")
    for table in tables:
        yield table
        yield Text()
    notes = [*chosen.notes]
    if any(cell.mark == _BEST for row in chosen.rows for cell in row):
        notes.insert(0, f"{'bold' if styled else '*'}: the best")
    if notes:
        yield Text("\n".join([*(wrapped(note, width) for note in notes), ""]))


def wrapped(text: str, width: int | None) -> str:
    r"""Text in lines of a width at most, broken at spaces, then after signs, and within a word only where it must be.

    >>> wrapped("cliptrase-regions of VOC20", 12)
    'cliptrase-\nregions of\nVOC20'
    """
    if width is None:
        return text
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if cell_len(longer) <= width:
                line = longer
                continue
            *full, last = _pieces(word, width)
            lines += [line, *full] if line else full
            line = last
        lines.append(line)
    return "\n".join(lines)


def _pieces(word: str, width: int) -> list[str]:
    """A word in pieces of a width at most, broken after a + where that is enough, else after other signs."""
    if cell_len(word) <= width:
        return [word]
    enough = all(cell_len(part) <= width for part in _WORDS.findall(word))
    pieces = [""]
    for part in (_WORDS if enough else _SIGNS).findall(word):
        if cell_len(pieces[-1] + part) <= width:
            pieces[-1] += part
        else:
            pieces += [part] if cell_len(part) <= width else chop_cells(part, width)
    return [piece for piece in pieces if piece]


def _fitted(sheets: Sequence[Sheet], width: int | None, styled: bool) -> tuple[Sheet, list[Table]]:
    """A sheet, changed until it fits, and its tables, one below the other."""
    if width is None:
        return sheets[0], [_table(sheets[0], styled)]
    merged = [_merged(sheet) for sheet in sheets]
    for sheet in merged:
        if _width(sheet, _natural(sheet, styled), boxed=True) <= width:
            return sheet, [_table(sheet, styled)]
    last = merged[-1]
    below = _with_remarks_below(last)
    above = _with_equal_names_above(below)
    under = _with_intervals_under(above)
    for changed, keys in ((last, _WHOLE), (below, _WHOLE), (above, _WHOLE), (under, _WHOLE), (under, _WORDS)):
        widths = _shrunk(changed, width, styled, keys)
        if _width(changed, widths) <= width:
            return changed, [_table(changed, styled, widths)]
    return under, [_table(part, styled, widths) for part, widths in _parts(under, width, styled)]


def _merged(sheet: Sheet) -> Sheet:
    """Columns that are alike in every row as one."""
    columns, notes = [*sheet.columns], [*sheet.notes]
    kept: list[int] = []
    for number, column in enumerate(columns):
        texts = [row[number].whole for row in sheet.rows]
        same = [
            one
            for one in kept
            if column.alike and columns[one].alike == column.alike and [row[one].whole for row in sheet.rows] == texts
        ]
        if not same:
            kept.append(number)
            continue
        (*before, name), (*others, _) = columns[same[0]].head.split("\n"), column.head.split("\n")
        if before:
            columns[same[0]] = columns[same[0]]._replace(head="\n".join([*before, *others, name]))
        else:
            notes.append(f"{' '.join(others)} {name} is equal to {name} in every row")
    return replace(_only(sheet, kept, columns), notes=notes)


def _only(sheet: Sheet, kept: Sequence[int], columns: Sequence[Column] | None = None) -> Sheet:
    """The columns of these numbers."""
    columns = sheet.columns if columns is None else columns
    rows = [[row[number] for number in kept] for row in sheet.rows]
    return replace(sheet, columns=[columns[number] for number in kept], rows=rows)


def _with_remarks_below(sheet: Sheet) -> Sheet:
    """Remarks as notes with numbers, which rows name."""
    places = [number for number, column in enumerate(sheet.columns) if column.kind == "remark"]
    if not places:
        return sheet
    said = list(dict.fromkeys(row[place].text for place in places for row in sheet.rows if row[place].text))
    columns = [*sheet.columns]
    rows = [[*row] for row in sheet.rows]
    for place in places:
        columns[place] = Column("note")
        for row in rows:
            row[place] = Cell(str(said.index(row[place].text) + 1) if row[place].text else "")
    order = sorted(range(len(columns)), key=lambda place: (sheet.columns[place].kind != "key", place not in places))
    notes = [*(f"note {number}: {remark}" for number, remark in enumerate(said, 1)), *sheet.notes]
    return _only(replace(sheet, columns=columns, rows=rows, notes=notes), order)


def _with_equal_names_above(sheet: Sheet) -> Sheet:
    """Names that each of several rows has in the title, where others still tell the rows apart."""
    keys = [number for number, column in enumerate(sheet.columns) if column.kind == "key"]
    equal = [number for number in keys if len(sheet.rows) > 1 and len({row[number].text for row in sheet.rows}) == 1]
    if not equal or equal == keys:
        return sheet
    title = ", ".join(filter(None, [sheet.title, *(sheet.rows[0][number].text for number in equal)]))
    return replace(_only(sheet, [number for number in range(len(sheet.columns)) if number not in equal]), title=title)


def _with_intervals_under(sheet: Sheet) -> Sheet:
    """Intervals in the second line of their figures' cells."""
    kept = [number for number, column in enumerate(sheet.columns) if column.kind != "interval"]
    columns, rows = [*sheet.columns], [[*row] for row in sheet.rows]
    for number, column in enumerate(sheet.columns):
        if column.kind == "interval":
            columns[number - 1] = columns[number - 1]._replace(head=f"{columns[number - 1].head}\n{column.head}")
            for row in rows:
                row[number - 1] = row[number - 1]._replace(rest=row[number].text)
    return _only(replace(sheet, rows=rows), kept, columns)


def _parts(sheet: Sheet, width: int, styled: bool) -> Iterator[tuple[Sheet, list[int]]]:
    """Sheets that fit, each with the names of the rows and some of the columns, and their columns' widths."""
    natural = _natural(sheet, styled)
    keys = [number for number, column in enumerate(sheet.columns) if column.kind == "key"]
    waiting = [number for number in range(len(sheet.columns)) if number not in keys]
    names = _only(sheet, keys)
    broad = max((natural[number] for number in waiting), default=0) + 2
    for how in (_WORDS, _SIGNS):
        heads = _shrunk(names, min(width // 2, width - broad), styled, how)
        if _width(names, heads) + broad <= width:
            break
    while waiting:
        taken: list[int] = []
        for number in waiting:
            widths = [*heads, *(natural[one] for one in (*taken, number))]
            if taken and _width(_only(sheet, [*keys, *taken, number]), widths) > width:
                break
            taken.append(number)
        waiting = waiting[len(taken) :]
        part = _only(sheet, [*keys, *taken])
        yield part, _narrowed(part, [*heads, *(natural[one] for one in taken)], [1] * len(part.columns), width)


def _natural(sheet: Sheet, styled: bool) -> list[int]:
    """Widths of columns in which no line is broken."""
    shown = [
        [column.head, *(_shown(row[number], styled) for row in sheet.rows)]
        for number, column in enumerate(sheet.columns)
    ]
    return [max(cell_len(line) for text in texts for line in text.split("\n")) for texts in shown]


def _shrunk(sheet: Sheet, width: int, styled: bool, keys: re.Pattern[str]) -> list[int]:
    """Widths of columns that fit a window as well as they can.

    Args:
        sheet: a table.
        width: of the window.
        styled: whether bold can be seen.
        keys: parts of names that are not to be broken.
    """
    natural = _natural(sheet, styled)
    least = []
    for number, column in enumerate(sheet.columns):
        unbroken = {"key": keys, "words": _WORDS, "remark": _WORDS}.get(column.kind, _WHOLE)
        texts = [column.head.replace("\n", " "), *(_shown(row[number], styled) for row in sheet.rows)]
        longest = max(cell_len(part) for text in texts for part in unbroken.findall(text) or [""])
        least.append(min(natural[number], longest if column.kind == "key" else max(longest, _LEAST)))
        if unbroken is _WHOLE:
            least[-1] = natural[number]
    return _narrowed(sheet, natural, least, width)


def _narrowed(sheet: Sheet, widths: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Widths of which the largest gave way until the table fits, or nothing more can."""
    narrowed = [*widths]
    excess = _width(sheet, widths) - width
    while excess > 0 and (loose := [number for number, wide in enumerate(narrowed) if wide > least[number]]):
        narrowed[max(loose, key=lambda number: narrowed[number])] -= 1
        excess -= 1
    return narrowed


def _shown(cell: Cell, styled: bool) -> str:
    return cell.whole if styled or cell.mark != _BEST else cell._replace(text=f"*{cell.text}").whole


def _table(sheet: Sheet, styled: bool, widths: Sequence[int] | None = None) -> Table:
    """A table of rich: with lines between columns, or slim with columns of these widths."""
    table = _empty(sheet.columns, widths or [None] * len(sheet.columns), widths is None, styled)
    table.show_lines = sheet.lined
    for number, row in enumerate(sheet.rows):
        cells = []
        for place, cell in enumerate(row):
            text = Text(wrapped(_shown(cell, styled), widths[place] if widths else None))
            if styled and cell.mark:
                text.stylize("bold" if cell.mark == _BEST else cell.mark, 0, len(cell.text))
            cells.append(text)
        table.add_row(*cells, end_section=number in sheet.sections)
    return table


def _empty(columns: Sequence[Column], widths: Sequence[int | None], boxed: bool, styled: bool = False) -> Table:
    """A table without rows."""
    table = Table()
    if not boxed:
        table.box, table.show_edge, table.pad_edge, table.collapse_padding = box.SIMPLE_HEAD, False, False, True
    for column, wide in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "left" if column.kind in ("key", "words", "remark") else "right"
        style = column.style if styled else ""
        table.add_column(Text(wrapped(column.head, wide)), justify=justify, style=style, no_wrap=True, width=wide)
    return table


def _width(sheet: Sheet, widths: Sequence[int], boxed: bool = False) -> int:
    """Of a table with columns of these widths."""
    return Console(width=100_000).measure(_empty(sheet.columns, widths, boxed)).maximum
