"""Files of a folder and its subfolders: walked, told by their endings, named by their stems."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from datamodules.errors import DataError

IMAGE_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".gif"})
LABEL_EXTENSIONS = frozenset({".png", ".tif", ".tiff", ".bmp", ".gif"})


def group_files(folder: Path, extensions: Iterable[str], suffix: str = "") -> dict[str, list[Path]]:
    """Files of a folder and its subfolders by stem: the path below the folder, less extension and `suffix`.

    Files of one stem differ by their extension; hidden files and folders are passed over.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(_walk(folder)):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix.lower() in extensions and stem.endswith(suffix):
            found.setdefault(stem.removesuffix(suffix), []).append(path)
    return found


def list_files(folder: Path, extensions: Iterable[str], suffix: str = "") -> dict[str, Path]:
    """As `group_files`, one file a stem.

    Raises:
        DataError: the folder is missing, or two files have one stem.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}; put the data there or name another place by --data.root")
    found = group_files(folder, extensions, suffix)
    for paths in found.values():
        if len(paths) > 1:
            raise DataError(f"{paths[0]} and {paths[1]} have the same name but for the ending; keep one of them")
    return {stem: paths[0] for stem, paths in found.items()}


def _walk(folder: Path) -> Iterator[Path]:
    for directory, subfolders, files in os.walk(folder, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        yield from (Path(directory, name) for name in files if not name.startswith("."))
