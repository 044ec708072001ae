"""One data module for every setting: folders in, batches of pictures and label maps out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from datamodules.card import Card
from datamodules.errors import DataError
from datamodules.pairs import Pair, check_pairs, check_values, find_pairs, read_image, read_index_map
from datamodules.transforms import Geometry

UNLABELLED = -1


class Item(NamedTuple):
    """One picture, ready for the model."""

    image: Tensor  # (3, h, w) uint8
    labels: Tensor | None  # (H, W) int32 in [0, labels), -1 where not scored
    size: tuple[int, int]  # (H, W) of the label map
    stem: str
    scored: bool  # False where the label map holds nothing but ignored pixels


class Group(NamedTuple):
    """Pictures of a batch that have one size, stacked."""

    images: Tensor  # (B, 3, h, w) uint8
    labels: Tensor | None  # (B, H, W) int32
    size: tuple[int, int]
    stems: list[str]
    scored: list[bool]


class SegmentationDataset(Dataset[Item]):
    """Pictures and label maps of one setting under one geometry.

    Args:
        pairs: what to read.
        card: facts of the setting.
        geometry: the protocol's.
    """

    def __init__(self, pairs: Sequence[Pair], card: Card, geometry: Geometry) -> None:
        self.pairs = pairs
        self.card = card
        self.geometry = geometry
        self.pipeline = geometry.transform()

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Item:
        pair = self.pairs[index]
        image = read_image(pair.image)
        if pair.labels is None:
            image = self.pipeline(image=image)["image"]
            size = image.shape[:2] if self.geometry.mode == "crop" else read_size(pair)
            return Item(_to_tensor(image), None, size, pair.stem, scored=False)
        raw = read_index_map(pair.labels)
        if raw.shape != image.shape[:2]:
            raise DataError(f"{pair.labels} is not of its picture's size {image.shape[1]} x {image.shape[0]}")
        check_values(raw.astype(np.int32), pair.labels, self.card)
        shown = self.pipeline(image=image, mask=raw)
        mask = shown["mask"].astype(np.int32)
        ignored = (mask == self.card.ignore_label) | (mask < self.card.label_offset)
        labels = np.where(ignored, self._ignored, mask - self.card.label_offset).astype(np.int32)
        empty = self.geometry.mode == "crop" and bool(ignored.all())
        return Item(_to_tensor(shown["image"]), torch.from_numpy(labels), labels.shape, pair.stem, scored=not empty)

    @property
    def _ignored(self) -> int:
        if not self.card.ignored_is_background:
            return UNLABELLED
        background = self.card.vocabulary.background_index
        return UNLABELLED if background is None else background


def read_size(pair: Pair) -> tuple[int, int]:
    """(height, width) of a picture file."""
    height, width = read_image(pair.image).shape[:2]
    return height, width


def _to_tensor(image: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def group_by_size(items: Sequence[Item]) -> list[Group]:
    """Collates pictures: those of one input size and one label size are stacked, in the order of their first."""
    groups: dict[Any, list[Item]] = {}
    for item in items:
        groups.setdefault((item.image.shape, item.size), []).append(item)
    return [
        Group(
            images=torch.stack([item.image for item in members]),
            labels=None
            if members[0].labels is None
            else torch.stack([m.labels for m in members if m.labels is not None]),
            size=members[0].size,
            stems=[item.stem for item in members],
            scored=[item.scored for item in members],
        )
        for members in groups.values()
    ]


class EachOnce(DistributedSampler[int]):
    """Every r-th sample from one's own rank on, in order: nothing is padded, so nothing is counted twice.

    Lightning replaces samplers by one that pads, but leaves a DistributedSampler alone.
    """

    def __init__(self, dataset: SegmentationDataset, replicas: int, rank: int) -> None:
        super().__init__(dataset, num_replicas=replicas, rank=rank, shuffle=False)
        self.indices = range(rank, len(dataset), replicas)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class SegmentationDataModule(LightningDataModule, ABC):
    """A data set of pictures and label maps; subclasses say which.

    Args:
        root: folder that holds the data sets' folders.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.
    """

    def __init__(
        self,
        root: Path = Path("datasets"),
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise DataError(f"--data.batch_size must be at least 1, not {batch_size}")
        if num_workers < 0:
            raise DataError(f"--data.num_workers must be at least 0, not {num_workers}")
        self.root = Path(root).expanduser()
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.geometry = geometry or Geometry()
        self.datasets: list[SegmentationDataset] = []

    @property
    @abstractmethod
    def settings(self) -> list[Card]:
        """What is evaluated, one card a data loader. Complete after `prepare_data`."""

    def pairs(self, card: Card, with_labels: bool) -> list[Pair]:
        """Files of a setting; see `pairs.find_pairs`."""
        folder = self.root / card.folder
        images = next((folder / name for name in card.images if (folder / name).is_dir()), folder / card.images[0])
        return find_pairs(images, folder / card.labels if with_labels else None, card)

    def prepare_data(self) -> None:
        """Finds and checks every file before the model is loaded, once a node."""
        if self.trainer is not None and self.trainer.testing:
            for card in self.settings:
                check_pairs(self.pairs(card, with_labels=True), card)

    def setup(self, stage: str) -> None:
        """Lists the files; label maps only for `test`."""
        self.datasets = [
            SegmentationDataset(self.pairs(card, with_labels=stage == "test"), card, self.geometry)
            for card in self.settings
        ]

    def test_dataloader(self) -> list[DataLoader[Item]]:
        """One loader a setting."""
        return [self._loader(dataset) for dataset in self.datasets]

    def predict_dataloader(self) -> list[DataLoader[Item]]:
        """One loader a setting, pictures only."""
        return self.test_dataloader()

    def _loader(self, dataset: SegmentationDataset) -> DataLoader[Item]:
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer is not None else (1, 0)
        return DataLoader(
            dataset,
            batch_size=self.batch_size,
            sampler=EachOnce(dataset, world, rank),
            num_workers=self.num_workers,
            collate_fn=group_by_size,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
        )


class PublishedSetting(SegmentationDataModule):
    """A setting whose facts are class data."""

    card: ClassVar[Card]

    @property
    def settings(self) -> list[Card]:
        """The one card."""
        return [self.card]
