"""Own pictures on disk: found and named."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from glob import escape, glob
from itertools import chain
from pathlib import Path

from cliptrase.common.images import foreign_endings
from datamodules.errors import DataError
from datamodules.files import picture_endings, real_places, say_left_out, walk

_LONGEST_NAME = 180  # bytes; file systems take 255 with endings and with what a file has while it is written


def find_pictures(places: list[str], root: Path) -> list[Path]:
    """Picture files of folders, globs and single names, each once, in order; see `files.walk` for folders.

    What is passed over in folders is said in a line each. Pictures of formats that cannot be read here, such as HEIC,
    are said, too, and stay in the list: they are asked for, and fail.

    Raises:
        DataError: a place that names no picture, or a folder that cannot be listed.
    """
    found: dict[tuple[str, str], Path] = {}
    taken = picture_endings() | foreign_endings()
    for place in places:
        given = Path(place).expanduser()
        path = root / given
        if path.is_dir():
            listing = walk(path)
            here = [file for file in listing.files if file.suffix.lower() in taken]
            say_left_out(listing)
        elif path.is_file():
            here = [path]
        else:
            pattern = str(given if given.is_absolute() else Path(escape(str(root))) / given)
            here = sorted(file for file in _matching(pattern) if file.is_file())
        if not here:
            raise DataError(f"--data.images {place!r} names no picture; give a folder, a file, or a quoted glob")
        for file, real in real_places(here):
            found.setdefault(real, file)
    return list(found.values())


def _matching(pattern: str) -> Iterator[Path]:
    """What a glob names. `**` stands for folders at any depth, each real one once, where `glob` goes in circles."""
    above, stars, below = pattern.partition("**")
    if not stars or (above and not above.endswith("/")) or (below and not below.startswith("/")):
        yield from map(Path, glob(pattern))
        return
    wanted = ["**", *(part for part in below.split("/") if part)]
    for top in filter(Path.is_dir, map(Path, glob(above or "."))):
        yield from (file for file in walk(top).files if _fits(file.relative_to(top).parts, wanted))


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the parts of a path are those of a glob."""
    if not parts or not wanted:
        return not parts and all(part == "**" for part in wanted)
    if wanted[0] == "**":
        return _fits(parts, wanted[1:]) or _fits(parts[1:], wanted)
    return fnmatchcase(parts[0], wanted[0]) and _fits(parts[1:], wanted[1:])


def name_files(files: Sequence[Path]) -> dict[str, Path]:
    """A name for each picture's files, whatever the file system takes for equal names.

    It is the stem, or the full name where two share a stem, or the folder's and the file's, or the whole path; a number
    is added where that is not enough.
    """
    names = [[_writable(name) for name in _candidates(file)] for file in files]
    counts = [Counter(_alike(row[level]) for row in names) for level in range(len(names[0]))] if names else []
    named: dict[str, Path] = {}
    taken: set[str] = set()
    for row, file in zip(names, files, strict=True):
        alone = [name for name, count in zip(row, counts, strict=True) if count[_alike(name)] == 1]
        numbered = (f"{row[-1]}-{number}" for number in range(2, len(files) + 3))
        name = next(name for name in chain(alone, numbered) if _alike(name) not in taken)
        taken.add(_alike(name))
        named[name] = file
    return named


def _candidates(file: Path) -> tuple[str, str, str, str]:
    return file.stem, file.name, "_".join(file.parts[-2:]), str(file).strip("/").replace("/", "_")


def _alike(name: str) -> str:
    """Equal for names that some file system takes for one: of other case, or of another normal form of Unicode."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _writable(name: str) -> str:
    """A name as valid text, its end kept and short enough for a file system to take it with what is added to it."""
    encoded = os.fsencode(name)[-_LONGEST_NAME:]
    text = encoded.decode("utf-8", errors="ignore" if len(os.fsencode(name)) > _LONGEST_NAME else "replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
