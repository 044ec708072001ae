"""CSV that spreadsheets show and do not run."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable

_FORMULA = "=+-@"
_CONTROLS = "\t\r\n"
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]*")


def csv_text(rows: Iterable[Iterable[str | float | None]]) -> str:
    """Lines of CSV; None is an empty cell.

    Texts come from users (file names, words, names of settings), so they are made safe by `defused`. Numbers stay
    numbers, negative ones too: hand them over as such.

    >>> print(csv_text([["name", "difference"], ["=1+1", -1.5], ["cat, dog", None]]), end="")
    name,difference
    '=1+1,-1.5
    "cat, dog",
    """
    lines = []
    for row in rows:
        buffer = io.StringIO(newline="")
        # Ends of lines as the format has them: only then a carriage return within a cell is quoted.
        csv.writer(buffer).writerow([defused(cell) if isinstance(cell, str) else cell for cell in row])
        lines.append(buffer.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)


def defused(text: str) -> str:
    """Text that no spreadsheet takes for a formula: a leading apostrophe where it would.

    A formula begins with = + - or @, in full width too, after blanks too; a tab or an end of line may begin one
    (OWASP, *CSV Injection*).

    >>> defused("=SUM(A1)"), defused("a=b")
    ("'=SUM(A1)", 'a=b')
    """
    rest = text[_BLANK.match(text).end() :]  # type: ignore[union-attr]  # it matches nothing, too
    first = unicodedata.normalize("NFKC", rest[:1]).replace("\N{MINUS SIGN}", "-")
    return f"'{text}" if text[:1] in (*_CONTROLS,) or (first and first[0] in _FORMULA) else text
