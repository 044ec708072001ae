"""One data module for every setting: folders in, batches of pictures and label maps out."""

from abc import ABC, abstractmethod
from collections.abc import Collection
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
from datamodules.layouts import USABLE, checked_layout, located, looked_for, say_found, where, wholeness
from datamodules.loader import Batches, Loader, as_it_is
from datamodules.notices import note, warn
from datamodules.pairs import Pair, find_pairs
from datamodules.spec import AUTO, DatasetSpec, LabelScheme
from datamodules.specs import DATASETS, register
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
        self.require_folders(spec, images, labels if with_labels else None)
        return find_pairs(images, labels if with_labels else None, spec)

    def require_folders(self, spec: DatasetSpec, images: Path, labels: Path | None) -> None:
        """Asks for a setting's folders where more can be said of them than that they are not there.

        Raises:
            DataError: one is not there.
        """
        if labels is not None and images.is_dir() and spec.prepare_command and not labels.is_dir():
            raise DataError(f"no folder {labels}; make it by: {spec.prepare_in(self.root)}")

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
        size = self.geometry.on(spec.name).size
        if not self.geometry.crops or isinstance(size, str):
            return
        if sentence := crop_sentence(spec.name, sizes_of(images, spec.reader), size, masks):
            note(sentence)

    def setup(self, stage: str) -> None:
        """Lists the files; label maps only for `test`."""
        self.datasets = [self.dataset(spec, with_labels=stage == "test") for spec in self.settings]

    def dataset(self, spec: DatasetSpec, with_labels: bool) -> SegmentationDataset:
        """Pictures of a setting."""
        return FileDataset(self.pairs(spec, with_labels), spec, self.geometry.on(spec.name))

    def test_dataloader(self) -> list[DataLoader[Item]]:
        """One loader a setting that is still to be scored."""
        # A model that goes on with an interrupted run says what was finished there, and what was looked at.
        model = self.trainer.lightning_module if self.trainer is not None else None
        finished, counted = getattr(model, "finished", ()), getattr(model, "counted", {})
        return [
            self._loader(dataset, counted.get(dataset.spec.name, ()))
            for dataset in self.datasets
            if dataset.spec.name not in finished
        ]

    def digests(self) -> dict[str, dict[str, str]]:
        """By data set digests of its `data` and of how `labels` are read, their `edition`, and the images' `geometry`.

        Equal where nothing was added, taken away or replaced. Every file is read.

        Raises:
            DataError: a file cannot be read.
        """
        return {
            dataset.spec.name: {
                "data": dataset.digest(),
                "labels": dataset.spec.reading_digest,
                "edition": dataset.spec.edition_text,
                "geometry": repr(dataset.geometry),
            }
            for dataset in self.datasets
        }

    def predict_dataloader(self) -> list[DataLoader[Item]]:
        """One loader a setting, pictures only."""
        return self.test_dataloader()

    def _loader(self, dataset: SegmentationDataset, counted: Collection[int]) -> DataLoader[Item]:
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer is not None else (1, 0)
        return Loader(
            Batches(dataset, group_by_size),
            batch_size=self.batch_size,
            sampler=UnpaddedDistributedSampler(dataset, world, rank, counted),
            num_workers=self.num_workers,
            collate_fn=as_it_is,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
        )


class LocatedDataModule(SegmentationDataModule):
    """Published data sets, which may lie in any of the layouts that are known of them.

    Args:
        root: folder that holds the data sets' folders.
        layout: `detectron2`, `mmseg`, or `auto`, which looks and says what it found.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.
        label_scheme: set by the protocol.
    """

    def __init__(
        self,
        root: Path,
        layout: str,
        batch_size: int,
        num_workers: int,
        geometry: Geometry | None,
        label_scheme: LabelScheme | None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, geometry)
        self.layout = checked_layout(layout)
        self.label_scheme = label_scheme or LabelScheme()
        self._located: dict[str, DatasetSpec] = {}
        self._whole: dict[str, bool] = {}

    def locate(self, spec: DatasetSpec) -> DatasetSpec:
        """A data set where it lies, as the protocol asks for it; looked for once, and anew before files are checked.

        Raises:
            DataError: see `layouts.located`.
        """
        if spec.name not in self._located:
            found = located(self.root, spec, self.layout, self.label_scheme)
            self._located[spec.name], self._whole[spec.name] = found, wholeness(self.root, found) >= USABLE
        return self._located[spec.name]

    def is_whole(self, spec: DatasetSpec) -> bool:
        """Whether images and label maps of a located data set are there."""
        return self._whole[spec.name]

    def looked_for(self, spec: DatasetSpec) -> str:
        """Where a data set is looked for, and how its label maps are made."""
        return looked_for(self.root, spec, self.layout, self.label_scheme)

    def prepare_data(self) -> None:
        """Looks where the data sets lie and says it, then checks every file.

        Raises:
            DataError: a file that cannot be used, or label maps that hold nothing to score.
        """
        self._located.clear()
        runs = self.trainer is not None and (self.trainer.testing or self.trainer.predicting)
        elsewhere = [
            spec
            for spec in self.settings
            if spec.name in DATASETS and DATASETS[spec.name].layouts and where(self.root, spec).is_dir()
        ]
        if runs and self.layout == AUTO and elsewhere:
            note(say_found(elsewhere))
        super().prepare_data()

    def setup(self, stage: str) -> None:
        """Lists the files; label maps only for `test`."""
        self._located.clear()
        super().setup(stage)


class SpecDataModule(LocatedDataModule):
    """A data set whose facts are a spec: `class MyRooms(SpecDataModule): spec = DatasetSpec(name="MyRooms", ...)`.

    Defining such a class makes the data set known by its name, to `Benchmark` and the doctor too.

    Args:
        root: folder that holds the data sets' folders.
        layout: detectron2, mmseg, or auto, which looks and says what it found.
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
        layout: str = "auto",
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
        label_scheme: LabelScheme | None = None,
    ) -> None:
        super().__init__(root, layout, batch_size, num_workers, geometry, label_scheme)

    @property
    def settings(self) -> list[DatasetSpec]:
        """The one spec, as its files lie."""
        return [self.locate(self.spec)]

    def require_folders(self, spec: DatasetSpec, images: Path, labels: Path | None) -> None:
        """Asks for a setting's folders, and names every place that was looked in.

        Raises:
            DataError: one is not there.
        """
        kinds = {"images": images, "label maps": labels}
        for kind, folder in kinds.items():
            if folder is not None and not folder.is_dir() and self.spec.layouts:
                raise DataError(f"no folder of {kind} for {spec.name}: looked for {self.looked_for(self.spec)}")
        super().require_folders(spec, images, labels)
