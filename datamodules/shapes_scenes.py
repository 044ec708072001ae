"""Procedural scenes with exact label maps: the data set that the demo draws for itself.

A scene is a ground (one material, or sky over another) with up to three irregular blobs, boxes and ellipses
of other materials on top, one to four materials in all. It follows from (split, index, size) alone, bit for
bit, on every machine: see `shapes_textures` for how. Splits are seeded apart, so no test scene is ever drawn
in training.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from datamodules.shapes_textures import TEXTURES, Draws, Floats, noise

Split = Literal["train", "val", "test"]

NAMES: tuple[str, ...] = tuple(TEXTURES)
"""The sixteen class names; a label map holds indices into this tuple."""

SIZE = 224
"""Side of a scene in pixels unless asked otherwise: the demo model's own picture size, nothing is resized."""

_SPLIT_SEEDS: dict[str, int] = {"train": 1, "val": 2, "test": 3}
_GROUNDS = 7  # the first seven names can fill a whole picture; every name can be an object
_SKY = NAMES.index("sky")


@dataclass(frozen=True)
class Scene:
    """A picture and its truth.

    image: (H, W, 3) uint8, RGB. labels: (H, W) uint8, indices into `NAMES`; every pixel has one.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @property
    def names(self) -> tuple[str, ...]:
        """What can be seen, in label order: see `visible`."""
        return tuple(NAMES[i] for i in visible(self.labels))


def scene(index: int, split: Split, size: int = SIZE) -> Scene:
    """Draw scene number `index` of a split, `size` x `size` pixels.

    Raises ValueError for a negative index, an unknown split, or a size outside 32 to 512 (the textures are
    laid out for those).
    """
    if index < 0:
        raise ValueError(f"index is {index}: scenes are numbered from 0")
    if split not in _SPLIT_SEEDS:
        raise ValueError(f"split is {split!r}: choose one of {', '.join(_SPLIT_SEEDS)}")
    if not 32 <= size <= 512:
        raise ValueError(f"size is {size}: choose 32 to 512 pixels")
    draws = Draws(_SPLIT_SEEDS[split], index)
    canvas = np.empty((size, size, 3), dtype=np.float32)
    labels = np.empty((size, size), dtype=np.uint8)
    used = _ground(draws, canvas, labels)
    # every other name can be an object, those that are no ground three times as often
    others = [i for i in range(len(NAMES)) if i not in used and (i >= _GROUNDS or draws.below(3) == 0)]
    objects = draws.below(5 - len(used))  # 0 to 3 on a plain ground, 0 to 2 on a divided one
    for pick in draws.pick(objects, len(others)):
        _object(draws, canvas, labels, others[pick])
    light = np.asarray([draws.between(0.96, 1.04) for _ in range(3)], dtype=np.float32) * np.float32(
        draws.between(0.82, 1.12)
    )
    grain = (draws.units(size, size, 1) - 0.5) * np.float32(draws.between(4, 26))
    image = np.clip(canvas * light + grain, 0, 255).astype(np.uint8)
    return Scene(image, labels)


def crop(source: Scene, top: int, left: int, height: int, width: int) -> Scene:
    """The window of `height` x `width` pixels whose corner is (top, left): views, no copies.

    Raises ValueError where the window is empty or leaves the picture.
    """
    h, w = source.labels.shape
    if height < 1 or width < 1 or top < 0 or left < 0 or top + height > h or left + width > w:
        raise ValueError(f"window {height} x {width} at ({top}, {left}) does not lie inside {h} x {w} pixels")
    window = np.s_[top : top + height, left : left + width]
    return Scene(source.image[window], source.labels[window])


def visible(labels: NDArray[np.uint8], share: float = 0.03) -> tuple[int, ...]:
    """Label indices that fill at least `share` of a label map, and the largest one, ascending."""
    counts = np.bincount(labels.reshape(-1), minlength=len(NAMES))
    least = min(share * labels.size, float(counts.max()))
    return tuple(int(i) for i in np.flatnonzero((counts >= least) & (counts > 0)))


def _ground(draws: Draws, canvas: Floats, labels: NDArray[np.uint8]) -> list[int]:
    """Fill the whole picture with one material, or with sky above a wavy horizon; returns the labels used."""
    size = len(labels)
    label = draws.below(_GROUNDS)
    labels[:] = label
    canvas[:] = _paint(draws, label, size, size)
    if label == _SKY or draws.below(5) > 1:
        return [label]
    y, x = _grid(size, size)
    level = draws.between(0.25, 0.6) * size
    horizon = np.float32(level) + (noise(draws, y[:1], x, size / 5) - 0.5) * (size / 6)
    above = np.broadcast_to(y < horizon, labels.shape)
    labels[above] = _SKY
    canvas[above] = _paint(draws, _SKY, size, size)[above]
    return [label, _SKY]


def _object(draws: Draws, canvas: Floats, labels: NDArray[np.uint8], label: int) -> None:
    """Paint one shape of a material over what is there, shaded towards its rim."""
    size = len(labels)
    radius = draws.between(0.15, 0.34) * size
    reach = int(radius * 1.3)
    cy, cx = (int(draws.between(0.12, 0.88) * size) for _ in range(2))
    top, left = max(cy - reach, 0), max(cx - reach, 0)
    bottom, right = min(cy + reach, size), min(cx + reach, size)
    y, x = _grid(bottom - top, right - left)
    v, u = (y - (cy - top)) / np.float32(radius), (x - (cx - left)) / np.float32(radius)
    stretch = draws.between(0.75, 1.25)  # area kept: one axis longer, the other shorter
    t = draws.between(-0.414, 0.414)
    cos, sin = np.float32((1 - t * t) / (1 + t * t)), np.float32(2 * t / (1 + t * t))
    v, u = (v * cos - u * sin) * np.float32(stretch), (v * sin + u * cos) / np.float32(stretch)
    kind = draws.below(3)
    rim = v * v + u * u  # 1 on the ellipse
    if kind == 1:  # box
        rim = np.maximum(np.abs(v), np.abs(u)) * 1.15
    elif kind == 2:  # blob
        rim = rim * 0.9 + (noise(draws, y, x, radius * 0.6) - 0.5) * 1.1
    inside = rim < 1
    shade = 1 - np.clip(rim, 0, 1) * np.float32(0.12 if kind == 1 else 0.4)
    canvas[top:bottom, left:right][inside] = (_paint(draws, label, *inside.shape) * shade[..., None])[inside]
    labels[top:bottom, left:right][inside] = label


def _paint(draws: Draws, label: int, height: int, width: int) -> Floats:
    """A (height, width, 3) sheet of a material with its own colour jitter."""
    tint = np.asarray([draws.between(0.93, 1.07) for _ in range(3)], dtype=np.float32)
    return TEXTURES[NAMES[label]](draws, *_grid(height, width)) * tint


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    """Pixel coordinates (height, 1) and (1, width)."""
    return np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)[None]
