"""Counts of a data set that is under way: kept every minute, so that an interrupted run goes on within it.

Each process keeps its own, without a word to the others. A run that goes on has the next generation of files: its
first process begins with what all processes of the generation before had counted, and keeps that before anything else,
so that at any time one generation is whole.
"""

import hashlib
import io
import json
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from pytorch_lightning.utilities import rank_zero_warn

from cliptrase.common.io import read_regular, write_bytes
from cliptrase.evaluation.counts import SoFar
from cliptrase.runs.band_file import UNFINISHED

EVERY = 60.0  # seconds between files; what a kill costs at most

States = Mapping[str, SoFar]
"""By study what was counted so far, the run's own under an empty name."""


class UnderWay(NamedTuple):
    """What an interrupted run had counted of a data set.

    Attributes:
        states: of all its processes together.
        generation: of the files that it is from.
    """

    states: dict[str, SoFar]
    generation: int

    @property
    def numbers(self) -> list[int]:
        """Of the images that need not be looked at again, those with nothing to score among them."""
        own = self.states[""]
        return sorted({*own.numbers.tolist(), *own.empty.tolist()})


class Wanted(NamedTuple):
    """A data set that is to be scored.

    Attributes:
        shapes: by study how many variants and labels it counts; the run's own under an empty name.
        images: how many it has.
    """

    shapes: Mapping[str, tuple[int, int]]
    images: int


class PartialCounts:
    """What a run keeps of the data set that is under way, and what it takes up of an interrupted one.

    Attributes:
        counted: by data set numbers of the images that an interrupted run looked at: nobody computes them again.
    """

    def __init__(self) -> None:
        self.counted: dict[str, list[int]] = {}
        self._generation: dict[str, int] = {}
        self._earlier: dict[str, UnderWay] = {}  # in the first process
        self._kept_at = time.monotonic()

    @property
    def told(self) -> tuple[dict[str, list[int]], dict[str, int]]:
        """What the first process tells the others."""
        return self.counted, self._generation

    def hear(self, told: tuple[dict[str, list[int]], dict[str, int]]) -> None:
        """What the first process has `told`."""
        self.counted, self._generation = told

    def take_up(self, folder: Path, wanted: Mapping[str, Wanted], identity: Any) -> None:
        """Reads what is kept of data sets that are wanted, keeps it for the next time, and takes the rest away.

        Args:
            folder: the run's.
            wanted: by name.
            identity: what decides the run's figures.
        """
        for name in kept_datasets(folder):
            earlier = None
            try:
                earlier = read_partial(folder, name, wanted[name], identity) if name in wanted else None
            except ValueError as error:
                rank_zero_warn(f"{error}: {name} is scored again")
            if earlier is not None:
                self._earlier[name], self.counted[name] = earlier, earlier.numbers
                self._generation[name] = earlier.generation + 1
                write_partial(folder, name, earlier.generation + 1, 0, earlier.states, identity)
            forget_partial(folder, name, self._generation.get(name, 0))

    def states(self, name: str) -> States:
        """What an interrupted run counted of a data set that it did not finish; only the first process has it."""
        return self._earlier[name].states if name in self._earlier else {}

    def scored(self, name: str) -> int:
        """How many images an interrupted run scored of a data set that it did not finish."""
        return len(states[""].numbers) if (states := self.states(name)) else 0

    def keep(self, folder: Path, name: str, rank: int, states: Callable[[], States], identity: Any) -> None:
        """Keeps what a process has counted of a data set, if `EVERY` seconds have passed since the last time.

        Args:
            folder: the run's.
            name: of the data set.
            rank: of the process.
            states: gives what is counted.
            identity: what decides the run's figures.
        """
        if time.monotonic() - self._kept_at >= EVERY:
            write_partial(folder, name, self._generation.get(name, 1), rank, states(), identity)
            self._kept_at = time.monotonic()


def write_partial(folder: Path, name: str, generation: int, rank: int, states: States, identity: Any) -> None:
    """Keeps what one process counted so far.

    Args:
        folder: the run's.
        name: of the data set.
        generation: 1 for a run that is new.
        rank: of the process.
        states: see `States`.
        identity: what decides the run's figures.
    """
    arrays = {
        f"{study}|{part}": values.cpu().numpy()
        for study, state in states.items()
        for part, values in state._asdict().items()
    }
    buffer = io.BytesIO()
    np.savez(buffer, identity=np.array(_digest(identity)), **arrays)
    write_bytes(_path(folder, name, generation, rank), buffer.getvalue())


def read_partial(folder: Path, name: str, wanted: Wanted, identity: Any) -> UnderWay | None:
    """What the processes of an interrupted run counted of a data set; None where there is nothing that can be used.

    Args:
        folder: the run's.
        name: of the data set.
        wanted: the data set.
        identity: what decides the run's figures.

    Raises:
        ValueError: a file of the newest generation is damaged, or is not of this run.
    """
    files = _files(folder, name)
    begun = [generation for generation, rank in files if rank == 0]
    if not begun:
        return None
    newest = max(begun)
    found = [
        _read(path, wanted.shapes, identity) for (generation, _), path in sorted(files.items()) if generation == newest
    ]
    states = {study: _together([each[study] for each in found]) for study in wanted.shapes}
    numbers = [*states[""].numbers.tolist(), *states[""].empty.tolist()]
    if len(set(numbers)) < len(numbers) or not all(0 <= number < wanted.images for number in numbers):
        raise ValueError(f"{_folder(folder)} cannot be used (images of {name} are not each there once)")
    if any(not torch.equal(state.numbers, states[""].numbers) for state in states.values()):
        raise ValueError(f"{_folder(folder)} cannot be used (studies of {name} counted other images)")
    return UnderWay(states, newest)


def forget_partial(folder: Path, name: str, but: int = 0) -> None:
    """Takes away what was kept of a data set, but for one generation."""
    for (generation, _), path in _files(folder, name).items():
        if generation == but:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def kept_datasets(folder: Path) -> Collection[str]:
    """Names of data sets of which something is kept."""
    return {match[1] for path in _folder(folder).glob("*.npz") if (match := _NAMED.fullmatch(path.name))}


_NAMED = re.compile(r"(.+)\.(\d+)\.(\d+)\.npz")


def _folder(folder: Path) -> Path:
    return folder / UNFINISHED / "counts"


def _path(folder: Path, name: str, generation: int, rank: int) -> Path:
    return _folder(folder) / f"{name}.{generation}.{rank}.npz"


def _files(folder: Path, name: str) -> dict[tuple[int, int], Path]:
    """Files of a data set by generation and rank."""
    matches = {path: _NAMED.fullmatch(path.name) for path in _folder(folder).glob("*.npz")}
    return {(int(match[2]), int(match[3])): path for path, match in matches.items() if match and match[1] == name}


def _digest(identity: Any) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _read(path: Path, shapes: Mapping[str, tuple[int, int]], identity: Any) -> dict[str, SoFar]:
    """One process's counts.

    Raises:
        ValueError: they do not agree with themselves, or are of another run.
    """
    try:
        with np.load(io.BytesIO(read_regular(path))) as stored:
            if str(stored["identity"]) != _digest(identity):
                raise ValueError("it is of other inputs")
            states = {
                study: SoFar(*(torch.from_numpy(stored[f"{study}|{part}"]) for part in SoFar._fields))
                for study in shapes
            }
        for study, state in states.items():
            state.check(*shapes[study])
    except Exception as error:  # numpy and zipfile raise whatever they meet in a damaged file
        raise ValueError(f"{path} cannot be used ({error})") from error
    return states


def _together(states: Sequence[SoFar]) -> SoFar:
    confusion, pictures, numbers, empty = zip(*states, strict=True)
    return SoFar(torch.stack(confusion).sum(0), torch.cat(pictures), torch.cat(numbers), torch.cat(empty))
