"""Class lists of one class a line, plain, numbered, with colours, or copied from code."""

import re
from collections.abc import Sequence

from datamodules.class_lists.patterns import (
    COLOUR_NAME,
    CVAT,
    CVAT_HEAD,
    HEX,
    MARKS,
    NAME_COLOUR,
    NAME_HEX,
    NAME_NUMBER,
    NUMBER_HYPHEN_NAME,
    NUMBER_NAME,
    QUOTED,
    bare_name,
)
from datamodules.class_lists.source import NAME_WORDS, NUMBER, ClassList, Line, Source, as_head, numbered
from datamodules.class_lists.tables import read_table
from datamodules.colours import Colour, colour_of


def read_lines(source: Source, lines: list[Line]) -> ClassList | None:
    """Names of lines that are not empty; None where all are comments."""
    if not lines:
        return None
    head = next((line for line in lines if CVAT_HEAD.fullmatch(line.text)), None)
    for line in lines:
        if re.match(r"#[^\s#]", line.text) and not CVAT_HEAD.fullmatch(line.text):
            source.refuse(
                line.number, f"{line.text[:40]!r} begins with #", "write '# ' before a comment, or quote a name"
            )
    lines = [line for line in lines if not line.text.startswith("#")]
    if lines and lines[0].text == "__ignore__":  # labelme's first line, which stands for no label
        lines = lines[1:]
    if not lines:
        return None
    if head:
        return _cvat(source, lines, strict=True)
    if (listed := read_table(source, lines)) is not None:
        return listed
    if source.by_colour:
        return _by_colour(source, lines)
    lines = _unquoted(source, lines)
    bare = [line for line in lines if not line.quoted]
    if len(bare) == len(lines):
        for form in (_cvat, _coloured, _leading, _trailing):
            if listed := form(source, lines):
                _refuse_semicolons(source, listed)
                return listed
        if (
            len(lines) > 1
            and not source.synonyms
            and (mark := next((mark for mark in ":=" if all(mark in line.text for line in lines)), ""))
        ):
            source.refuse(
                lines[0].number,
                f"every line holds {mark!r}, as {lines[0].text[:40]!r} does, in no form that is known",
            )
    for line in bare:
        _plain(source, line, lines[0])
    if len(lines) == 1 and bare and not source.synonyms and re.search(r"[,\uff0c\u3001]", lines[0].text):
        source.refuse(
            lines[0].number,
            f"the only line is {lines[0].text[:60]!r}, which makes one class",
            "write one class a line, or put the name of a single class in quotation marks",
        )
    return ClassList([line.text for line in lines], [line.number for line in lines], None)


def _refuse_semicolons(source: Source, listed: ClassList) -> None:
    for name, number in zip(listed.names, listed.lines, strict=True):
        if ";" in name and not source.synonyms:
            source.refuse(number, f"{name!r} holds a semicolon", "leave one name, or write a comma within it")


def _unquoted(source: Source, lines: Sequence[Line]) -> list[Line]:
    """Without quotation marks around names and the commas of a list in code."""
    plain = []
    for line in lines:
        if re.fullmatch(rf"(?:{QUOTED})(?:\s*,\s*(?:{QUOTED}))*\s*,?", line.text):
            plain += [Line(line.number, bare_name(quoted), quoted=True) for quoted in re.findall(QUOTED, line.text)]
        else:
            plain.append(line)
    bare = [line for line in plain if not line.quoted]
    # Of a list in code every line ends in a comma, the last perhaps not.
    if len(bare) > 1 and all(line.text.endswith(",") for line in bare[:-1]):
        plain = [line if line.quoted else Line(line.number, line.text.rstrip(", ")) for line in plain]
    for line in plain:
        if not line.text:
            source.refuse(line.number, "an empty name stands here", "take it away")
    return plain


def _cvat(source: Source, lines: Sequence[Line], strict: bool = False) -> ClassList | None:
    """`name:r,g,b:parts:actions`."""
    names, colours = [], []
    for line in lines:
        match = CVAT.fullmatch(line.text)
        if not match:
            if strict:
                source.refuse(line.number, f"{line.text[:40]!r} is not of CVAT's form name:r,g,b::", "mend the line")
            return None
        names.append(match["name"].strip())
        colours.append(_colour(source, line, match["colour"]) if source.by_colour else ())
    return ClassList(names, [line.number for line in lines], None, colours if source.by_colour else None)


def _by_colour(source: Source, lines: Sequence[Line]) -> ClassList:
    """Lines of a name and a colour; refuses the first that is not of the form that most have."""
    forms = (CVAT, COLOUR_NAME, NAME_COLOUR, NAME_HEX)
    form = max(forms, key=lambda pattern: sum(pattern.fullmatch(line.text) is not None for line in lines))
    names, colours = [], []
    for line in lines:
        match = form.fullmatch(line.text)
        if not match:
            source.refuse(line.number, f"{line.text[:40]!r} is no name with a colour")
        name = bare_name(match["name"].strip())
        if form in (COLOUR_NAME, NAME_COLOUR) and (NUMBER_NAME.fullmatch(name) or NUMBER.fullmatch(name)):
            source.refuse(
                line.number,
                "numbers, names and colours stand here",
                "name the columns by a header, as in id,name,r,g,b",
            )
        names.append(name)
        colours.append(_colour(source, line, match["colour"]))
    return ClassList(names, [line.number for line in lines], None, colours)


def _colour(source: Source, line: Line, text: str) -> tuple[Colour, ...]:
    try:
        return (colour_of(text),)
    except ValueError as error:
        source.refuse(line.number, str(error))


def _coloured(source: Source, lines: Sequence[Line]) -> ClassList | None:
    """`name,r,g,b` or `r g b name`, without a header."""
    for pattern in (NAME_COLOUR, COLOUR_NAME):
        matches = [pattern.fullmatch(line.text) for line in lines]
        colours = [[int(value) for value in re.findall(r"\d+", match["colour"])] for match in matches if match]
        if len(colours) == len(lines) and max(map(max, colours)) <= 255:
            names = [match["name"].strip() for match in matches if match]
            if any(NUMBER_NAME.fullmatch(name) or NUMBER.fullmatch(name) for name in names):
                source.refuse(
                    lines[0].number,
                    "numbers, names and colours stand here",
                    "name the columns by a header, as in id,name,r,g,b",
                )
            return ClassList(names, [line.number for line in lines], None)
    return None


def _leading(source: Source, lines: Sequence[Line]) -> ClassList | None:
    """`0: person`, `0 person`, `0,person`, `0-person`."""
    loose = [NUMBER_HYPHEN_NAME.fullmatch(line.text) for line in lines]
    counts = [int(m["number"]) for m in loose if m]
    in_order = len(counts) > 1 and counts in ([*range(len(lines))], [*range(1, len(lines) + 1)])
    matches = loose if in_order else [NUMBER_NAME.fullmatch(line.text) for line in lines]
    if all(matches):
        return numbered(
            source,
            [
                (m["number"], bare_name(m["name"].strip()), line.number)
                for m, line in zip(matches, lines, strict=True)
                if m
            ],
        )
    strong = [m is not None and m["mark"].strip() in (":", "=", ";") for m in matches]
    counted = [m is not None and int(m["number"]) in (place, place + 1) for place, m in enumerate(matches)]
    if any(strong) or sum(counted) * 2 > len(lines):
        other = lines[matches.index(None)]
        source.refuse(other.number, f"{other.text[:40]!r} has no number, as other lines have")
    return None


def _trailing(source: Source, lines: Sequence[Line]) -> ClassList | None:
    """`person: 0`, `person,0`."""
    matches = [NAME_NUMBER.fullmatch(line.text) for line in lines]
    fitting = [m for m in matches if m]
    counts = [int(m["number"]) for m in fitting]
    strong = [m is not None and bool(m["mark"].strip(" ")) for m in matches]
    if all(strong):
        return numbered(
            source, [(m["number"], bare_name(m["name"]), line.number) for m, line in zip(fitting, lines, strict=True)]
        )
    if any(m["mark"].strip() in (":", "=", ";") or "\t" in m["mark"] for m in fitting):
        other = lines[strong.index(False)]
        source.refuse(other.number, f"{other.text[:40]!r} has no number, as other lines have")
    in_order = len(fitting) == len(lines) > 1 and counts in ([*range(len(lines))], [*range(1, len(lines) + 1)])
    if in_order and len({m["name"] for m in fitting}) > 1:
        source.refuse(
            lines[0].number,
            "every line ends in its number",
            "write 'name,0' where these are labels, or put the names in quotation marks",
        )
    return None


def _plain(source: Source, line: Line, first: Line) -> None:
    """Refuses a line of one name that looks like something else."""
    text = line.text
    header = as_head(text)
    checks: tuple[tuple[bool, str], ...] = (
        (line.number == first.number and header in NAME_WORDS, "looks like a header"),
        (NUMBER.fullmatch(text) is not None, "is a number, not a name"),
        (CVAT.fullmatch(text) is not None and "::" in text, "ends in a colour"),
        ((match := NAME_COLOUR.fullmatch(text)) is not None and "," in match["colour"], "ends in a colour"),
        (COLOUR_NAME.fullmatch(text) is not None, "begins with a colour"),
        (HEX.search(text) is not None, "holds a colour"),
        (re.match(r"[+-]?\d+\s*[:=]", text) is not None, "is numbered, and other lines are not"),
        (text[0] in MARKS or text[-1] in MARKS.replace("'", ""), "has quotation marks, but not around one name"),
        (not source.synonyms and text.endswith(","), "ends in a comma, and other lines do not"),
        (text.startswith(("//", "/*", "--", "%")), "looks like a comment of code"),
        ("\t" in text, "holds a tab"),
        ("|" in text, "holds |"),
        (not source.synonyms and bool(re.search(r"[;\uff1b]", text)), "holds a semicolon"),
        (bool(re.match(r"[\[\](){}<>]", text)) or text.endswith(("[", "{", "(", "<")), "holds a bracket of code"),
        (text.endswith((":", "=")), "looks like a heading"),
        (text.startswith(("- ", "* ", "• ")), "is an item of a list, and other lines are not"),
    )
    for applies, what in checks:
        if applies:
            source.refuse(line.number, f"{text[:60]!r} {what}")
