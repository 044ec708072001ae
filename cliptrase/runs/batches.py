"""What a run gets from its data module, and what its callbacks get from the module."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cliptrase.common.georeference import Georeference
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.ops.classification import Size


class ImageBatch(Protocol):
    """What the module asks of a batch: images of one size."""

    @property
    def images(self) -> Tensor: ...  # (B, 3, h, w) uint8
    @property
    def labels(self) -> Tensor | None: ...  # (B, H, W) integer, -1 where not scored
    @property
    def size(self) -> Size: ...
    @property
    def stems(self) -> list[str]: ...
    @property
    def numbers(self) -> list[int]: ...  # in the data set; negative for images that stand for none
    @property
    def valid(self) -> list[bool]: ...  # False for images that are neither scored nor written
    @property
    def errors(self) -> list[str]: ...  # why images could not be read
    @property
    def large(self) -> bool: ...  # whether the images are left out, for they are worked on by tiles


class LabelMaps(NamedTuple):
    """Label maps of images of one size, as callbacks get them."""

    stems: list[str]
    images: Tensor  # (B, 3, h, w) uint8
    predictions: dict[str, Tensor]  # by method (B, H, W) int64
    labels: Tensor | None  # (B, H, W)
    regions: dict[str, Tensor]  # by method that votes (B, H, W) int64, -1 for none
    probabilities: Tensor | None = None  # of the main method (B, labels, H, W) float32, where they are asked for


class ImageDataset(Protocol):
    """What a run asks of a data set."""

    @property
    def spec(self) -> Setting: ...
    @property
    def stems(self) -> Sequence[str]: ...  # names of the images, in order

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...  # an image with its label map


class Data(Protocol):
    """What a run asks of a data module."""

    @property
    def settings(self) -> Sequence[Setting]: ...
    @property
    def datasets(self) -> Sequence[ImageDataset]: ...
    @property
    def batch_size(self) -> int: ...

    def digests(self) -> Mapping[str, Mapping[str, str]]: ...  # by data set hashes of what would be read


@runtime_checkable
class AsksForProbabilities(Protocol):
    """A data module that may ask for probabilities of each label, too."""

    @property
    def probabilities(self) -> str: ...  # the kind of file, empty where they are not wanted


@runtime_checkable
class OwnPictures(Protocol):
    """A data module whose images are a user's own: each gets an overlay."""

    def picture(self, stem: str) -> NDArray[np.uint8]: ...  # (H, W, 3) RGB at its own size


@runtime_checkable
class ShowsPictures(OwnPictures, Protocol):
    """A data module whose images may be large, and may lie somewhere on earth."""

    def georeference(self, stem: str) -> Georeference | None: ...  # where on earth it lies
    def as_shown(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]: ...  # (h, w, 3) as the model sees it
    def picture_digest(self, stem: str) -> str: ...  # of what decides the pixels that the model sees


@runtime_checkable
class ExportsPictures(Protocol):
    """A data module that is asked for label maps in other tools' forms."""

    @property
    def export(self) -> Sequence[str]: ...  # see `callbacks.export_writer`

    def file_name(self, stem: str) -> str: ...  # of the picture, below what the pictures' folders share
