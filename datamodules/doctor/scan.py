"""What the files of a setting hold, gathered once for all settings that read them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.errors import InputError, one_line
from cliptrase.common.images import ColoursError, Reader
from datamodules.colour_table import ColourTable
from datamodules.colours import Colour
from datamodules.errors import DataError
from datamodules.files import LABEL_EXTENSIONS, Walk, group_stems, picture_endings, walk
from datamodules.pairs import read_stems
from datamodules.parallel import each
from datamodules.spec import DatasetSpec

Size = tuple[int, int]  # (height, width)

_MOST = 65535  # above it a table of counts costs more than sorting


class FileFacts(NamedTuple):
    """What was read of a pair, or of a file without a partner."""

    image: Path | None
    labels: Path | None
    image_size: Size | None = None
    image_error: str = ""
    labels_size: Size | None = None
    labels_error: str = ""
    colours: str = ""  # mode of a label map that holds colours
    pixels: tuple[tuple[int, int], ...] = ()  # (raw value, number of pixels), for each value of the label map
    unknown: tuple[tuple[Colour, int], ...] = ()  # (colour, number of pixels), of colours that the spec does not name


@dataclass(frozen=True)
class Scan:
    """Facts of all files of a picture folder and a label-map folder.

    Attributes:
        looked: folders in which pictures were looked for, in their order.
        images: the one that was read, None where none is there.
        labels: the label-map folder, None where it is not there.
        ambiguous: files that differ by their ending only.
        passed_over: files of the label-map folder that are pictures but, by their names, no label maps of the setting.
        left_out: what was passed over in either folder, a sentence each.
        unlisted: folders and lists that cannot be read, a sentence each.
        unknown: names of the spec's list that no image has.
        facts: of each pair or single file, in the order of their stems.
    """

    looked: tuple[Path, ...]
    images: Path | None
    labels: Path | None
    ambiguous: tuple[Path, ...] = ()
    passed_over: tuple[Path, ...] = ()
    left_out: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    facts: tuple[FileFacts, ...] = field(default=(), repr=False)

    @cached_property
    def readable(self) -> list[FileFacts]:
        """Label maps that hold indices."""
        return [fact for fact in self.facts if fact.pixels]

    @cached_property
    def pixels(self) -> Counter[int]:
        """Raw value to number of pixels."""
        total: Counter[int] = Counter()
        for fact in self.readable:
            total.update(dict(fact.pixels))
        return total

    @cached_property
    def maps(self) -> Counter[int]:
        """Raw value to number of label maps that hold it."""
        return Counter(value for fact in self.readable for value, _ in fact.pixels)

    def holding(self, values: Iterable[int]) -> list[Path]:
        """Label maps that hold one of the values."""
        wanted = set(values)
        return [
            fact.labels
            for fact in self.readable
            if fact.labels is not None and any(value in wanted for value, _ in fact.pixels)
        ]


def scan(root: Path, spec: DatasetSpec, workers: int) -> Scan:
    """Reads every picture and label map of a setting; nothing that lies there raises.

    Args:
        root: folder of the data sets.
        spec: facts of the setting.
        workers: processes.
    """
    looked = tuple(root / spec.folder / name for name in spec.images)
    images = next((folder for folder in looked if folder.is_dir()), None)
    labels = root / spec.folder / spec.labels
    walks: list[Walk] = []
    unlisted: list[str] = []
    for folder in (images, labels):
        try:
            walks.append(walk(folder, apart=labels if folder == images else images) if folder else Walk(labels))
        except DataError as error:
            unlisted.append(str(error))
            walks.append(Walk(labels))
    pictures = group_stems(walks[0].files, walks[0].folder, picture_endings(), spec.image_suffix)
    maps = group_stems(walks[1].files, labels, LABEL_EXTENSIONS, spec.label_suffix)
    if images is not None and labels.is_dir() and images.samefile(labels):
        pictures, maps = _apart(pictures, maps, spec)
    taken = {path for paths in maps.values() for path in paths}
    stems = sorted(maps if spec.labelled_only else pictures.keys() | maps.keys())
    unknown: tuple[str, ...] = ()
    if spec.list_file:
        try:
            listed = read_stems(spec)
        except DataError as error:
            unlisted.append(str(error))
            listed = stems
        unknown = tuple(stem for stem in listed if stem not in pictures)
        stems = [stem for stem in listed if stem in pictures]
    files = [(pictures.get(stem, [None])[0], maps.get(stem, [None])[0]) for stem in stems]
    return Scan(
        looked=looked,
        images=images,
        labels=labels if labels.is_dir() else None,
        ambiguous=tuple(path for paths in (*pictures.values(), *maps.values()) if len(paths) > 1 for path in paths),
        passed_over=tuple(
            path for path in walks[1].files if path not in taken and path.suffix.lower() in picture_endings()
        ),
        left_out=tuple(filter(None, (*(w.say_passed_over() for w in walks), walks[0].say_foreign()))),
        unlisted=tuple(unlisted),
        unknown=unknown,
        facts=tuple(each(partial(read_facts, spec.reader, spec.colours), files, workers, spec.name)),
    )


def _apart(
    pictures: dict[str, list[Path]], maps: dict[str, list[Path]], spec: DatasetSpec
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Images and label maps of one folder, told apart by the ends of their names."""
    first, second = (maps, pictures) if spec.label_suffix else (pictures, maps)
    taken = {path for paths in first.values() for path in paths}
    rest = {stem: [path for path in paths if path not in taken] for stem, paths in second.items()}
    second = {stem: paths for stem, paths in rest.items() if paths}
    return (second, first) if spec.label_suffix else (first, second)


def read_facts(reader: Reader, colours: ColourTable | None, files: tuple[Path | None, Path | None]) -> FileFacts:
    """Reads a picture and a label map to their ends; that one cannot be read is a fact too."""
    image, labels = files
    facts = FileFacts(image, labels)
    if labels is not None:
        facts = _read_labels(facts, labels, reader, colours)
    return facts if image is None else _read_image(facts, image, reader)


def _read_image(facts: FileFacts, path: Path, reader: Reader) -> FileFacts:
    try:
        height, width = reader.picture(path, facts.labels_size).shape[:2]
    except InputError as error:
        return facts._replace(image_error=one_line(error.__cause__ or error))
    return facts._replace(image_size=(height, width))


def _read_labels(facts: FileFacts, path: Path, reader: Reader, colours: ColourTable | None) -> FileFacts:
    try:
        if colours is None:
            labels = reader.index_map(path).astype(np.int32)
        else:
            values, unknown = colours.decode(reader.colour_map(path))
            facts = facts._replace(unknown=tuple(unknown.items()))
            labels = values.astype(np.int32)
    except ColoursError as error:
        return facts._replace(colours=error.mode)
    except InputError as error:
        return facts._replace(labels_error=one_line(error.__cause__ or error))
    height, width = labels.shape
    # What a map with unknown colours holds besides is not known for sure.
    return facts._replace(labels_size=(height, width), pixels=() if facts.unknown else _count(labels))


def _count(labels: NDArray[np.int32]) -> tuple[tuple[int, int], ...]:
    if labels.min() >= 0 and labels.max() <= _MOST:
        counts = np.bincount(labels.ravel())
        values = counts.nonzero()[0]
        return tuple(zip(values.tolist(), counts[values].tolist(), strict=True))
    values, counts = np.unique(labels, return_counts=True)
    return tuple(zip(values.tolist(), counts.tolist(), strict=True))
