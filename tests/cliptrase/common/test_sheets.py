"""Tables of text: what gives way, and where they are printed."""

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from cliptrase.common.sheets import Cell, Column, Sheet, print_sheets, wrapped
from tests.sheets import printed


def sheet(*rows: tuple[str, ...], notes: tuple[str, ...] = ()) -> Sheet:
    columns = [Column("method", "key"), Column("mIoU", alike="mIoU"), Column("interval", "interval")]
    columns += [Column("a\nmIoU", alike="mIoU"), Column("b\nmIoU", alike="mIoU"), Column("remark", "remark")]
    return Sheet("a title", columns, [[*map(Cell, row)] for row in rows], notes)


@given(st.text(alphabet="ab -+_=é世", max_size=40), st.integers(2, 12))
def test_no_letter_is_lost_and_no_line_is_longer(text: str, width: int) -> None:
    lines = wrapped(text, width).split("\n")
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_columns_that_are_alike_are_one() -> None:
    alike = printed(sheet(("m", "1.00", "0 to 2", "1.00", "1.00", ""), ("n", "3.00", "", "3.00", "3.00", "")), width=80)
    assert alike.count("3.00") == 1
    assert "a mIoU is equal to mIoU in every row" in alike
    two = printed(sheet(("m", "1.00", "", "2.00", "2.00", ""), ("n", "3.00", "", "3.00", "3.00", "")), width=80)
    assert two.count("3.00") == 2
    assert "is equal" not in two
    assert re.search(r"a\b.*\n.*\bb\b", two)
    differing = printed(sheet(("m", "1.00", "", "1.00", "2.00", "")), width=80)
    assert differing.count("1.00") == 1
    assert differing.count("2.00") == 1


def test_remarks_become_notes_where_there_is_no_room() -> None:
    said = "the weights are others, and so is the number of the pictures"
    rows = ("m", "1.00", "0.10 to 2.00", "2.00", "3.00", said), ("n", "1.00", "0.10 to 2.00", "2.00", "3.00", said)
    text = printed(sheet(*rows), width=44)
    assert f"note 1: {said}" in " ".join(text.split())
    assert text.count("weights") == 1
    assert "note" not in printed(sheet(*rows), width=None)


def test_what_cannot_fit_goes_on_below_with_the_names_again() -> None:
    columns = [Column("method", "key"), *(Column(f"column {number}") for number in range(8))]
    rows = [[Cell(name), *(Cell(f"{number}.00") for number in range(8))] for name in ("one", "other")]
    lines = printed(Sheet("", columns, rows), width=40).splitlines()
    assert sum(line.startswith("other") for line in lines) == 3
    assert [f"{number}.00" for number in range(8)] == [
        figure for line in lines if line.startswith("other") for figure in line.split()[1:]
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("no_color", [False, True])
@pytest.mark.parametrize("terminal", [False, True])
def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch, no_color: bool, terminal: bool) -> None:
    stream: Any = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    print_sheets(Sheet("t", [Column("m", "key"), Column("n")], [[Cell("x", "red"), Cell("1.00", "best")]]))
    styled = terminal and not no_color
    assert ("\x1b" in stream.getvalue()) is styled
    assert ("bold: the best" in stream.getvalue()) is styled
    assert ("*1.00" in stream.getvalue()) is not styled
