"""A large picture's label map while it is made: bands of rows in a file, and how far it is."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.io import OutputError, read_regular, write_json
from cliptrase.inference.large import Band
from cliptrase.ops.classification import Size

UNFINISHED = "unfinished"  # folder within a run's that is there until the run ends


class BandFile:
    """Keeps finished bands, so that an interrupted run goes on after the last of them.

    The rows lie in `<hash of the stem>.labels` as they are, and a `.json` beside it says how far they are right. It is
    written after them, so that it never promises what is not there.

    Args:
        folder: of a run, `None` for memory alone.
        stem: name of the picture.
        identity: of everything that decides its label map; what was kept under another is not gone on with.
        size: (H, W).
        num_labels: number of labels.

    Attributes:
        bands: how many are finished.
        rows: of these bands.
        areas: (labels,) int64 pixels of each label in them before the background's threshold.
        second: whether they are those of the second pass, after the rule for small classes.
        counts: (labels,) int64 pixels of each label of a finished label map, None before.
    """

    def __init__(self, folder: Path | None, stem: str, identity: str, size: Size, num_labels: int) -> None:
        self.identity, self.size, self.num_labels = identity, size, num_labels
        self.kind = np.dtype(np.uint8 if num_labels <= 256 else np.uint16)
        self.bands, self.rows, self.second = 0, 0, False
        self.areas = np.zeros(num_labels, dtype=np.int64)
        self.counts: NDArray[np.int64] | None = None
        self._folder = folder
        name = hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()[:16]
        self._state = (folder or Path()) / f"{name}.json"
        self._labels = (folder or Path()) / f"{name}.labels"
        self._held = np.empty(size, dtype=self.kind) if folder is None else None
        if folder is not None:
            self._take_up()

    @property
    def labels(self) -> NDArray[np.unsignedinteger[Any]]:
        """(H, W) uint8, or uint16 over 256 labels: the whole label map, when its last band is written."""
        if self._held is not None:
            return self._held
        return np.memmap(self._labels, dtype=self.kind, mode="r", shape=self.size)

    def write(self, band: Band) -> None:
        """Keeps a band for good.

        Raises:
            OutputError: it cannot be written.
        """
        if self._held is not None:
            self._held[band.first : band.first + len(band.labels)] = band.labels
        else:
            self._write_rows(band)
        self.bands, self.rows = band.number + 1, band.first + len(band.labels)
        self.areas = self.areas + band.areas
        self._tell()

    def begin_again(self) -> None:
        """Starts the second pass, the areas of the first one known."""
        self.bands, self.rows, self.second = 0, 0, True
        self._tell()

    def finish(self, counts: NDArray[np.int64]) -> None:
        """What was made of the label map is written: its rows are wanted no more."""
        self.counts = counts
        self._tell()
        if self._folder is not None:
            self._labels.unlink(missing_ok=True)

    def _write_rows(self, band: Band) -> None:
        try:
            self._labels.parent.mkdir(parents=True, exist_ok=True)
            with self._labels.open("r+b" if self._labels.exists() else "w+b") as file:
                file.seek(band.first * self.size[1] * self.kind.itemsize)
                file.write(np.ascontiguousarray(band.labels).data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{self._labels} cannot be written ({error.strerror or error}); make room or name another place. What "
                "was written before is kept"
            ) from error

    def _tell(self) -> None:
        if self._folder is None:
            return
        write_json(
            self._state,
            {
                "identity": self.identity,
                "size": list(self.size),
                "bands": self.bands,
                "rows": self.rows,
                "areas": self.areas.tolist(),
                "second": self.second,
                "counts": None if self.counts is None else self.counts.tolist(),
            },
        )

    def _take_up(self) -> None:
        """Reads how far an interrupted run was; what cannot be read, or is not of this picture, is begun anew."""
        try:
            told = json.loads(read_regular(self._state))
            if told["identity"] != self.identity or tuple(told["size"]) != tuple(self.size):
                return
            areas = np.array(told["areas"], dtype=np.int64)
            counts = None if told["counts"] is None else np.array(told["counts"], dtype=np.int64)
            bands, rows, second = int(told["bands"]), int(told["rows"]), bool(told["second"])
            there = counts is not None or self._labels.stat().st_size >= rows * self.size[1] * self.kind.itemsize
            if not there or any(
                values is not None and values.shape != (self.num_labels,) for values in (areas, counts)
            ):
                return
        except (OSError, ValueError, KeyError, TypeError):
            return
        self.bands, self.rows, self.second, self.areas, self.counts = bands, rows, second, areas, counts
