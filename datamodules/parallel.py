"""One function over many files in several processes, with a progress bar."""

import argparse
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tqdm import tqdm

from cliptrase.common.console import Stopped, signal_received
from datamodules.errors import DataError

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 8


def available_cores() -> int:
    """CPU cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Adds the option `--workers`, at least 1, by default one a core."""
    parser.add_argument("--workers", type=_positive, default=available_cores(), help="processes (%(default)s)")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def each(function: Callable[[Item], Result], items: Sequence[Item], workers: int, description: str) -> Iterator[Result]:
    """Yields `function(item)` for every item, in their order.

    Args:
        function: picklable; what it raises ends the work.
        items: picklable.
        workers: processes; 1 works in this one.
        description: of the progress bar on the error stream, which shows only on a terminal.

    Raises:
        DataError: a process was killed from outside.
    """
    with tqdm(total=len(items), desc=description, unit="file", disable=None, leave=False) as bar:
        for result in _results(function, items, min(workers, len(items))):
            bar.update()
            yield result


def _results(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[Result]:
    if workers <= 1:
        yield from map(function, items)
        return
    # A forked process has the libraries loaded already; loading them anew takes seconds a process.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_to_the_parent) as pool:
        try:
            yield from pool.map(function, items, chunksize=max(1, min(_CHUNK, len(items) // workers)))
        except BrokenProcessPool as error:
            if (signum := signal_received()) is not None:  # it was sent to all processes
                raise Stopped(signum) from error
            raise DataError(
                f"one of {workers} processes was ended from outside, for want of memory perhaps; "
                "start again with fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
