"""CSV: what users wrote is text, what was counted is numbers."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliptrase.common.tables import csv_text, defused
from cliptrase.runs.callbacks.photo_writer import shares_csv
from cliptrase.vocabulary import Vocabulary

FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1", "\N{NO-BREAK SPACE}=1", "\ufeff=1", "\u200b=1"),
    *("\N{FULLWIDTH EQUALS SIGN}1", "\N{FULLWIDTH PLUS SIGN}1", "\N{FULLWIDTH HYPHEN-MINUS}1", "\tcat", "\x00=1"),
    *("\N{FULLWIDTH COMMERCIAL AT}SUM(1)", "\N{SMALL HYPHEN-MINUS}1", "\N{MINUS SIGN}1", "=cmd|' /C calc'!A0"),
]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert defused(text) == f"'{text}"
    assert list(csv.reader(io.StringIO(csv_text([[text]]), newline=""))) == [[f"'{text}"]]


@pytest.mark.parametrize("text", ["", "cat", "a=b", "1-2", "'=1", "кот", "a, b", "paper 336", "é=", " cat"])
def test_other_texts_stay(text: str) -> None:
    assert defused(text) == text


@given(st.text())
def test_what_is_written_is_no_formula_and_loses_nothing(text: str) -> None:
    safe = defused(text)
    assert safe in (text, f"'{text}")
    assert defused(safe) == safe  # an apostrophe begins no formula
    assert not safe.strip().startswith(("=", "+", "-", "@"))


def test_numbers_stay_numbers() -> None:
    assert csv_text([["-", -1.5, -3, 0.25, None, "x"]]) == "'-,-1.5,-3,0.25,,x\n"


def test_shares_of_words_and_files_that_look_like_formulas() -> None:
    vocabulary = Vocabulary((("=cmd|' /C calc'!A0",), ("@SUM(1)",)))
    head, line = csv.reader(io.StringIO(shares_csv([("=HYPERLINK(1)", [0.5, 0.5])], vocabulary)))
    assert head == ["picture", "'=cmd|' /C calc'!A0", "'@SUM(1)"]
    assert line == ["'=HYPERLINK(1)", "0.500000", "0.500000"]
