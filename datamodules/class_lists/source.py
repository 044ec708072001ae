"""What all forms of class lists share: the file, its errors, what is read of it, and names by numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from cliptrase.common.errors import one_line
from datamodules.colours import Colour
from datamodules.errors import DataError

_MOST_BYTES = 16 << 20

# Heads of columns and keys, in small letters, `_` for spaces and hyphens.
NAME_WORDS = (
    *("class_name", "classname", "label_name", "name", "names", "class", "classes", "label", "labels"),
    *("category", "categories", "category_name", "title"),
)
NUMBER_WORDS = (
    *("id", "idx", "index", "ids", "value", "number", "no", "nr", "pixel_value", "pixel_id", "class_id"),
    *("label_id", "category_id", "train_id", "trainid", "class_index"),
)
CHANNEL_WORDS = (("r", "red"), ("g", "green"), ("b", "blue"))
WHOLE_COLOUR_WORDS = ("color", "colour", "rgb", "hex", "color_rgb")
COLOUR_WORDS = (*(word for words in CHANNEL_WORDS for word in words), *WHOLE_COLOUR_WORDS)

_COLOUR_CURE = "write lines like 'cat,255,0,0', CVAT's 'cat:255,0,0::', or YAML like 'cat: [255, 0, 0]'"

WHOLE_NUMBER = re.compile(r"[+-]?\d+")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


class ClassList(NamedTuple):
    """Names in the order of their labels; of a colour table, rows in the order in which they stand."""

    names: list[str]
    lines: list[int]  # line of the file in which each stands, from 1
    first: int | None  # number that the file gives to the first name, None where it numbers nothing
    colours: list[tuple[Colour, ...]] | None = None  # of each name, where they were asked for


@dataclass(frozen=True)
class Line:
    """A line of a text file, from 1; `quoted` where it stood in quotation marks, a name whatever it looks like."""

    number: int
    text: str
    quoted: bool = False


@dataclass(frozen=True)
class Source:
    """A file that lists classes.

    Attributes:
        path: the file.
        option: what named it, for sentences.
        synonyms: whether commas (and semicolons) in a line stand between names, and are not part of one.
        by_colour: whether names are told by colours, so that numbers decide nothing and one name may have several.
    """

    path: Path
    option: str
    synonyms: bool
    by_colour: bool = False

    def refuse(self, line: int, what: str, cure: str = "") -> NoReturn:
        """Raises the error of a line: what is wrong with it, and what to do.

        Raises:
            DataError: always.
        """
        usual = "write one class a line, or put a name that is meant so in quotation marks"
        cure = cure or (_COLOUR_CURE if self.by_colour else usual)
        raise DataError(f"{self.option} {str(self.path)!r}, line {line}: {what}; {cure}")

    def text(self) -> str:
        """The file's text, its line ends as one newline each.

        Raises:
            DataError: it cannot be read, is too large, or is no text in UTF-8.
        """
        try:
            if not self.path.is_file():
                raise DataError(f"{self.option} {str(self.path)!r} is not a text file that can be read (no such file)")
            with self.path.open("rb") as file:
                content = file.read(_MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"{self.option} {str(self.path)!r} is not a text file that can be read ({one_line(error)})"
            ) from error
        if len(content) > _MOST_BYTES:
            raise DataError(f"{self.option} {str(self.path)!r} is larger than {_MOST_BYTES >> 20} MiB: no class list")
        if content.startswith((b"\xff\xfe", b"\xfe\xff")) or (
            b"\0" in content and content.count(b"\0") * 3 > len(content)
        ):
            raise DataError(
                f"{self.option} {str(self.path)!r} is not a text file in UTF-8 (UTF-16, it seems); save it as UTF-8"
            )
        try:
            return re.sub(r"\r\n?", "\n", content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = len(re.findall(rb"\r\n?|\n", content[: error.start])) + 1
            raise DataError(
                f"{self.option} {str(self.path)!r} is not a text file that can be read (line {line} is no UTF-8); save "
                "it as UTF-8"
            ) from error


def as_head(text: str) -> str:
    """A head of a column or a key as the words above are written."""
    return re.sub(r"[\s_-]+", "_", text.strip().strip("\"'").lower())


def numbered(
    source: Source, rows: Sequence[tuple[str | None, str, int]], colours: list[tuple[Colour, ...]] | None = None
) -> ClassList:
    """Names by numbers, which must be 0..n-1 or 1..n, each once; by colour, names as they stand."""
    if source.by_colour:
        return ClassList([name for _, name, _ in rows], [line for *_, line in rows], None, colours)
    numbers: dict[int, int] = {}
    for given, name, line in rows:
        if given is None or not given.strip().isdecimal():
            source.refuse(line, f"{name!r} has {given!r} where the other lines have a number")
        number = int(given)
        if number in numbers:
            source.refuse(line, f"the number {number} stands in line {numbers[number]} already", "take one away")
        numbers[number] = line
    first = min(numbers)
    missing = sorted(set(range(first, first + len(numbers))) - numbers.keys())
    if first not in (0, 1) or missing:
        last = max(numbers, key=lambda number: number)
        wrong = f"number {missing[0]} is missing" if missing else f"numbers begin with {first}"
        source.refuse(
            numbers[last] if missing else numbers[first],
            f"lines are numbered, and {wrong}, so that the labels are not 0..{len(numbers) - 1}",
            "number the classes from 0 without a gap (labels that count for nothing are not listed), or put names "
            "that begin with a number in quotation marks",
        )
    ordered = sorted((int(given or 0), name, line) for given, name, line in rows)
    return ClassList([name for _, name, _ in ordered], [line for *_, line in ordered], first)


def is_another_order(numbers: Sequence[str]) -> bool:
    """Whether numbers count several entries, 0..n-1 or 1..n, but not in the order in which they stand."""
    if len(numbers) < 3 or not all(WHOLE_NUMBER.fullmatch(number) for number in numbers):
        return False
    values = [int(number) for number in numbers]
    return sorted(values) in ([*range(len(values))], [*range(1, len(values) + 1)]) and values != sorted(values)
