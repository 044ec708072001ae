"""Own pictures and own words, for `predict`."""

import os
import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cliptrase.common.errors import InputError
from cliptrase.common.georeference import Georeference, find_georeference
from cliptrase.common.images import foreign_endings, readable_endings
from cliptrase.common.resizing import is_large, require_room, resize_image
from cliptrase.vocabulary import Vocabulary, as_text, names_of, parse_words, word_vocabulary
from datamodules.base import SegmentationDataModule
from datamodules.class_lists import ENDINGS, read_class_list
from datamodules.dataset import FILLER, Item, SegmentationDataset, Source, hash_files
from datamodules.errors import DataError
from datamodules.notices import note, warn
from datamodules.photo_exports import chosen_exports
from datamodules.photo_files import find_pictures, name_files
from datamodules.reading import chosen_reader, read_header, read_image, say_bands, say_lost_georeference, say_pages
from datamodules.spec import DatasetSpec
from datamodules.transforms import Geometry


class Photos(SegmentationDataModule):
    """Pictures of any size, shape and mode, without label maps.

    Args:
        images: a folder, one file, a quoted glob such as "holiday/*.jpg", or several of these in brackets.
        words: "cat, kitten; dog": `;` between classes, `,` between synonyms; a list of such texts; or a file of one
            class a line; see `class_lists.read_class_list` for its forms.
        background: "wall, floor": prompts for everything else; a single class needs them, or a threshold.
        threshold: makes pixels without a likely word "none of these", a label of its own: `auto` where no word reaches
            what neutral words reach by chance, a number from 0 to 1 where no label has that probability, `none` never.
        probabilities: `png` writes those of the main method as 8-bit grey, a file a label, `npz` as numbers, one file a
            picture; `none` writes none.
        max_pixels: pictures of more are passed over; by default CLIPTRASE_MAX_PIXELS, or 178,956,970.
        bands: "4,3,2": which bands of pictures with several, from 1 on, are red, green and blue; or one as grey. By
            default the first three.
        stretch: which numbers become black and white: `none` takes the least usual range that holds them, `minmax` a
            band's least and highest, `percentile 2 98` its percentiles, each over the whole picture.
        export: label maps for other tools, besides masks: `coco` (one file of run lengths), `words` (a mask for each
            word), `polygons` (GeoJSON), or several with commas between them. They leave the background out.
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
        words: str | list[str] | None = None,
        background: str | list[str] = "",
        threshold: float | str | None = None,
        probabilities: str = "none",
        max_pixels: int | None = None,
        bands: str = "",
        stretch: str = "none",
        export: str | list[str] | None = None,
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
        if not words or not as_text(words, "words").strip():
            raise DataError("Photos needs --data.words: like 'cat, kitten; dog', or a text file of one class a line")
        self.export = chosen_exports(export)
        if self.export and self.geometry.crops:
            raise DataError(
                f"--data.export {','.join(self.export)} needs label maps of whole pictures, and this protocol crops "
                "them; take --config photos or tiles"
            )
        self.files = name_files(find_pictures([images] if isinstance(images, str) else images, self.root))
        self.spec = DatasetSpec(
            name="Photos",
            folder="",
            images=(),
            labels="",
            vocabulary=read_words(words, background, self.root, threshold),
            reader=chosen_reader(max_pixels, bands, stretch),
        )
        if probabilities not in ("none", "png", "npz"):
            raise DataError(f"--data.probabilities {probabilities!r} is no kind of file; take png, npz or none")
        self.probabilities = "" if probabilities == "none" else probabilities

    @property
    def settings(self) -> list[DatasetSpec]:
        """The one spec."""
        return [self.spec]

    def dataset(self, spec: DatasetSpec, with_labels: bool) -> SegmentationDataset:
        """The pictures.

        Raises:
            DataError: label maps are wanted, which photos have not.
        """
        if with_labels:
            raise DataError("Photos have no label maps to score: take 'predict', or 'test' with --data Folder")
        return PhotoDataset(self.files, spec, self.geometry.on(spec.name), bool(self.probabilities))

    def prepare_data(self) -> None:
        """Says which bands are shown. Pictures are checked one by one while they are read: a bad one is passed over."""
        if sentence := say_bands(self.files.values(), self.spec.reader):
            note(sentence)
        if sentence := say_lost_georeference(self.files.values()):
            note(sentence)
        if sentence := say_pages(self.files.values()):
            warn(sentence)
        self.note_crop(self.spec, list(self.files.values()), masks=True)

    def picture(self, stem: str) -> NDArray[np.uint8]:
        """The picture of that name at its own size, (H, W, 3) uint8 RGB."""
        return read_image(self.files[stem], self.spec.reader)

    def file_name(self, stem: str) -> str:
        """The file of the picture of that name, with `/` below the folder that holds all pictures."""
        shared = os.path.commonpath([path.absolute().parent for path in self.files.values()])
        name = self.files[stem].absolute().relative_to(shared).as_posix()
        return os.fsencode(name).decode("utf-8", errors="replace")

    def georeference(self, stem: str) -> Georeference | None:
        """Where on earth the picture of that name lies, if its file says so and rasterio is there."""
        return find_georeference(self.files[stem])

    def as_shown(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A whole picture (H, W, 3) at the size that the model sees it at."""
        geometry = self.geometry.on(self.spec.name)
        return resize_image(picture, geometry.shown(*picture.shape[:2]), geometry.interpolation)

    def picture_digest(self, stem: str) -> str:
        """What decides the pixels that the model sees of a picture: its file's content and how it is read and shown.

        Raises:
            DataError: the file cannot be read.
        """
        reading = f"{self.spec.reader!r} {self.geometry.on(self.spec.name)!r}"
        return f"{hash_files([(stem, self.files[stem])])} {reading}"


class PhotoDataset(SegmentationDataset):
    """Pictures by name; one that cannot be read comes out as an item with an error.

    Args:
        files: by name.
        spec: the data module's.
        geometry: the protocol's.
        probabilities: whether they are wanted, so that pictures too large for them are refused.
    """

    def __init__(
        self, files: dict[str, Path], spec: DatasetSpec, geometry: Geometry, probabilities: bool = False
    ) -> None:
        super().__init__(spec, geometry)
        self.files = list(files.items())
        self.probabilities = probabilities

    def __len__(self) -> int:
        return len(self.files)

    @property
    def stems(self) -> list[str]:
        """Names of the pictures, in order."""
        return [stem for stem, _ in self.files]

    def digest(self) -> str:
        """Names and contents of all files; one that vanished is one that cannot be read, too."""
        return hash_files([(stem, path) for stem, path in self.files if path.is_file()])

    def read(self, index: int) -> Source:
        """Decodes a picture, upright.

        Raises:
            DataError: it cannot be read.
        """
        stem, path = self.files[index]
        image = read_image(path, self.spec.reader)
        height, width = image.shape[:2]
        if not self.geometry.windowed and not self.geometry.crops and is_large((height, width)):
            shown = self.geometry.shown(height, width)
            note(
                f"{stem}: {width} x {height} pixels are shown whole, at {shown[1]} x {shown[0]}; --config tiles shows "
                "them at their own and takes less memory"
            )
        return Source(image, None, stem)

    def __getitem__(self, index: int) -> Item:
        try:
            self._require_room(index)
            return self._large(index) or super().__getitem__(index)
        except DataError as error:
            message = "" if index == FILLER else str(error)
            nothing = torch.zeros(3, 1, 1, dtype=torch.uint8)
            return Item(nothing, None, (1, 1), self.files[index][0], index, valid=False, error=message)

    def _require_room(self, index: int) -> None:
        """Refuses a picture that has too many probabilities, before it is decoded."""
        if index == FILLER or not self.probabilities or self.geometry.crops:
            return
        stem, path = self.files[index]
        size = read_header(path, self.spec.reader).upright
        try:
            require_room(self.spec.vocabulary.num_labels, size, self.geometry.shown(*size))
        except InputError as error:
            raise DataError(f"{stem}: {error}") from error

    def _large(self, index: int) -> Item | None:
        """A picture that is worked on by tiles, without its pixels; None for others."""
        if index == FILLER or not self.geometry.windowed:
            return None
        stem, path = self.files[index]
        size = read_header(path, self.spec.reader).upright
        if not self.geometry.is_by_tiles(*size):
            return None
        return Item(torch.zeros(3, 1, 1, dtype=torch.uint8), None, size, stem, index, valid=True, large=True)


def read_words(
    words: str | list[str], background: str | list[str], root: Path, threshold: float | str | None = None
) -> Vocabulary:
    """Words as typed, or from a file of one class a line (commas between synonyms).

    Raises:
        DataError: a file that cannot be read or is not there.
        InputError: words or a threshold that make no vocabulary; see `parse_words`.
    """
    if isinstance(words, list) and len(words) == 1:
        (words,) = words  # so the command line hands on what was typed
    for option, given in (("words", words), ("background", background)):
        for text in [given] if isinstance(given, str) else given:
            if not (option == "words" and isinstance(given, str) and _file(text, root)):
                _refuse_path(option, text, root)
    path = _file(words, root) if isinstance(words, str) else None
    if path is None:
        return parse_words(words, background, threshold)
    listed = read_class_list(path, "--data.words", synonyms=True)
    classes = []
    for name, line in zip(listed.names, listed.lines, strict=True):
        for part in as_text(name, "words").split(";"):
            classes.append(names_of(part))
            if not classes[-1]:
                raise DataError(f"--data.words {str(path)!r}, line {line}: {name!r} holds a class without a name")
    return word_vocabulary(classes, background, threshold)


def _file(text: str, root: Path) -> Path | None:
    """The file of that name, if there is one that is no picture."""
    try:
        path = root / _expanded(text)
        return path if path.is_file() and path.suffix.lower() not in readable_endings() | foreign_endings() else None
    except (OSError, ValueError):  # longer than a name can be
        return None


def _expanded(text: str) -> Path:
    """A path whose `~/` is the home folder; a tilde before a word is a tilde."""
    return Path(text).expanduser() if text.startswith(("~/", "~\\")) else Path(text)


def _refuse_path(option: str, text: str, root: Path) -> None:
    """Refuses what is no word but a path: of a file that is not there, a folder, a picture.

    Raises:
        DataError: naming the path.
    """
    text = text.strip()
    if ";" in text or "\n" in text:
        return
    ending = Path(text).suffix.lower()
    rooted = re.match(r"/|\.{1,2}[/\\]|~[^\s/\\]*[/\\]|[A-Za-z]:[/\\]|\\\\", text) is not None
    try:
        path = root / _expanded(text)
        there = "/" in text and (path.exists() or ("," not in text and path.parent.is_dir()))
    except (OSError, ValueError):
        there = False
    if rooted or there or ending in ENDINGS or ending in readable_endings() | foreign_endings():
        what = "there is no such file"
        if option == "background":
            what = "prompts are typed, not read from a file"
        elif there and path.is_dir():
            what = "this is a folder"
        elif ending in readable_endings() | foreign_endings():
            what = "this is a picture's name"
        raise DataError(
            f"--data.{option} {text!r}: {what}; give a text file of one class a line, or words like 'cat, kitten; dog'"
            if option == "words"
            else f"--data.{option} {text!r}: {what}; write them like 'wall, floor'"
        )
