"""Files that a person takes away: masks, overlays, the legend, and the Python lines that give the same."""

from pathlib import Path

import numpy as np

from cliptrase.app.studio import Answer
from cliptrase.common.io import write_bytes
from cliptrase.drawing.files import mask_png, png
from cliptrase.drawing.legend import legend_json
from cliptrase.drawing.naming import named_overlay


def write_masks(folder: Path, answer: Answer) -> list[Path]:
    """Writes `<picture>_<method>.png` of each map at the picture's own size; see `mask_png`."""
    count, none = answer.vocabulary.num_labels, answer.vocabulary.none_index
    return [
        _written(folder / f"{_stem(answer, name)}.png", mask_png(labels, count, none))
        for name, labels in answer.maps.items()
    ]


def write_overlays(folder: Path, answer: Answer, strength: float) -> list[Path]:
    """Writes `<picture>_<method>_overlay.png` of each map; see `overlay_png`."""
    return [
        _written(folder / f"{_stem(answer, name)}_overlay.png", overlay_png(answer, name, strength))
        for name in answer.maps
    ]


def write_legend(folder: Path, answer: Answer) -> Path:
    """Writes `legend.json`."""
    return _written(folder / "legend.json", legend_json(answer.vocabulary).encode())


def overlay_png(answer: Answer, method: str, strength: float) -> bytes:
    """A label map over its picture at the picture's own size, names in place, a legend below; see `named_overlay`."""
    labels, vocabulary = answer.maps[method], answer.vocabulary
    share = np.bincount(labels.ravel(), minlength=vocabulary.num_labels) / labels.size
    names, none = vocabulary.label_names, vocabulary.none_index
    return png(named_overlay(answer.shown.pixels, labels, names, share, strength, none))


def _stem(answer: Answer, method: str) -> str:
    """A name for files; a method's switches hold no character that a file's name may not."""
    return f"{Path(answer.shown.name).stem}_{method}"


def _written(path: Path, content: bytes) -> Path:
    write_bytes(path, content)
    return path
