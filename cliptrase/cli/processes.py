"""The processes of a run: one that falls ends the run, with a word."""

import os
import signal
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy, SingleDeviceStrategy
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher
from pytorch_lightning.utilities import rank_zero_only

from cliptrase.common.console import STOPS, interrupt_main
from cliptrase.common.errors import InputError, counted

_LOOKS_EVERY = 0.2  # seconds
_LAST_WORDS = 3.0  # seconds that a process has to say why it ends, once others notice


class Fallen(NamedTuple):
    """A process that ended before the run did."""

    rank: int
    status: int  # exit status, or minus the signal that killed it

    @property
    def signum(self) -> int | None:
        """The signal that asked it to stop, if that is why it ended."""
        number = self.status - 128 if self.status > 128 else -self.status
        return number if number in STOPS else None

    @property
    def sentence(self) -> str:
        """What became of it."""
        if self.status < 0:
            return (
                f"process {self.rank} of this run was killed by {signal.Signals(-self.status).name}, perhaps for want "
                "of memory: give fewer --trainer.devices or a smaller --data.batch_size"
            )
        return "another process of this run stopped, for the reason that it gave"


class WatchedLauncher(_SubprocessScriptLauncher):
    """Lightning's launcher of processes, whose watch lets this process say why the run ends.

    Lightning's own watch kills all processes, this one included, without a word, up to five seconds later.

    Args:
        launcher: the strategy's own.

    Attributes:
        fallen: the process that ended the run, if one did.
    """

    def __init__(self, launcher: _SubprocessScriptLauncher) -> None:
        super().__init__(launcher.cluster_environment, launcher.num_processes, launcher.num_nodes)
        self.children = self.procs
        self.fallen: Fallen | None = None
        self._over = threading.Event()
        self._ending = threading.Lock()  # the watch interrupts nobody who has begun to end the run

    def _call_children_scripts(self) -> None:
        super()._call_children_scripts()
        self.children, self.procs = self.procs, []  # nothing is left for Lightning's watch
        threading.Thread(target=self._watch, daemon=True, name="watch over processes").start()

    def kill(self, signum: signal.Signals) -> None:  # type: ignore[override]  # Lightning's type is wider
        """Ends the others; what they end with then is no news, and the watch interrupts nobody any more."""
        with self._ending:
            self._over.set()
        for child in self.children:
            child.send_signal(signum)

    def end(self, wait: bool) -> Fallen | None:
        """Ends the others after an error here, and gives the one that ended before.

        Args:
            wait: whether the error here may come of theirs: they get time to say it.
        """
        until = time.monotonic() + (_LAST_WORDS if wait else 0)
        while not self._look() and time.monotonic() < until and any(child.poll() is None for child in self.children):
            time.sleep(_LOOKS_EVERY)
        self.kill(signal.SIGKILL)
        return self.fallen

    def _watch(self) -> None:
        while not self._over.wait(_LOOKS_EVERY):
            with self._ending:
                if not self._over.is_set() and self._look():
                    for child in self.children:
                        child.send_signal(signal.SIGKILL)
                    interrupt_main()
                    return

    def _look(self) -> bool:
        """Whether a process has fallen."""
        for rank, child in enumerate(self.children, 1):
            if child.poll() and self.fallen is None and not self._over.is_set():
                self.fallen = Fallen(rank, child.returncode)
        return self.fallen is not None


def supervise(trainer: Trainer, asked: object) -> None:
    """Takes signals and fallen processes out of Lightning's hands.

    Args:
        trainer: nothing runs yet.
        asked: the strategy as the user gave it.

    Raises:
        InputError: a strategy under which that, or the run itself, cannot be had.
    """
    strategy = trainer.strategy
    started, wanted = _started_elsewhere(os.environ), trainer.num_nodes * trainer.num_devices
    if started and started.processes != wanted:
        raise InputError(
            f"{started.by} started {counted(started.processes, 'process', 'processes')} on "
            f"{counted(started.nodes, 'node')}, and --trainer.num_nodes {trainer.num_nodes} with --trainer.devices "
            f"{trainer.num_devices} makes {wanted}; let both say the same, one process a device"
        )
    # Lightning's handler of SIGTERM lets the loops end without an error, and waits for the other processes.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    launcher = strategy.launcher
    if not isinstance(strategy, SingleDeviceStrategy | DDPStrategy) or not isinstance(
        launcher, _SubprocessScriptLauncher | None
    ):
        raise InputError(
            f"--trainer.strategy {asked} is of no use here: nothing is trained and every process holds "
            "the whole model; take 'auto' or 'ddp'"
        )
    if trainer.num_nodes > 1 and "MASTER_ADDR" not in os.environ and _nobody_else_starts(launcher):
        raise InputError(
            f"--trainer.num_nodes {trainer.num_nodes} waits for machines that nobody names: start by torchrun or srun, "
            "or set MASTER_ADDR, MASTER_PORT and NODE_RANK on each"
        )
    if isinstance(launcher, _SubprocessScriptLauncher):
        strategy._launcher = WatchedLauncher(launcher)


class _Started(NamedTuple):
    """What started this process and others beside it."""

    by: str
    nodes: int
    processes: int  # of all nodes


def _started_elsewhere(environment: Mapping[str, str]) -> _Started | None:
    """How many processes torchrun or srun started, where one did and Lightning goes by it."""
    if "TORCHELASTIC_RUN_ID" in environment and {"GROUP_WORLD_SIZE", "WORLD_SIZE"} <= environment.keys():
        return _Started("torchrun", int(environment["GROUP_WORLD_SIZE"]), int(environment["WORLD_SIZE"]))
    if "SLURM_NTASKS" not in environment or environment.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return None
    return _Started("srun", int(environment.get("SLURM_NNODES", "1")), int(environment["SLURM_NTASKS"]))


def _nobody_else_starts(launcher: _SubprocessScriptLauncher | None) -> bool:
    return launcher is not None and not launcher.cluster_environment.creates_processes_externally


def is_first() -> bool:
    """Whether this process speaks for the run."""
    return getattr(rank_zero_only, "rank", 0) == 0
