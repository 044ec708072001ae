"""Pictures and label maps on disk: found, paired by stem, checked before the long work."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from datamodules.card import Card
from datamodules.errors import DataError, one_line

IMAGE_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".gif"})
LABEL_EXTENSIONS = frozenset({".png", ".tif", ".tiff", ".bmp", ".gif"})


class Pair(NamedTuple):
    """A picture, its label map (None where only predictions are made) and the stem that names both."""

    image: Path
    labels: Path | None
    stem: str


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


def find_pairs(images: Path, labels: Path | None, card: Card) -> list[Pair]:
    """Pictures of a folder, each with its label map, in the order of their stems.

    Args:
        images: folder of pictures, any common extension.
        labels: folder of label maps, or None where none are needed.
        card: facts of the setting.

    Raises:
        DataError: a folder is missing or empty, or a file lacks its partner.
    """
    pictures = list_files(images, IMAGE_EXTENSIONS, card.image_suffix)
    if not pictures:
        raise DataError(f"no pictures in {images}; looked for {', '.join(sorted(IMAGE_EXTENSIONS))}")
    if labels is None:
        return [Pair(path, None, stem) for stem, path in sorted(pictures.items())]
    maps = list_files(labels, LABEL_EXTENSIONS, card.label_suffix)
    if not maps:
        raise DataError(f"no label maps in {labels}; looked for {', '.join(sorted(LABEL_EXTENSIONS))}")
    for kind, here, there, folder in (
        ("label map", pictures, maps, labels),
        ("picture", maps, pictures, images),
    ):
        alone = sorted(here.keys() - there.keys())
        if alone:
            more = f" (and {len(alone) - 1} more without one)" if len(alone) > 1 else ""
            raise DataError(
                f"{here[alone[0]]} has no {kind} of that name in {folder}{more}; add it or take the file away"
            )
    return [Pair(path, maps[stem], stem) for stem, path in sorted(pictures.items())]


def read_image(path: Path) -> NDArray[np.uint8]:
    """An RGB picture, (H, W, 3) uint8.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with Image.open(path) as file:
            return np.array(file.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as a picture ({one_line(error)}); replace it or take it away"
        ) from error


def read_labels(path: Path) -> NDArray[np.int32]:
    """A raw label map as numbers to reckon with, (H, W) int32; see `read_index_map`."""
    return read_index_map(path).astype(np.int32)


def read_index_map(path: Path) -> NDArray[np.integer]:
    """A raw label map of 8-bit, palette or 16-bit values, (H, W) uint8, uint16 or int32 as in the file.

    Raises:
        DataError: the file cannot be read or holds colours.
    """
    try:
        with Image.open(path) as file:
            if len(file.getbands()) != 1 or file.mode == "F":
                raise DataError(
                    f"{path} holds {file.mode} colours where label indices were expected; convert it to an index map"
                )
            labels = np.array(file)
            return labels.astype(np.uint8 if labels.itemsize == 1 else labels.dtype.newbyteorder("="))
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as a label map ({one_line(error)}); replace it or take it away"
        ) from error


def check_pair(pair: Pair, card: Card) -> None:
    """Checks what can be known before the long work: sizes agree, label values are known.

    Raises:
        DataError: naming the file and the value.
    """
    if pair.labels is None:
        return
    labels = read_labels(pair.labels)
    try:
        with Image.open(pair.image) as file:
            width, height = file.size
    except OSError as error:
        raise DataError(
            f"{pair.image} cannot be read as a picture ({one_line(error)}); replace it or take it away"
        ) from error
    if labels.shape != (height, width):
        raise DataError(
            f"{pair.labels} has {labels.shape[1]} x {labels.shape[0]} pixels, its picture {pair.image.name} "
            f"{width} x {height}; both must be of one size"
        )
    check_values(labels, pair.labels, card)


def check_values(labels: NDArray[np.int32], path: Path, card: Card) -> None:
    """Checks that a raw label map holds nothing but the setting's labels.

    Raises:
        DataError: naming the file and the value.
    """
    known = (labels == card.ignore_label) | (labels - card.label_offset < card.valid_labels)
    if not known.all():
        value = int(labels[~known].min())
        last = card.valid_labels + card.label_offset - 1
        raise DataError(
            f"{path} holds label {value}, but {card.name} has labels {card.label_offset}..{last}, and "
            f"{card.ignore_label} for unlabelled pixels; name all classes, or set the ignore label or label offset "
            "of these maps"
        )


def check_pairs(pairs: Sequence[Pair], card: Card, progress: bool = True) -> None:
    """Checks every pair, several at a time.

    Raises:
        DataError: for the first pair that is wrong.
    """
    with (
        ThreadPoolExecutor() as pool,
        tqdm(
            total=len(pairs),
            desc=f"{card.name}: checking files",
            unit="pair",
            disable=None if progress else True,
            leave=False,
        ) as bar,
    ):
        try:
            for _ in pool.map(lambda pair: check_pair(pair, card), pairs):
                bar.update()
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
