"""Pictures and label maps on disk, paired by stem."""

from pathlib import Path
from typing import NamedTuple

from datamodules.card import Card
from datamodules.errors import DataError
from datamodules.files import IMAGE_EXTENSIONS, LABEL_EXTENSIONS, list_files


class Pair(NamedTuple):
    """A picture, its label map (None where only predictions are made) and the stem that names both."""

    image: Path
    labels: Path | None
    stem: str


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
