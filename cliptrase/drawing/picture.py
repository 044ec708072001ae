"""One picture in, a label map and an overlay out: for notebooks and scripts."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cliptrase.drawing.overlay import overlay, with_legend


@dataclass(frozen=True)
class Segmentation:
    """A segmented picture.

    Attributes:
        picture: (H, W, 3) uint8 RGB, upright.
        labels: (H, W) int64 indices into `names`.
        names: a name for each label.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[np.int64]
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


def fit(picture: NDArray[np.uint8], size: int, longest: int) -> Tensor:
    """Shorter side of (H, W, 3) to `size`, or the longer to `longest` where that is smaller: (1, 3, h, w) uint8."""
    sides = picture.shape[:2]
    scale = min(size / min(sides), longest / max(sides))
    height, width = (max(1, int(side * scale + 0.5)) for side in sides)
    shown = np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
    return torch.from_numpy(shown).permute(2, 0, 1).unsqueeze(0)
