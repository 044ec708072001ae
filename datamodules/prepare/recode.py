"""Raw ids of the publishers to labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.errors import DataError

Raw = NDArray[np.int32]
_UNKNOWN = -1


@dataclass(frozen=True)
class Recoding:
    """A table from raw ids to labels.

    Attributes:
        table: (ids,) int32, the label of each raw id, -1 where the data set has no such id.
    """

    table: NDArray[np.int32]

    @property
    def wide(self) -> bool:
        """Whether labels need 16 bits."""
        return int(self.table.max()) > 255

    def apply(self, raw: Raw, path: Path) -> NDArray[Any]:
        """Raw ids (H, W) to labels (H, W), uint8 or uint16.

        Raises:
            DataError: an id that the data set does not have; `path` is named.
        """
        low, high = int(raw.min()), int(raw.max())
        inside = low >= 0 and high < len(self.table)
        labels = self.table[raw if inside else raw.clip(0, len(self.table) - 1)]
        if not inside or (labels == _UNKNOWN).any():
            strange = raw[(raw < 0) | (raw >= len(self.table)) | (labels == _UNKNOWN)]
            raise DataError(
                f"{path} holds the value {int(strange[0])}, which the publisher's maps do not have; "
                "unpack the archive anew, or give the folder of the raw maps by --source"
            )
        return labels.astype(np.uint16 if self.wide else np.uint8)


def recoding(labels: Mapping[int, int], rest: Iterable[int] = (), rest_label: int = 255) -> Recoding:
    """Makes a table.

    Args:
        labels: raw id to label.
        rest: further raw ids, which all read `rest_label`; ids of `labels` among them keep their own.
        rest_label: see `rest`.
    """
    merged = {**dict.fromkeys(rest, rest_label), **labels}
    table = np.full(max(merged) + 1, _UNKNOWN, dtype=np.int32)
    table[list(merged)] = list(merged.values())
    return Recoding(table)


def in_order(ids: Sequence[int]) -> dict[int, int]:
    """Raw id to its position."""
    return {raw: label for label, raw in enumerate(ids)}


def shipped_ids(name: str) -> tuple[int, ...]:
    """Raw ids of `ids/<name>.txt`, one a line, in the order of the labels."""
    text = resources.files("datamodules.prepare").joinpath("ids", f"{name}.txt").read_text(encoding="utf-8")
    return tuple(int(line) for line in text.split())
