"""Forms that a line of a class list may have, as regular expressions over the whole line."""

import re
from collections.abc import Sequence

from datamodules.class_lists.source import Line

QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\u201c[^\u201c\u201d]*\u201d|\u2018[^\u2018\u2019]*\u2019"""
MARKS = "'\"\u201c\u201d\u2018"
CVAT_HEAD = re.compile(r"#\s*label:color_rgb:parts:actions\s*", re.IGNORECASE)
CVAT = re.compile(r"(?P<name>.+?):(?P<colour>\d{1,3},\d{1,3},\d{1,3})(?::[^:]*:[^:]*)?")
COLOUR = r"\d{1,3}(?:\s*,\s*|\s*;\s*|\s+)\d{1,3}(?:\s*,\s*|\s*;\s*|\s+)\d{1,3}"
NAME_COLOUR = re.compile(rf"(?P<name>.*[^\s,;:=])(?:\s*[,;:=]\s*|\s+)(?P<colour>{COLOUR})")
COLOUR_NAME = re.compile(rf"(?P<colour>{COLOUR})(?:\s*[,;:]\s*|\s+)(?P<name>\S.*)")
HEX = re.compile(r"(?:^|[\s,;:=])(?:#|0x)[0-9a-fA-F]{6}\b")
NAME_HEX = re.compile(r"(?P<name>.*\S)(?:\s*[,;:=]\s*|\s+)(?P<colour>(?:#|0x)[0-9a-fA-F]{6})")
NUMBER_NAME = re.compile(
    r"(?P<number>[+-]?\d{1,9})(?P<mark>\s*[:=,;\t]\s*|[.)]\s*(?=[^\W\d])|\s+[-\u2013\u2014|>]+\s+|\s+)(?P<name>\S.*)"
)
NUMBER_HYPHEN_NAME = re.compile(r"(?P<number>\d{1,9})(?P<mark>\s*[-\u2013\u2014|>_]+\s*)(?P<name>\S.*)")
NAME_NUMBER = re.compile(r"(?P<name>.*\S)(?P<mark>\s*[:=,;\t]\s*|\s+)(?P<number>[+-]?\d{1,9})")


def has_form(lines: Sequence[Line]) -> bool:
    """Whether all lines have one of the forms with numbers or colours."""
    patterns = (CVAT, NAME_COLOUR, COLOUR_NAME, NUMBER_NAME, NAME_NUMBER)
    return any(all(pattern.fullmatch(line.text) for line in lines) for pattern in patterns)


def bare_name(name: str) -> str:
    """A name without the quotation marks around it."""
    if not re.fullmatch(QUOTED, name):
        return name
    return re.sub(r"\\(['\"\\])", r"\1", name[1:-1]).strip()
