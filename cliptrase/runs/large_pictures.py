"""Large pictures under `predict`: label maps band by band into a file, what an interrupted run made taken up."""

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cliptrase.common.console import remark
from cliptrase.common.errors import InputError
from cliptrase.drawing.overlay import reduced
from cliptrase.inference.large import Band, LargePicture
from cliptrase.inference.naming import allowed_names
from cliptrase.ops.classification import TextClassifier
from cliptrase.runs.band_file import BandFile
from cliptrase.runs.batches import ShowsPictures
from cliptrase.segmenter import Segmenter

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""Of a name and a number of windows: a bar that is told how many more were seen."""

_COUNTED = 1 << 24  # pixels at a time


@dataclass(frozen=True, eq=False)
class LargeLabels:
    """The label map of a large picture, as callbacks get it.

    Attributes:
        stem: name of the picture.
        file: its label map; None where the picture could not be read.
        picture: (h, w, 3) uint8, small enough to be looked at; None where all was written by an interrupted run.
        counts: (labels,) pixels of each label.
        error: why the picture could not be read.
    """

    stem: str
    file: BandFile | None = None
    picture: NDArray[np.uint8] | None = None
    counts: NDArray[np.int64] | None = None
    error: str = ""


def label_large(
    stem: str,
    data: ShowsPictures,
    segmenter: Segmenter,
    classifier: TextClassifier,
    folder: Path | None,
    identity: Mapping[str, Any],
    bar: Bar,
) -> LargeLabels:
    """Labels a large picture by the segmenter's first method; a picture that cannot be read holds nobody up.

    Args:
        stem: name of the picture.
        data: shows it.
        segmenter: the model.
        classifier: the names.
        folder: of unfinished label maps; None for memory alone.
        identity: of the run; see `identity.identity`.
        bar: shows progress; see `progress.windows_bar`.

    Raises:
        OutputError: a band cannot be written.
    """
    try:
        picture = data.picture(stem)
        content = data.picture_digest(stem)
    except InputError as error:
        return LargeLabels(stem, error=str(error))
    size = (picture.shape[0], picture.shape[1])
    told = json.dumps([identity, content, stem], sort_keys=True, default=str)
    file = BandFile(folder, stem, hashlib.sha256(told.encode()).hexdigest(), size, classifier.num_labels)
    if file.counts is not None:
        return LargeLabels(stem, file, None, file.counts)
    seen = reduced(picture)
    shown = data.as_shown(picture)
    del picture  # where it is shown at another size
    if segmenter.methods[0].refine:
        _whole(file, shown, segmenter, classifier)
    else:
        large = segmenter.large(shown, classifier, size)
        _say(stem, large, file)
        with bar(stem, large.windows) as advanced:
            _fill(file, large, advanced)
    return LargeLabels(stem, file, seen, _counts(file))


def _fill(file: BandFile, large: LargePicture, advanced: Callable[[int], object]) -> None:
    """Writes the bands that are not there; where the rule for small classes asks for it, all of them twice."""
    if not file.second:
        for band in large.bands(file.bands, advanced=advanced):
            file.write(band)
    areas = torch.from_numpy(file.areas).unsqueeze(0).to(large.classifier.name_to_label.device)
    if (allowed := allowed_names(areas, large.classifier, large.protocol)) is None:
        return
    if not file.second:
        file.begin_again()
    for band in large.bands(file.bands, allowed, advanced):
        file.write(band._replace(areas=np.zeros_like(file.areas)))


def _whole(file: BandFile, shown: NDArray[np.uint8], segmenter: Segmenter, classifier: TextClassifier) -> None:
    """Writes the label map of a method that refines maps of whole pictures: in one piece."""
    images = torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 0, 1))).unsqueeze(0).to(segmenter.device)
    labels = segmenter(images, classifier, file.size).labels[segmenter.methods[0].name][0]
    file.write(Band(0, 0, labels.cpu().numpy().astype(file.kind), np.zeros_like(file.areas)))


def _say(stem: str, large: LargePicture, file: BandFile) -> None:
    (height, width), (side, _) = large.size, large.side
    shown = large.picture.shape[:2]
    at = "" if shown == large.size else f", shown at {shown[1]} x {shown[0]},"
    again = f"; it goes on at row {file.rows} of {height}" if file.rows and not file.second else ""
    remark(f"{stem}: {width} x {height} pixels{at} are worked on by tiles, {large.windows} windows of {side}{again}")


def _counts(file: BandFile) -> NDArray[np.int64]:
    labels = file.labels
    step = max(1, _COUNTED // labels.shape[1])
    total = np.zeros(file.num_labels, dtype=np.int64)
    for top in range(0, len(labels), step):
        total += np.bincount(labels[top : top + step].ravel(), minlength=file.num_labels)
    return total
