"""Several data sets in one run."""

import importlib
from pathlib import Path

from cliptrase.common.errors import one_line, suggestion
from datamodules.base import LocatedDataModule
from datamodules.errors import DataError
from datamodules.notices import warn
from datamodules.spec import AUTO, LAYOUTS, DatasetSpec, LabelScheme
from datamodules.spec_file import ENDINGS, read_spec, require_names
from datamodules.specs import BENCHMARKS, DATASETS
from datamodules.transforms import Geometry


def find_spec(name: str) -> DatasetSpec:
    """A data set by its name, from a YAML file, or of a class elsewhere, `my_package.MyRooms`.

    Raises:
        DataError: there is no such data set.
    """
    if name in DATASETS:
        return DATASETS[name]
    if Path(name).suffix.lower() in ENDINGS:
        return read_spec(Path(name))
    module, _, attribute = name.rpartition(".")
    if module:
        try:
            spec = getattr(importlib.import_module(module), attribute).spec
        except (ImportError, AttributeError) as error:
            raise DataError(f"--data.settings {name} is no data module with a spec ({one_line(error)})") from error
        if isinstance(spec, DatasetSpec):
            return spec
    meant = suggestion(name, (*DATASETS, *BENCHMARKS))
    raise DataError(
        f"--data.settings names {name!r}, which is no data set; {meant} some of {', '.join(DATASETS)}, a list "
        f"({', '.join(BENCHMARKS)}) or a YAML file"
    )


class Benchmark(LocatedDataModule):
    """Data sets in one run, each scored by itself; those whose files are missing are named and left out.

    Args:
        settings: names such as [VOC20, PC59, Cityscapes]; the name of a list, `paper` for CLIPtrase's nine, `sclip`
            for the eight of SCLIP and its followers or `mess` for the 22 of MESS; YAML files of your own data sets,
            [VOC20, rooms.yaml, streets.yaml], see `spec_file`; classes, my_package.MyRooms.
        root: folder that holds the data sets' folders.
        layout: detectron2, mmseg, or auto, which looks for each data set and says what it found.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.
        label_scheme: set by the protocol.

    Raises:
        DataError: an unknown name, or no data set's folder is there.
    """

    def __init__(
        self,
        settings: list[str] | str = "paper",
        root: Path = Path("datasets"),
        layout: str = "auto",
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
        label_scheme: LabelScheme | None = None,
    ) -> None:
        super().__init__(root, layout, batch_size, num_workers, geometry, label_scheme)
        names = [settings] if isinstance(settings, str) else settings
        requested = list(dict.fromkeys(name for item in names for name in BENCHMARKS.get(item, (item,))))
        if not requested:
            raise DataError(f"--data.settings {names} names nothing; take some of {', '.join(DATASETS)}")
        specs = {name: find_spec(name) for name in requested}
        require_names(specs)
        self.specs = [spec.with_labels(self.label_scheme) for spec in specs.values()]

    @property
    def missing(self) -> dict[str, str]:
        """What is not there, by data set: its folder or, where label maps are to be scored, theirs."""
        scored = self.trainer is not None and self.trainer.testing
        places = {}
        for spec in self.specs:
            if spec.folder and self.layout not in (AUTO, spec.layout, *spec.layouts):
                places[spec.name] = f"not known in {self.layout} layout"
                continue
            found = self.locate(spec)
            folder, labels = self.root / found.folder, self.root / found.folder / found.labels
            images = any((folder / name).is_dir() for name in found.images)
            here = self.is_whole(found) if scored else images
            if found.layout == spec.layout:
                here = not found.folder or folder.is_dir()
                here = here and (labels.is_dir() or not (scored and found.prepare_command))
            if not here:
                places[spec.name] = self.looked_for(spec)
        return places

    @property
    def settings(self) -> list[DatasetSpec]:
        """Specs of the data sets whose folders are there."""
        missing = self.missing
        return [self.locate(spec) for spec in self.specs if spec.name not in missing]

    def prepare_data(self) -> None:
        """Names what is missing, then checks the files of the rest."""
        self._located.clear()
        if not self.settings:
            if any((self.root / spec.folder).is_dir() for spec in self.specs):
                raise DataError(f"no label maps for any setting: {'; '.join(self.missing.values())}")
            known = LAYOUTS if self.layout == AUTO else (self.layout,)
            folders = {
                name: sorted({place.folder for spec in self.specs for place in spec.in_layout(name)}) for name in known
            }
            said = [f"{', '.join(filter(None, names))} ({name})" for name, names in folders.items() if any(names)]
            raise DataError(
                f"none of the folders {', '.join(said)} is in {self.root}; name the place that holds them by "
                "--data.root"
            )
        if self.missing:
            names = ", ".join(f"{name} ({what})" for name, what in self.missing.items())
            warn(f"left out, for their folders are missing: {names}")
        super().prepare_data()
