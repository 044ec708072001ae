"""The end of a run of several processes, without a run."""

import subprocess
import sys

PROGRAM = """
import subprocess, sys, time
from types import SimpleNamespace

from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from cliptrase.cli import processes
from cliptrase.cli.evaluate import EvaluationCLI, StoppedRun
from cliptrase.cli.processes import WatchedLauncher
from cliptrase.common.console import complain, run


class Evaluation(EvaluationCLI):
    def __init__(self, launcher):
        self.trainer = SimpleNamespace(strategy=SimpleNamespace(launcher=launcher))
        self.run = SimpleNamespace(folder=None)


def start_another(self):
    self.procs = [subprocess.Popen(["sh", "-c", "sleep 0.7; exit 1"])]


def main():
    launcher = WatchedLauncher(SimpleNamespace(cluster_environment=None, num_processes=2, num_nodes=1))
    launcher._call_children_scripts()
    try:
        with Evaluation(launcher)._to_the_end():
            time.sleep(0.1)
            raise RuntimeError("Connection closed by peer")
    except StoppedRun as stop:
        return complain(str(stop), stop.status)


_SubprocessScriptLauncher._call_children_scripts = start_another
# The watch sees the end before this process looks again.
processes.time = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: time.sleep(2))
sys.exit(run(main))
"""


def test_the_watch_does_not_interrupt_who_waits_for_the_others_end() -> None:
    """The other process closes its connections, and ends a while later: its own reason decides the exit status."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stderr == "error: another process of this run stopped, for the reason that it gave\n"
    assert done.returncode == 1
