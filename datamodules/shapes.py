"""The demo's data set, drawn and not downloaded: see `shapes_scenes`; `datamodules.draw` writes it as files."""

from pathlib import Path

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.base import SegmentationDataModule
from datamodules.dataset import SegmentationDataset, Source
from datamodules.errors import DataError
from datamodules.shapes_scenes import NAMES, scene
from datamodules.spec import DatasetSpec
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
        self.spec = DatasetSpec(
            name="Shapes", folder="", images=(), labels="", vocabulary=Vocabulary(single_names(NAMES)), ignore_label=255
        )

    @property
    def settings(self) -> list[DatasetSpec]:
        """The one spec."""
        return [self.spec]

    def prepare_data(self) -> None:
        """Drawn scenes need no checks."""

    def dataset(self, spec: DatasetSpec, with_labels: bool) -> SegmentationDataset:
        """The test split's first scenes."""
        return ShapesDataset(spec, self.geometry.on(spec.name), self.scenes)


class ShapesDataset(SegmentationDataset):
    """The first test scenes.

    Args:
        spec: the data module's.
        geometry: the protocol's.
        scenes: how many.
    """

    def __init__(self, spec: DatasetSpec, geometry: Geometry, scenes: int) -> None:
        super().__init__(spec, geometry)
        self.scenes = scenes

    def __len__(self) -> int:
        return self.scenes

    @property
    def stems(self) -> list[str]:
        """Names of the scenes, in order."""
        return [f"scene_{index:04d}" for index in range(self.scenes)]

    def digest(self) -> str:
        """The scenes follow from their number."""
        return f"{self.scenes} scenes"

    def read(self, index: int) -> Source:
        """Draws scene `index`."""
        drawn = scene(index, "test")
        return Source(drawn.image, drawn.labels, self.stems[index])
