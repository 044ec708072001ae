"""Own pictures and own words, for `predict`."""

from glob import glob
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from cliptrase.vocabulary import Vocabulary, parse_words
from datamodules.base import SegmentationDataModule
from datamodules.card import Card
from datamodules.dataset import FILLER, Item, SegmentationDataset, Source
from datamodules.errors import DataError, one_line
from datamodules.pairs import IMAGE_EXTENSIONS
from datamodules.transforms import Geometry


class Photos(SegmentationDataModule):
    """Pictures of any size, shape and mode, without label maps.

    Args:
        images: a folder, one file, a quoted glob such as "holiday/*.jpg", or several of these in brackets.
        words: "cat, kitten; dog": `;` between classes, `,` between synonyms; or a text file of one class a line.
        background: "wall, floor": prompts for everything else.
        root: folder that relative paths start from.
        batch_size: pictures a step; pictures of different sizes are not computed together.
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
        root: Path = Path(),
        batch_size: int = 4,
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
            name="Photos", folder="", images=(), labels="", vocabulary=read_words(words, background, self.root)
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
        return PhotoDataset(self.files, card, self.geometry)

    def prepare_data(self) -> None:
        """Pictures are checked one by one while they are read: a bad one is passed over."""

    def picture(self, stem: str) -> NDArray[np.uint8]:
        """The picture of that name at its own size, (H, W, 3) uint8 RGB."""
        return read_photo(self.files[stem])


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

    def read(self, index: int) -> Source:
        """Decodes a picture, upright.

        Raises:
            DataError: it cannot be read.
        """
        stem, path = self.files[index]
        return Source(read_photo(path), None, stem)

    def __getitem__(self, index: int) -> Item:
        try:
            return super().__getitem__(index)
        except DataError as error:
            message = "" if index == FILLER else str(error)
            nothing = torch.zeros(3, 1, 1, dtype=torch.uint8)
            return Item(nothing, None, (1, 1), self.files[index][0], counted=False, error=message)


def find_pictures(places: list[str], root: Path) -> list[Path]:
    """Picture files of folders, globs and single names, each once, in order.

    Raises:
        DataError: a place that names no picture.
    """
    found: dict[Path, None] = {}
    for place in places:
        path = root / Path(place).expanduser()
        if path.is_dir():
            here = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_EXTENSIONS)
        elif path.is_file():
            here = [path]
        else:
            here = sorted(Path(name) for name in glob(str(path), recursive=True) if Path(name).is_file())
        if not here:
            raise DataError(f"--data.images {place!r} names no picture; give a folder, a file, or a quoted glob")
        found |= dict.fromkeys(here)
    return list(found)


def name_files(files: list[Path]) -> dict[str, Path]:
    """A name for each picture's files: its stem, or its full name where two share a stem, or its path."""
    names = [
        [file.stem, file.name, "_".join(file.parts[-2:]), str(file).strip("/").replace("/", "_")] for file in files
    ]
    levels = [[row[level] for row in names] for level in range(4)]
    return {
        next((name for name, column in zip(row, levels, strict=True) if column.count(name) == 1), row[-1]): file
        for row, file in zip(names, files, strict=True)
    }


def read_words(words: str, background: str, root: Path) -> Vocabulary:
    """Words as typed, or from a text file of one class a line (commas between synonyms)."""
    path = root / Path(words).expanduser()
    if len(words) < 256 and path.is_file():
        try:
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except UnicodeDecodeError as error:
            raise DataError(
                f"--data.words {words!r} is not a text file that can be read ({one_line(error)})"
            ) from error
        words = ";".join(line for line in lines if line)
    return parse_words(words, background)


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Any picture as (H, W, 3) uint8 RGB: upright, first frame, 16 bits scaled to 8, see-through parts white.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with Image.open(path) as file:
            image: Image.Image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I") or image.mode == "F":
                values = np.asarray(image, dtype=np.float64)
                most = 65535 if image.mode != "F" or values.max() > 255 else (255 if values.max() > 1 else 1)
                image = Image.fromarray((values / most * 255).clip(0, 255).round().astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, TypeError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture ({one_line(error)})") from error
