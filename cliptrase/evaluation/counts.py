"""Counts of one data set over all methods, images and processes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat
from torchmetrics.utilities.distributed import gather_all_tensors

from cliptrase.common.errors import InputError
from cliptrase.common.timing import stage
from cliptrase.metrics import batch_counts, margins

MOST_LABELS = 20_000  # of a confusion matrix: 3.2 GB


class _Counts(NamedTuple):
    confusion: Tensor
    images: int
    pictures: Tensor
    stems: list[str]
    left_out: list[str]


class Counts(_Counts):
    """What one method's predictions on one data set come to.

    Attributes:
        confusion: (C, C) int64, rows are ground truth.
        images: how many were scored, P.
        pictures: (P, 3, C) int32 hits, truth and predicted pixels of each image.
        stems: names of the images, sorted.
        left_out: names of images that hold nothing to score, sorted.
    """

    __slots__ = ()

    def __new__(  # noqa: D102 (said above)
        cls, confusion: Tensor, images: int, pictures: Tensor, stems: Sequence[str], left_out: Sequence[str] = ()
    ) -> "Counts":
        if confusion.ndim == 0:  # torchmetrics hands on a matrix of one class without its dimensions
            confusion = confusion.reshape(1, 1)
        return super().__new__(cls, confusion, images, pictures, list(stems), list(left_out))


class SoFar(NamedTuple):
    """What one process has counted of a data set that is under way, for M methods and C labels.

    Attributes:
        confusion: (M, C, C) int64.
        pictures: (P, M, 3, C) int32.
        numbers: (P,) int64, of the images in their data set.
        empty: (E,) int64 numbers of images with nothing to score.
    """

    confusion: Tensor
    pictures: Tensor
    numbers: Tensor
    empty: Tensor

    def check(self, methods: int, labels: int) -> None:
        """Asks whether it agrees with itself.

        Raises:
            ValueError: it does not.
        """
        if self.confusion.shape != (methods, labels, labels) or self.confusion.dtype != torch.int64:
            raise ValueError("its matrices are of another shape")
        if self.pictures.shape != (len(self.numbers), methods, 3, labels) or self.pictures.dtype != torch.int32:
            raise ValueError("its images are of another shape")
        if self.numbers.dtype != torch.int64 or self.empty.dtype != torch.int64 or self.empty.ndim != 1:
            raise ValueError("its numbers are of another kind")
        if not torch.equal(self.pictures.long().sum(0), torch.stack(margins(self.confusion), 1)):
            raise ValueError("its images do not add up to its sums")


class SegmentationCounts(Metric):
    """A confusion matrix for each method and the counts of each image, exact, over all batches and processes.

    Confusion matrices are on the metric's device. The counts of each image are on the CPU: they take 12 bytes a class
    and method, 28 MB for 5,104 images of 459 classes.

    Args:
        methods: names, M of them.
        num_labels: C.
        stems: names of the data set's images, in its order; without them the numbers of images name them.

    Raises:
        InputError: a confusion matrix of so many labels would not fit into memory.

    Example:
        >>> counts = SegmentationCounts(["mine"], num_labels=2)
        >>> counts.update({"mine": torch.tensor([[[0, 1]]])}, labels=torch.tensor([[[0, 0]]]), index=[0])
        >>> counts.compute()["mine"].confusion.tolist()
        [[1, 1], [0, 0]]
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    confusion: Tensor  # (M, C, C) int64
    pictures: list[Tensor] | Tensor  # (B, M, 3, C) int32 each; a tensor while processes are brought together
    index: list[Tensor] | Tensor  # (B,) int64 each
    empty: list[Tensor] | Tensor  # (B,) int64 each: index of images with nothing to score

    def __init__(self, methods: Sequence[str], num_labels: int, stems: Sequence[str] | None = None) -> None:
        super().__init__(compute_with_cache=False)
        if num_labels > MOST_LABELS:
            raise InputError(
                f"{num_labels} labels cannot be scored: their confusion matrix takes {8 * num_labels**2 / 1e9:.0f} GB "
                f"for each method; name at most {MOST_LABELS} classes"
            )
        self.methods = list(methods)
        self.num_labels = num_labels
        self.stems = stems
        zeros = torch.zeros(len(methods), num_labels, num_labels, dtype=torch.int64)
        self.add_state("confusion", zeros, dist_reduce_fx="sum")
        for name in ("pictures", "index", "empty"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(
        self, predictions: Mapping[str, Tensor], labels: Tensor, index: Sequence[int], left_out: Sequence[int] = ()
    ) -> None:
        """Counts a batch.

        Args:
            predictions: by method (B, H, W) integer labels in [0, C); read only where there are images.
            labels: (B, H, W) integer; values outside [0, C) are left out.
            index: numbers of the B images in their data set, each to be counted once.
            left_out: numbers of images that hold nothing to score; negative ones stand for no image.

        Raises:
            ValueError: shapes differ or a prediction is out of range.
        """
        counts = []
        for number, method in enumerate(self.methods if index else ()):
            with stage("scores", labels.device, [method]):
                confusion, pictures = batch_counts(predictions[method], labels, self.num_labels)
                self.confusion[number] += confusion
                counts.append(pictures)
        with stage("scores", labels.device):
            self._append(torch.stack(counts, 1).cpu() if counts else None, index, left_out)

    def so_far(self) -> SoFar:
        """What this process has counted, copied to the CPU."""
        self._begin()
        lists = (dim_zero_cat(getattr(self, name)).cpu() for name in ("pictures", "index", "empty"))
        return SoFar(self.confusion.cpu().clone(), *lists)

    def go_on(self, earlier: SoFar) -> None:
        """Adds what was counted before, of other images; to be called in one process."""
        self.confusion += earlier.confusion.to(self.confusion.device)
        entries = zip(("pictures", "index", "empty"), (earlier.pictures, earlier.numbers, earlier.empty), strict=True)
        for name, entry in entries:
            getattr(self, name).append(entry)

    def compute(self) -> dict[str, Counts]:
        """Counts by method over all processes, which must all call this: the same for any split into batches.

        Raises:
            ValueError: an image was counted twice.
        """
        self._begin()
        index = dim_zero_cat(self.index).tolist()
        if len(set(index)) < len(index):
            twice = next(number for place, number in enumerate(index) if number in index[:place])
            raise ValueError(f"image {self._name(twice)} was counted twice; give each image of a data set once")
        # By name, so that intervals do not depend on how a data set is sorted.
        order = sorted(range(len(index)), key=lambda place: self._key(index[place]))
        pictures = dim_zero_cat(self.pictures)[order]
        stems = [self._name(index[place]) for place in order]
        left_out = [self._name(number) for number in sorted(set(dim_zero_cat(self.empty).tolist()), key=self._key)]
        return {
            method: Counts(self.confusion[number].cpu(), len(stems), pictures[:, number].contiguous(), stems, left_out)
            for number, method in enumerate(self.methods)
        }

    def sync(self, dist_sync_fn: Callable[..., Any] | None = None, *args: Any, **options: Any) -> None:
        """Brings the states of all processes together; see `Metric.sync`."""
        self._begin()
        super().sync(dist_sync_fn or self._gather, *args, **options)

    def _gather(self, state: Tensor, group: Any = None) -> list[Tensor]:
        # NCCL takes only tensors of its devices, and the counts of each image are on the CPU.
        return [part.to(state.device) for part in gather_all_tensors(state.to(self.device), group)]

    def _begin(self) -> None:
        """Gives states without entries one of no images: torchmetrics' own placeholder has another shape and type."""
        if isinstance(self.index, list) and not self.index:
            self._append(None, (), ())

    def _append(self, pictures: Tensor | None, index: Sequence[int], left_out: Sequence[int]) -> None:
        none = torch.zeros(len(index), len(self.methods), 3, self.num_labels, dtype=torch.int32)
        entries = {
            "pictures": none if pictures is None else pictures,
            "index": torch.tensor(list(index), dtype=torch.int64),
            "empty": torch.tensor([number for number in left_out if number >= 0], dtype=torch.int64),
        }
        for name, entry in entries.items():
            getattr(self, name).append(entry)

    def _name(self, number: int) -> str:
        return str(number) if self.stems is None else self.stems[number]

    def _key(self, number: int) -> Any:
        return number if self.stems is None else self.stems[number]
