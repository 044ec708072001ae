"""Pictures and label maps on disk, paired by stem."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cliptrase.common.errors import one_line
from datamodules.errors import DataError
from datamodules.files import (
    LABEL_EXTENSIONS,
    Walk,
    group_stems,
    one_each,
    picture_endings,
    readable,
    say_left_out,
    walk,
)
from datamodules.spec import DatasetSpec

# Bytes that a name may have: file systems take 255 with an ending and with what a file has while it is written.
LONGEST_NAME = 230


class Pair(NamedTuple):
    """A picture, its label map (None where only predictions are made) and the stem that names both."""

    image: Path
    labels: Path | None
    stem: str


def find_pairs(images: Path, labels: Path | None, spec: DatasetSpec) -> list[Pair]:
    """Pictures of a folder, each with its label map, in the order of their stems.

    Both may lie in one folder where their names end otherwise; of two folders, one may lie in the other. What is passed
    over in the folders is said in a line each.

    Args:
        images: folder of pictures, any ending that Pillow reads.
        labels: folder of label maps, or None where none are needed.
        spec: facts of the setting.

    Raises:
        DataError: a folder is missing or empty or cannot be listed, a file lacks its partner, or its name cannot be
            written elsewhere.
    """
    for folder, own in ((images, "images"), (labels, "labels")):
        if folder is not None and not folder.is_dir():
            named = "--data.root" if spec.folder else f"{own} of {spec.name}"  # a set of one's own is by itself
            raise DataError(f"no folder {folder}; put the data there or name another place by {named}")
    together = labels is not None and images.samefile(labels)
    found = walk(images, apart=labels)
    pictures = _pictures(found, spec, together)
    say_left_out(found)
    if not pictures:
        raise DataError(f"no pictures{_ending(spec.image_suffix)} in {images}; {_looked(found, picture_endings())}")
    listed = read_stems(spec) if spec.list_file else None
    if listed is not None:
        pictures = _only(listed, pictures, spec, f"no image in {images}")
    if labels is None:
        return [Pair(path, None, stem) for stem, path in sorted(pictures.items())]
    found_maps = found if together else walk(labels, apart=images)
    taken = set(pictures.values()) if together else set()
    files = [path for path in found_maps.files if path not in taken]
    maps = one_each(group_stems(files, labels, LABEL_EXTENSIONS, spec.label_suffix))
    if not together:
        say_left_out(found_maps, foreign=False)
    if not maps:
        looked = _looked(found_maps, LABEL_EXTENSIONS)
        raise DataError(f"no label maps{_ending(spec.label_suffix)} in {labels}; {looked}")
    if spec.labelled_only:
        pictures = {stem: path for stem, path in pictures.items() if stem in maps}
    if listed is not None:
        maps = _only(listed, maps, spec, f"no label map in {labels}")
    for kind, here, there, folder in (
        ("label map", pictures, maps, labels),
        ("picture", maps, pictures, images),
    ):
        alone = sorted(here.keys() - there.keys())
        if alone:
            more = f" (and {len(alone) - 1} more without one)" if len(alone) > 1 else ""
            raise DataError(
                f"{readable(here[alone[0]])} has no {kind} of that name in {folder}{more}; "
                "add it or move the file to another folder"
            )
    return [Pair(path, maps[stem], stem) for stem, path in sorted(pictures.items())]


def read_stems(spec: DatasetSpec) -> list[str]:
    """Stems of `list_file`: a line is a stem, or the image's name with its ending.

    Raises:
        DataError: the file cannot be read, names nothing, or names an image twice.
    """
    path = Path(spec.list_file)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{_list(spec)} {path} cannot be read ({one_line(error)}); name a text file of stems"
        ) from error
    stems = [_stem(line.strip(), spec) for line in lines if line.strip()]
    if not stems:
        raise DataError(f"{_list(spec)} {path} names no image; write one stem a line")
    if twice := [stem for stem, count in Counter(stems).items() if count > 1]:
        raise DataError(f"{_list(spec)} {path} names {twice[0]} twice; take one of the lines away")
    return stems


def _list(spec: DatasetSpec) -> str:
    """What a list is called: the option of people's own data, or a part of a published layout."""
    return "the list" if spec.images_expected else "`list`"


def _stem(line: str, spec: DatasetSpec) -> str:
    path = PurePosixPath(line)
    stem = path.with_suffix("").as_posix() if path.suffix.lower() in picture_endings() else path.as_posix()
    return stem.removesuffix(spec.image_suffix)


def _only(listed: list[str], files: dict[str, Path], spec: DatasetSpec, lacking: str) -> dict[str, Path]:
    """The files of the listed stems.

    Raises:
        DataError: one is not there.
    """
    missing = [stem for stem in listed if stem not in files]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(listed)} names of {_list(spec)} {spec.list_file} have {lacking}, the first is "
            f"{missing[0]}; write stems as they are below the folder, one a line"
        )
    return {stem: files[stem] for stem in listed}


def _pictures(found: Walk, spec: DatasetSpec, together: bool) -> dict[str, Path]:
    """Pictures by stem, without the label maps that lie among them."""
    files = found.files
    if together:
        if not spec.image_suffix and not spec.label_suffix:
            raise DataError(
                f"{found.folder} is the folder of pictures and of label maps, so that they cannot be told apart; move "
                "the label maps to a folder of their own, or say what their names have at the end and the pictures' "
                "have not, as in --data.label_end _mask for a.jpg and a_mask.png"
            )
        if spec.label_suffix:
            maps = group_stems(files, found.folder, LABEL_EXTENSIONS, spec.label_suffix)
            taken = {path for paths in maps.values() for path in paths}
            files = [path for path in files if path not in taken]
    pictures = one_each(group_stems(files, found.folder, picture_endings(), spec.image_suffix))
    for stem, path in pictures.items():
        _check_name(stem, path)
    return pictures


def _check_name(stem: str, path: Path) -> None:
    """Results, masks and sheets bear the name.

    Raises:
        DataError: it is no text, or too long.
    """
    try:
        stem.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"the name of {readable(path)} is not UTF-8, so that no result can bear it; "
            "rename the file and its label map"
        ) from error
    longest = max(len(part.encode()) for part in stem.split("/"))
    if longest > LONGEST_NAME:
        raise DataError(
            f"the name of {path} has {longest} bytes, and more than {LONGEST_NAME} leave no room for the names of "
            "results; rename the file and its label map"
        )


def _ending(suffix: str) -> str:
    return f" whose names end in {suffix!r}" if suffix else ""


def _looked(found: Walk, endings: frozenset[str]) -> str:
    """What was looked for, and what is there instead."""
    common = [ending for ending in (".bmp", ".jpg", ".png", ".tif", ".tiff", ".webp") if ending in endings]
    more = " and others" if len(endings) > len(common) else ""
    there = f", and found {len(found.files)} other, such as {readable(found.files[0].name)}" if found.files else ""
    return f"looked for {', '.join(common)}{more}{there}"
