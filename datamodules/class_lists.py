"""Class lists in files: one class a line, and the forms in which data sets and annotation tools ship theirs.

A form is read only where every line has it; a line that fits no form is refused, since a wrong line shifts the labels
of all that follow. Quotation marks around a name keep it as it is.
"""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

import yaml

from cliptrase.errors import one_line
from cliptrase.vocabulary import as_read, unreadable
from datamodules.errors import DataError

ENDINGS = frozenset({".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".names", ".lst", ".list"})
_MOST_BYTES = 16 << 20

_NAME_WORDS = (
    *("class_name", "classname", "label_name", "name", "names", "class", "classes", "label", "labels"),
    *("category", "categories", "category_name", "title"),
)
_NUMBER_WORDS = (
    *("id", "idx", "index", "ids", "value", "number", "no", "nr", "pixel_value", "pixel_id", "class_id"),
    *("label_id", "category_id", "train_id", "trainid", "class_index"),
)
_COLOUR_WORDS = ("r", "g", "b", "red", "green", "blue", "color", "colour", "rgb", "hex", "color_rgb")

_QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\u201c[^\u201c\u201d]*\u201d|\u2018[^\u2018\u2019]*\u2019"""
_MARKS = "'\"\u201c\u201d\u2018"
_CVAT_HEAD = re.compile(r"#\s*label:color_rgb:parts:actions\s*", re.IGNORECASE)
_CVAT = re.compile(r"(?P<name>.+?):(?P<colour>\d{1,3},\d{1,3},\d{1,3})(?::[^:]*:[^:]*)?")
_COLOUR = r"\d{1,3}(?:\s*,\s*|\s*;\s*|\s+)\d{1,3}(?:\s*,\s*|\s*;\s*|\s+)\d{1,3}"
_NAME_COLOUR = re.compile(rf"(?P<name>.*\S)(?:\s*[,;:]\s*|\s+)(?P<colour>{_COLOUR})")
_COLOUR_NAME = re.compile(rf"(?P<colour>{_COLOUR})(?:\s*[,;:]\s*|\s+)(?P<name>\S.*)")
_HEX = re.compile(r"(?:^|[\s,;:=])(?:#|0x)[0-9a-fA-F]{6}\b")
_NUMBER_NAME = re.compile(
    r"(?P<number>[+-]?\d{1,9})(?P<mark>\s*[:=,;\t]\s*|[.)]\s*(?=[^\W\d])|\s+[-\u2013\u2014|>]+\s+|\s+)(?P<name>\S.*)"
)
_NUMBER_HYPHEN_NAME = re.compile(r"(?P<number>\d{1,9})(?P<mark>\s*[-\u2013\u2014|>_]+\s*)(?P<name>\S.*)")
_NAME_NUMBER = re.compile(r"(?P<name>.*\S)(?P<mark>\s*[:=,;\t]\s*|\s+)(?P<number>[+-]?\d{1,9})")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


class ClassList(NamedTuple):
    """Names in the order of their labels."""

    names: list[str]
    lines: list[int]  # line of the file in which each stands, from 1
    first: int | None  # number that the file gives to the first name, None where it numbers nothing


@dataclass(frozen=True)
class _Line:
    number: int
    text: str
    kept: bool = False  # in quotation marks: a name whatever it looks like


class _Reader:
    """One file; `refuse` names it and the line."""

    def __init__(self, path: Path, option: str, synonyms: bool) -> None:
        self.path, self.option, self.synonyms = path, option, synonyms

    def refuse(self, line: int, what: str, cure: str = "") -> NoReturn:
        cure = cure or "write one class a line, or put a name that is meant so in quotation marks"
        raise DataError(f"{self.option} {str(self.path)!r}, line {line}: {what}; {cure}")

    def text(self) -> str:
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

    def read(self) -> ClassList:
        text = self.text()
        lines = [_Line(number, line.strip(" \xa0\u3000")) for number, line in enumerate(text.split("\n"), 1)]
        for line in lines:
            if fault := unreadable(line.text.replace("\t", " ")):
                self.refuse(line.number, f"{line.text[:40]!r} holds {fault}", "take it out")
        body = text.strip()
        ending = self.path.suffix.lower()
        found: ClassList | None = None
        if ending == ".json" or (body[:1] in ("{", "[") and body[-1:] in ("}", "]")):
            found = self._data(text, "JSON or YAML")
        elif ending in (".yaml", ".yml") or all(line.text.startswith("- ") for line in lines if line.text):
            found = self._data(text, "YAML") if body else None
        else:
            found = self._lines([_Line(line.number, line.text.strip()) for line in lines if line.text.strip()])
        if found is None or not found.names:
            raise DataError(f"{self.option} {str(self.path)!r} names no class; write one class a line")
        for name, number in zip(found.names, found.lines, strict=True):
            if fault := unreadable(name):
                self.refuse(number, f"the name {name[:40]!r} holds {fault}", "take it out")
            if not any(character.isalnum() or ord(character) > 0x2000 for character in name):
                self.refuse(number, f"{name!r} is no name", "take the line away")
        if not self.synonyms:
            self._differ(found)
        return found

    def _differ(self, found: ClassList) -> None:
        seen: dict[str, int] = {}
        for name, number in zip(found.names, found.lines, strict=True):
            if (key := as_read(name)) in seen:
                self.refuse(
                    number, f"{name!r} stands in line {seen[key]} already, and class names must differ", "take one away"
                )
            seen[key] = number

    # JSON and YAML ----------------------------------------------------------------------------------------------------

    def _data(self, text: str, form: str) -> ClassList:
        """Lists and mappings, whose scalars are text: `on` is a name, not a truth value."""
        try:
            if form != "YAML":
                try:
                    json.loads(text)
                except ValueError:
                    if self.path.suffix.lower() == ".json":
                        raise
                else:
                    form, text = "JSON", text.replace("\t", " ")
            node = yaml.compose(text, Loader=yaml.BaseLoader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            number = mark.line + 1 if mark is not None else getattr(error, "lineno", 1)
            reason = getattr(error, "problem", None) or getattr(error, "msg", None) or one_line(error)
            self.refuse(number, f"this is no {form} ({reason})", "mend it, or write one class a line")
        if isinstance(node, yaml.MappingNode):
            node = self._inner(node)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, form)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        return self.refuse(1, f"this {form} holds no list of names")

    def _inner(self, node: yaml.MappingNode) -> yaml.Node:
        """The list under a key such as `names`, where there is just one."""
        held = [
            (key, value)
            for key, value in node.value
            if isinstance(value, yaml.MappingNode | yaml.SequenceNode)
            and isinstance(key, yaml.ScalarNode)
            and key.value.lower() in (*_NAME_WORDS, "stuff_classes", "thing_classes", "id2label", "label2id")
        ]
        if len(held) > 1:
            second = held[1][0]
            self.refuse(second.start_mark.line + 1, f"{second.value!r} is a second list of names", "leave one of them")
        return held[0][1] if held else node

    def _scalar(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            self.refuse(node.start_mark.line + 1, "here stands no name")
        # JSON writes what lies beyond 16 bits as two halves.
        return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()

    def _sequence(self, node: yaml.SequenceNode, form: str) -> ClassList:
        if node.value and all(isinstance(item, yaml.MappingNode) for item in node.value):
            rows = []
            for item in node.value:
                entries = {self._scalar(key).lower(): value for key, value in item.value}
                names = [entries[word] for word in ("name", "title", "label") if word in entries]
                if not names:
                    self.refuse(item.start_mark.line + 1, "this entry has no 'name'")
                number = next((entries[word] for word in ("id", "trainid", "train_id") if word in entries), None)
                rows.append((number and self._scalar(number), self._scalar(names[0]), item.start_mark.line + 1))
            if all(number is None for number, *_ in rows):
                return ClassList([name for _, name, _ in rows], [line for *_, line in rows], None)
            return self._numbered(rows)
        names = [self._scalar(item) for item in node.value]
        for item in node.value:
            if item.style is None and (form == "JSON" or _NUMBER.fullmatch(item.value)):
                self.refuse(item.start_mark.line + 1, f"{item.value} is no name", "put a name in quotation marks")
        return ClassList(names, [item.start_mark.line + 1 for item in node.value], None)

    def _mapping(self, node: yaml.MappingNode) -> ClassList:
        pairs = [(self._scalar(key), self._scalar(value), key.start_mark.line + 1) for key, value in node.value]
        by_number = all(key.isdecimal() for key, *_ in pairs)
        by_name = all(value.isdecimal() for _, value, _ in pairs)
        if by_number == by_name:
            self.refuse(pairs[0][2] if pairs else 1, "names and numbers cannot be told apart in this mapping")
        return self._numbered([(k, v, line) if by_number else (v, k, line) for k, v, line in pairs])

    def _numbered(self, rows: Sequence[tuple[str | None, str, int]]) -> ClassList:
        """Names by numbers, which must be 0..n-1 or 1..n, each once."""
        numbers: dict[int, int] = {}
        for given, name, line in rows:
            if given is None or not given.strip().isdecimal():
                self.refuse(line, f"{name!r} has {given!r} where the other lines have a number")
            number = int(given)
            if number in numbers:
                self.refuse(line, f"the number {number} stands in line {numbers[number]} already", "take one away")
            numbers[number] = line
        first = min(numbers)
        missing = sorted(set(range(first, first + len(numbers))) - numbers.keys())
        if first not in (0, 1) or missing:
            last = max(numbers, key=lambda number: number)
            wrong = f"number {missing[0]} is missing" if missing else f"numbers begin with {first}"
            self.refuse(
                numbers[last] if missing else numbers[first],
                f"lines are numbered, and {wrong}, so that the labels are not 0..{len(numbers) - 1}",
                "number the classes from 0 without a gap (labels that count for nothing are not listed), or put names "
                "that begin with a number in quotation marks",
            )
        ordered = sorted((int(given or 0), name, line) for given, name, line in rows)
        return ClassList([name for _, name, _ in ordered], [line for *_, line in ordered], first)

    # Lines ------------------------------------------------------------------------------------------------------------

    def _lines(self, lines: list[_Line]) -> ClassList | None:
        if not lines:
            return None
        head = next((line for line in lines if _CVAT_HEAD.fullmatch(line.text)), None)
        for line in lines:
            if re.match(r"#[^\s#]", line.text) and not _CVAT_HEAD.fullmatch(line.text):
                self.refuse(
                    line.number, f"{line.text[:40]!r} begins with #", "write '# ' before a comment, or quote a name"
                )
        lines = [line for line in lines if not line.text.startswith("#")]
        if lines and lines[0].text == "__ignore__":  # labelme's first line, which stands for no label
            lines = lines[1:]
        if not lines:
            return None
        if head:
            return self._cvat(lines, strict=True)
        table = self._table(lines)
        if table is not None:
            return table
        lines = self._unquoted(lines)
        bare = [line for line in lines if not line.kept]
        if len(bare) == len(lines):
            for form in (self._cvat, self._coloured, self._leading, self._trailing):
                found = form(lines)
                for name, number in zip(*found[:2], strict=True) if found and not self.synonyms else ():
                    if ";" in name:
                        self.refuse(number, f"{name!r} holds a semicolon", "leave one name, or write a comma within it")
                if found:
                    return found
            if (
                len(lines) > 1
                and not self.synonyms
                and (mark := next((mark for mark in ":=" if all(mark in line.text for line in lines)), ""))
            ):
                self.refuse(
                    lines[0].number,
                    f"every line holds {mark!r}, as {lines[0].text[:40]!r} does, in no form that is known",
                )
        for line in bare:
            self._plain(line, lines[0])
        if len(lines) == 1 and bare and not self.synonyms and re.search(r"[,\uff0c\u3001]", lines[0].text):
            self.refuse(
                lines[0].number,
                f"the only line is {lines[0].text[:60]!r}, which makes one class",
                "write one class a line, or put the name of a single class in quotation marks",
            )
        return ClassList([line.text for line in lines], [line.number for line in lines], None)

    def _cvat(self, lines: Sequence[_Line], strict: bool = False) -> ClassList | None:
        """`name:r,g,b:parts:actions`."""
        names = []
        for line in lines:
            match = _CVAT.fullmatch(line.text)
            if not match:
                if strict:
                    self.refuse(line.number, f"{line.text[:40]!r} is not of CVAT's form name:r,g,b::", "mend the line")
                return None
            names.append(match["name"].strip())
        return ClassList(names, [line.number for line in lines], None)

    def _table(self, lines: Sequence[_Line]) -> ClassList | None:
        """Columns under a header that names them, such as `name,r,g,b` or `Pixel Value, Class`."""
        head = lines[0]
        delimiter = next((mark for mark in "\t;," if mark in head.text), "")
        columns = [
            re.sub(r"[\s_-]+", "_", cell.strip().strip("\"'").lower()) for cell in head.text.split(delimiter or None)
        ]
        known = {*_NAME_WORDS, *_NUMBER_WORDS, *_COLOUR_WORDS}
        other = known - {*_NAME_WORDS}
        named = [place for place, column in enumerate(columns) if column in _NAME_WORDS]
        is_table = self.path.suffix.lower() in (".csv", ".tsv")
        if not delimiter:
            if len(columns) == 1 and columns[0] in _NAME_WORDS and is_table:
                rest = [_Line(line.number, line.text.strip('"')) for line in lines[1:]]
                return ClassList([line.text for line in rest], [line.number for line in rest], None)
            if len(columns) > 1 and set(columns) <= known and named and set(columns) & other:
                self.refuse(head.number, f"{head.text[:40]!r} looks like a header", "separate its columns by commas")
            return None
        if not named or not set(columns) & other:
            if is_table and not head.text.startswith(("'", '"')) and not self._has_form(lines):
                self.refuse(
                    head.number,
                    f"{head.text[:40]!r} is no header that is known",
                    "name the columns, as in name,r,g,b or id,name, or write a text file of one class a line",
                )
            return None
        try:
            rows = [
                (
                    line.number,
                    [
                        cell.strip()
                        for cell in next(
                            csv.reader([line.text], delimiter=delimiter, strict=True, skipinitialspace=True)
                        )
                    ],
                )
                for line in lines[1:]
            ]
        except csv.Error as error:
            self.refuse(head.number, f"this table cannot be read ({error})", "mend its quotation marks")
        for number, cells in rows:
            if len(cells) != len(columns):
                self.refuse(
                    number,
                    f"{len(cells)} columns stand here, {len(columns)} in the header",
                    "quote names that hold a comma",
                )
        if len(named) > 1:  # `label,name`: numbers and names
            named = [place for place in named if not all(_NUMBER.fullmatch(cells[place]) for _, cells in rows)] or named
            named.sort(key=lambda place: _NAME_WORDS.index(columns[place]))
        name = named[0]
        numbers = [
            place
            for place, column in enumerate(columns)
            if place != name
            and column not in _COLOUR_WORDS
            and (
                column in _NUMBER_WORDS
                or (column in _NAME_WORDS and all(_NUMBER.fullmatch(cells[place]) for _, cells in rows))
            )
        ]
        if len(numbers) > 1:
            self.refuse(
                head.number,
                f"the columns {columns[numbers[0]]!r} and {columns[numbers[1]]!r} both number the classes",
                "leave one of them",
            )
        for number, cells in rows:
            if not cells[name] or _NUMBER.fullmatch(cells[name]):
                self.refuse(number, f"{cells[name]!r} stands where the header has {columns[name]!r}", "mend the line")
            if ";" in cells[name] and not self.synonyms:
                self.refuse(number, f"{cells[name]!r} holds a semicolon", "leave one name, or write a comma within it")
        if numbers:
            return self._numbered([(cells[numbers[0]], cells[name], number) for number, cells in rows])
        return ClassList([cells[name] for _, cells in rows], [number for number, _ in rows], None)

    def _has_form(self, lines: Sequence[_Line]) -> bool:
        patterns = (_CVAT, _NAME_COLOUR, _COLOUR_NAME, _NUMBER_NAME, _NAME_NUMBER)
        return self.synonyms or any(all(pattern.fullmatch(line.text) for line in lines) for pattern in patterns)

    def _unquoted(self, lines: Sequence[_Line]) -> list[_Line]:
        """Without quotation marks around names and the commas of a list in code."""
        found = []
        for line in lines:
            if re.fullmatch(rf"(?:{_QUOTED})(?:\s*,\s*(?:{_QUOTED}))*\s*,?", line.text):
                found += [_Line(line.number, _bare(quoted), kept=True) for quoted in re.findall(_QUOTED, line.text)]
            else:
                found.append(line)
        bare = [line for line in found if not line.kept]
        # Of a list in code every line ends in a comma, the last perhaps not.
        if len(bare) > 1 and all(line.text.endswith(",") for line in bare[:-1]):
            found = [line if line.kept else _Line(line.number, line.text.rstrip(", ")) for line in found]
        for line in found:
            if not line.text:
                self.refuse(line.number, "an empty name stands here", "take it away")
        return found

    def _coloured(self, lines: Sequence[_Line]) -> ClassList | None:
        """`name,r,g,b` or `r g b name`, without a header."""
        for pattern in (_NAME_COLOUR, _COLOUR_NAME):
            matches = [pattern.fullmatch(line.text) for line in lines]
            colours = [[int(value) for value in re.findall(r"\d+", match["colour"])] for match in matches if match]
            if len(colours) == len(lines) and max(map(max, colours)) <= 255:
                names = [match["name"].strip() for match in matches if match]
                if any(_NUMBER_NAME.fullmatch(name) or _NUMBER.fullmatch(name) for name in names):
                    self.refuse(
                        lines[0].number,
                        "numbers, names and colours stand here",
                        "name the columns by a header, as in id,name,r,g,b",
                    )
                return ClassList(names, [line.number for line in lines], None)
        return None

    def _leading(self, lines: Sequence[_Line]) -> ClassList | None:
        """`0: person`, `0 person`, `0,person`, `0-person`."""
        loose = [_NUMBER_HYPHEN_NAME.fullmatch(line.text) for line in lines]
        counts = [int(m["number"]) for m in loose if m]
        in_order = len(counts) > 1 and counts in ([*range(len(lines))], [*range(1, len(lines) + 1)])
        matches = loose if in_order else [_NUMBER_NAME.fullmatch(line.text) for line in lines]
        if all(matches):
            return self._numbered(
                [
                    (m["number"], _bare(m["name"].strip()), line.number)
                    for m, line in zip(matches, lines, strict=True)
                    if m
                ]
            )
        strong = [m is not None and m["mark"].strip() in (":", "=", ";") for m in matches]
        counted = [m is not None and int(m["number"]) in (place, place + 1) for place, m in enumerate(matches)]
        if any(strong) or sum(counted) * 2 > len(lines):
            other = lines[matches.index(None)]
            self.refuse(other.number, f"{other.text[:40]!r} has no number, as other lines have")
        return None

    def _trailing(self, lines: Sequence[_Line]) -> ClassList | None:
        """`person: 0`, `person,0`."""
        matches = [_NAME_NUMBER.fullmatch(line.text) for line in lines]
        found = [m for m in matches if m]
        counts = [int(m["number"]) for m in found]
        strong = [m is not None and bool(m["mark"].strip(" ")) for m in matches]
        if all(strong):
            return self._numbered(
                [(m["number"], _bare(m["name"]), line.number) for m, line in zip(found, lines, strict=True)]
            )
        if any(m["mark"].strip() in (":", "=", ";") or "\t" in m["mark"] for m in found):
            other = lines[strong.index(False)]
            self.refuse(other.number, f"{other.text[:40]!r} has no number, as other lines have")
        in_order = len(found) == len(lines) > 1 and counts in ([*range(len(lines))], [*range(1, len(lines) + 1)])
        if in_order and len({m["name"] for m in found}) > 1:
            self.refuse(
                lines[0].number,
                "every line ends in its number",
                "write 'name,0' where these are labels, or put the names in quotation marks",
            )
        return None

    def _plain(self, line: _Line, first: _Line) -> None:
        """Refuses a line of one name that looks like something else."""
        text = line.text
        header = re.sub(r"[\s_-]+", "_", text.lower())
        checks: tuple[tuple[bool, str], ...] = (
            (line.number == first.number and header in _NAME_WORDS, "looks like a header"),
            (_NUMBER.fullmatch(text) is not None, "is a number, not a name"),
            (_CVAT.fullmatch(text) is not None and "::" in text, "ends in a colour"),
            ((match := _NAME_COLOUR.fullmatch(text)) is not None and "," in match["colour"], "ends in a colour"),
            (_COLOUR_NAME.fullmatch(text) is not None, "begins with a colour"),
            (_HEX.search(text) is not None, "holds a colour"),
            (re.match(r"[+-]?\d+\s*[:=]", text) is not None, "is numbered, and other lines are not"),
            (text[0] in _MARKS or text[-1] in _MARKS.replace("'", ""), "has quotation marks, but not around one name"),
            (not self.synonyms and text.endswith(","), "ends in a comma, and other lines do not"),
            (text.startswith(("//", "/*", "--", "%")), "looks like a comment of code"),
            ("\t" in text, "holds a tab"),
            ("|" in text, "holds |"),
            (not self.synonyms and bool(re.search(r"[;\uff1b]", text)), "holds a semicolon"),
            (bool(re.match(r"[\[\](){}<>]", text)) or text.endswith(("[", "{", "(", "<")), "holds a bracket of code"),
            (text.endswith((":", "=")), "looks like a heading"),
            (text.startswith(("- ", "* ", "• ")), "is an item of a list, and other lines are not"),
        )
        for found, what in checks:
            if found:
                self.refuse(line.number, f"{text[:60]!r} {what}")


def _bare(name: str) -> str:
    """A name without the quotation marks around it."""
    if not re.fullmatch(_QUOTED, name):
        return name
    return re.sub(r"\\(['\"\\])", r"\1", name[1:-1]).strip()


def read_class_list(path: Path, option: str, synonyms: bool = False) -> ClassList:
    """Names of a file, in the order of their labels.

    Besides one name a line it reads CVAT's `labelmap.txt`, tables with a header (`class_dict.csv`, `_classes.csv`),
    lines that are numbered or hold colours, lists copied from code, JSON and YAML; lines that begin with `# ` are
    comments.

    Args:
        path: the file.
        option: the option that named it, for sentences.
        synonyms: whether commas (and semicolons) in a line stand between names, and are not part of one.

    Raises:
        DataError: naming the line that fits none of these forms.
    """
    return _Reader(path, option, synonyms).read()


def read_list(names: Sequence[str], option: str, check: Callable[[str], str] = unreadable) -> ClassList:
    """Names given one by one, which are text whatever they look like.

    Raises:
        DataError: an item is no text, is empty, or holds what nobody sees.
    """
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise DataError(f"{option}: item {place + 1}, {name!r}, is not text; put it in quotation marks")
        if not name.strip():
            raise DataError(f"{option}: item {place + 1} is empty; take it away")
        if fault := check(name):
            raise DataError(f"{option}: item {place + 1}, {name[:40]!r}, holds {fault}; take it out")
    return ClassList([name.strip() for name in names], [place + 1 for place in range(len(names))], None)
