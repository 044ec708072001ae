"""Counts of one setting over all methods, pictures and processes."""

import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cliptrase.distributed import all_gather_rows
from cliptrase.errors import InputError
from cliptrase.metrics import SegmentationScores, picture_counts
from cliptrase.timing import stage

MOST_LABELS = 20_000  # of a confusion matrix: 3.2 GB


class Counts(NamedTuple):
    """What one method's predictions on one setting come to."""

    confusion: Tensor  # (C, C) int64, rows are ground truth
    images: int
    pictures: Tensor  # (P, 3, C) int32 hits, truth and predicted pixels of each picture
    stems: list[str]  # of the pictures, sorted


class SettingCounter(nn.Module):
    """Counts pictures of one setting under every method.

    What is kept of each picture takes 12 bytes a class and method on the CPU: 28 MB for 5,104 pictures of 459 classes.

    Args:
        methods: names.
        num_labels: C.

    Raises:
        InputError: a confusion matrix of so many labels would not fit into memory.
    """

    def __init__(self, methods: Sequence[str], num_labels: int) -> None:
        super().__init__()
        if num_labels > MOST_LABELS:
            raise InputError(
                f"{num_labels} labels cannot be scored: their confusion matrix takes {8 * num_labels**2 / 1e9:.0f} GB "
                f"for each method; name at most {MOST_LABELS} classes"
            )
        self.num_labels = num_labels
        self.scores = nn.ModuleDict({method: SegmentationScores(num_labels) for method in methods})
        self._batches: list[tuple[list[str], NDArray[np.int32]]] = []  # stems (B,), counts (B, methods, 3, C)
        self._passed_over: set[str] = set()
        self.left_out: list[str] = []  # stems of pictures with nothing to score, once `totals` was called

    def update(self, predictions: Mapping[str, Tensor], labels: Tensor, stems: Sequence[str]) -> None:
        """Counts a batch.

        Args:
            predictions: by method (B, H, W) integer labels in [0, C).
            labels: (B, H, W) integer; values outside [0, C) are left out.
            stems: names of the pictures, each once a setting.

        Raises:
            ValueError: shapes differ or a prediction is out of range.
        """
        counts = []
        device = next(iter(predictions.values())).device
        for method, metric in self.scores.items():
            with stage("scores", device, [method]):
                metric.update(predictions[method], labels)  # type: ignore[operator]
                counts.append(picture_counts(predictions[method], labels, self.num_labels))
        with stage("scores", device):
            self._batches.append((list(stems), torch.stack(counts, 1).cpu().numpy()))

    def leave_out(self, stems: Sequence[str]) -> None:
        """Notes pictures that hold nothing to score, such as those whose crop is empty."""
        self._passed_over.update(stems)

    def totals(self) -> dict[str, Counts]:
        """Counts of every method over all processes, which must all call this: the same for any split into batches."""
        rows = all_gather_rows([*self._batches, (sorted(self._passed_over), None)])
        self._batches = []
        batches = [(names, counts) for names, counts in rows if counts is not None]
        stems = [stem for names, _ in batches for stem in names]
        # What fills up a process without pictures is another's picture.
        self.left_out = sorted({stem for names, counts in rows if counts is None for stem in names} - set(stems))
        order = sorted(range(len(stems)), key=stems.__getitem__)
        empty = np.zeros((0, len(self.scores), 3, self.num_labels), np.int32)
        pictures = torch.from_numpy(np.concatenate([empty, *(counts for _, counts in batches)])[order])
        stems = [stems[place] for place in order]
        found = {}
        for number, (method, metric) in enumerate(self.scores.items()):
            with warnings.catch_warnings():
                # A process may have had no picture to score; that is no mistake.
                warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
                confusion, images = metric.compute()  # type: ignore[operator]
            # torchmetrics hands on what holds one number, as a single class's matrix does, without its dimensions.
            confusion = confusion.reshape(self.num_labels, self.num_labels)
            found[method] = Counts(confusion.cpu(), int(images), pictures[:, number].contiguous(), stems)
        return found
