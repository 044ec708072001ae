"""One picture in, a label map and an overlay out: for notebooks and scripts."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from cliptrase.figures.visualization import overlay, with_legend


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


def upright(picture: Image.Image) -> Image.Image:
    """RGB, turned as its EXIF data says; 16 bits are scaled to 8, see-through parts become white."""
    turned: Image.Image = ImageOps.exif_transpose(picture)
    if turned.mode.startswith("I;16"):
        turned = Image.fromarray((np.asarray(turned) / 257).round().astype(np.uint8))
    if turned.has_transparency_data:
        turned = turned.convert("RGBA")
        turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
    return turned.convert("RGB")


def fit(picture: Image.Image, size: int, longest: int) -> Tensor:
    """Shorter side to `size`, or the longer to `longest` where that is smaller: (1, 3, h, w) uint8."""
    scale = min(size / min(picture.size), longest / max(picture.size))
    width, height = (max(1, int(side * scale + 0.5)) for side in picture.size)
    shown = np.array(picture.resize((width, height), Image.Resampling.BICUBIC))
    return torch.from_numpy(shown).permute(2, 0, 1).unsqueeze(0)
