"""Pictures and label maps under a geometry, one at a time and in batches."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from cliptrase.common.errors import one_line
from datamodules.census import count_values
from datamodules.checks import check_values
from datamodules.errors import DataError
from datamodules.pairs import Pair
from datamodules.reading import read_image, read_label_map
from datamodules.spec import DatasetSpec
from datamodules.transforms import Geometry

UNLABELLED = -1
FILLER = -1  # index of a picture that a process without pictures of its own gets, and that does not count


class Item(NamedTuple):
    """One picture, ready for the model."""

    image: Tensor  # (3, h, w) uint8
    labels: Tensor | None  # (H, W) int32 in [0, labels), -1 where not scored
    size: tuple[int, int]  # (H, W) of the label map
    stem: str
    number: int  # in the data set, from 0; FILLER for one that stands for no image
    valid: bool  # False where the label map holds nothing but ignored pixels, and for fillers
    error: str = ""  # what is wrong with a picture that is passed over
    large: bool = False  # whether the image is left out here, for the picture is worked on by tiles


class ImageBatch(NamedTuple):
    """Pictures of a batch that have one size, stacked."""

    images: Tensor  # (B, 3, h, w) uint8
    labels: Tensor | None  # (B, H, W) int32
    size: tuple[int, int]
    stems: list[str]
    numbers: list[int]  # in the data set
    valid: list[bool]
    errors: list[str]
    large: bool = False  # pictures that are worked on by tiles: their images are not here


class Source(NamedTuple):
    """A picture as it is stored."""

    image: NDArray[np.uint8]  # (H, W, 3)
    labels: NDArray[np.integer[Any]] | None  # (H, W) raw values
    stem: str


class SegmentationDataset(Dataset[Item], ABC):
    """Pictures and label maps of one setting under one geometry; subclasses say where they come from.

    Args:
        spec: facts of the setting.
        geometry: the protocol's.
    """

    def __init__(self, spec: DatasetSpec, geometry: Geometry) -> None:
        self.spec = spec
        self.geometry = geometry
        self.pipeline = geometry.transform()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int) -> Source:
        """Picture, raw label map (None where only predictions are made) and name."""

    @property
    def stems(self) -> Sequence[str]:
        """Names of the pictures, in order."""
        return [self.read(index).stem for index in range(len(self))]

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of what would be read: contents, for times change in a copy and may stay in a replaced file."""

    def __getitem__(self, index: int) -> Item:
        if index == FILLER:
            return self[0]._replace(number=FILLER, valid=False)
        source = self.read(index)
        if source.labels is None:
            image = self.pipeline(image=source.image)["image"]
            height, width = (image if self.geometry.crops else source.image).shape[:2]
            return Item(_to_tensor(image), None, (height, width), source.stem, index, valid=True)
        shown = self.pipeline(image=source.image, mask=source.labels)
        raw = shown["mask"].astype(np.int32)
        ignored, below = raw == self.spec.ignore_label, raw < self.spec.label_offset
        labels = (raw - self.spec.label_offset).astype(np.int32)
        labels[below] = self._background(self.spec.ignored_is_background or self.spec.below != "ignored")
        labels[ignored] = self._background(self.spec.ignored_is_background)
        labels[labels >= self.spec.vocabulary.num_labels] = UNLABELLED  # COCO80's stuff beyond "banner"
        # A crop goes by what is unlabelled, as the released code does, also where that counts as background.
        unlabelled = ignored if self.spec.below == "background" else ignored | below
        empty = bool(unlabelled.all() if self.geometry.crops else (labels == UNLABELLED).all())
        height, width = labels.shape
        shown_image, scored = _to_tensor(shown["image"]), torch.from_numpy(labels)
        return Item(shown_image, scored, (height, width), source.stem, index, valid=not empty)

    def _background(self, scored: bool) -> int:
        background = self.spec.vocabulary.background_index if scored else None
        return UNLABELLED if background is None else background


class FileDataset(SegmentationDataset):
    """Pictures and label maps in files.

    Args:
        pairs: what to read.
        spec: facts of the setting.
        geometry: the protocol's.
    """

    def __init__(self, pairs: Sequence[Pair], spec: DatasetSpec, geometry: Geometry) -> None:
        super().__init__(spec, geometry)
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def stems(self) -> Sequence[str]:
        """Names of the pictures, in order."""
        return [pair.stem for pair in self.pairs]

    def digest(self) -> str:
        """Names and contents of all files.

        Raises:
            DataError: one cannot be read.
        """
        return hash_files([(pair.stem, path) for pair in self.pairs for path in (pair.image, pair.labels) if path])

    def read(self, index: int) -> Source:
        """Decodes a pair.

        Raises:
            DataError: a file cannot be read, the sizes differ, or a label is not the setting's.
        """
        pair = self.pairs[index]
        if pair.labels is None:
            return Source(read_image(pair.image, self.spec.reader), None, pair.stem)
        labels = read_label_map(pair.labels, self.spec)
        image = read_image(pair.image, self.spec.reader, labels.shape)
        if labels.shape != image.shape[:2]:
            raise DataError(f"{pair.labels} is not of its picture's size, {image.shape[1]} x {image.shape[0]}")
        check_values(count_values(labels), pair.labels, self.spec)
        return Source(image, labels, pair.stem)


def hash_files(files: Sequence[tuple[str, Path]]) -> str:
    """SHA-256 over names and contents, 16 hexadecimal digits; several files are read at a time.

    Raises:
        DataError: a file cannot be read.
    """
    with ThreadPoolExecutor() as pool:
        contents = pool.map(_hash_file, [path for _, path in files])
        listing = "\n".join(f"{name} {content}" for (name, _), content in zip(files, contents, strict=True))
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()[:16]


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({one_line(error)}); replace it or take it away") from error


def _to_tensor(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def group_by_size(items: Sequence[Item]) -> list[ImageBatch]:
    """Collates pictures: those of one input size and one label size are stacked, in the order of their first."""
    groups: dict[Any, list[Item]] = {}
    for item in items:
        groups.setdefault((item.image.shape, item.size, item.large), []).append(item)
    return [
        ImageBatch(
            images=torch.stack([item.image for item in members]),
            labels=None
            if members[0].labels is None
            else torch.stack([m.labels for m in members if m.labels is not None]),
            size=members[0].size,
            stems=[item.stem for item in members],
            numbers=[item.number for item in members],
            valid=[item.valid for item in members],
            errors=[item.error for item in members if item.error],
            large=members[0].large,
        )
        for members in groups.values()
    ]


class UnpaddedDistributedSampler(DistributedSampler[int]):
    """Every r-th sample from one's own rank on, in order: nothing is padded, so nothing is counted twice.

    Lightning replaces samplers by one that pads, but leaves a DistributedSampler alone. It would also leave a process
    without any sample out of the run, where the others then wait for it: such a process gets a filler.

    Args:
        dataset: the samples.
        replicas: number of processes.
        rank: of this process.
        counted: numbers of samples that an interrupted run looked at.
    """

    def __init__(self, dataset: SegmentationDataset, replicas: int, rank: int, counted: Collection[int] = ()) -> None:
        super().__init__(dataset, num_replicas=replicas, rank=rank, shuffle=False)
        before = set(counted)
        left = [number for number in range(len(dataset)) if number not in before] if before else range(len(dataset))
        self.indices = left[rank::replicas] or (FILLER,)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)
