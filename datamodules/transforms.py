"""Geometry of pictures and label maps under a protocol, as albumentations transforms with PIL's exact resampling."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
Interpolation = Literal["bilinear", "bicubic", "opencv"]


@dataclass(frozen=True)
class Geometry:
    """How a picture is shown to the model and its label map scored.

    Attributes:
        mode: `crop`: shorter side to `size` (bicubic), middle size x size cut out, label map alike;
            `whole`: shorter side to `size` but the longer to at most `longest`, label map as it is.
        size: pixels.
        longest: pixels, for `whole`.
        interpolation: of pictures under `whole`: PIL's, or OpenCV's INTER_LINEAR (`opencv`), which mmseg takes and
            which does not antialias.
        own_size: `size` of settings that have one of their own, by name.
    """

    mode: Literal["crop", "whole"] = "crop"
    size: int = 336
    longest: int = 2560
    interpolation: Interpolation = "bilinear"
    own_size: Mapping[str, int] = field(default_factory=dict, hash=False)

    def of(self, setting: str) -> "Geometry":
        """The geometry of one setting."""
        return replace(self, size=self.own_size.get(setting, self.size), own_size={})

    def transform(self) -> A.Compose:
        """The albumentations pipeline: `pipeline(image=(H, W, 3) uint8, mask=(H, W) int)`; `mask` may be left out."""
        if self.mode == "crop":
            return A.Compose([ResizeShorterSide(self.size), CropCentre(self.size)])
        return A.Compose([ResizeWhole(self.size, self.longest, self.interpolation)])


def shorter_side_size(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) with the shorter side at `size`; the longer is rounded down, as torchvision's Resize does."""
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def whole_size(height: int, width: int, size: int, longest: int) -> tuple[int, int]:
    """(height, width) with the shorter side at `size`, or the longer at `longest` if that is smaller.

    Rounded half up, as detectron2's ResizeShortestEdge does; a side of a very narrow picture keeps one pixel.
    """
    scale = size / min(height, width)
    if scale * max(height, width) > longest:
        scale = longest / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize_image(image: Array, size: tuple[int, int], resample: Image.Resampling) -> Array:
    """PIL's antialiased resampling: (H, W, 3) uint8 to (height, width, 3)."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), resample))


def resize_labels(labels: Array, size: tuple[int, int]) -> Array:
    """PIL's nearest neighbour for label maps: (H, W) uint8, uint16 or int32 to (height, width).

    The type matters: where a sample falls between two pixels, PIL picks another one for 16 bits than for 8 or 32.
    """
    if labels.shape == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def centre_crop_offset(height: int, width: int, size: int) -> tuple[int, int]:
    """(top, left) of the middle size x size, rounded half to even, as torchvision's CenterCrop does."""
    return round((height - size) / 2), round((width - size) / 2)


class ResizeShorterSide(A.DualTransform):
    """Shorter side to `size` pixels: pictures by PIL's bicubic, label maps by its nearest neighbour.

    albumentations' own SmallestMaxSize rounds the longer side otherwise and does not antialias.
    """

    def __init__(self, size: int) -> None:
        super().__init__(p=1)
        self.size = size

    def apply(self, img: Array, **params: Any) -> Array:
        """(H, W, 3) uint8 picture."""
        size = shorter_side_size(img.shape[0], img.shape[1], self.size)
        return resize_image(img, size, Image.Resampling.BICUBIC)

    def apply_to_mask(self, mask: Array, *args: Any, **params: Any) -> Array:
        """(H, W) integer label map."""
        return resize_labels(mask, shorter_side_size(mask.shape[0], mask.shape[1], self.size))


class CropCentre(A.DualTransform):
    """Middle size x size pixels with torchvision's rounding of the offset."""

    def __init__(self, size: int) -> None:
        super().__init__(p=1)
        self.size = size

    def apply(self, img: Array, **params: Any) -> Array:
        """(H, W, 3) picture or (H, W) label map, both sides at least `size`."""
        top, left = centre_crop_offset(img.shape[0], img.shape[1], self.size)
        return img[top : top + self.size, left : left + self.size]

    def apply_to_mask(self, mask: Array, *args: Any, **params: Any) -> Array:
        """Label maps are cut like pictures."""
        return self.apply(mask)


class ResizeWhole(A.DualTransform):
    """Shorter side to `size` and the longer to at most `longest`; label maps stay as they are."""

    def __init__(self, size: int, longest: int, interpolation: Interpolation) -> None:
        super().__init__(p=1)
        self.size, self.longest, self.interpolation = size, longest, interpolation

    def apply(self, img: Array, **params: Any) -> Array:
        """(H, W, 3) uint8 picture."""
        size = whole_size(img.shape[0], img.shape[1], self.size, self.longest)
        if self.interpolation == "opencv":
            return cv2.resize(img, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
        return resize_image(img, size, Image.Resampling[self.interpolation.upper()])

    def apply_to_mask(self, mask: Array, *args: Any, **params: Any) -> Array:
        """Scored at the picture's own size."""
        return mask
