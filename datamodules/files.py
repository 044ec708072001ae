"""Files of a folder and its subfolders: walked once, told by their endings, named by their stems."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cliptrase.common.errors import counted, first_few
from cliptrase.common.images import cure_of, foreign_endings, readable_endings
from datamodules.errors import DataError
from datamodules.notices import warn

LABEL_EXTENSIONS = frozenset({".png", ".tif", ".tiff", ".bmp"})

# What file servers and systems put beside people's files; names that begin with a dot are of that kind, too.
_SYSTEM_FOLDERS = frozenset(
    {"@eadir", "#recycle", "#snapshot", "@recycle", "@tmp", "__macosx", "$recycle.bin", "lost+found"}
    | {"recycler", "system volume information"}
)
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_SHOWN = 3
_HIDDEN_FILE, _HIDDEN_FOLDER = "hidden or system file", "hidden or system folder"
_RUN = "folder of a run"
_CIRCLE, _SPECIAL = "link to a folder that is read anyway", "pipe, socket or device"
_PLURALS = {
    _HIDDEN_FILE: "hidden or system files",
    _HIDDEN_FOLDER: "hidden or system folders",
    _RUN: "folders of runs",
    _CIRCLE: "links to folders that are read anyway",
    _SPECIAL: "pipes, sockets or devices",
}

_SAID: set[str] = set()  # folders are listed several times in a run

Folder = tuple[int, int]  # device and inode


@dataclass
class Walk:
    """What lies in a folder and its subfolders.

    Attributes:
        folder: the folder.
        files: regular files and links to such, sorted, those of a folder that two links lead to once.
        passed_over: what was not taken, by its kind.
    """

    folder: Path
    files: list[Path] = field(default_factory=list)
    passed_over: dict[str, list[Path]] = field(default_factory=dict)

    @property
    def foreign(self) -> list[Path]:
        """Picture files that cannot be read here, such as HEIC."""
        return [path for path in self.files if path.suffix.lower() in foreign_endings()]

    def pass_over(self, kind: str, path: Path) -> None:
        """Leaves something out."""
        self.passed_over.setdefault(kind, []).append(path)

    def say_passed_over(self) -> str:
        """All that was not taken, in one sentence, or nothing."""
        parts = [
            f"{counted(len(paths), kind, _PLURALS[kind])} "
            f"({first_few((readable(path.name) for path in paths), _SHOWN)})"
            for kind, paths in sorted(self.passed_over.items())
        ]
        return f"{readable(self.folder)}: passed over {', '.join(parts)}" if parts else ""

    def say_foreign(self) -> str:
        """Picture files that cannot be read, by ending, with the cure, or nothing."""
        endings = Counter(path.suffix.lower() for path in self.foreign)
        parts = [
            f"{count} {ending[1:].upper()} file{'s' if count > 1 else ''} in {readable(self.folder)} "
            f"{'are' if count > 1 else 'is'} passed over: {cure_of(ending)}"
            for ending, count in sorted(endings.items())
        ]
        return "; ".join(parts)


def walk(folder: Path, apart: Path | None = None) -> Walk:
    """Lists a folder and its subfolders, each real folder once, however many links lead to it.

    A folder that is reached by its own name and by a link goes by its own name. Hidden files, what file servers and
    systems put there, pipes, sockets and devices are passed over.

    Args:
        folder: a folder, or nothing of that name, which holds no files.
        apart: a folder that is left out where it lies below the other.

    Raises:
        DataError: a folder below cannot be listed.
    """
    found = Walk(folder)
    above = {identity for parent in (folder.resolve(), *folder.resolve().parents) if (identity := _identity(parent))}
    seen: set[Folder] = set()
    if apart is not None and (identity := _identity(apart)) and identity != _identity(folder):
        seen.add(identity)
    waiting = [folder] if folder.is_dir() else []
    while waiting:
        links: list[Path] = []
        for place in waiting:
            if place is not folder and (_identity(place) in above or _identity(place) in seen):
                found.pass_over(_CIRCLE, place)
                continue
            _walk_below(place, seen, found, links)
        waiting = sorted(links)
    found.files.sort()
    return found


def _walk_below(top: Path, seen: set[Folder], found: Walk, links: list[Path]) -> None:
    """Lists a folder and the real folders below it; links to folders are left for later."""
    stack = [top]
    while stack:
        place = stack.pop()
        identity = _identity(place)
        if identity in seen:
            continue  # a folder that is mounted twice, or that is to be left out
        if identity is not None:
            seen.add(identity)
        entries = _entries(place)
        if place != top and _is_run({entry.name for entry in entries}):
            found.pass_over(_RUN, place)
            continue
        for entry in entries:
            path = place / entry.name
            kind = _kind(entry)
            if entry.name.startswith(".") or entry.name.lower() in (
                _SYSTEM_FOLDERS if kind in ("folder", "link") else _SYSTEM_FILES
            ):
                found.pass_over(_HIDDEN_FOLDER if kind in ("folder", "link") else _HIDDEN_FILE, path)
            elif kind == "folder":
                stack.append(path)
            elif kind == "link":
                links.append(path)
            elif kind == "file":
                found.files.append(path)
            else:
                found.pass_over(_SPECIAL, path)


def _is_run(names: set[str]) -> bool:
    """Whether a folder holds what a run of this program left, by its entries: its masks and sheets are no pictures."""
    return "config.yaml" in names and not names.isdisjoint({".running", "results.json", "legend.json", "masks"})


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"the folder {readable(folder)} cannot be listed ({error.strerror}); allow reading it, or move it away"
        ) from error


def _kind(entry: os.DirEntry[str]) -> str:
    """`folder`, `link` (to a folder), `file`, or `special`. A link that leads nowhere is a file that cannot be read."""
    try:
        if entry.is_dir():
            return "link" if entry.is_symlink() else "folder"
        if entry.is_file():
            return "file"
        return "file" if entry.is_symlink() and not Path(entry.path).exists() else "special"
    except OSError:
        return "file"


def _identity(folder: Path) -> Folder | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def readable(path: Path | str) -> str:
    """A path as text that can be printed, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def say_left_out(found: Walk, foreign: bool = True) -> None:
    """Warns of what was passed over and, where wanted, of pictures that cannot be read here: a line each, once."""
    for sentence in (found.say_passed_over(), found.say_foreign() if foreign else ""):
        if sentence and sentence not in _SAID:
            _SAID.add(sentence)
            warn(sentence)


def group_stems(
    files: Iterable[Path], folder: Path, extensions: Iterable[str], suffix: str = ""
) -> dict[str, list[Path]]:
    """Files by stem: the path below the folder, less extension and `suffix`. Those of one stem differ by extension."""
    found: dict[str, list[Path]] = {}
    for path in files:
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix.lower() in extensions and stem.endswith(suffix):
            found.setdefault(stem.removesuffix(suffix), []).append(path)
    return found


def one_each(stems: dict[str, list[Path]]) -> dict[str, Path]:
    """The file of each stem.

    Raises:
        DataError: two files have one stem.
    """
    for paths in stems.values():
        if len(paths) > 1:
            raise DataError(
                f"{readable(paths[0])} and {readable(paths[1].name)} have the same name but for the ending, so which "
                "is meant cannot be told; move one of them to another folder"
            )
    return {stem: paths[0] for stem, paths in stems.items()}


def group_files(folder: Path, extensions: Iterable[str], suffix: str = "") -> dict[str, list[Path]]:
    """Files of a folder and its subfolders by stem; see `walk` and `group_stems`.

    Raises:
        DataError: a folder cannot be listed.
    """
    return group_stems(walk(folder).files, folder, extensions, suffix)


def list_files(folder: Path, extensions: Iterable[str], suffix: str = "") -> dict[str, Path]:
    """As `group_files`, one file a stem.

    Raises:
        DataError: the folder is missing or cannot be listed, or two files have one stem.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; put the data there or name another place by --data.root")
    return one_each(group_files(folder, extensions, suffix))


def picture_endings() -> frozenset[str]:
    """Endings of the files that are taken for pictures."""
    return readable_endings()


def real_places(paths: Iterable[Path]) -> Iterator[tuple[Path, tuple[str, str]]]:
    """Each file with its real folder and its name: equal for a file that is reached by two links to one folder."""
    folders: dict[Path, str] = {}
    for path in paths:
        if path.parent not in folders:
            folders[path.parent] = os.path.realpath(path.parent)
        yield path, (folders[path.parent], path.name)
