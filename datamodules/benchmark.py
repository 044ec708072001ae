"""Several settings in one run."""

from pathlib import Path

from pytorch_lightning.utilities import rank_zero_warn

from datamodules.ade20k import ADE150, ADEfull
from datamodules.base import PublishedSetting, SegmentationDataModule
from datamodules.cityscapes import Cityscapes
from datamodules.coco import COCO80, COCO171, COCOObject
from datamodules.errors import DataError
from datamodules.pascal_context import PC59, PC60, PC459
from datamodules.spec import DatasetSpec, LabelScheme
from datamodules.transforms import Geometry
from datamodules.voc import VOC20, VOC21

# In the order of the paper's table.
SETTINGS: dict[str, type[PublishedSetting]] = {
    module.spec.name: module for module in (COCO171, VOC20, PC59, PC459, ADE150, ADEfull, COCO80, VOC21, PC60)
}

# Settings that the paper has no figures for.
FURTHER_SETTINGS: dict[str, type[PublishedSetting]] = {module.spec.name: module for module in (Cityscapes, COCOObject)}

ALL_SETTINGS = SETTINGS | FURTHER_SETTINGS


class Benchmark(SegmentationDataModule):
    """Settings in one run, each scored by itself; those whose folder is missing are named and left out.

    Args:
        settings: names such as [VOC20, PC59], Cityscapes and COCOObject too; by default the paper's nine.
        root: folder that holds the data sets' folders.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.
        label_scheme: set by the protocol.

    Raises:
        DataError: an unknown name, or no setting's folder is there.
    """

    def __init__(
        self,
        settings: list[str] | None = None,
        root: Path = Path("datasets"),
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
        label_scheme: LabelScheme | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, geometry)
        wanted = list(SETTINGS) if settings is None else list(dict.fromkeys(settings))
        unknown = [name for name in wanted if name not in ALL_SETTINGS]
        if unknown or not wanted:
            raise DataError(
                f"--data.settings {wanted} names {unknown or 'nothing'}; take some of {', '.join(ALL_SETTINGS)}"
            )
        self.specs = [ALL_SETTINGS[name].spec.with_labels(label_scheme or LabelScheme()) for name in wanted]

    @property
    def missing(self) -> dict[str, str]:
        """What is not there, by setting: the data set's folder, or, to be scored, label maps that are made here."""
        scored = self.trainer is not None and self.trainer.testing
        found = {}
        for spec in self.specs:
            folder, labels = self.root / spec.folder, self.root / spec.folder / spec.labels
            if not folder.is_dir():
                found[spec.name] = str(folder)
            elif scored and spec.prepare_command and not labels.is_dir():
                found[spec.name] = f"{labels}, made by: {spec.prepare_command} --source DIR --root {self.root}"
        return found

    @property
    def settings(self) -> list[DatasetSpec]:
        """Cards of the settings whose folders are there."""
        missing = self.missing
        return [spec for spec in self.specs if spec.name not in missing]

    def prepare_data(self) -> None:
        """Names what is missing, then checks the files of the rest."""
        if not self.settings:
            if any((self.root / spec.folder).is_dir() for spec in self.specs):
                raise DataError(f"no label maps for any setting: {'; '.join(self.missing.values())}")
            folders = ", ".join(sorted({spec.folder for spec in self.specs}))
            raise DataError(
                f"none of the folders {folders} is in {self.root}; name the place that holds them by --data.root"
            )
        if self.missing:
            names = ", ".join(f"{name} ({what})" for name, what in self.missing.items())
            rank_zero_warn(f"left out, for their folders are missing: {names}")
        super().prepare_data()
