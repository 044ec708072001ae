"""One data module for every setting: folders in, batches of pictures and label maps out."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.census import Census
from datamodules.checks import check_pairs
from datamodules.crop import crop_sentence, sizes_of
from datamodules.dataset import FileDataset, Item, SegmentationDataset, UnpaddedDistributedSampler, group_by_size
from datamodules.errors import DataError
from datamodules.loader import Batches, Loader, as_it_is
from datamodules.notices import note, warn
from datamodules.pairs import Pair, find_pairs
from datamodules.spec import DatasetSpec, LabelScheme
from datamodules.specs import register
from datamodules.transforms import Geometry


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

    @property
    @abstractmethod
    def settings(self) -> list[DatasetSpec]:
        """What is evaluated, one spec a data loader. Complete after `prepare_data`."""

    def pairs(self, spec: DatasetSpec, with_labels: bool) -> list[Pair]:
        """Files of a setting; see `pairs.find_pairs`."""
        folder = self.root / spec.folder
        images = next((folder / name for name in spec.images if (folder / name).is_dir()), folder / spec.images[0])
        labels = folder / spec.labels
        if with_labels and images.is_dir() and spec.prepare_command and not labels.is_dir():
            raise DataError(f"no folder {labels}; make it by: {spec.prepare_in(self.root)}")
        return find_pairs(images, labels if with_labels else None, spec)

    def prepare_data(self) -> None:
        """Finds and checks every file before the long work, once a node, and says what the label maps hold.

        Raises:
            DataError: a file that cannot be used, or label maps that hold nothing to score.
        """
        if self.trainer is not None and self.trainer.predicting and self.geometry.crops:
            for spec in self.settings:
                self.note_crop(spec, [pair.image for pair in self.pairs(spec, with_labels=False)], masks=True)
        if self.trainer is not None and self.trainer.testing:
            for spec in self.settings:
                pairs = self.pairs(spec, with_labels=True)
                census = self.censuses[spec.name] = check_pairs(pairs, spec)
                census.require_labels()
                note(census.sentence())
                self.note_crop(spec, [pair.image for pair in pairs], masks=False)
                for doubt in census.doubts():
                    warn(doubt)

    def note_crop(self, spec: DatasetSpec, images: list[Path], masks: bool) -> None:
        """Says what a protocol that crops leaves out of pictures; `masks` where they are predicted, not scored."""
        if not self.geometry.crops:
            return
        if sentence := crop_sentence(spec.name, sizes_of(images, spec.reader), self.geometry.on(spec.name).size, masks):
            note(sentence)

    def setup(self, stage: str) -> None:
        """Lists the files; label maps only for `test`."""
        self.datasets = [self.dataset(spec, with_labels=stage == "test") for spec in self.settings]

    def dataset(self, spec: DatasetSpec, with_labels: bool) -> SegmentationDataset:
        """Pictures of a setting."""
        return FileDataset(self.pairs(spec, with_labels), spec, self.geometry.on(spec.name))

    def test_dataloader(self) -> list[DataLoader[Item]]:
        """One loader a setting that is still to be scored."""
        # A model that goes on with an interrupted run says what was finished there.
        model = self.trainer.lightning_module if self.trainer is not None else None
        finished = getattr(model, "finished", ())
        return [self._loader(dataset) for dataset in self.datasets if dataset.spec.name not in finished]

    def digests(self) -> dict[str, dict[str, str]]:
        """By data set digests of its `data`, of how its `labels` are read, and the `geometry` that images are shown in.

        Equal where nothing was added, taken away or replaced. Every file is read.

        Raises:
            DataError: a file cannot be read.
        """
        return {
            dataset.spec.name: {
                "data": dataset.digest(),
                "labels": dataset.spec.reading_digest,
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
            sampler=UnpaddedDistributedSampler(dataset, world, rank),
            num_workers=self.num_workers,
            collate_fn=as_it_is,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
        )


class SpecDataModule(SegmentationDataModule):
    """A data set whose facts are a spec: `class MyRooms(SpecDataModule): spec = DatasetSpec(name="MyRooms", ...)`.

    Defining such a class makes the data set known by its name, to `Benchmark` and the doctor too.

    Args:
        root: folder that holds the data sets' folders.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.
        label_scheme: set by the protocol.
    """

    spec: ClassVar[DatasetSpec]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "spec" in vars(cls):
            register(cls.spec)

    def __init__(
        self,
        root: Path = Path("datasets"),
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
        label_scheme: LabelScheme | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, geometry)
        self.label_scheme = label_scheme or LabelScheme()

    @property
    def settings(self) -> list[DatasetSpec]:
        """The one spec."""
        return [self.spec.with_labels(self.label_scheme)]
