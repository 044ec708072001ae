"""One data module for every setting: folders in, batches of pictures and label maps out."""

import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import torch
from pytorch_lightning import LightningDataModule
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn
from torch.utils.data import DataLoader

from datamodules.card import Card, Edition
from datamodules.census import Census
from datamodules.checks import check_pairs
from datamodules.crop import crop_sentence, sizes_of
from datamodules.dataset import EachOnce, FileDataset, Item, SegmentationDataset, group_by_size
from datamodules.errors import DataError
from datamodules.loader import Batches, Loader, as_it_is
from datamodules.pairs import Pair, find_pairs
from datamodules.transforms import Geometry


@rank_zero_only
def note(sentence: str) -> None:
    """Tells people something that is no fault, beside the warnings."""
    print(f"note: {sentence}", file=sys.stderr)


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
        self.censuses: dict[str, Census] = {}  # by setting, of the node's first process, once files are checked
        self.skipped: frozenset[str] = frozenset()  # settings that an earlier run scored

    @property
    @abstractmethod
    def settings(self) -> list[Card]:
        """What is evaluated, one card a data loader. Complete after `prepare_data`."""

    def pairs(self, card: Card, with_labels: bool) -> list[Pair]:
        """Files of a setting; see `pairs.find_pairs`."""
        folder = self.root / card.folder
        images = next((folder / name for name in card.images if (folder / name).is_dir()), folder / card.images[0])
        labels = folder / card.labels
        if with_labels and images.is_dir() and card.made_by and not labels.is_dir():
            raise DataError(f"no folder {labels}; make it by: {card.made_by} --source DIR --root {self.root}")
        return find_pairs(images, labels if with_labels else None, card)

    def prepare_data(self) -> None:
        """Finds and checks every file before the long work, once a node, and says what the label maps hold.

        Raises:
            DataError: a file that cannot be used, or label maps that hold nothing to score.
        """
        if self.trainer is not None and self.trainer.predicting and self.geometry.mode == "crop":
            for card in self.settings:
                self.note_crop(card, [pair.image for pair in self.pairs(card, with_labels=False)], masks=True)
        if self.trainer is not None and self.trainer.testing:
            for card in self.settings:
                pairs = self.pairs(card, with_labels=True)
                census = self.censuses[card.name] = check_pairs(pairs, card)
                census.require_labels()
                note(census.sentence())
                self.note_crop(card, [pair.image for pair in pairs], masks=False)
                for doubt in census.doubts():
                    rank_zero_warn(doubt)

    def note_crop(self, card: Card, images: list[Path], masks: bool) -> None:
        """Says what a protocol that crops leaves out of pictures; `masks` where they are predicted, not scored."""
        if self.geometry.mode != "crop":
            return
        if sentence := crop_sentence(card.name, sizes_of(images, card.reader), self.geometry.of(card.name).size, masks):
            note(sentence)

    def setup(self, stage: str) -> None:
        """Lists the files; label maps only for `test`."""
        self.datasets = [self.dataset(card, with_labels=stage == "test") for card in self.settings]

    def dataset(self, card: Card, with_labels: bool) -> SegmentationDataset:
        """Pictures of a setting."""
        return FileDataset(self.pairs(card, with_labels), card, self.geometry.of(card.name))

    def test_dataloader(self) -> list[DataLoader[Item]]:
        """One loader a setting that is still to be scored."""
        return [self._loader(dataset) for dataset in self.datasets if dataset.card.name not in self.skipped]

    def fingerprints(self) -> dict[str, dict[str, str]]:
        """By setting hashes of its `data`, of how its `labels` are read, and the `geometry` that pictures are shown in.

        Equal where nothing was added, taken away or replaced. Every file is read.

        Raises:
            DataError: a file cannot be read.
        """
        return {
            dataset.card.name: {
                "data": dataset.fingerprint(),
                "labels": dataset.card.labelling,
                "geometry": repr(dataset.geometry),
            }
            for dataset in self.datasets
        }

    def predict_dataloader(self) -> list[DataLoader[Item]]:
        """One loader a setting, pictures only."""
        return self.test_dataloader()

    def _loader(self, dataset: SegmentationDataset) -> DataLoader[Item]:
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer is not None else (1, 0)
        return Loader(
            Batches(dataset, group_by_size),
            batch_size=self.batch_size,
            sampler=EachOnce(dataset, world, rank),
            num_workers=self.num_workers,
            collate_fn=as_it_is,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
        )


class PublishedSetting(SegmentationDataModule):
    """A setting whose facts are class data.

    Args:
        root: folder that holds the data sets' folders.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.
        edition: set by the protocol.
    """

    card: ClassVar[Card]

    def __init__(
        self,
        root: Path = Path("datasets"),
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
        edition: Edition | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, geometry)
        self.edition = edition or Edition()

    @property
    def settings(self) -> list[Card]:
        """The one card."""
        return [self.card.edition(self.edition)]
