"""Batches whose errors say what they said in the data worker."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from torch.utils.data import DataLoader, Dataset

from datamodules.errors import DataError

Sample = TypeVar("Sample")
Batch = TypeVar("Batch")


class _Failure(NamedTuple):
    """What comes out of a data worker in place of a batch."""

    sentence: str


class Batches(Dataset[Batch], Generic[Sample, Batch]):
    """Samples of a data set, collated where they are read; a DataError comes out as data.

    torch would bring an error from a worker as the text of its traceback, from which nobody gets the sentence back.

    Args:
        dataset: a map of indices to samples, with a length.
        collate: makes a batch of samples.
    """

    def __init__(self, dataset: Dataset[Sample], collate: Callable[[list[Sample]], Batch]) -> None:
        self.dataset = dataset
        self.collate = collate

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # torch's Dataset promises no length

    def __getitems__(self, indices: list[int]) -> Batch | _Failure:
        """What a loader asks for: a whole batch."""
        try:
            return self.collate([self.dataset[index] for index in indices])
        except DataError as error:
            return _Failure(str(error))


class Loader(DataLoader[Any]):
    """A loader of `Batches`, to be given `collate_fn=as_it_is`.

    Iterating raises DataError, with the sentence that a worker or this process met.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch names its own class
        for batch in super().__iter__():
            if isinstance(batch, _Failure):
                raise DataError(batch.sentence)
            yield batch


def as_it_is(batch: Batch) -> Batch:
    """Batches are collated already."""
    return batch
