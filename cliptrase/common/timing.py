"""Seconds spent in each stage of a run, on CPU or CUDA, without waiting for the device.

Code marks its stages by `with stage("clustering", device):`, which costs nothing until a timer listens:

    with listening(StageTimer()) as timer:
        segmenter(images, classifier)
    timer.seconds()
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch

_PENDING = 1000  # events that may wait to be read
_LOCK = threading.RLock()  # of all timers, so that a timer can be copied and pickled


class StageTimer:
    """Adds up seconds by stage name. On CUDA, stages are marked by events that are read only at the end.

    Threads may share a timer: it adds up what all of them spend.

    Args:
        clock: gives the time in seconds, for work on the CPU.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: defaultdict[tuple[str, frozenset[str]], float] = defaultdict(float)  # by stage and methods
        self._events: deque[tuple[str, Collection[str], torch.cuda.Event, torch.cuda.Event]] = deque()

    @contextmanager
    def stage(self, name: str, device: torch.device | None = None, methods: Collection[str] = ()) -> Iterator[None]:
        """Times the block; `device` is where its work runs, `methods` are those that need it, none for all."""
        if device is not None and device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            with _LOCK:
                self._events.append((name, methods, begin, end))
                # Finished events are drained as we go, so that a long run does not accumulate them.
                while len(self._events) > _PENDING and self._events[0][3].query():
                    self._read(*self._events.popleft())
        else:
            begin_time = self._clock()
            yield
            self.add(name, self._clock() - begin_time, methods)

    def add(self, name: str, seconds: float, methods: Collection[str] = ()) -> None:
        """Adds seconds that were measured elsewhere."""
        with _LOCK:
            self._seconds[name, frozenset(methods)] += seconds

    def seconds(self, method: str | None = None) -> dict[str, float]:
        """Seconds of every stage so far, in the order in which they first ran.

        Args:
            method: only what it needs, which is what a run of it alone would take; None is for all that was done.
        """
        total: defaultdict[str, float] = defaultdict(float)
        with _LOCK:
            self._read_events()
            for (stage, methods), seconds in self._seconds.items():
                if method is None or not methods or method in methods:
                    total[stage] += seconds
        return dict(total)

    def reset(self) -> None:
        """Forgets all that was measured."""
        with _LOCK:
            self._seconds.clear()
            self._events.clear()

    def _read_events(self) -> None:
        if self._events:
            torch.cuda.synchronize()
        while self._events:
            self._read(*self._events.popleft())

    def _read(self, name: str, methods: Collection[str], begin: torch.cuda.Event, end: torch.cuda.Event) -> None:
        self.add(name, begin.elapsed_time(end) / 1000, methods)


_LISTENING: ContextVar[StageTimer | None] = ContextVar("listening timer", default=None)


@contextmanager
def listening(timer: StageTimer) -> Iterator[StageTimer]:
    """Sends the stages of the block, in this thread, to `timer`."""
    token = _LISTENING.set(timer)
    try:
        yield timer
    finally:
        _LISTENING.reset(token)


def stage(name: str, device: torch.device | None = None, methods: Collection[str] = ()) -> AbstractContextManager[None]:
    """Times the block for the timer that listens, see `StageTimer.stage`; does nothing where none does."""
    timer = _LISTENING.get()
    return nullcontext() if timer is None else timer.stage(name, device, methods)
