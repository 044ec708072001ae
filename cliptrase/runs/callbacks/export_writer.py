"""Label maps of own pictures for other tools, as `--data.export` asks for them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.distributed import all_gather_rows
from cliptrase.common.errors import counted
from cliptrase.common.images import Reader
from cliptrase.common.io import write_bytes, write_text
from cliptrase.drawing.files import grey_png
from cliptrase.exports.documents import CocoImage, coco_image, coco_json, polygons_json, word_masks
from cliptrase.exports.file_names import folder_names
from cliptrase.runs.batches import ExportsPictures
from cliptrase.runs.callbacks.base import RunCallback, Step
from cliptrase.runs.module import TrainingFreeSegmentation
from cliptrase.vocabulary import Vocabulary

FOLDER = "exports"


class ExportWriter(RunCallback):
    """Writes below `exports/`: `coco.json`, `words/<word>/<stem>.png`, `polygons/<stem>.geojson`, whichever are asked.

    It comes before those that are done with a large picture's label map.

    Attributes:
        written: what was written where, below the run's folder, and what it is; in the first process at the end.
    """

    everywhere = True

    def __init__(self) -> None:
        self._images: list[CocoImage] = []
        self._numbers: dict[str, int] = {}
        self._exported = 0
        self.written: list[tuple[str, str]] = []

    def begin(self, module: TrainingFreeSegmentation) -> None:
        """Starts anew for every run."""
        self._images, self._exported, self.written = [], 0, []
        self._numbers = {stem: number for number, stem in enumerate(module.data.datasets[0].stems)}

    def predicted(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """Every process writes its own pictures' files."""
        run, data, vocabulary = module.run, module.data, step.setting.vocabulary
        if run.folder is None or not isinstance(data, ExportsPictures) or not data.export:
            return
        for maps in step.maps:
            predictions = maps.predictions[run.main_method].cpu().numpy()
            for stem, labels in zip(maps.stems, predictions, strict=True):
                self._write(run.folder / FOLDER, stem, labels, data, vocabulary)
        for large in step.large:
            if large.file is None:
                continue
            # Of one that an interrupted run finished there is the mask alone.
            taken_up = large.file.counts is not None
            mask = run.folder / "masks" / step.setting.name / f"{large.stem}.png"
            labels = _read(mask, large.file.size) if taken_up else large.file.labels
            self._write(run.folder / FOLDER, large.stem, labels, data, vocabulary)

    def _write(
        self,
        folder: Path,
        stem: str,
        labels: NDArray[np.integer[Any]],
        data: ExportsPictures,
        vocabulary: Vocabulary,
    ) -> None:
        self._exported += 1
        if "coco" in data.export:
            self._images.append(coco_image(self._numbers[stem], data.file_name(stem), labels, vocabulary))
        if "words" in data.export:
            names = folder_names(vocabulary)
            for label, mask in word_masks(labels, vocabulary):
                write_bytes(folder / "words" / names[label] / f"{stem}.png", grey_png(mask))
        if "polygons" in data.export:
            write_text(folder / "polygons" / f"{stem}.geojson", polygons_json(labels, vocabulary))

    def end_predicting(self, module: TrainingFreeSegmentation) -> None:
        """The first process writes what belongs to all pictures."""
        run, data = module.run, module.data
        if run.folder is None or not isinstance(data, ExportsPictures) or not data.export:
            return
        images, exported = all_gather_rows(self._images), sum(all_gather_rows([self._exported]))
        if not module.trainer.is_global_zero:
            return
        vocabulary = run.settings[0].vocabulary
        words, pictures = counted(len(vocabulary.classes), "word"), counted(exported, "picture")
        if "coco" in data.export:
            write_text(run.folder / FOLDER / "coco.json", coco_json(images, vocabulary))
            annotations = counted(sum(len(image.found) for image in images), "annotation")
            self.written.append((f"{FOLDER}/coco.json", f"COCO: {pictures}, {annotations} as run lengths"))
        if "words" in data.export and exported:
            self.written.append((f"{FOLDER}/words/", f"a folder for each of {words}, a mask for each of {pictures}"))
        if "polygons" in data.export and exported:
            self.written.append((f"{FOLDER}/polygons/", f"GeoJSON of {pictures}, in pixels, nothing smoothed"))
        others = [name for label, name in enumerate(vocabulary.label_names) if label not in vocabulary.class_labels]
        if self.written and others:
            place, what = self.written[-1]
            left_out = f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} left out"
            self.written[-1] = (place, f"{what}; {left_out}")


def _read(mask: Path, size: tuple[int, int]) -> NDArray[np.integer[Any]]:
    return Reader(max_pixels=size[0] * size[1]).index_map(mask)
