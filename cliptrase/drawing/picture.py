"""One picture in, a label map, masks and an overlay out: for notebooks and scripts."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cliptrase.common.errors import InputError
from cliptrase.common.images import PictureLike, to_rgb
from cliptrase.common.io import write_bytes, write_text
from cliptrase.common.resizing import resize_image, whole_size
from cliptrase.drawing.files import mask_png, png
from cliptrase.drawing.legend import names_json
from cliptrase.drawing.naming import named_overlay
from cliptrase.vocabulary import unreadable


@dataclass(frozen=True, repr=False)
class Segmentation:
    """A segmented picture.

    Attributes:
        picture: (H, W, 3) uint8 RGB, upright.
        labels: (H, W) indices into `names`: int64, or uint8 or uint16 of a large picture that windows are laid on.
        names: a name for each label.
        probabilities: where they were asked for, (len(names), H, W) float32 in [0, 1] that sum to 1 over names; see
            `Segmenter.probabilities`.
        none: label of pixels that are none of the words, which stay grey in overlays; None without a threshold.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]
    names: tuple[str, ...]
    probabilities: NDArray[np.float32] | None = None
    none: int | None = None

    @property
    def shares(self) -> dict[str, float]:
        """Share of the pixels, in [0, 1], by name."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.names)) / self.labels.size
        return dict(zip(self.names, counts.tolist(), strict=True))

    def __repr__(self) -> str:
        """Size and shares: arrays would fill the screen."""
        height, width = self.labels.shape
        shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in self.shares.items())
        return f"Segmentation({height} x {width}: {shares})"

    def overlay(self) -> Image.Image:
        """The label map over the grey picture, names in place, a legend below; see `overlay.overlay`."""
        shares = np.array(list(self.shares.values()))
        return Image.fromarray(named_overlay(self.picture, self.labels, self.names, shares, none=self.none))

    def __getitem__(self, name: str) -> NDArray[np.bool_]:
        """(H, W), true where the label of that name is: `result["cat"]`.

        Raises:
            InputError: there is no such name.
        """
        if name not in self.names:
            raise InputError(f"there is no label {name!r}; this picture's are {', '.join(map(repr, self.names))}")
        where: NDArray[np.bool_] = self.labels == self.names.index(name)
        return where

    def save(self, folder: str | os.PathLike[str], name: str = "picture") -> None:
        """Writes `masks/<name>.png`, `overlays/<name>.png` and `legend.json`, as `predict` does.

        Args:
            folder: made where it is not there; pictures of the same words may share one, by different names.
            name: of the files, without an ending.

        Raises:
            InputError: the name holds a folder, or the folder masks of other pictures by other words.
            OutputError: a file cannot be written.
        """
        if not isinstance(name, str) or name in ("", "..") or Path(name).name != name or unreadable(name):
            raise InputError(f"{name!r} is no name of a file; give one without folders, such as 'cat'")
        where, legend = Path(folder).expanduser(), names_json(self.names, self.none)
        others = any(mask != where / "masks" / f"{name}.png" for mask in (where / "masks").rglob("*.png"))
        if others and _text_of(where / "legend.json") != legend:
            raise InputError(
                f"{where} holds masks of other words, whose numbers its legend.json explains; give another folder"
            )
        write_bytes(where / "masks" / f"{name}.png", mask_png(self.labels, len(self.names), self.none))
        write_bytes(where / "overlays" / f"{name}.png", self._repr_png_())
        write_text(where / "legend.json", legend)

    def _repr_png_(self) -> bytes:
        """The overlay, for notebooks."""
        return png(np.array(self.overlay()))


def _text_of(path: Path) -> str:
    """What a file holds, nothing where there is none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def rgb_of(picture: PictureLike | NDArray[np.floating] | Tensor) -> NDArray[np.uint8]:
    """A picture as a caller has it: upright (H, W, 3) uint8 RGB.

    Args:
        picture: what `images.to_rgb` takes; an array of floating-point numbers in [0, 1], (H, W, 3) RGB or (H, W)
            grey; or a tensor on any device, (3, H, W) RGB or (1, H, W) grey, uint8 or in [0, 1]. Numbers in [0, 1] are
            rounded to 255ths.

    Raises:
        InputError: a file that cannot be read, another shape or type, or numbers outside [0, 1].
    """
    if not isinstance(picture, Tensor | np.ndarray):
        return to_rgb(picture)
    array: NDArray[Any] = _array_of(picture) if isinstance(picture, Tensor) else picture
    if not np.issubdtype(array.dtype, np.floating) or not array.size:
        return to_rgb(array)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"a picture of floating-point numbers holds {low:g} to {high:g}; give numbers in [0, 1], or uint8"
        )
    return to_rgb((array * 255).round().astype(np.uint8))


def _array_of(picture: Tensor) -> NDArray[Any]:
    """(3, H, W) or (1, H, W) as (H, W, 3) or (H, W).

    Raises:
        InputError: the tensor has another shape or type.
    """
    known = picture.dtype == torch.uint8 or picture.is_floating_point()
    if not known or picture.ndim != 3 or picture.shape[0] not in (1, 3):
        raise InputError(
            f"a tensor of {str(picture.dtype).removeprefix('torch.')} and of shape {tuple(picture.shape)} is no "
            "picture; give (3, H, W) RGB or (1, H, W) grey, uint8 or floating-point numbers in [0, 1]"
        )
    channels_last = picture.detach().cpu().movedim(0, 2)
    array: NDArray[Any] = (channels_last.float() if picture.is_floating_point() else channels_last).numpy()
    return array if picture.shape[0] == 3 else array[..., 0]


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
