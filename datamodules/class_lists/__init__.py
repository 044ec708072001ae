"""Class lists and colour tables in files: one class a line, and the forms in which data sets and tools ship theirs.

A form is read only where every line has it; a line that fits no form is refused, since a wrong line shifts the labels
of all that follow. Quotation marks around a name keep it as it is.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from cliptrase.vocabulary import as_read, unreadable
from datamodules.class_lists.data import read_data
from datamodules.class_lists.lines import read_lines
from datamodules.class_lists.source import ClassList, Line, Source
from datamodules.errors import DataError

ENDINGS = frozenset({".txt", ".csv", ".tsv", ".json", ".yaml", ".yml", ".names", ".lst", ".list"})


def _read(source: Source) -> ClassList:
    text = source.text()
    body = text.strip()
    listed: ClassList | None = None
    if source.path.suffix.lower() == ".json" or (body[:1] in ("{", "[") and body[-1:] in ("}", "]")):
        listed = read_data(source, text, "JSON or YAML")
    elif body:
        listed = _of_lines(source, text)
    if listed is None or not listed.names:
        cure = "a name and its colour" if source.by_colour else "one class"
        raise DataError(f"{source.option} {str(source.path)!r} names no class; write {cure} a line")
    if source.by_colour and listed.colours is None:
        source.refuse(listed.lines[0], f"{listed.names[0]!r} has no colour")
    for name, number in zip(listed.names, listed.lines, strict=True):
        if fault := unreadable(name):
            source.refuse(number, f"the name {name[:40]!r} holds {fault}", "take it out")
        if not any(character.isalnum() or ord(character) > 0x2000 for character in name):
            source.refuse(number, f"{name!r} is no name", "take the line away")
    if not source.synonyms and not source.by_colour:
        _require_different(source, listed)
    return listed


def _of_lines(source: Source, text: str) -> ClassList | None:
    """Lines in YAML's form or in another."""
    lines = [Line(number, line.strip(" \xa0\u3000")) for number, line in enumerate(text.split("\n"), 1)]
    for line in lines:
        if fault := unreadable(line.text.replace("\t", " ")):
            source.refuse(line.number, f"{line.text[:40]!r} holds {fault}", "take it out")
    is_yaml = source.path.suffix.lower() in (".yaml", ".yml")
    if is_yaml or all(line.text.startswith("- ") for line in lines if line.text):
        return read_data(source, text, "YAML")
    return read_lines(source, [Line(line.number, line.text.strip()) for line in lines if line.text.strip()])


def _require_different(source: Source, listed: ClassList) -> None:
    seen: dict[str, int] = {}
    for name, number in zip(listed.names, listed.lines, strict=True):
        if (key := as_read(name)) in seen:
            source.refuse(
                number, f"{name!r} stands in line {seen[key]} already, and class names must differ", "take one away"
            )
        seen[key] = number


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
    return _read(Source(path, option, synonyms))


def read_colour_table(path: Path, option: str) -> ClassList:
    """Names of a file with their colours, a row each, in the order in which they stand; a name may stand in several.

    It reads CamVid's `label_colors.txt` (`64 128 64 Animal`), CVAT's `labelmap.txt`, tables whose header names columns
    `r,g,b` or one for the colour, `cat #ff8000`, and JSON and YAML: entries with a name and a colour, or a mapping of
    names to `[255, 128, 0]`, `"#ff8000"` or lists of such. Numbers of classes are passed over.

    Raises:
        DataError: naming the line that fits none of these forms.
    """
    return _read(Source(path, option, synonyms=False, by_colour=True))


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
