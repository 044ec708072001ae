"""One run: what it is asked to do, its folder, what it has finished, how long that took and how it was made."""

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities import rank_zero_warn

from cliptrase.clip.guest import GuestTower
from cliptrase.common.distributed import all_gather_rows
from cliptrase.common.errors import InputError
from cliptrase.common.io import FolderLock, remove_half_written, write_text
from cliptrase.common.timing import StageTimer
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.provenance import Start, device_name
from cliptrase.evaluation.records import SettingResult
from cliptrase.evaluation.scoreboard import Scoreboard, Setting
from cliptrase.evaluation.study_table import StudyTable
from cliptrase.methods import Method
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.runs.counts_file import read_counts, write_counts
from cliptrase.runs.folder import forget_begun, is_seen, take_run_folder, take_unfinished, tell_begun
from cliptrase.runs.identity import identity
from cliptrase.runs.partial import PartialCounts, States, Wanted
from cliptrase.runs.plan import Plan
from cliptrase.runs.study_counts import StudyCounts
from cliptrase.studies.base import Studied

_BESIDE = ("text", "studies")  # stages that are no part of how fast a method is
_MEASURED = ("images_per_second", "images_per_second_by_method", "seconds", "device", "peak_memory_mib")

Broadcast = Callable[[Any], Any]  # gives every process the first one's object
Gather = Callable[[list[Any]], list[Any]]  # gives every process the rows of all
_OF_THE_FIRST = "the first process of this run stopped, for the reason that it gave"


class Run:
    """A run and all that is known of it; the one place where its state is.

    It is made before the Trainer, begun by the module that computes, opened when weights and data are known, and closed
    when its last file is written. Callbacks and the data module reach it through the module.

    Args:
        root: holds the runs' folders; without it nothing is written and nothing taken up again.
        config: the run's configuration as YAML, kept as `config.yaml`.
        resume: whether to go on in the newest folder under `root` whose run did not end and is the same.
        name: what the folder's name says besides the time.

    Attributes:
        folder: where the run's files go; None before it is open, and without `root`.
        timer: seconds by stage.
        identity: what decides the figures, or label maps.
    """

    def __init__(self, root: Path | None = None, config: str = "", resume: bool = False, name: str = "run") -> None:
        self.root, self.config, self.resume, self.name = root, config, resume, name
        self.folder: Path | None = None
        self.timer = StageTimer()
        self.identity: dict[str, Any] = {}
        self._begun: tuple[EvaluationProtocol, Sequence[Method], Start] | None = None
        self._plan: Plan | None = None
        self._lock: FolderLock | None = None
        self._start_anew()

    def _start_anew(self) -> None:
        self.timer.reset()
        self._scoreboard: Scoreboard | None = None
        self._finished: dict[str, Mapping[str, Counts]] = {}  # nothing by method in processes that write no results
        self._resumed: list[str] = []
        self._earlier: dict[str, Any] = {}
        self._written: dict[str, str] = {}  # SHA-256 of files of counts by data set
        self._studied: dict[str, StudyCounts] = {}  # by data set
        self._studies_written: dict[str, dict[str, str]] = {}  # SHA-256 of files of counts by data set and study
        self.partial = PartialCounts()
        self._peak_memory_mib = 0
        self._results: dict[str, list[SettingResult]] | None = None
        self._document: dict[str, Any] | None = None

    def begin(self, protocol: EvaluationProtocol, methods: Sequence[Method]) -> None:
        """Tells what is asked for, and takes down commit, command and versions: they may change before the end."""
        self._begun = protocol, methods, Start.of_this_process()

    def open(
        self,
        plan: Plan,
        first: bool = True,
        broadcast: Broadcast = lambda told: told,
        gather: Gather = all_gather_rows,
    ) -> None:
        """Makes or finds the run's folder, and what is finished there; every process must call this.

        Args:
            plan: what is to be done.
            first: whether this is the process that writes.
            broadcast: gives every process the first one's object.
            gather: gives every process the rows of all.

        Raises:
            InputError: no folder can be made, not every process sees it, or nothing is asked to be scored.
        """
        self._start_anew()
        self._plan = plan
        self._scoreboard = Scoreboard(self.method_names, plan.protocol)
        failure: Exception | None = None
        if first:
            try:
                self._take_folder(plan)
            except Exception as error:  # the other processes wait for word
                failure = error
        told = (self.folder, self._resumed, failure is not None, self.identity, self.partial.told)
        folder, self._resumed, failed, self.identity, partial = broadcast(told)
        self.partial.hear(partial)
        if failed:
            raise failure or InputError(_OF_THE_FIRST)
        self.folder = folder
        if folder is not None:
            self._require_shared(folder, first, gather)
        for name in self._resumed:
            self._finished.setdefault(name, {})

    def _require_shared(self, folder: Path, first: bool, gather: Gather) -> None:
        """Refuses a folder that some processes do not see: what they write would lie on their own machines' disks."""
        blind = [node for node, sees in gather([(platform.node(), is_seen(folder))]) if not sees]
        if not blind:
            return
        if first and not self._earlier:
            self.release()
            shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"the folder of this run, {folder}, is not seen by {len(blind)} of its processes (on {blind[0]}); name one "
            "that all nodes share, by its whole path, by --trainer.default_root_dir"
            if first
            else _OF_THE_FIRST
        )

    def _take_folder(self, plan: Plan) -> None:
        if plan.scores and plan.limit == 0:
            raise InputError("--trainer.limit_test_batches 0 leaves nothing to score; leave it out or take more")
        if self.root is None:
            return
        self.identity = identity(plan, self.start)
        taken = take_unfinished(self.root, self.identity, plan.scores) if self.resume else None
        self.folder, self._lock, self._earlier = taken or take_run_folder(self.root, self.name)
        if not plan.scores:
            if taken:
                remove_half_written(self.folder)
                print(f"resumed: {self.folder}; of large pictures what is finished stays")
        elif taken:
            self._take_up(plan)
        tell_begun(self.folder, self.identity, plan.scores)
        write_text(self.folder / "config.yaml", self.config)

    def _take_up(self, plan: Plan) -> None:
        """Reads the counts of what the interrupted run finished; the folder is made ready to be written again."""
        assert self.folder is not None
        remove_half_written(self.folder)
        (self.folder / "hparams.yaml").unlink(missing_ok=True)  # Lightning writes it in place, at the end
        for dataset in plan.data.datasets:
            name, num_labels = dataset.spec.name, dataset.spec.vocabulary.num_labels
            if digest := self._earlier["counts"].get(name):
                try:
                    counts = read_counts(self.folder, name, self.method_names, num_labels, digest)
                    studied = self._read_studies(plan, dataset.spec)
                except InputError as error:
                    rank_zero_warn(f"{error}: {name} is scored again")
                    continue
                cut = plan.extents[name].cut
                left_out = [] if cut else sorted(set(dataset.stems) - set(counts[self.main_method].stems))
                self._written[name] = digest
                self._resumed.append(name)
                self._add(name, {method: one._replace(left_out=left_out) for method, one in counts.items()}, studied)
        self._take_up_partial(plan)
        images = {dataset.spec.name: len(dataset) for dataset in plan.data.datasets}
        begun = [f"{len(numbers)} of {images[name]} images of {name}" for name, numbers in self.partial.counted.items()]
        print(f"resumed: {self.folder} holds {', '.join([*self._resumed, *begun]) or 'nothing that can be used'}")

    def _take_up_partial(self, plan: Plan) -> None:
        """Reads what the interrupted run had counted of data sets that it did not finish."""
        assert self.folder is not None
        wanted = {}
        for dataset in plan.data.datasets if not plan.limits else ():
            setting = dataset.spec
            shapes = {"": (len(self.methods), setting.vocabulary.num_labels)} | {
                study.name: (len(study.variants(setting, self.methods)), study.num_labels(setting))
                for study in plan.studies
            }
            if setting.name not in self._resumed:
                wanted[setting.name] = Wanted(shapes, len(dataset))
        self.partial.take_up(self.folder, wanted, self.identity)

    def keep(self, name: str, rank: int, states: Callable[[], States]) -> None:
        """Keeps what a process has counted of a data set that is under way, now and then; see `PartialCounts.keep`."""
        if self.folder is not None and not self.plan.limits:
            self.partial.keep(self.folder, name, rank, states, self.identity)

    def _read_studies(self, plan: Plan, setting: Setting) -> StudyCounts:
        """What studies counted of a data set that an interrupted run finished."""
        assert self.folder is not None
        told = self._studies_written[setting.name] = self._earlier["study_counts"].get(setting.name, {})
        found: dict[str, Mapping[str, Counts]] = {}
        for study in plan.studies:
            variants, labels = study.variants(setting, self.methods), study.num_labels(setting)
            hashed = told.get(study.name, "")
            found[study.name] = (
                read_counts(self.folder, setting.name, variants, labels, hashed, study.name) if variants else {}
            )
        return found

    def finish(
        self, name: str, counts: Mapping[str, Counts], peak_memory_mib: int = 0, studied: StudyCounts | None = None
    ) -> None:
        """Takes the counts of a data set that is through, and keeps them as files.

        Args:
            name: of the data set.
            counts: by method over all processes; nothing in processes that do not write results.
            peak_memory_mib: most memory of any process so far.
            studied: by study and variant, likewise.
        """
        self._peak_memory_mib = peak_memory_mib
        studied = studied or {}
        if counts and self.folder is not None:
            self._studies_written[name] = {
                study: write_counts(self.folder, name, found, study) for study, found in studied.items() if found
            }
            self._written[name] = write_counts(self.folder, name, counts)
        self._add(name, counts, studied)

    def _add(self, name: str, counts: Mapping[str, Counts], studied: StudyCounts) -> None:
        self._finished[name] = counts
        if counts:
            self.scoreboard.add(name, counts)
            self._studied[name] = studied
        self._results = self._document = None

    def close(self) -> None:
        """Ends the run: its last file is written, so that `--resume` looks for no more."""
        if self._lock is not None:
            if self.folder is not None:
                forget_begun(self.folder)
            self._lock.remove()
            self._lock = None

    def release(self) -> None:
        """Lets others go on with the folder of a run that did not come to its end."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def plan(self) -> Plan:
        """What is to be done.

        Raises:
            RuntimeError: the run is not open.
        """
        if self._plan is None:
            raise RuntimeError("the run is not open: it opens when the Trainer has the model's weights and the data")
        return self._plan

    @property
    def scoreboard(self) -> Scoreboard:
        """Scores and intervals of the finished data sets."""
        assert self._scoreboard is not None, "the run is not open"
        return self._scoreboard

    @property
    def start(self) -> Start:
        """Date, command, commit and versions when the run began."""
        return self._asked[2]

    @property
    def protocol(self) -> EvaluationProtocol:
        """The protocol of all figures."""
        return self._asked[0]

    @property
    def methods(self) -> Sequence[Method]:
        """The methods, the main one first."""
        return self._asked[1]

    @property
    def main_method(self) -> str:
        """Name of the method that stands under `settings`."""
        return self.methods[0].name

    @property
    def method_names(self) -> list[str]:
        """Names of the methods, the main one first."""
        return [method.name for method in self.methods]

    @property
    def _asked(self) -> tuple[EvaluationProtocol, Sequence[Method], Start]:
        assert self._begun is not None, "the run has not begun"
        return self._begun

    @property
    def settings(self) -> list[Setting]:
        """All data sets, finished or not, in the run's order."""
        return self.plan.settings

    @property
    def left(self) -> list[Setting]:
        """The data sets that an interrupted run did not finish, one a data loader: this process computes them."""
        return [setting for setting in self.settings if setting.name not in self._resumed]

    @property
    def resumed(self) -> Sequence[str]:
        """Names of data sets that an interrupted run finished."""
        return self._resumed

    @property
    def finished(self) -> Mapping[str, Mapping[str, Counts]]:
        """By finished data set and method the counts, which only the first process has."""
        return self._finished

    @property
    def unfinished(self) -> list[str]:
        """Names of data sets that are not scored yet."""
        return [setting.name for setting in self.settings if setting.name not in self._finished]

    @property
    def results(self) -> Mapping[str, Sequence[SettingResult]]:
        """By method the scores of the finished data sets."""
        if self._results is None:
            self._results = self.scoreboard.results(self.settings, self.plan.conditions)
        return self._results

    @property
    def document(self) -> Mapping[str, Any]:
        """Content of `results.json`, made once whenever a data set has been finished."""
        if self._document is None:
            self._document = self.scoreboard.document(
                self.results, self.settings, self._provenance(), self._study_tables()
            )
        return self._document

    def _study_tables(self) -> dict[str, Sequence[StudyTable]]:
        settings = [setting for setting in self.settings if setting.name in self._studied]
        found = {}
        for study in self.plan.studies:
            counts = {setting.name: self._studied[setting.name][study.name] for setting in settings}
            studied = Studied.of(self.protocol, self.methods, settings, counts, self._finished)
            if studied.settings:
                found[study.name] = study.tables(studied)
        return found

    def _provenance(self) -> dict[str, Any]:
        """How the figures were made; everything that may differ between equal runs is here."""
        plan, (protocol, methods, start) = self.plan, self._asked
        main = methods[0].name
        images = sum(
            counts[main].images - self.partial.scored(name)
            for name, counts in self._finished.items()
            if counts and name not in self._resumed
        )
        seconds = self.timer.seconds()
        # Where nothing is computed any more, how long it took is what the interrupted run measured.
        measured = {} if self.left else self._earlier
        return {
            "protocol": {"label": protocol.label, **protocol.values(), "hash": protocol.digest},
            "method": main,
            "methods": {method.name: method.source for method in methods},
            "options": {
                method.name: {option.name: option.values() for option in method.options}
                for method in methods
                if method.options
            },
            "model": {
                "clip": plan.clip.name,
                "pretrained": plan.clip.pretrained,
                "activation": plan.clip.activation,
                "weights_hash": plan.clip.weights_hash,
                "guest": _guest(plan.guest),
            },
            "vocabularies": {
                setting.name: {"hash": setting.vocabulary.digest, "names": len(setting.vocabulary.names)}
                for setting in plan.settings
            },
            "identity": self.identity,
            "counts": {name: self._written[name] for name in self._finished if name in self._written},
            "studies": {study.name: study.identity for study in plan.studies},
            "study_counts": {name: told for name, told in self._studies_written.items() if told},
            "unfinished": self.unfinished,
            "limits": plan.limits,
            "precision": plan.precision,
            "processes": plan.processes,
            "images_per_second": _rate(images, seconds),
            "images_per_second_by_method": {
                name: _rate(images, self.timer.seconds(name)) for name in self.method_names
            },
            "seconds": {stage: round(value, 3) for stage, value in seconds.items()},
            **asdict(start),
            "device": device_name(plan.device),
            "peak_memory_mib": self._peak_memory_mib,
            **{name: measured[name] for name in _MEASURED if name in measured},
        }


def _guest(guest: GuestTower | None) -> dict[str, str] | None:
    """What there is to say of the second tower."""
    if guest is None:
        return None
    return {
        "name": guest.name,
        "architecture": guest.architecture,
        "position_embedding": guest.position_embedding,
        "weights_hash": guest.weights_hash,
    }


def seconds_of_work(seconds: Mapping[str, float]) -> float:
    """Seconds of all stages but of encoding text, which is kept between runs, and of studies."""
    return sum(value for stage, value in seconds.items() if stage not in _BESIDE)


def _rate(images: int, seconds: Mapping[str, float]) -> float | None:
    """Images a second."""
    work = seconds_of_work(seconds)
    return round(images / work, 3) if work > 0 else None
