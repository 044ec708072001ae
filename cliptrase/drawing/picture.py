"""One picture in, a label map and an overlay out: for notebooks and scripts."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cliptrase.common.resizing import resize_image, whole_size
from cliptrase.drawing.overlay import overlay, with_legend


@dataclass(frozen=True)
class Segmentation:
    """A segmented picture.

    Attributes:
        picture: (H, W, 3) uint8 RGB, upright.
        labels: (H, W) indices into `names`: int64, or uint8 or uint16 of a large picture that windows are laid on.
        names: a name for each label.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]
    names: tuple[str, ...]

    @property
    def shares(self) -> dict[str, float]:
        """Share of the pixels, in [0, 1], by name."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.names)) / self.labels.size
        return dict(zip(self.names, counts.tolist(), strict=True))

    def overlay(self) -> Image.Image:
        """The label map over the picture, with a legend below."""
        shares = np.array(list(self.shares.values()))
        return Image.fromarray(with_legend(overlay(self.picture, self.labels), self.names, shares))


def fit(picture: NDArray[np.uint8], size: int | str, longest: int, interpolation: str = "bicubic") -> Tensor:
    """Shorter side of (H, W, 3) to `size`, or the longer to `longest` where that is smaller: (1, 3, h, w) uint8.

    Args:
        picture: RGB.
        size: pixels of the shorter side, or `own`.
        longest: most pixels of the longer side, 0 for no limit.
        interpolation: see `resizing.resize_image`.
    """
    shown = resize_image(picture, whole_size(picture.shape[0], picture.shape[1], size, longest), interpolation)
    return torch.from_numpy(np.array(shown)).permute(2, 0, 1).unsqueeze(0)
