"""Pictures and captions for `train_demo_clip`: windows of drawn scenes, and sentences naming what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from open_clip import OPENAI_IMAGENET_TEMPLATES
from tqdm import tqdm

from datamodules.shapes_scenes import NAMES, SIZE, Split, scene, visible

PATCH = 16
GRID = SIZE // PATCH

WINDOWS: dict[int, int] = {3: 9, 4: 16, 6: 24, 9: 32, 14: 49}
"""Side of a window in patches -> how many of its patches the model is shown; the others are dropped at random.

Small windows hold one or two materials, the whole scene (14) up to four; all keep the scale of the test. Dropping
patches pays for the number of pictures, and makes a single patch worth reading.
"""

SHARE = 0.05
"""A name is in the caption of a window from this share of the window's pixels on."""

TRIES = 8
"""Windows cut at most until a caption has the name that is due."""


@dataclass(frozen=True)
class Batch:
    """Windows with their captions.

    Attributes:
        patches: (B, T, 768) uint8, pixels of the shown patches, flattened (row, column, channel).
        places: (B, T) int64, where they lie on the 14 x 14 grid, row-major.
        captions: B sentences.
        sets: (B,) int64, one number per set of names: equal where two captions name the same materials.
    """

    patches: NDArray[np.uint8]
    places: NDArray[np.int64]
    captions: list[str]
    sets: NDArray[np.int64]


class SceneBank:
    """The first `count` scenes of a split, drawn once.

    Attributes:
        images: (count, 224, 224, 3) uint8.
        labels: (count, 224, 224) uint8, indices into `NAMES`; read for captions only.
        named: the label indices in each whole scene's caption.
    """

    def __init__(self, split: Split, count: int) -> None:
        self.images = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
        self.labels = np.empty((count, SIZE, SIZE), dtype=np.uint8)
        for index in tqdm(range(count), desc=f"drawing {split} scenes", unit="scene"):
            drawn = scene(index, split)
            self.images[index], self.labels[index] = drawn.image, drawn.labels
        self.named = [visible(labels, SHARE) for labels in self.labels]
        self._showing = {
            name: np.asarray([i for i, names in enumerate(self.named) if name in names])
            for name in sorted({name for names in self.named for name in names})
        }

    def batch(self, rng: np.random.Generator, side: int, size: int) -> Batch:
        """`size` random windows of `side` x `side` patches (a key of `WINDOWS`), each with its share of patches.

        Captions are balanced, or small windows would nearly always show the ground (compare Xu et al.,
        *Demystifying CLIP Data*, 2024): a name is due, a scene whose caption has it is taken, and windows are cut
        anywhere in it until a caption has the name. A window is laid anywhere on the model's grid, so that a place
        says nothing about a content.
        """
        shown = WINDOWS[side]
        rows, columns = rng.integers(GRID - side + 1, size=(2, size, 1))
        kept = rng.permuted(np.tile(np.arange(side * side), (size, 1)), axis=1)[:, :shown]  # (B, T)
        patches = np.empty((size, shown, PATCH * PATCH * 3), dtype=np.uint8)
        named: list[tuple[int, ...]] = []
        for b in range(size):
            window, names = self._window(rng, side * PATCH)
            patches[b] = patchify(self.images[window])[kept[b]]
            named.append(names)
        places = (rows + kept // side) * GRID + columns + kept % side  # (B, T)
        captions = [sentence(rng, names) for names in named]
        return Batch(patches, places, captions, np.asarray([set_number(names) for names in named]))

    def _window(self, rng: np.random.Generator, pixels: int) -> tuple[tuple[int, slice, slice], tuple[int, ...]]:
        """Where one window lies (scene, rows, columns), and the names in its caption."""
        due = list(self._showing)[rng.integers(len(self._showing))]
        index = int(rng.choice(self._showing[due]))
        for _ in range(TRIES):
            top, left = rng.integers(SIZE - pixels + 1, size=2)
            window = (index, slice(top, top + pixels), slice(left, left + pixels))
            names = visible(self.labels[window], SHARE)
            if due in names:
                break
        return window, names


def patchify(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3), sides multiples of 16, to its patches in row-major order: (H/16 W/16, 768)."""
    rows, columns = image.shape[0] // PATCH, image.shape[1] // PATCH
    return image.reshape(rows, PATCH, columns, PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1)


def set_number(names: Sequence[int]) -> int:
    """A number that stands for a set of label indices."""
    return sum(1 << name for name in names)


def sentence(rng: np.random.Generator, names: Sequence[int]) -> str:
    """One of CLIP's 80 ImageNet templates, at random, filled with the names in random order."""
    template = OPENAI_IMAGENET_TEMPLATES[rng.integers(len(OPENAI_IMAGENET_TEMPLATES))]
    return str(template(listed([NAMES[i] for i in rng.permutation(names)])))


def listed(words: Sequence[str]) -> str:
    """The words as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
