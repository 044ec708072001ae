"""What a preparation does to every picture, and the doing of it."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError
from datamodules.prepare.recode import Raw, Recoding
from datamodules.prepare.resize import linear, nearest, reduced_size
from datamodules.reading import read_image
from datamodules.spec import DatasetSpec


class Task(NamedTuple):
    """One picture with its raw label map, and the files that are made of them."""

    image: Path
    labels: Path
    image_targets: tuple[Path, ...]
    label_targets: tuple[Path, ...]  # one a recoding
    other_labels: tuple[Path, ...] = ()  # raw label maps of the recodings after the first, where they are not `labels`

    @property
    def sources(self) -> tuple[Path, ...]:
        """The raw label map of each recoding."""
        others = self.other_labels or (self.labels,) * (len(self.label_targets) - 1)
        return (self.labels, *others)

    @property
    def targets(self) -> tuple[Path, ...]:
        """All files of the task."""
        return (*self.image_targets, *self.label_targets)


@dataclass(frozen=True)
class Recipe:
    """What is done to every picture.

    Attributes:
        read: path of a raw label map to raw ids (H, W) int32; raises DataError.
        recodings: one for each label map that is made.
        shorter_side: pictures and label maps whose shorter side is longer are reduced to it.
        leave_out_unlabelled: pictures without a labelled pixel in the first label map are left out.
        overwrite: files that are there already are made anew.
    """

    read: Callable[[Path], Raw]
    recodings: tuple[Recoding, ...]
    shorter_side: int | None = None
    leave_out_unlabelled: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Plan:
    """A preparation.

    Attributes:
        recipe: what is done to every picture.
        tasks: the pictures.
        specs: settings whose folders are filled; their files are counted in the end.
        notes: what the user should know of the choices made, such as the list that was read.
    """

    recipe: Recipe
    tasks: tuple[Task, ...]
    specs: tuple[DatasetSpec, ...]
    notes: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What became of a task; `message` where its source cannot be used."""

    task: Task
    state: Literal["written", "there", "left out", "failed"]
    message: str = ""


def run_task(recipe: Recipe, task: Task) -> Outcome:
    """Makes the files of a task that are not there yet. A file bears its name only when it is whole.

    Raises:
        OSError: a file cannot be written, the disk is full perhaps; what is wrong with a source is an outcome instead.
    """
    missing = [path for path in task.targets if recipe.overwrite or not _is_whole(path)]
    if not missing:
        return Outcome(task, "there")
    try:
        raws = {path: recipe.read(path) for path in dict.fromkeys(task.sources)}
        raw = raws[task.labels]
        image = read_image(task.image, size=raw.shape)
        for path, found in raws.items():
            if found.shape != image.shape[:2]:
                raise DataError(
                    f"{path} has {found.shape[1]} x {found.shape[0]} pixels, its picture {task.image} "
                    f"{image.shape[1]} x {image.shape[0]}; unpack the archives anew"
                )
        maps = [recoding.apply(raws[path], path) for recoding, path in zip(recipe.recodings, task.sources, strict=True)]
    except DataError as error:
        return Outcome(task, "failed", str(error))
    if recipe.leave_out_unlabelled and (maps[0] == np.iinfo(maps[0].dtype).max).all():
        return Outcome(task, "left out")
    height, width = raw.shape
    size = reduced_size(height, width, recipe.shorter_side)
    for target, labels in zip(task.label_targets, maps, strict=True):
        if target in missing:
            _write_labels(nearest(labels, size), target)
    for target in task.image_targets:
        if target in missing:
            _write_image(task.image, None if size == raw.shape else linear(image, size), target)
    return Outcome(task, "written")


def _is_whole(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _write_labels(labels: NDArray[Any], target: Path) -> None:
    options = {"compression": "tiff_adobe_deflate"} if target.suffix == ".tif" else {}
    _write_aside(
        target, lambda path: Image.fromarray(labels).save(path, target.suffix[1:].replace("tif", "tiff"), **options)
    )


def _write_image(source: Path, reduced: NDArray[np.uint8] | None, target: Path) -> None:
    if reduced is not None:
        _write_aside(target, lambda path: Image.fromarray(reduced).save(path, "jpeg", quality=95))
    elif not (target.exists() and target.samefile(source)):
        _write_aside(target, lambda path: shutil.copyfile(source, path))


def _write_aside(target: Path, write: Callable[[Path], object]) -> None:
    """Writes under a hidden name, which no reader takes for data, and renames."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    try:
        write(aside)
        os.replace(aside, target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
