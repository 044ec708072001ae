"""Calls in a forked child: with streams, limits and a user of its own, and ended where it hangs.

A fork has the libraries loaded already, so that hundreds of whole commands run in minutes.
"""

import os
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CRASHED = 99  # exit status of a call that raised

# Held while a child is forked: what another thread has locked just then, the child would wait for without end.
FORK = threading.Lock()


class Outcome(NamedTuple):
    """How a call ended."""

    status: int  # exit status; minus the signal's number where a signal ended it
    out: str
    err: str
    hung: bool


def call(function: Callable[[], int], timeout: float = 60, before: Callable[[], object] = lambda: None) -> Outcome:
    """Runs `function` in a child and gives its exit status and what it printed.

    Args:
        function: what to run; the value that it returns is the exit status.
        timeout: seconds until the child and all that it started are killed.
        before: runs in the child before `function`, after its streams were laid: closes one, sets a limit.
    """
    with tempfile.TemporaryDirectory() as place:
        streams = [Path(place, name) for name in ("out", "err")]
        sys.stdout.flush()
        sys.stderr.flush()
        with FORK:
            child = os.fork()
            if child == 0:
                _run(function, streams, before)
        status, hung = _wait(child, timeout)
        out, err = (path.read_text(errors="replace") if path.exists() else "" for path in streams)
        return Outcome(status, out, err, hung)


def _run(function: Callable[[], int], streams: list[Path], before: Callable[[], object]) -> None:
    status = CRASHED
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(streams, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _warn_as_a_command_does()
        before()
        status = function()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stderr.flush()
        finally:
            os._exit(status)


def _warn_as_a_command_does() -> None:
    """pytest makes errors of warnings; a user sees those of UserWarning."""
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    warnings.showwarning = lambda *warning: print(warnings.formatwarning(*warning[:4]), end="", file=sys.stderr)


def _wait(child: int, timeout: float) -> tuple[int, bool]:
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), False
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), True
