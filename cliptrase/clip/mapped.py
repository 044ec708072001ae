"""A weights file in whose pages values lie until they are used: a start copies nothing that it does not need.

What lies in a file's pages belongs to whoever writes to the file. So the visual tower, which computes as long as a run
lasts, and the logits' scale are copied. The text tower is copied when it is used, and most starts do not, since its
embeddings are kept.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from cliptrase.common.errors import InputError


@dataclass(frozen=True)
class MappedFile:
    """A file as it was before its first value was read.

    Attributes:
        path: of the file.
        state: device, number, size in bytes and time of the last change in nanoseconds.
        addresses: of the values that lie in its pages.
    """

    path: Path
    state: tuple[int, ...]
    addresses: frozenset[int] = frozenset()

    @classmethod
    def of(cls, path: Path) -> "MappedFile":
        """The file as it is now.

        Raises:
            OSError: it cannot be looked up.
        """
        return cls(path, _state(path))

    def hold(self, model: nn.Module) -> None:
        """Copies a model's values out of the file's pages; those copied before cost nothing.

        Raises:
            InputError: the file was written to since it was read, so that the values are not those that were hashed.
        """
        lying = self._lying(model)
        # Before, since a page that a shorter file has no more ends the process; after, since none is taken then.
        copies = [] if self.was_written_under(model) else [own(value.data) for value in lying]
        if self.was_written_under(model):
            raise InputError(
                f"{self.path} was written to while it was in use; start again when it is whole, and write new weights "
                "to a new file"
            )
        for value, copy in zip(lying, copies, strict=True):
            value.data = copy

    def was_written_under(self, model: nn.Module) -> bool:
        """Whether values of a model lie in pages that are no longer what was read."""
        return bool(self._lying(model)) and self._written()

    def _lying(self, model: nn.Module) -> list[nn.Parameter]:
        return [value for value in model.parameters() if value.data_ptr() in self.addresses]

    def _written(self) -> bool:
        """Whether the file that was read was changed; one that was put in its place leaves its pages as they are."""
        try:
            now = _state(self.path)
        except OSError:
            return False
        return now[:2] == self.state[:2] and now != self.state


def own(value: Tensor) -> Tensor:
    """A copy in memory of its own, contiguous and aligned as torch aligns."""
    return value.clone().contiguous()


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
