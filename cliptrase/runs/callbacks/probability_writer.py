"""What `predict` writes of probabilities: a grey PNG a label, or one file of numbers a picture."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.distributed import all_gather_rows
from cliptrase.common.errors import counted
from cliptrase.common.io import write_bytes
from cliptrase.drawing.files import grey_png
from cliptrase.runs.batches import AsksForProbabilities
from cliptrase.runs.callbacks.base import RunCallback, Step
from cliptrase.runs.module import TrainingFreeSegmentation


class ProbabilityWriter(RunCallback):
    """Writes `probabilities/<setting>/<stem>_<label>.png` or `<stem>.npz` where the data module asks for them.

    Attributes:
        written: as of `PhotoWriter`.
    """

    everywhere = True

    def __init__(self) -> None:
        self._stems: list[str] = []
        self.written: list[tuple[str, str]] = []

    def begin(self, module: TrainingFreeSegmentation) -> None:
        """Starts anew for every run."""
        self._stems, self.written = [], []

    def predicted(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """Every process writes those of its own images."""
        run, data = module.run, module.data
        if run.folder is None or not isinstance(data, AsksForProbabilities):
            return
        folder = run.folder / "probabilities" / step.setting.name
        for maps in step.maps:
            if maps.probabilities is None:
                continue
            for stem, found in zip(maps.stems, maps.probabilities, strict=True):
                self._stems.append(stem)
                values = found.cpu().numpy()
                if data.probabilities == "npz":
                    write_bytes(folder / f"{stem}.npz", npz(values, step.setting.vocabulary.label_names))
                    continue
                for label, own in enumerate(values):
                    write_bytes(folder / f"{stem}_{label}.png", grey_png((255 * own).round().astype(np.uint8)))

    def end_predicting(self, module: TrainingFreeSegmentation) -> None:
        """Says what was written."""
        self._stems = all_gather_rows(self._stems)
        if not self._stems or not isinstance(module.data, AsksForProbabilities):
            return
        what = f"{counted(len(self._stems), 'picture')} x labels x height x width, float16"
        if module.data.probabilities == "png":
            what = f"a file for each of {counted(len(self._stems), 'picture')} and each label, grey 0 to 255"
        self.written = [(f"probabilities/{setting.name}/", what) for setting in module.run.settings]


def npz(probabilities: NDArray[np.float32], names: Sequence[str]) -> bytes:
    """A compressed NPZ file of `probabilities`, (labels, H, W) as float16, and `names`, (labels,) text."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, probabilities=probabilities.astype(np.float16), names=np.array(names))
    return buffer.getvalue()
