"""The demo's data set, drawn and not downloaded: see `shapes_scenes`.

`python -m datamodules.shapes --root DIR` writes it as files, so that every other command has real input.
"""

import argparse
import sys
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.base import SegmentationDataModule
from datamodules.card import Card
from datamodules.dataset import SegmentationDataset, Source
from datamodules.errors import DataError
from datamodules.shapes_scenes import NAMES, scene
from datamodules.transforms import Geometry


class Shapes(SegmentationDataModule):
    """Held-out scenes of everyday materials with exact label maps.

    Args:
        scenes: how many; the first ones of the test split.
        root: not used, the scenes are drawn.
        batch_size: pictures a step.
        num_workers: processes that draw.
        geometry: set by the protocol.

    Raises:
        DataError: no scenes are asked for.
    """

    def __init__(
        self,
        scenes: int = 200,
        root: Path = Path("datasets"),
        batch_size: int = 8,
        num_workers: int = 2,
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, geometry)
        if scenes < 1:
            raise DataError(f"--data.scenes must be at least 1, not {scenes}")
        self.scenes = scenes
        self.card = Card(
            name="Shapes", folder="", images=(), labels="", vocabulary=Vocabulary(single_names(NAMES)), ignore_label=255
        )

    @property
    def settings(self) -> list[Card]:
        """The one card."""
        return [self.card]

    def prepare_data(self) -> None:
        """Drawn scenes need no checks."""

    def dataset(self, card: Card, with_labels: bool) -> SegmentationDataset:
        """The test split's first scenes."""
        return ShapesDataset(card, self.geometry, self.scenes)


class ShapesDataset(SegmentationDataset):
    """The first test scenes.

    Args:
        card: the data module's.
        geometry: the protocol's.
        scenes: how many.
    """

    def __init__(self, card: Card, geometry: Geometry, scenes: int) -> None:
        super().__init__(card, geometry)
        self.scenes = scenes

    def __len__(self) -> int:
        return self.scenes

    def read(self, index: int) -> Source:
        """Draws scene `index`."""
        drawn = scene(index, "test")
        return Source(drawn.image, drawn.labels, f"scene_{index:04d}")


def write_folder(root: Path, scenes: int, progress: bool = True) -> None:
    """Writes test scenes as `image/`, `gt/` and `classes.txt` under `root`, for `--data Folder`.

    Args:
        root: made where it is missing; files of an earlier call are written anew.
        scenes: how many.
        progress: whether to show a progress bar.
    """
    for name in ("image", "gt"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    for index in tqdm(range(scenes), desc="scenes", unit="picture", disable=None if progress else True, leave=False):
        drawn = scene(index, "test")
        Image.fromarray(drawn.image).save(root / "image" / f"scene_{index:04d}.png")
        Image.fromarray(drawn.labels).save(root / "gt" / f"scene_{index:04d}.png")


def main(arguments: list[str] | None = None) -> int:
    """Writes the folder and says how to run on it."""
    parser = argparse.ArgumentParser(prog="python -m datamodules.shapes", description="Writes the demo's test scenes.")
    parser.add_argument("--root", type=Path, required=True, help="folder to write to")
    parser.add_argument("--scenes", type=int, default=200, help="how many")
    options = parser.parse_args(arguments)
    if options.scenes < 1:
        parser.error(f"--scenes must be at least 1, not {options.scenes}")
    write_folder(options.root, options.scenes)
    print(
        f"{options.scenes} scenes: --data Folder --data.root {options.root} --data.classes {options.root}/classes.txt"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
