"""Own pictures and own words, for `predict`."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cliptrase.images import Reader
from cliptrase.vocabulary import Vocabulary, parse_words
from datamodules.base import SegmentationDataModule
from datamodules.card import Card
from datamodules.dataset import FILLER, Item, SegmentationDataset, Source, hash_files
from datamodules.errors import DataError, one_line
from datamodules.photo_files import find_pictures, name_files
from datamodules.reading import checked_max_pixels, read_image
from datamodules.transforms import Geometry


class Photos(SegmentationDataModule):
    """Pictures of any size, shape and mode, without label maps.

    Args:
        images: a folder, one file, a quoted glob such as "holiday/*.jpg", or several of these in brackets.
        words: "cat, kitten; dog": `;` between classes, `,` between synonyms; or a text file of one class a line.
        background: "wall, floor": prompts for everything else.
        max_pixels: pictures of more are passed over; by default CLIPTRASE_MAX_PIXELS, or 178,956,970.
        root: folder that relative paths start from.
        batch_size: pictures a step; those of one size are computed together, which takes memory for all their pixels.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.

    Raises:
        DataError: no pictures, no words, or nothing of that name.
    """

    def __init__(
        self,
        images: str | list[str] | None = None,
        words: str | None = None,
        background: str = "",
        max_pixels: int | None = None,
        root: Path = Path(),
        batch_size: int = 1,
        num_workers: int = 2,
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, geometry)
        if not images:
            raise DataError(
                "Photos needs --data.images: a folder, a file, a quoted glob, or a list of these in brackets"
            )
        if not words:
            raise DataError("Photos needs --data.words: like 'cat, kitten; dog', or a text file of one class a line")
        self.files = name_files(find_pictures([images] if isinstance(images, str) else images, self.root))
        self.card = Card(
            name="Photos",
            folder="",
            images=(),
            labels="",
            vocabulary=read_words(words, background, self.root),
            reader=Reader("upright", checked_max_pixels(max_pixels)),
        )

    @property
    def settings(self) -> list[Card]:
        """The one card."""
        return [self.card]

    def dataset(self, card: Card, with_labels: bool) -> SegmentationDataset:
        """The pictures.

        Raises:
            DataError: label maps are wanted, which photos have not.
        """
        if with_labels:
            raise DataError("Photos have no label maps to score: take 'predict', or 'test' with --data Folder")
        return PhotoDataset(self.files, card, self.geometry.of(card.name))

    def prepare_data(self) -> None:
        """Pictures are checked one by one while they are read: a bad one is passed over."""

    def picture(self, stem: str) -> NDArray[np.uint8]:
        """The picture of that name at its own size, (H, W, 3) uint8 RGB."""
        return read_image(self.files[stem], self.card.reader)


class PhotoDataset(SegmentationDataset):
    """Pictures by name; one that cannot be read comes out as an item with an error.

    Args:
        files: by name.
        card: the data module's.
        geometry: the protocol's.
    """

    def __init__(self, files: dict[str, Path], card: Card, geometry: Geometry) -> None:
        super().__init__(card, geometry)
        self.files = list(files.items())

    def __len__(self) -> int:
        return len(self.files)

    @property
    def stems(self) -> list[str]:
        """Names of the pictures, in order."""
        return [stem for stem, _ in self.files]

    def fingerprint(self) -> str:
        """Names and contents of all files; one that vanished is one that cannot be read, too."""
        return hash_files([(stem, path) for stem, path in self.files if path.is_file()])

    def read(self, index: int) -> Source:
        """Decodes a picture, upright.

        Raises:
            DataError: it cannot be read.
        """
        stem, path = self.files[index]
        return Source(read_image(path, self.card.reader), None, stem)

    def __getitem__(self, index: int) -> Item:
        try:
            return super().__getitem__(index)
        except DataError as error:
            message = "" if index == FILLER else str(error)
            nothing = torch.zeros(3, 1, 1, dtype=torch.uint8)
            return Item(nothing, None, (1, 1), self.files[index][0], counted=False, error=message)


def read_words(words: str, background: str, root: Path) -> Vocabulary:
    """Words as typed, or from a text file of one class a line (commas between synonyms).

    Raises:
        DataError: a file that cannot be read, or a word that stands for two things.
    """
    path = root / Path(words).expanduser()
    if len(words) < 256 and path.is_file():
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"--data.words {words!r} is not a text file that can be read ({one_line(error)})"
            ) from error
        words = ";".join(line for line in lines if line)
        if not words:
            raise DataError(f"--data.words {str(path)!r} is an empty file; write one class a line")
    elif words.endswith(".txt"):
        raise DataError(
            f"--data.words {words!r}: there is no such file; give its path, or words like 'cat, kitten; dog'"
        )
    vocabulary = parse_words(words, background)
    # Tables and legends call the label of all background prompts so.
    background_name = {"background"} - set(vocabulary.background) if vocabulary.background else set()
    count = Counter(name.casefold() for name in (*vocabulary.names, *background_name))
    twice = sorted(name for name, times in count.items() if times > 1)
    if twice:
        raise DataError(
            f"--data.words and --data.background name {', '.join(map(repr, twice))} more than once; "
            "a word can stand for one thing only"
        )
    return vocabulary
