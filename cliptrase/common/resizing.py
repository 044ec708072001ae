"""Sizes that images are shown in, and the resampling that brings them there."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cliptrase.common.errors import InputError

Array = NDArray[Any]

_LARGE = 1 << 24  # pixels: 4096 x 4096
_MOST_BYTES = 1 << 30  # of probabilities


def shorter_side_size(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) with the shorter side at `size`; the longer is rounded down, as torchvision's Resize does.

    >>> shorter_side_size(375, 500, 336)
    (336, 448)
    """
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def is_large(*sizes: tuple[int, int]) -> bool:
    """Whether a picture that has one of these (height, width), shown or its own, is worked on by tiles."""
    return any(height * width > _LARGE for height, width in sizes)


def require_room(labels: int, *sizes: tuple[int, int]) -> None:
    """Refuses probabilities that would take more than 1 GiB, and those of pictures that are worked on by tiles.

    Args:
        labels: how many.
        sizes: (height, width) of the picture, first its own, then the one that the model sees it at.

    Raises:
        InputError: naming what is too much.
    """
    height, width = sizes[0]
    if is_large(*sizes) or 4 * labels * height * width > _MOST_BYTES:
        raise InputError(
            f"probabilities of {labels} labels for {width} x {height} pixels are too many to be held; leave them out, "
            "or give a smaller picture"
        )


def whole_size(height: int, width: int, size: int | str, longest: int) -> tuple[int, int]:
    """(height, width) with the shorter side at `size`, or the longer at `longest` if that is smaller.

    Rounded half up, as detectron2's ResizeShortestEdge does; a side of a very narrow picture keeps one pixel.

    Args:
        height: pixels.
        width: pixels.
        size: pixels of the shorter side, or `own` for as many as it has.
        longest: most pixels of the longer side, 0 for no limit.

    >>> whole_size(375, 500, 336, 400)
    (300, 400)
    """
    scale = 1.0 if isinstance(size, str) else size / min(height, width)
    if longest and scale * max(height, width) > longest:
        scale = longest / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def centre_crop_offset(height: int, width: int, size: int) -> tuple[int, int]:
    """(top, left) of the middle size x size, rounded half to even, as torchvision's CenterCrop does."""
    return round((height - size) / 2), round((width - size) / 2)


def resize_image(image: Array, size: tuple[int, int], interpolation: str) -> Array:
    """An image in another size: (H, W, 3) uint8 to (height, width, 3).

    Args:
        image: RGB.
        size: (height, width).
        interpolation: `bicubic` and `bilinear` are PIL's, antialiased; `opencv` is OpenCV's INTER_LINEAR, which mmseg
            takes and which does not antialias.
    """
    if image.shape[:2] == size:
        return image
    if interpolation == "opencv":
        return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    resample = Image.Resampling[interpolation.upper()]
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), resample))


def resize_labels(labels: Array, size: tuple[int, int]) -> Array:
    """PIL's nearest neighbour for label maps: (H, W) uint8, uint16 or int32 to (height, width).

    The type matters: where a sample falls between two pixels, PIL picks another one for 16 bits than for 8 or 32.
    """
    if labels.shape == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))
