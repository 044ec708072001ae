"""Geometry of images and label maps under a protocol, as albumentations transforms with exact resampling."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import albumentations as A

from cliptrase.common.resizing import (
    Array,
    centre_crop_offset,
    is_large,
    resize_image,
    resize_labels,
    shorter_side_size,
    whole_size,
)
from cliptrase.protocols.protocol import EvaluationProtocol


@dataclass(frozen=True)
class Geometry:
    """How an image is shown to the model and its label map scored.

    Attributes:
        view: `centre_crop`: shorter side to `size`, middle size x size cut out, label map alike; `whole_image`: shorter
            side to `size` but the longer to at most `longest`, label map as it is.
        size: pixels, or `own` for `whole_image` at its own pixels.
        longest: pixels, for `whole_image`; 0 for no limit.
        interpolation: of images; see `resizing.resize_image`.
        sizes: `size` of data sets that have one of their own, by name.
        windowed: whether the model sees images through windows, so that large ones can be worked on by tiles.
    """

    view: str = "centre_crop"
    size: int | str = 336
    longest: int = 0
    interpolation: str = "bicubic"
    sizes: Mapping[str, int | str] = field(default_factory=dict, hash=False)
    windowed: bool = False

    @classmethod
    def of(cls, protocol: EvaluationProtocol) -> "Geometry":
        """The geometry of a protocol."""
        sizes = {name: protocol.on(name).size for name in protocol.overrides}
        return cls(protocol.view, protocol.size, protocol.longest, protocol.interpolation, sizes, protocol.windowed)

    def on(self, dataset: str) -> "Geometry":
        """The geometry of one data set."""
        return replace(self, size=self.sizes.get(dataset, self.size), sizes={})

    @property
    def crops(self) -> bool:
        """Whether parts of images are not seen."""
        return self.view == "centre_crop"

    def shown(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that a whole image of `height` x `width` pixels is shown at."""
        return whole_size(height, width, self.size, self.longest)

    def is_by_tiles(self, height: int, width: int) -> bool:
        """Whether an image of this size is worked on by tiles, never held whole as the model sees it."""
        return self.windowed and not self.crops and is_large((height, width), self.shown(height, width))

    def transform(self) -> A.Compose:
        """The albumentations pipeline: `pipeline(image=(H, W, 3) uint8, mask=(H, W) int)`; `mask` may be left out."""
        if isinstance(self.size, int) and self.crops:
            return A.Compose([ResizeShorterSide(self.size, self.interpolation), CropCentre(self.size)])
        return A.Compose([ResizeWhole(self.size, self.longest, self.interpolation)])


class ResizeShorterSide(A.DualTransform):
    """Shorter side to `size` pixels; label maps by PIL's nearest neighbour.

    albumentations' own SmallestMaxSize rounds the longer side otherwise and does not antialias.
    """

    def __init__(self, size: int, interpolation: str) -> None:
        super().__init__(p=1)
        self.size, self.interpolation = size, interpolation

    def apply(self, img: Array, **params: Any) -> Array:
        """(H, W, 3) uint8 image."""
        size = shorter_side_size(img.shape[0], img.shape[1], self.size)
        return resize_image(img, size, self.interpolation)

    def apply_to_mask(self, mask: Array, *args: Any, **params: Any) -> Array:
        """(H, W) integer label map."""
        return resize_labels(mask, shorter_side_size(mask.shape[0], mask.shape[1], self.size))


class CropCentre(A.DualTransform):
    """Middle size x size pixels with torchvision's rounding of the offset."""

    def __init__(self, size: int) -> None:
        super().__init__(p=1)
        self.size = size

    def apply(self, img: Array, **params: Any) -> Array:
        """(H, W, 3) image or (H, W) label map, both sides at least `size`."""
        top, left = centre_crop_offset(img.shape[0], img.shape[1], self.size)
        return img[top : top + self.size, left : left + self.size]

    def apply_to_mask(self, mask: Array, *args: Any, **params: Any) -> Array:
        """Label maps are cut like images."""
        return self.apply(mask)


class ResizeWhole(A.DualTransform):
    """Shorter side to `size` and the longer to at most `longest`; label maps stay as they are."""

    def __init__(self, size: int | str, longest: int, interpolation: str) -> None:
        super().__init__(p=1)
        self.size, self.longest, self.interpolation = size, longest, interpolation

    def apply(self, img: Array, **params: Any) -> Array:
        """(H, W, 3) uint8 image."""
        return resize_image(img, whole_size(img.shape[0], img.shape[1], self.size, self.longest), self.interpolation)

    def apply_to_mask(self, mask: Array, *args: Any, **params: Any) -> Array:
        """Scored at the image's own size."""
        return mask
