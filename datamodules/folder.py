"""Anybody's pictures and label maps."""

from pathlib import Path

from cliptrase.images import Reader
from cliptrase.vocabulary import Vocabulary, as_read, parse_prompts, single_names
from datamodules.base import SegmentationDataModule
from datamodules.census import BACKGROUND, UNLABELLED
from datamodules.class_lists import ClassList, read_class_list, read_list
from datamodules.errors import DataError
from datamodules.notices import warn
from datamodules.pairs import Pair, find_pairs
from datamodules.reading import checked_max_pixels
from datamodules.spec import DatasetSpec
from datamodules.transforms import Geometry

_LARGEST = 65535  # value of a 16-bit map


class Folder(SegmentationDataModule):
    """A folder of pictures and one of label maps, paired by file name.

    Args:
        classes: class names as a list, or a file of one class a line; a comma is part of a name. For further forms of
            files see `class_lists.read_class_list`.
        root: folder of `image/` and `gt/`.
        images: folder of pictures, if it is not `image/` under root.
        labels: folder of label maps, if it is not `gt/` under root.
        ignore_label: value of pixels that are not scored; 255 where that is not a class's label.
        label_offset: 1 where maps count classes from 1; smaller values are not scored.
        background_index: label value (after the offset) that is background, 0 in PASCAL VOC's style; the classes take
            the other values in order. The list may name it at that place.
        background: prompts for the background, as "wall, floor" or a list; "background" where only the index is given.
        image_end: what the names of pictures have before their ending and those of their label maps have not.
        label_end: the reverse, `_mask` for a.jpg and a_mask.png; pictures and label maps may then lie in one folder.
        max_pixels: pictures of more are refused; by default CLIPTRASE_MAX_PIXELS, or 178,956,970.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.

    Raises:
        DataError: no class names, or an option that does not fit the others.
    """

    def __init__(
        self,
        classes: list[str] | Path | None = None,
        root: Path = Path("datasets"),
        images: Path | None = None,
        labels: Path | None = None,
        ignore_label: int | None = None,
        label_offset: int = 0,
        background_index: int | None = None,
        background: list[str] | str | None = None,
        image_end: str = "",
        label_end: str = "",
        max_pixels: int | None = None,
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, geometry)
        self.images = Path(images).expanduser() if images else self.root / "image"
        self.labels = Path(labels).expanduser() if labels else self.root / "gt"
        if classes is None:
            raise DataError("Folder needs --data.classes: a text file of one class a line, or a list like '[cat, dog]'")
        if not 0 <= label_offset <= _LARGEST:
            raise DataError(
                f"--data.label_offset {label_offset} is not in 0..{_LARGEST}; take the value of the first class"
            )
        if ignore_label is not None and not -(2**31) <= ignore_label < 2**31:
            raise DataError(f"--data.ignore_label {ignore_label} has more than 32 bits; take a value of the label maps")
        listed = read_classes(classes)
        prompts = parse_prompts(background or "")
        names, prompts = _without_background(listed, prompts, background_index)
        added = background_index if len(names) == len(listed.names) else None  # a background that the list leaves out
        values = [label + label_offset for label in range(len(listed.names) + 1) if label != added]
        if listed.first == 1 and values[: len(listed.names)] != list(range(1, len(listed.names) + 1)):
            raise DataError(
                f"--data.classes {str(classes)!r} counts its classes from 1: add --data.label_offset 1 if the label "
                "maps do so too, or --data.background_index 0 if 0 is background there, but not both; else take the "
                "numbers away"
            )
        vocabulary = Vocabulary(single_names(names), prompts, background_index)
        self.ignore_given = ignore_label is not None
        self.spec = DatasetSpec(
            name="Folder",
            folder="",
            images=("image",),
            labels="gt",
            vocabulary=vocabulary,
            ignore_label=255 if ignore_label is None else ignore_label,
            label_offset=label_offset,
            image_suffix=image_end,
            label_suffix=label_end,
            reader=Reader("upright", checked_max_pixels(max_pixels)),
        )

    @property
    def settings(self) -> list[DatasetSpec]:
        """The one spec, made of the options."""
        return [self.spec]

    def pairs(self, spec: DatasetSpec, with_labels: bool) -> list[Pair]:
        """Files of the two folders.

        Raises:
            DataError: a folder is not there, or 255 is a class's label and nobody said what is not scored.
        """
        last = spec.valid_labels + spec.label_offset - 1
        if with_labels and not self.ignore_given and last >= spec.ignore_label:
            name = spec.vocabulary.label_names[spec.ignore_label - spec.label_offset]
            raise DataError(
                f"--data.classes names {len(spec.vocabulary.classes)} classes, so that {spec.ignore_label} is the "
                f"label of {name!r}, and it would be the value that is not scored too; say which value that is by "
                f"--data.ignore_label (often {_LARGEST}; -1 for none)"
            )
        for folder, option in ((self.images, "images"), *(((self.labels, "labels"),) if with_labels else ())):
            if not folder.is_dir():
                raise DataError(f"no folder {folder}; name another place by --data.{option}")
        return find_pairs(self.images, self.labels if with_labels else None, spec)


def read_classes(classes: list[str] | Path) -> ClassList:
    """Class names from a list or a file; see `class_lists`.

    Raises:
        DataError: the file is missing, is not text, names nothing, or has a line that fits no known form.
    """
    if isinstance(classes, list):
        if not classes:
            raise DataError("--data.classes '[]' names no class; give at least one")
        return read_list(classes, "--data.classes")
    try:
        path = Path(classes).expanduser()
    except RuntimeError:  # ~somebody who is not there
        path = Path(classes)
    if not path.is_file():
        raise DataError(
            f"--data.classes {str(classes)!r} is not a text file that can be read (no such file); give a file of one "
            "class a line, or a list like '[cat, dog]'"
        )
    return read_class_list(path, "--data.classes")


def _without_background(
    listed: ClassList, prompts: tuple[str, ...], index: int | None
) -> tuple[list[str], tuple[str, ...]]:
    """The names that are classes, and the background's prompts, where the list may name the background at its index.

    Raises:
        DataError: the index is no label, or the list names the background elsewhere.
    """
    names = listed.names
    special = [place for place, name in enumerate(names) if as_read(name) in BACKGROUND | UNLABELLED]
    if index is not None and index in special:
        own = names[index] if as_read(names[index]) not in BACKGROUND else "background"
        return names[:index] + names[index + 1 :], prompts or (own,)
    if index is not None and not 0 <= index <= len(names):
        raise DataError(f"--data.background_index {index} is not among the labels 0..{len(names)}")
    for place in special:
        line, name = listed.lines[place], names[place]
        if as_read(name) in BACKGROUND and (index is not None or prompts):
            option = "--data.background" if index is None else f"--data.background_index {index}"
            raise DataError(
                f"--data.classes names the background already (line {line}: {name!r}), and so does {option}; take the "
                f"line away, or give --data.background_index {place} if it is label {place} of the maps"
            )
        warn(
            f"--data.classes holds {name!r} (line {line}), which is scored like any class, with that word as its "
            f"prompt; --data.background_index {place} makes it the background, and what the label "
            "maps do not count does not belong into the list"
        )
    return names, prompts or (("background",) if index is not None else ())
