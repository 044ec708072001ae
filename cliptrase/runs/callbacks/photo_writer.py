"""What `predict` adds for own pictures: overlays with a legend, shares of each word, a list of what failed."""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cliptrase.common.distributed import all_gather_rows
from cliptrase.common.georeference import write_geotiff
from cliptrase.common.io import write_bytes, write_text
from cliptrase.common.resizing import is_large
from cliptrase.common.tables import csv_text
from cliptrase.drawing.overlay import hex_colour, overlay, palette, reduced, sampled, with_legend
from cliptrase.runs.batches import ShowsPictures
from cliptrase.runs.callbacks.base import RunCallback, Step
from cliptrase.runs.large_pictures import LargeLabels
from cliptrase.runs.module import TrainingFreeSegmentation
from cliptrase.vocabulary import Vocabulary


class PhotoWriter(RunCallback):
    """Writes `<stem>_overlay.png` beside each mask, `legend.json` and `predictions.csv`; with a georeference GeoTIFF.

    Acts only where the data module can show its images (`picture(stem)`), as `Photos` does.

    Attributes:
        failures: why images were passed over; of all processes once `predict` has ended.
    """

    everywhere = True

    def __init__(self) -> None:
        self.shares: list[tuple[str, list[float]]] = []
        self.failures: list[str] = []

    def begin(self, module: TrainingFreeSegmentation) -> None:
        """Starts anew for every run."""
        self.shares, self.failures = [], []

    def predicted(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """Every process writes its own images' overlays."""
        run, data = module.run, module.data
        if run.folder is None or not isinstance(data, ShowsPictures):
            return
        self.failures += [error for group in step.batch for error in group.errors]
        vocabulary = step.setting.vocabulary
        for maps in step.maps:
            predictions = maps.predictions[run.main_method].cpu().numpy()
            for stem, shown, labels in zip(maps.stems, maps.images, predictions, strict=True):
                share = np.bincount(labels.ravel(), minlength=vocabulary.num_labels) / labels.size
                self.shares.append((stem, share.tolist()))
                # Under `paper` the label map is that of the part that the model saw.
                alike = shown.shape[1:] == labels.shape
                under = shown.permute(1, 2, 0).cpu().numpy() if alike else data.picture(stem)
                seen = labels
                if is_large(labels.shape):
                    under = reduced(under)
                    seen = sampled(labels, *under.shape[:2])
                sheet = with_legend(overlay(under, seen), vocabulary.label_names, share)
                write_bytes(run.folder / "masks" / step.setting.name / f"{stem}_overlay.png", png(sheet))
                _place(stem, labels, data, vocabulary, run.folder / "masks" / step.setting.name)
        for large in step.large:
            self._show_large(large, data, run.folder / "masks" / step.setting.name, vocabulary)

    def _show_large(self, large: LargeLabels, data: ShowsPictures, folder: Path, vocabulary: Vocabulary) -> None:
        """A reduced overlay with the shares of the whole label map; then the label map is finished."""
        if large.file is None or large.counts is None:
            self.failures.append(large.error)
            return
        share = large.counts / large.counts.sum()
        self.shares.append((large.stem, share.tolist()))
        if large.picture is not None:
            labels = sampled(large.file.labels, *large.picture.shape[:2])
            sheet = with_legend(overlay(large.picture, labels), vocabulary.label_names, share)
            write_bytes(folder / f"{large.stem}_overlay.png", png(sheet))
            _place(large.stem, large.file.labels, data, vocabulary, folder)
            large.file.finish(large.counts)

    def end_predicting(self, module: TrainingFreeSegmentation) -> None:
        """The first process writes what belongs to all images."""
        folder = module.run.folder
        if folder is None or not isinstance(module.data, ShowsPictures):
            return
        self.shares, self.failures = (sorted(all_gather_rows(rows)) for rows in (self.shares, self.failures))
        if module.trainer.is_global_zero:
            vocabulary = module.run.settings[0].vocabulary
            write_text(folder / "legend.json", legend_json(vocabulary))
            write_text(folder / "predictions.csv", shares_csv(self.shares, vocabulary))
            print(f"shares of each word: {folder / 'predictions.csv'}")


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
    write_geotiff(folder / f"{stem}.tif", labels.astype(kind, copy=False), place, colours)


def legend_json(vocabulary: Vocabulary) -> str:
    """What each label means and looks like."""
    words = dict(zip(vocabulary.class_labels, vocabulary.classes, strict=True))
    legend = [
        {
            "label": label,
            "name": name,
            "words": list(words.get(label, vocabulary.background)),
            "colour": hex_colour(label),
        }
        for label, name in enumerate(vocabulary.label_names)
    ]
    return json.dumps(legend, indent=2, ensure_ascii=False) + "\n"


def shares_csv(shares: list[tuple[str, list[float]]], vocabulary: Vocabulary) -> str:
    """A line a picture with the share of its pixels, in [0, 1], of each label; see `tables.csv_text`."""
    lines = ([stem, *(f"{value:.6f}" for value in values)] for stem, values in shares)
    return csv_text([["picture", *vocabulary.label_names], *lines])


def failure_sentence(failures: list[str]) -> str:
    """All pictures that were passed over, in one sentence."""
    count = Counter(failures)
    noun = "picture was" if len(count) == 1 else "pictures were"
    return f"{len(count)} {noun} passed over, the others are done: {'; '.join(count)}"


def png(picture: np.ndarray[Any, Any]) -> bytes:
    """An (H, W, 3) uint8 picture as a PNG file, packed for speed: photographs gain little from more."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
