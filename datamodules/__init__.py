"""Data sets as LightningDataModules over detectron2 folders.

`python cli.py test --data NAME` finds these classes by name.
"""

import os

# albumentations asks the network for a newer release when it is imported; set before any module here imports it.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

from datamodules.ade20k import ADE150, ADEfull
from datamodules.base import SegmentationDataModule
from datamodules.benchmark import Benchmark
from datamodules.cityscapes import Cityscapes
from datamodules.coco import COCO80, COCO171, COCOObject
from datamodules.errors import DataError
from datamodules.folder import Folder
from datamodules.pascal_context import PC59, PC60, PC459
from datamodules.photos import Photos
from datamodules.shapes import Shapes
from datamodules.transforms import Geometry
from datamodules.voc import VOC20, VOC21

__all__ = [
    "ADE150",
    "COCO80",
    "COCO171",
    "PC59",
    "PC60",
    "PC459",
    "VOC20",
    "VOC21",
    "ADEfull",
    "Benchmark",
    "COCOObject",
    "Cityscapes",
    "DataError",
    "Folder",
    "Geometry",
    "Photos",
    "SegmentationDataModule",
    "Shapes",
]
