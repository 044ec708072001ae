"""The colour table of people's own label maps: which names its colours have, and which labels those are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from cliptrase.common.errors import did_you_mean, first_few
from cliptrase.vocabulary import BACKGROUND, Vocabulary, as_read, parse_prompts, shown, unreadable
from datamodules.class_lists import read_colour_table
from datamodules.class_lists.source import ClassList
from datamodules.colour_table import ColourTable, shown_colour
from datamodules.colours import Colour, colours_of
from datamodules.errors import DataError
from datamodules.notices import warn

IGNORED = frozenset({"ignore", "__ignore__"})  # names of a table that stand for what is not scored


class ColourRow(NamedTuple):
    """A name of a colour table.

    Attributes:
        name: of a class, of the background, or of what is not scored.
        colours: of the name; it may stand in further rows.
        where: what named it, for sentences.
        line: line of a file, or place in a mapping, from 1.
    """

    name: str
    colours: tuple[Colour, ...]
    where: str
    line: int


Colours = Path | Mapping[str, Any] | tuple[ColourRow, ...]


def read_rows(colors: Colours) -> tuple[ColourRow, ...]:
    """Rows of a file, or of a mapping of names to colours; see `class_lists.read_colour_table`.

    Raises:
        DataError: there is no such file, or a line or value of it is of no known form.
    """
    if isinstance(colors, tuple | Mapping) and not colors:
        raise DataError("`colors` names no colour; write a name and its colour, as in 'cat: [255, 0, 0]'")
    if isinstance(colors, tuple):
        return colors
    if isinstance(colors, Mapping):
        return tuple(_row(name, value, place) for place, (name, value) in enumerate(colors.items(), 1))
    path = Path(colors)
    return rows_of(read_colour_table(path, "`colors`"), f"`colors` {str(path)!r}")


def rows_of(listed: ClassList, where: str) -> tuple[ColourRow, ...]:
    """Rows of a colour table that was read from lines."""
    rows = zip(listed.names, listed.colours or (), listed.lines, strict=True)
    return tuple(ColourRow(name, colours, f"{where}, line {line}", line) for name, colours, line in rows)


def _row(name: Any, value: Any, place: int) -> ColourRow:
    where = f"`colors`, item {place}"
    if not isinstance(name, str) or not name.strip() or unreadable(name):
        raise DataError(f"{where}: {name!r} is no name; put a name in quotation marks")
    try:
        return ColourRow(name.strip(), colours_of(value), where, place)
    except ValueError as error:
        raise DataError(f"{where}: {name!r}: {error}; write [255, 128, 0] or '#ff8000'") from error


def scored_rows(
    rows: Sequence[ColourRow], ignore: str | Sequence[str], classes: Iterable[str]
) -> tuple[list[ColourRow], list[ColourRow]]:
    """Rows whose pixels are scored, and those whose are not.

    Args:
        rows: all of them.
        ignore: names that are not scored, besides those of `IGNORED`.
        classes: names that are scored whatever they are, as the list of classes has them.

    Raises:
        DataError: `ignore` names what is in no row, or what is a class.
    """
    known = {as_read(row.name): row.name for row in rows}
    scored = {as_read(name) for name in classes}
    items = [ignore] if isinstance(ignore, str) else ignore
    each = [name for item in items for name in ([item] if as_read(item) in known else parse_prompts(item))]
    named = {as_read(name): name for name in each}
    for key, name in named.items():
        if key not in known:
            near = did_you_mean(name, known.values())
            meant = f"did you mean {near}?" if near else "take a name of the table"
            raise DataError(f"`ignore` names {name!r}, which has no colour in `colors`; {meant}")
        if key in scored:
            raise DataError(f"`ignore` names {name!r}, which is a class of `classes`; take it away from one of them")
    unscored = {*named, *(IGNORED - scored)}
    apart = [as_read(row.name) in unscored for row in rows]
    return (
        [row for row, out in zip(rows, apart, strict=True) if not out],
        [row for row, out in zip(rows, apart, strict=True) if out],
    )


def table_of(
    scored: Sequence[ColourRow],
    unscored: Sequence[ColourRow],
    labels: Mapping[str, int],
    vocabulary: Vocabulary,
    ignore_label: int,
    first_name: Callable[[str], str],
) -> ColourTable:
    """The value of each colour: its class's label, or the value of what is not scored.

    Args:
        scored: rows of classes and of the background.
        unscored: rows of what is not scored.
        labels: labels by name as `as_read` gives it, synonyms too.
        vocabulary: whose labels these are.
        ignore_label: value of what is not scored.
        first_name: the name of several synonyms that a row's name may hold.

    Raises:
        DataError: a name is no class, or a colour has two meanings.
    """
    values: dict[Colour, tuple[int, str]] = {}
    meant = [labels.get(as_read(first_name(row.name))) for row in scored]
    if strange := [row for row, label in zip(scored, meant, strict=True) if label is None]:
        _refuse(strange, vocabulary)
    for row, value in zip((*scored, *unscored), (*meant, *(ignore_label for _ in unscored)), strict=True):
        for colour in row.colours:
            other, name = values.setdefault(colour, (value or 0, row.name))
            if other != value:
                raise DataError(
                    f"{row.where}: {row.name!r} has the colour {shown_colour(colour)}, which {name!r} has already; "
                    "a colour can stand for one class only"
                )
    _warn_of_classes_without_colour(vocabulary, {value for value, _ in values.values()})
    return ColourTable.of({colour: value for colour, (value, _) in values.items()})


def _refuse(strange: Sequence[ColourRow], vocabulary: Vocabulary) -> NoReturn:
    """Refuses rows whose names are no classes."""
    names = [*dict.fromkeys(row.name for row in strange)]
    near = did_you_mean(names[0], vocabulary.label_names) if len(names) == 1 else ""
    cure = f"did you mean {near}?" if near else "name what is not scored by `ignore`"
    what = f"{shown(names[0])} is no class" if len(names) == 1 else f"{first_few(names, 12)} are no classes"
    raise DataError(f"{strange[0].where}: {what} of `classes`; {cure}")


def _warn_of_classes_without_colour(vocabulary: Vocabulary, values: set[int]) -> None:
    without = [name for label, name in enumerate(vocabulary.label_names) if label not in values]
    if without:
        names = ", ".join(map(shown, without[:5])) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
        warn(f"`colors` has no colour of {names}, so that no label map can hold it; every prediction of it is wrong")


def labels_of(classes: Sequence[Sequence[str]], vocabulary: Vocabulary) -> dict[str, int]:
    """Label of each name of a class list, as `as_read` gives it, and of the background's.

    Args:
        classes: names of each class in the list's order, which may hold the background at its label.
        vocabulary: made of the list.
    """
    whole = len(classes) == vocabulary.num_labels  # the list names the background, or there is none
    labels = range(len(classes)) if whole else vocabulary.class_labels
    found = {as_read(name): label for names, label in zip(classes, labels, strict=True) for name in names}
    if vocabulary.background_index is not None:
        for name in (BACKGROUND, *vocabulary.background):
            found.setdefault(as_read(name), vocabulary.background_index)
    return found
