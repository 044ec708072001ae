"""Where a data set lies under a root: which of the known layouts is there, and which is read."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cliptrase.common.errors import suggestion
from datamodules.errors import DataError
from datamodules.files import LABEL_EXTENSIONS, group_stems, walk
from datamodules.spec import AUTO, LAYOUTS, DatasetSpec, LabelScheme

USABLE = 2  # see `wholeness`
_CHOICES = (AUTO, *LAYOUTS)


def checked_layout(name: str) -> str:
    """The name, if there is such a layout.

    Raises:
        DataError: there is none.
    """
    if name not in _CHOICES:
        raise DataError(f"`layout` {name!r} is none; {suggestion(str(name), _CHOICES)} one of {', '.join(_CHOICES)}")
    return name


def candidates(
    root: Path, spec: DatasetSpec, layout: str = AUTO, scheme: LabelScheme | None = None
) -> list[DatasetSpec]:
    """The data set as it would lie in each place of a layout, or of all, detectron2's first.

    Args:
        root: folder of the data sets.
        spec: in its own layout.
        layout: name, or `auto`.
        scheme: what the protocol asks of the labels.
    """
    if not spec.folder:  # people's own, whose places are absolute
        layout = spec.layout
    found = []
    for name in LAYOUTS if layout == AUTO else (layout,):
        for place in spec.in_layout(name):
            asked = place if scheme is None else place.with_labels(scheme)
            folder = root / asked.folder
            asked = replace(asked, edition=noted_edition(folder / asked.labels) or asked.edition)
            if asked.list_file and asked.layout != spec.layout:
                asked = replace(asked, list_file=str(folder / asked.list_file))
            found.append(asked)
    return found


def located(root: Path, spec: DatasetSpec, layout: str = AUTO, scheme: LabelScheme | None = None) -> DatasetSpec:
    """The data set as it lies under a root.

    Where nothing of it is there, it is the first place in which it would be looked for. Two layouts that are equally
    whole are the same to the scores where they hold one edition of the labels; then detectron2's is taken.

    Args:
        root: folder of the data sets.
        spec: in its own layout.
        layout: name, or `auto`, which takes what is there.
        scheme: what the protocol asks of the labels.

    Raises:
        DataError: the data set is not known in that layout, or two layouts are equally whole and of two editions.
    """
    places = candidates(root, spec, layout, scheme)
    if not places:
        known = ", ".join((spec.layout, *spec.layouts))
        raise DataError(
            f"`layout` {layout}: {spec.name} is not known in it, only in {known}; take {spec.layout} or {AUTO}"
        )
    ranked = [(wholeness(root, place), place) for place in places]
    best = max(rank for rank, _ in ranked)
    first = next(place for rank, place in ranked if rank == best)
    rival = next((place for rank, place in ranked if rank == best and place.layout != first.layout), None)
    if best >= USABLE and rival and not _is_one(root, first, rival):
        editions = [f"{place.edition_text or 'labels of a source that is not noted'}" for place in (first, rival)]
        raise DataError(
            f"{spec.name} lies in two layouts in {root}: {first.layout} in {where(root, first)} ({editions[0]}) and "
            f"{rival.layout} in {where(root, rival)} ({editions[1]}); "
            f"choose one by `layout` {first.layout} or {rival.layout}"
        )
    return first


def wholeness(root: Path, spec: DatasetSpec) -> int:
    """How much of a data set is there; `USABLE` and more can be scored.

    Returns:
        0 nothing, 1 images or label maps, 2 both, with the list that is read, 3 as many label maps as are published.
    """
    folder = root / spec.folder
    has_images = any((folder / name).is_dir() for name in spec.images)
    count = _label_maps(folder / spec.labels, spec)
    if not has_images or not count or (spec.list_file and not Path(spec.list_file).is_file()):
        return int(has_images or count > 0)
    if spec.list_file:
        count = _lines(Path(spec.list_file))
    return USABLE + (count in spec.images_expected)


def has_label_maps(root: Path, spec: DatasetSpec) -> bool:
    """Whether any label map lies where the data set has them."""
    return _label_maps(root / spec.folder / spec.labels, spec) > 0


def where(root: Path, spec: DatasetSpec) -> Path:
    """The folder of label maps, which tells two layouts apart."""
    return root / spec.folder / spec.labels


def looked_for(root: Path, spec: DatasetSpec, layout: str = AUTO, scheme: LabelScheme | None = None) -> str:
    """Every place in which a data set's label maps are looked for, each with its layout's name, and the cure."""
    places = candidates(root, spec, layout, scheme)
    if len(places) == 1:
        looked = str(where(root, places[0]))
    else:
        named = [f"{Path(place.folder, place.labels).as_posix()} ({place.layout})" for place in places]
        looked = f"{root}: {', '.join(named)}"
    made = places[0].prepare_in(root) if places[0].prepare_command else ""
    of = "it" if len(places) == 1 else f"{places[0].layout}'s"
    return f"{looked}; make {of} by: {made}" if made else looked


def say_found(specs: Iterable[DatasetSpec]) -> str:
    """One line: which data sets were found in which layout, with the edition of their labels; empty for none."""
    found: dict[str, list[str]] = {}
    for spec in specs:
        name = f"{spec.name} ({spec.edition_text})" if spec.edition_text else spec.name
        found.setdefault(spec.layout, []).append(name)
    return "; ".join(f"found in {layout} layout: {', '.join(names)}" for layout, names in found.items())


def noted_edition(labels: Path) -> str:
    """What `datamodules.prepare` noted beside a folder of label maps that it made: the name of their source."""
    try:
        return str(json.loads(note_of(labels).read_text(encoding="utf-8"))["label_maps"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def note_of(labels: Path) -> Path:
    """The file that `noted_edition` reads."""
    return labels.with_name(f".{labels.name}.prepared.json")


def _is_one(root: Path, one: DatasetSpec, other: DatasetSpec) -> bool:
    """Whether two places hold the same labels: they are one folder, or of one edition that is known."""
    if where(root, one).samefile(where(root, other)) and one.label_suffix == other.label_suffix:
        return one.reading_digest == other.reading_digest
    if one.edition_text or other.edition_text:
        return bool(one.edition) and one.edition_text == other.edition_text
    return True


def _label_maps(folder: Path, spec: DatasetSpec) -> int:
    """Number of label maps of a folder; one where it cannot be listed, which is told when it is read."""
    try:
        files = walk(folder).files
    except DataError:
        return 1
    return len(group_stems(files, folder, LABEL_EXTENSIONS, spec.label_suffix))


def _lines(path: Path) -> int:
    try:
        return sum(bool(line.strip()) for line in path.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError):
        return 0
