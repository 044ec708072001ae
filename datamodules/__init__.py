"""Data sets as LightningDataModules over detectron2 or mmsegmentation folders.

`python cli.py test --data NAME` finds these classes by name. Specs, doctor and preparations need no torch: the classes
are made when one of them is first asked for.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

# albumentations asks the network for a newer release when it is imported; set before any module here imports it.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from datamodules.errors import DataError
from datamodules.spec import DatasetSpec
from datamodules.specs import DATASETS

if TYPE_CHECKING:
    from datamodules.base import SegmentationDataModule, SpecDataModule
    from datamodules.benchmark import Benchmark
    from datamodules.folder import Folder
    from datamodules.photos import Photos
    from datamodules.shapes import Shapes
    from datamodules.transforms import Geometry

_OTHERS = {"Geometry": "transforms", "SegmentationDataModule": "modules", "SpecDataModule": "modules"}
DATA_NAMES = (*DATASETS, "Benchmark", "Folder", "Photos", "Shapes")  # what `--data` takes

__all__ = [
    "DATASETS",
    "DATA_NAMES",
    "Benchmark",
    "DataError",
    "DatasetSpec",
    "Folder",
    "Geometry",
    "Photos",
    "SegmentationDataModule",
    "Shapes",
    "SpecDataModule",
]
__all__ += list(DATASETS)


def __getattr__(name: str) -> Any:
    if name in _OTHERS:
        return getattr(importlib.import_module(f"datamodules.{_OTHERS[name]}"), name)
    if name in DATA_NAMES:
        return importlib.import_module("datamodules.modules").DATA_MODULES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
