"""Options of a folder of one's own, and the `DatasetSpec` that they make; `spec_file` reads them from YAML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cliptrase.common.images import Reader
from cliptrase.vocabulary import Vocabulary, as_read, as_text, names_of, parse_prompts
from datamodules.census import BACKGROUND, UNLABELLED
from datamodules.class_lists import read_class_list, read_list
from datamodules.errors import DataError
from datamodules.notices import warn
from datamodules.own_colours import ColourRow, Colours, labels_of, read_rows, scored_rows, table_of
from datamodules.reading import checked_max_pixels
from datamodules.spec import DatasetSpec
from datamodules.specs import DATASETS

Classes = Sequence[str | Sequence[str]] | Path
_LARGEST = 65535  # value of a 16-bit map
_USUAL_IGNORED = 255


@dataclass(frozen=True)
class FolderOptions:
    """Everything that can be said of a folder of images and one of label maps.

    Attributes:
        name: name in tables, files and results.
        images: folder of images; by default `image/`.
        labels: folder of label maps; by default `gt/`.
        list: text file of the images that count, one a line: their stems, or their names; by default all count.
        classes: class names, in the order of their labels; a list within the list is one class with synonyms. Or a
            file of one class a line, see `class_lists.read_class_list`.
        synonyms: whether `,` and `;` separate names of one class; else a comma is part of a name.
        background: prompts for the background, as "wall, floor" or a list; "background" where only the index is given.
        background_index: label value (after the offset) that is background, 0 in PASCAL VOC's style; the classes take
            the other values in order. The list may name it at that place.
        ignore_label: value of pixels that are not scored; 255 where that is not a class's label.
        label_offset: 1 where maps count classes from 1; smaller values are not scored.
        image_end: what the names of images have before their ending and those of their label maps have not.
        label_end: the reverse, `_mask` for a.jpg and a_mask.png; images and label maps may then lie in one folder.
        max_pixels: images of more are refused; by default CLIPTRASE_MAX_PIXELS, or 178,956,970.
        colors: which name each colour has, of label maps that hold colours: a file, see
            `class_lists.read_colour_table`, or a mapping of names to colours. A name may have several colours, and
            one called "ignore" is not scored. Without `classes` its names are the classes, in their order.
        ignore: further names of `colors` that are not scored.
    """

    name: str = "Folder"
    images: Path = Path("image")
    labels: Path = Path("gt")
    list: Path | None = None
    classes: Classes | None = None
    synonyms: bool = False
    background: str | Sequence[str] = ""
    background_index: int | None = None
    ignore_label: int | None = None
    label_offset: int = 0
    image_end: str = ""
    label_end: str = ""
    max_pixels: int | None = None
    colors: Colours | None = None
    ignore: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w .+-]{0,63}", self.name):
            raise DataError(
                f"`name` {self.name!r} is no name for a data set; take up to 64 letters, digits, spaces and . + - _"
            )
        if self.name.casefold() in {name.casefold() for name in DATASETS}:
            raise DataError(f"`name` {self.name} is a published data set's; give yours another one")
        if self.name.casefold() == "average":
            raise DataError(f"`name` {self.name} is what tables call the mean of data sets; give yours another one")
        if not 0 <= self.label_offset <= _LARGEST:
            raise DataError(
                f"`label_offset` {self.label_offset} is not in 0..{_LARGEST}; take the value of the first class"
            )
        if self.ignore_label is not None and not -(2**31) <= self.ignore_label < 2**31:
            raise DataError(f"`ignore_label` {self.ignore_label} has more than 32 bits; take a value of the label maps")

    def spec(self) -> DatasetSpec:
        """The data set as the data modules and the doctor read it.

        Raises:
            DataError: no class names, or an option that does not fit the others.
        """
        scored, unscored = self._rows()
        listed = self._listed(scored)
        vocabulary = self._vocabulary(listed)
        ignore_label = _USUAL_IGNORED if self.ignore_label is None else self.ignore_label
        colours = None
        if self.colors is not None:
            ignore_label = _USUAL_IGNORED if vocabulary.num_labels <= _USUAL_IGNORED else _LARGEST
            labels = labels_of(listed.classes, vocabulary)
            first = partial(_first_name, self.synonyms)
            colours = table_of(scored, unscored, labels, vocabulary, ignore_label, first)
        return DatasetSpec(
            name=self.name,
            folder="",
            images=(str(self.images.absolute()),),
            labels=str(self.labels.absolute()),
            vocabulary=vocabulary,
            ignore_label=ignore_label,
            label_offset=self.label_offset,
            image_suffix=self.image_end,
            label_suffix=self.label_end,
            list_file=str(self.list.absolute()) if self.list else "",
            reader=Reader("upright", checked_max_pixels(self.max_pixels)),
            colours=colours,
        )

    def require_ignore_label(self, spec: DatasetSpec) -> None:
        """Asks that the value that is not scored was named where 255 is a class's label.

        Raises:
            DataError: it was not.
        """
        last = spec.valid_labels + spec.label_offset - 1
        if self.ignore_label is None and last >= spec.ignore_label:
            name = spec.vocabulary.label_names[spec.ignore_label - spec.label_offset]
            raise DataError(
                f"`classes` names {len(spec.vocabulary.classes)} classes, so that {spec.ignore_label} is the "
                f"label of {name!r}, and it would be the value that is not scored too; say which value that is by "
                f"`ignore_label` (often {_LARGEST}; -1 for none)"
            )

    def _rows(self) -> tuple[Sequence[ColourRow], Sequence[ColourRow]]:
        """Rows of the colour table: those that are scored, and those that are not; none without a table."""
        if self.colors is None:
            if self.ignore:
                raise DataError("`ignore` names colours of `colors`; of index maps give the value by `ignore_label`")
            return (), ()
        for option, given in (("ignore_label", self.ignore_label is not None), ("label_offset", self.label_offset)):
            if given:
                raise DataError(f"`{option}` is of index maps, and `colors` of maps in colours; take one of them away")
        classes = read_classes(self.classes, self.synonyms).classes if self.classes is not None else ()
        return scored_rows(read_rows(self.colors), self.ignore, [name for names in classes for name in names])

    def _listed(self, scored: Sequence[ColourRow]) -> "ListedClasses":
        """The classes, by default those of the colour table."""
        if self.classes is not None:
            listed = read_classes(self.classes, self.synonyms)
            return listed if self.colors is None else replace(listed, first=None)  # its numbers are not those of maps
        if self.colors is None:
            raise DataError("Folder needs `classes`: a text file of one class a line, or a list like '[cat, dog]'")
        first: dict[str, ColourRow] = {}
        for row in scored:
            first.setdefault(as_read(row.name), row)
        if not first:
            raise DataError("`colors` names no class that is scored; name at least one")
        names = [_names_of([row.name], self.synonyms) for row in first.values()]
        return ListedClasses(names, [row.line for row in first.values()])

    def _vocabulary(self, listed: "ListedClasses") -> Vocabulary:
        option = "classes" if self.classes is not None else "colors"
        classes, prompts = _without_background(listed, parse_prompts(self.background), self.background_index, option)
        # A background that the list leaves out.
        added = self.background_index if len(classes) == len(listed.classes) else None
        values = [label + self.label_offset for label in range(len(listed.classes) + 1) if label != added]
        if listed.first == 1 and values[: len(listed.classes)] != [*range(1, len(listed.classes) + 1)]:
            raise DataError(
                f"`classes` {str(self.classes)!r} counts its classes from 1: add `label_offset` 1 if the label "
                "maps do so too, or `background_index` 0 if 0 is background there, but not both; else take the "
                "numbers away"
            )
        return Vocabulary(tuple(classes), prompts, self.background_index)


@dataclass(frozen=True)
class ListedClasses:
    """Classes in the order of their labels.

    Attributes:
        classes: the names of each.
        lines: line of the file, or item of the list, in which each stands, from 1.
        first: number that the file gives to the first class, None where it numbers nothing.
    """

    classes: Sequence[tuple[str, ...]]
    lines: Sequence[int]
    first: int | None = None


def read_classes(classes: Classes, synonyms: bool = False) -> ListedClasses:
    """Classes of a list or a file; see `class_lists`.

    Args:
        classes: names, a list of names for a class with synonyms, or a file.
        synonyms: whether `,` and `;` within a name separate names of one class.

    Raises:
        DataError: the file is missing, is not text, names nothing, or has a line that fits no known form.
    """
    if isinstance(classes, Path | str):
        return _read_file(Path(classes), synonyms)
    if not classes:
        raise DataError("`classes` '[]' names no class; give at least one")
    several = [[item] if isinstance(item, str) or not isinstance(item, Sequence) else item for item in classes]
    for place, names in enumerate(several, 1):
        if not names:
            raise DataError(f"`classes`: item {place} is empty; take it away")
    flat = read_list([name for names in several for name in names], "`classes`").names
    if len(flat) == len(several):
        several = [[name] for name in flat]
    made = [_names_of(names, synonyms) for names in several]
    return ListedClasses(made, range(1, len(made) + 1))


def _read_file(given: Path, synonyms: bool) -> ListedClasses:
    try:
        path = given.expanduser()
    except RuntimeError:  # ~somebody who is not there
        path = given
    if not path.is_file():
        raise DataError(
            f"`classes` {str(given)!r} is not a text file that can be read (no such file); give a file of one "
            "class a line, or a list like '[cat, dog]'"
        )
    listed = read_class_list(path, "`classes`", synonyms)
    return ListedClasses([_names_of([name], synonyms) for name in listed.names], listed.lines, listed.first)


def _names_of(names: Sequence[str], synonyms: bool) -> tuple[str, ...]:
    """Names of one class."""
    if not synonyms:
        return tuple(name.strip() for name in names)
    separated = [name for text in names for name in names_of(as_text(text, "classes").replace(";", ","))]
    if not separated:
        raise DataError(f"`classes`: {', '.join(names)!r} holds no name; take it away")
    return tuple(separated)


def _first_name(synonyms: bool, text: str) -> str:
    return _names_of([text], synonyms)[0]


def _without_background(
    listed: ListedClasses, prompts: tuple[str, ...], index: int | None, named_by: str
) -> tuple[Sequence[tuple[str, ...]], tuple[str, ...]]:
    """The classes, and the background's prompts, where the list may name the background at its index.

    Raises:
        DataError: the index is no label, or the list names the background elsewhere.
    """
    classes = listed.classes
    special = [place for place, names in enumerate(classes) if as_read(names[0]) in BACKGROUND | UNLABELLED]
    if index is not None and index in special:
        listed_prompts = classes[index] if as_read(classes[index][0]) not in BACKGROUND else ("background",)
        return [*classes[:index], *classes[index + 1 :]], prompts or listed_prompts
    if index is not None and not 0 <= index <= len(classes):
        raise DataError(f"`background_index` {index} is not among the labels 0..{len(classes)}")
    for place in special:
        line, name = listed.lines[place], classes[place][0]
        if as_read(name) in BACKGROUND and (index is not None or prompts):
            option = "`background`" if index is None else f"`background_index` {index}"
            raise DataError(
                f"`{named_by}` names the background already (line {line}: {name!r}), and so does {option}; take the "
                f"line away, or give `background_index` {place} if it is label {place} of the maps"
            )
        left_out = (
            f"--data.ignore {name!r} leaves its pixels out"
            if named_by == "colors"
            else "what the label maps do not count does not belong into the list"
        )
        warn(
            f"--data.{named_by} holds {name!r} (line {line}), which is scored like any class, with that word as its "
            f"prompt; --data.background_index {place} makes it the background, and {left_out}"
        )
    return classes, prompts or (("background",) if index is not None else ())


def with_given(options: FolderOptions, given: Mapping[str, Any]) -> FolderOptions:
    """Options of which those that are given, and not None, replace a file's."""
    return replace(options, **{key: value for key, value in given.items() if value is not None})
