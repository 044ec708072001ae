"""Every data module that `--data` finds: one class a data set of `specs`, and those for other data."""

from datamodules.base import SegmentationDataModule, SpecDataModule
from datamodules.benchmark import Benchmark
from datamodules.folder import Folder
from datamodules.photos import Photos
from datamodules.shapes import Shapes
from datamodules.spec import DatasetSpec
from datamodules.specs import DATASETS

_ARGUMENTS = """

    Args:
        root: folder that holds the data sets' folders.
        layout: detectron2, mmseg, or auto, which looks and says what it found.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.
        label_scheme: set by the protocol.
    """


def _data_module(spec: DatasetSpec) -> type[SpecDataModule]:
    """The class of a data set, which goes by the path `datamodules.NAME`."""
    content = {"spec": spec, "__module__": "datamodules", "__doc__": spec.description + _ARGUMENTS}
    return type(spec.name, (SpecDataModule,), content)


DATA_MODULES: dict[str, type[SegmentationDataModule]] = {
    **{name: _data_module(spec) for name, spec in DATASETS.items()},
    **{module.__name__: module for module in (Benchmark, Folder, Photos, Shapes)},
}
