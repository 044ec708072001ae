"""One folder a run: made new, or an unfinished one taken up again."""

import json
import warnings
from collections.abc import Mapping
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import _DummyExperiment as DoesNothing
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_warn

from cliptrase.errors import InputError
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.provenance import Start
from cliptrase.evaluation.scoreboard import Scoreboard
from cliptrase.io import FolderLock, read_regular, remove_half_written, write_text
from cliptrase.runs.callbacks.counts_file import read_counts
from cliptrase.runs.callbacks.identity import differences, identity
from cliptrase.runs.callbacks.sheet_choice import tidy
from cliptrase.runs.module import TrainingFreeSegmentation

UNENDED = ".running"  # stands in a folder until its last file is written, locked while the run lives


def take_run_folder(root: Path, name: str) -> tuple[Path, FolderLock]:
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
                return folder, FolderLock(folder / UNENDED)
            except OSError:
                remove_folder(folder)
                raise
    except OSError as error:
        raise InputError(
            f"no folder for this run can be made in {root} ({error.strerror or error}); "
            "name another place by --trainer.default_root_dir"
        ) from error
    raise AssertionError  # counting has no end


def remove_folder(folder: Path) -> None:
    """Takes a folder away that holds nothing but a lock."""
    (folder / UNENDED).unlink(missing_ok=True)
    folder.rmdir()


class RunLogger(TensorBoardLogger):
    """TensorBoard events in the run's folder.

    Lightning opens its loggers before anybody knows which folder that is, so nothing is written before `open`.

    Args:
        root: the folder that holds the runs' folders.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root, name="", version="", default_hp_metric=False)

    @property
    def experiment(self) -> Any:
        """The TensorBoard writer; one that does nothing until the run has a folder."""
        return super().experiment if self._version else DoesNothing()

    def open(self, folder: Path) -> None:
        """Writes to a run's folder from now on."""
        self._root_dir, self._version = str(folder.parent), folder.name


class RunFolder(Callback):
    """Holds the run's folder; all processes agree on the first one's.

    Args:
        root: where the runs' folders are.
        config: the run's configuration as YAML, kept as `config.yaml`.
        resume: whether to go on in the newest folder under `root` whose run did not end and is the same.
        name: what the folder's name says besides the time.

    Attributes:
        path: where the run's files go.
        start: what the run knew of itself when this object was made.
        identity: what decides the run's figures; in the first process, where something is scored.
        kept: SHA-256 of files of counts that an earlier, interrupted run left, by setting.
        earlier: what that run said of itself.
    """

    def __init__(self, root: Path, config: str, resume: bool = False, name: str = "run") -> None:
        self.root = self.path = root
        self.config = config
        self.resume = resume
        self.name = name
        self.start = Start.of_this_process()
        self.identity: dict[str, Any] = {}
        self.kept: dict[str, str] = {}
        self.earlier: dict[str, Any] = {}
        self._lock: FolderLock | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes or finds the folder, and hands finished settings to the model and the data module.

        Raises:
            InputError: no folder can be made, or nothing is asked to be scored.
        """
        finished: dict[str, Mapping[str, Counts]] = {}
        failure: Exception | None = None
        if trainer.is_global_zero:
            try:
                finished = self._begin(trainer, pl_module)
            except Exception as error:  # the other processes wait for word
                failure = error
        told = (str(self.path), list(finished), failure is not None)
        path, done, failed = trainer.strategy.broadcast(told)
        if failed:
            raise failure or InputError("the first process of this run stopped, for the reason that it gave")
        self.path = Path(path)
        if isinstance(pl_module, TrainingFreeSegmentation):
            pl_module.scoreboard = Scoreboard(pl_module.methods, pl_module.protocol)  # a module may be run again
            pl_module.counts.update(finished or {name: {} for name in done})
            data: Any = getattr(trainer, "datamodule")  # noqa: B009 (Lightning attaches it untyped)
            data.skipped = frozenset(done)
            if len(done) == len(data.settings):
                warnings.filterwarnings(
                    "ignore", message="Total length of `list` across ranks is zero"
                )  # so it is meant
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.open(self.path)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Ends the run: its last file is written, so that `--resume` looks for no more."""
        if isinstance(pl_module, TrainingFreeSegmentation) and trainer.testing and not pl_module.settings:
            _call_endings(trainer, pl_module)
        if self._lock is not None:
            for logger in trainer.loggers:
                if isinstance(logger, RunLogger):
                    logger.finalize("success")  # closes what Lightning closes only after this
            self._lock.remove()
            self._lock = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Lets others go on with the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _begin(self, trainer: Trainer, module: LightningModule) -> dict[str, Mapping[str, Counts]]:
        """Takes a folder; gives the counts of what is finished there."""
        finished = None
        if trainer.testing and isinstance(module, TrainingFreeSegmentation):
            if trainer.limit_test_batches == 0:
                raise InputError("--trainer.limit_test_batches 0 leaves nothing to score; leave it out or take more")
            self.identity = identity(trainer, module, self.start)
            finished = self._take_up(module) if self.resume else None
        elif self.resume:
            print("nothing to resume: --resume goes on with 'test'; a new run starts")
        if finished is None:
            self.path, self._lock = take_run_folder(self.root, self.name)
        write_text(self.path / "config.yaml", self.config)
        return finished or {}

    def _take_up(self, module: TrainingFreeSegmentation) -> dict[str, Mapping[str, Counts]] | None:
        """Finds and locks the newest unended run of the same inputs, and reads what it finished."""
        newest = ""
        unended = sorted((file.parent for file in self.root.glob(f"*/{UNENDED}")), key=_age, reverse=True)
        for folder in unended:
            if not (provenance := _provenance_of(folder)):
                continue
            if unequal := differences(provenance.get("identity"), self.identity):
                newest = newest or f"the newest unfinished run {folder} differs in: {', '.join(unequal)}"
                continue
            try:
                lock = FolderLock(folder / UNENDED)
            except OSError as error:
                reason = "is being written by another process" if isinstance(error, BlockingIOError) else str(error)
                rank_zero_warn(f"{folder} is passed over: it {reason}")
                continue
            # It may have gone on, or ended, before it was locked.
            provenance = _provenance_of(folder)
            if not (folder / UNENDED).exists() or differences(provenance.get("identity"), self.identity):
                lock.release()
                continue
            self.path, self._lock, self.earlier = folder, lock, provenance
            return self._counts_of(module, provenance)
        newest = newest or f"no unfinished run is under {self.root}"
        print(f"nothing to resume: {newest}; a new one starts")
        return None

    def _counts_of(self, module: TrainingFreeSegmentation, provenance: Mapping[str, Any]) -> dict[str, Any]:
        """Counts of the finished settings of the folder, which is made ready to be written again."""
        remove_half_written(self.path)
        tidy(self.path / "sheets")
        (self.path / RunLogger.NAME_HPARAMS_FILE).unlink(missing_ok=True)  # Lightning writes it in place, at the end
        found: dict[str, Any] = {}
        data: Any = getattr(module.trainer, "datamodule")  # noqa: B009 (Lightning attaches it untyped)
        for setting in data.settings:
            if told := provenance["counts"].get(setting.name):
                try:
                    found[setting.name] = read_counts(
                        self.path, setting.name, module.methods, setting.vocabulary.num_labels, told
                    )
                    self.kept[setting.name] = told
                except InputError as error:
                    rank_zero_warn(f"{error}: {setting.name} is scored again")
        print(f"resumed: {self.path} holds {', '.join(found) or 'nothing that can be used'}")
        return found


def _provenance_of(folder: Path) -> dict[str, Any]:
    """What a run that did not end says of itself; nothing where it finished nothing, or cannot be read."""
    path = folder / "results.json"
    if odd := next((str(entry) for entry in _known(folder) if entry.exists() and not entry.is_file()), ""):
        rank_zero_warn(f"{folder} is passed over: {odd} is not a file")
        return {}
    try:
        provenance = json.loads(read_regular(path))["provenance"]
        if not isinstance(provenance["counts"], dict) or not isinstance(provenance["identity"], dict):
            raise TypeError("it is not of this form")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        rank_zero_warn(f"{folder} is passed over: {path.name} cannot be read ({type(error).__name__}: {error})")
        return {}
    return dict(provenance)


def _known(folder: Path) -> list[Path]:
    """Files that going on with a run would replace."""
    names = ("config.yaml", "results.json", "results.csv", "comparison.csv", "comparison.md", "report.html")
    return [*(folder / name for name in (*names, "hparams.yaml")), *folder.glob("confusion/*.npz")]


def _age(folder: Path) -> tuple[str, int, str]:
    """Sorts folders by the time in their names; those of one second by their numbers."""
    return folder.name[:19], len(folder.name), folder.name


def _call_endings(trainer: Trainer, module: TrainingFreeSegmentation) -> None:
    """Calls what callbacks do at a run's start and end: Lightning leaves that out where no batch is left."""
    for hook in ("on_test_start", "on_test_end"):
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if not type(callback).__module__.startswith("pytorch_lightning"):
                getattr(callback, hook)(trainer, module)
