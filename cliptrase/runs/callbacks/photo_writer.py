"""What `predict` adds to label maps: overlays, a legend, shares of each name, a list of pictures that failed."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.distributed import all_gather_rows
from cliptrase.common.errors import counted
from cliptrase.common.georeference import write_geotiff
from cliptrase.common.io import write_bytes, write_text
from cliptrase.common.resizing import is_large
from cliptrase.common.tables import csv_text
from cliptrase.drawing.files import png
from cliptrase.drawing.legend import legend_json
from cliptrase.drawing.naming import named_overlay
from cliptrase.drawing.overlay import UNLABELLED_COLOUR, palette, reduced, sampled
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.runs.batches import LabelMaps, OwnPictures, ShowsPictures
from cliptrase.runs.callbacks.base import RunCallback, Step
from cliptrase.runs.large_pictures import LargeLabels
from cliptrase.runs.module import TrainingFreeSegmentation
from cliptrase.vocabulary import Vocabulary


class _Shares(NamedTuple):
    """Of one picture."""

    setting: str
    stem: str
    shares: list[float]


class PhotoWriter(RunCallback):
    """Writes overlays, `legend.json` and `predictions.csv`; for pictures with a georeference GeoTIFF.

    Overlays, `overlays/<setting>/<stem>.png`, are drawn of a user's own pictures, which the data module shows
    (`picture(stem)`), as `Photos` and `Folder` do. Where there are several settings, each has a legend and a table.

    Attributes:
        failures: why images were passed over; of all processes once `predict` has ended.
        written: what was written where, below the run's folder, and what it is; in the first process at the end.
    """

    everywhere = True

    def __init__(self) -> None:
        self._shares: list[_Shares] = []
        self.failures: list[str] = []
        self.written: list[tuple[str, str]] = []

    def begin(self, module: TrainingFreeSegmentation) -> None:
        """Starts anew for every run."""
        self._shares, self.failures, self.written = [], [], []

    def predicted(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """Every process writes its own images' overlays."""
        run, data = module.run, module.data
        if run.folder is None:
            return
        self.failures += [error for group in step.batch for error in group.errors]
        vocabulary, name = step.setting.vocabulary, step.setting.name
        for maps in step.maps:
            predictions = maps.predictions[run.main_method].cpu().numpy()
            for place, (stem, labels) in enumerate(zip(maps.stems, predictions, strict=True)):
                share = np.bincount(labels.ravel(), minlength=vocabulary.num_labels) / labels.size
                self._shares.append(_Shares(name, stem, share.tolist()))
                if isinstance(data, OwnPictures):
                    under = _under(maps, place, labels, data)
                    seen = sampled(labels, *under.shape[:2]) if is_large(labels.shape) else labels
                    _draw(run.folder, step.setting, stem, under, seen, share)
                if isinstance(data, ShowsPictures):
                    _place(stem, labels, data, vocabulary, run.folder / "masks" / name)
        for large in step.large:
            self._show_large(large, data, run.folder, step)

    def _show_large(self, large: LargeLabels, data: object, folder: Path, step: Step) -> None:
        """A reduced overlay with the shares of the whole label map; then the label map is finished."""
        if large.file is None or large.counts is None:
            self.failures.append(large.error)
            return
        vocabulary, name = step.setting.vocabulary, step.setting.name
        share = large.counts / large.counts.sum()
        self._shares.append(_Shares(name, large.stem, share.tolist()))
        if large.picture is not None and isinstance(data, ShowsPictures):
            labels = sampled(large.file.labels, *large.picture.shape[:2])
            _draw(folder, step.setting, large.stem, large.picture, labels, share)
            _place(large.stem, large.file.labels, data, vocabulary, folder / "masks" / name)
            large.file.finish(large.counts)

    def end_predicting(self, module: TrainingFreeSegmentation) -> None:
        """The first process writes what belongs to all images."""
        folder, settings = module.run.folder, module.run.settings
        if folder is None:
            return
        self._shares, self.failures = (sorted(all_gather_rows(rows)) for rows in (self._shares, self.failures))
        if not module.trainer.is_global_zero:
            return
        for setting in settings:
            end = f"_{setting.name}" * (len(settings) > 1)
            rows = [(row.stem, row.shares) for row in self._shares if row.setting == setting.name]
            write_text(folder / f"legend{end}.json", legend_json(setting.vocabulary))
            write_text(folder / f"predictions{end}.csv", shares_csv(rows, setting.vocabulary))
        self.written = self._written(folder, settings, isinstance(module.data, OwnPictures))

    def _written(self, folder: Path, settings: Sequence[Setting], own: bool) -> list[tuple[str, str]]:
        """Places and descriptions of what a run wrote; several settings are one line."""
        several = len(settings) > 1
        below, each = ("", "_*") if several else (f"{settings[0].name}/", "")
        kinds = {"16-bit grey" if one.vocabulary.num_labels > 255 else "palette" for one in settings}
        what = f"{counted(len(self._shares), 'label map')} ({' or '.join(sorted(kinds))} PNG, numbers as in the legend)"
        rows = [(f"masks/{below}", what)] if self._shares else []
        placed = sum((folder / "masks" / row.setting / f"{row.stem}.tif").exists() for row in self._shares)
        if placed:
            rows.append((f"masks/{below}*.tif", f"{counted(placed, 'label map')} as GeoTIFF"))
        if own and self._shares:
            rows.append((f"overlays/{below}", f"{counted(len(self._shares), 'picture')} to look at"))
        rows.append((f"legend{each}.json", "label, name, words and colour"))
        return [*rows, (f"predictions{each}.csv", "share of each name in each picture")]


def _under(maps: LabelMaps, place: int, labels: NDArray[np.integer[Any]], data: OwnPictures) -> NDArray[np.uint8]:
    """What lies under a picture's label map, at most 2048 pixels a side for a large one."""
    shown = maps.images[place]
    # Under a protocol that crops the label map is that of the part that the model saw.
    alike = shown.shape[1:] == labels.shape
    under = shown.permute(1, 2, 0).cpu().numpy() if alike else data.picture(maps.stems[place])
    return reduced(under) if is_large(labels.shape) else under


def _draw(
    folder: Path,
    setting: Setting,
    stem: str,
    under: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    share: NDArray[np.floating],
) -> None:
    vocabulary = setting.vocabulary
    sheet = named_overlay(under, labels, vocabulary.label_names, share, none=vocabulary.none_index)
    write_bytes(folder / "overlays" / setting.name / f"{stem}.png", png(sheet))


def _place(
    stem: str, labels: NDArray[np.integer[Any]], data: ShowsPictures, vocabulary: Vocabulary, folder: Path
) -> None:
    """Writes `<stem>.tif` beside the label map of a picture that says where on earth it lies."""
    place = data.georeference(stem)
    if place is None or place.size != labels.shape:  # a protocol that crops leaves parts out
        return
    count = vocabulary.num_labels
    kind = np.uint16 if count > 256 else np.uint8
    colours = {label: tuple(map(int, palette()[label])) for label in range(count)}
    if vocabulary.none_index is not None:
        colours[vocabulary.none_index] = UNLABELLED_COLOUR
    write_geotiff(folder / f"{stem}.tif", labels.astype(kind, copy=False), place, colours)


def shares_csv(shares: list[tuple[str, list[float]]], vocabulary: Vocabulary) -> str:
    """A line a picture with the share of its pixels, in [0, 1], of each label; see `tables.csv_text`."""
    lines = ([stem, *(f"{value:.6f}" for value in values)] for stem, values in shares)
    return csv_text([["picture", *vocabulary.label_names], *lines])


def failure_sentence(failures: list[str]) -> str:
    """All pictures that were passed over, in one sentence."""
    count = Counter(failures)
    noun = "picture was" if len(count) == 1 else "pictures were"
    return f"{len(count)} {noun} passed over, the others are done: {'; '.join(count)}"
