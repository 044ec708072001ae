"""Finding what the archives unpacked to."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.io import loadmat

from cliptrase.common.errors import one_line
from datamodules.errors import DataError
from datamodules.files import list_files
from datamodules.prepare.plan import Plan
from datamodules.prepare.recode import Raw

PICTURES = frozenset({".jpg", ".jpeg", ".png"})
JPEG = frozenset({".jpg", ".jpeg"})
PNG = frozenset({".png"})
_CONVERTED = ("_labelTrainIds", "_instanceTrainIds")


class Request(NamedTuple):
    """What the command line asked for."""

    source: Path
    root: Path
    list_file: Path | None = None
    keep_void: bool = False
    overwrite: bool = False


Preparation = Callable[[Request], Plan]


def first_there(source: Path, candidates: Iterable[str], what: str, holds: str = "") -> Path:
    """The first of `candidates` (below `source`) that exists and, if it is a folder, has a file of the pattern `holds`.

    Raises:
        DataError: there is none; says where it looked.
    """
    places = [source / name for name in candidates]
    for place in places:
        if any(place.glob(holds)) if holds else place.is_file():
            return place
    raise DataError(
        f"no {what} in {source}: looked for {', '.join(str(place / holds) for place in places)}; "
        "name the folder that the archives were unpacked to by --source"
        + (", or the list by --list" if what.startswith("list") else "")
    )


def below(folders: Sequence[str], *names: str) -> list[str]:
    """Every name below every folder, the earlier names first."""
    return [f"{folder}/{name}" if folder else name for name in names for folder in folders]


def read_list(path: Path) -> list[str]:
    """Picture names of a list file: the first word of each line, without folder and ending.

    Raises:
        DataError: the file cannot be read, names nothing, or names a picture twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the list file {path} cannot be read ({one_line(error)}); name another by --list") from error
    names = [_picture_name(line.split()[0]) for line in lines if line.strip()]
    if not names:
        raise DataError(f"the list file {path} names no picture; name another by --list")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"the list file {path} names {twice} twice; take one of the lines away")
    return names


def _picture_name(word: str) -> str:
    name = Path(word).name
    return Path(name).stem if Path(name).suffix.lower() in PICTURES else name


def named_files(folder: Path, extensions: Iterable[str], names: Iterable[str], list_name: str) -> dict[str, Path]:
    """Path of each named file of a folder, by name.

    Raises:
        DataError: files are missing; says how many and which is the first.
    """
    names = list(names)
    found = {path.stem: path for path in list_files(folder, extensions).values()}
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(names)} files that {list_name} asks for are not in {folder}, the first is "
            f"{missing[0]}; unpack the archive whole, or give another list by --list"
        )
    return {name: found[name] for name in names}


def paired(
    images: Path, image_extensions: Iterable[str], labels: Path, label_suffix: str = "", image_suffix: str = ""
) -> list[tuple[str, Path, Path]]:
    """(stem, picture, raw PNG label map) of two whole folders, sorted by stem.

    What mmsegmentation's converters write beside the raw maps, `*_labelTrainIds.png` and `*_instanceTrainIds.png`, is
    passed over.

    Raises:
        DataError: the folders are empty, or a file lacks its partner.
    """
    pictures = list_files(images, image_extensions, image_suffix)
    maps = {
        stem: path
        for stem, path in list_files(labels, PNG, label_suffix).items()
        if label_suffix or not path.stem.endswith(_CONVERTED)
    }
    if not pictures or not maps:
        what, folder = ("pictures", images) if not pictures else (f"label maps *{label_suffix}.png", labels)
        raise DataError(f"no {what} in {folder}; unpack the archive there")
    for here, there, kind in ((pictures, maps, "label map"), (maps, pictures, "picture")):
        alone = sorted(here.keys() - there.keys())
        if alone:
            raise DataError(
                f"{len(alone)} of {len(here)} files have no {kind}, the first is {here[alone[0]]}; "
                "unpack both archives whole"
            )
    return [(stem, pictures[stem], maps[stem]) for stem in sorted(pictures)]


def read_mat(path: Path) -> Raw:
    """The `LabelMap` of a PASCAL-Context .mat file, (H, W) int32.

    Raises:
        DataError: the file cannot be read or has no such map.
    """
    try:
        raw = loadmat(path, variable_names=["LabelMap"])["LabelMap"]
    except KeyError as error:
        raise DataError(
            f"{path} has no variable 'LabelMap'; take the maps of PASCAL-Context's trainval.tar.gz"
        ) from error
    except Exception as error:  # SciPy raises nearly anything on a damaged file.
        raise DataError(f"{path} cannot be read as a .mat file ({one_line(error)}); unpack the archive anew") from error
    if raw.ndim != 2 or raw.dtype.kind not in "uif":
        raise DataError(f"{path} holds a LabelMap of shape {raw.shape} and type {raw.dtype}, not a map of ids")
    return np.asarray(raw).astype(np.int32)
