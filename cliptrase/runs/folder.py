"""Folders of runs: a new one for each, or an unfinished one of the same inputs."""

import json
import shutil
import time
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from pytorch_lightning.utilities import rank_zero_warn

from cliptrase.common.errors import InputError
from cliptrase.common.io import FolderLock, read_regular, write_json
from cliptrase.runs.band_file import UNFINISHED
from cliptrase.runs.identity import differences
from cliptrase.runs.partial import kept_datasets

_BEGUN = "run.json"
_PATIENCE = 5.0  # seconds that a network file system has to show another node what was written
UNENDED = ".running"  # stands in a folder until its last file is written, locked while the run lives


class Taken(NamedTuple):
    """A folder that this process holds.

    Attributes:
        path: the folder.
        lock: to be removed when the run's last file is written.
        earlier: provenance of the interrupted run whose folder it is; empty for a new one.
    """

    path: Path
    lock: FolderLock
    earlier: dict[str, Any]


def take_run_folder(root: Path, name: str) -> Taken:
    """Makes a folder under `root` that nobody else has, named by time and `name`, and locks it.

    Raises:
        InputError: it cannot be made or written.
    """
    started = f"{datetime.now().strftime('%Y-%m-%d_%H-%M-%S')}_{name}"
    try:
        for number in count(1):
            folder = root / (started if number == 1 else f"{started}-{number}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                if not root.is_dir():  # a file stands in its place
                    raise
                continue
            try:
                return Taken(folder, FolderLock(folder / UNENDED), {})
            except OSError:
                remove_folder(folder)
                raise
    except OSError as error:
        raise InputError(
            f"no folder for this run can be made in {root} ({error.strerror or error}); "
            "name another place by --trainer.default_root_dir"
        ) from error
    raise AssertionError  # counting has no end


def is_seen(folder: Path) -> bool:
    """Whether this process sees a folder that another one of the run has just locked, perhaps on another node."""
    until = time.monotonic() + _PATIENCE
    while not (folder / UNENDED).is_file():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def remove_folder(folder: Path) -> None:
    """Takes a folder away that holds nothing but a lock."""
    (folder / UNENDED).unlink(missing_ok=True)
    folder.rmdir()


def take_unfinished(root: Path, identity: dict[str, Any], scores: bool = True) -> Taken | None:
    """Locks the newest folder under `root` whose run did not end and is the same; says why where there is none.

    Args:
        root: holds the runs' folders.
        identity: what decides the figures of the run that is to go on.
        scores: whether the run scores; else it predicts.
    """
    provenance_of = scored_before if scores else predicted_before
    newest = uncounted = ""
    unended = sorted((file.parent for file in root.glob(f"*/{UNENDED}")), key=_age, reverse=True)
    for folder in unended:
        if not (provenance := provenance_of(folder)):
            same = not differences(_begun(folder, scores).get("identity"), identity)
            uncounted = uncounted or (str(folder) if same else "")
            continue
        if unequal := differences(provenance.get("identity"), identity):
            newest = newest or f"the newest unfinished run {folder} differs in: {', '.join(unequal)}"
            continue
        try:
            lock = FolderLock(folder / UNENDED)
        except OSError as error:
            reason = "is being written by another process" if isinstance(error, BlockingIOError) else str(error)
            rank_zero_warn(f"{folder} is passed over: it {reason}")
            continue
        # It may have gone on, or ended, before it was locked.
        provenance = provenance_of(folder)
        if not (folder / UNENDED).exists() or differences(provenance.get("identity"), identity):
            lock.release()
            continue
        return Taken(folder, lock, provenance)
    if uncounted:
        newest = f"the unfinished run {uncounted} has counted nothing yet"
    print(f"nothing to resume: {newest or f'no unfinished run is under {root}'}; a new one starts")
    return None


def predicted_before(folder: Path) -> dict[str, Any]:
    """What a run of `predict` that did not end says of itself; nothing where it cannot be read."""
    return _begun(folder, scores=False)


def tell_begun(folder: Path, identity: dict[str, Any], scores: bool) -> None:
    """Leaves in a folder what its run is, before anything is finished."""
    write_json(folder / UNFINISHED / _BEGUN, {"scores": scores, "identity": identity})


def _begun(folder: Path, scores: bool) -> dict[str, Any]:
    """What `tell_begun` left; nothing where it cannot be read, or tells of the other command."""
    try:
        told = json.loads(read_regular(folder / UNFINISHED / _BEGUN))
        return {"identity": told["identity"]} if told["scores"] is scores else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def forget_begun(folder: Path) -> None:
    """Takes away what only an interrupted run needs."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def scored_before(folder: Path) -> dict[str, Any]:
    """What a run of `test` that did not end says of itself; nothing where it counted nothing, or cannot be read."""
    path = folder / "results.json"
    if odd := next((str(entry) for entry in _known(folder) if entry.exists() and not entry.is_file()), ""):
        rank_zero_warn(f"{folder} is passed over: {odd} is not a file")
        return {}
    try:
        provenance = json.loads(read_regular(path))["provenance"]
        if not all(isinstance(provenance[key], dict) for key in ("counts", "study_counts", "identity")):
            raise TypeError("it is not of this form")
    except FileNotFoundError:  # no data set is finished, but some images of the first may be counted
        begun = _begun(folder, scores=True) if kept_datasets(folder) else {}
        return begun and {**begun, "counts": {}, "study_counts": {}}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        rank_zero_warn(f"{folder} is passed over: {path.name} cannot be read ({type(error).__name__}: {error})")
        return {}
    return dict(provenance)


def _known(folder: Path) -> list[Path]:
    """Files that going on with a run would replace."""
    names = (
        "config.yaml",
        "results.json",
        "results.csv",
        "benchmarks.csv",
        "comparison.csv",
        "comparison.md",
        "report.html",
    )
    written = (*folder.glob("confusion/*.npz"), *folder.glob("studies/*.csv"), *folder.glob("studies/*/*.npz"))
    return [*(folder / name for name in (*names, "hparams.yaml")), *written]


def _age(folder: Path) -> tuple[str, int, str]:
    """Sorts folders by the time in their names; those of one second by their numbers."""
    return folder.name[:19], len(folder.name), folder.name
