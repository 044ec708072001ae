"""Seconds spent in each stage of a run, on CPU or CUDA, without waiting for the device."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


class StageTimer:
    """Adds up seconds by stage name. On CUDA, stages are marked by events that are read only at the end.

    Args:
        clock: gives the time in seconds, for work on the CPU.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)  # by stage and method
        self._events: list[tuple[str, str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def stage(self, name: str, device: torch.device | None = None, method: str = "") -> Iterator[None]:
        """Times the block; `device` is where its work runs, `method` the only one that needs it, if one does."""
        if device is not None and device.type == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._events.append((name, method, begin, end))
        else:
            begin_time = self._clock()
            yield
            self.add(name, self._clock() - begin_time, method)

    def add(self, name: str, seconds: float, method: str = "") -> None:
        """Adds seconds that were measured elsewhere."""
        self._seconds[name, method] += seconds

    def seconds(self) -> dict[str, float]:
        """Seconds of every stage so far, in the order in which they first ran."""
        self._read_events()
        total: defaultdict[str, float] = defaultdict(float)
        for (stage, _), seconds in self._seconds.items():
            total[stage] += seconds
        return dict(total)

    def own_seconds(self) -> dict[str, float]:
        """By method the seconds that no other one needed."""
        self._read_events()
        total: defaultdict[str, float] = defaultdict(float)
        for (_, method), seconds in self._seconds.items():
            if method:
                total[method] += seconds
        return dict(total)

    def reset(self) -> None:
        """Forgets all that was measured."""
        self._seconds.clear()
        self._events.clear()

    def _read_events(self) -> None:
        if self._events:
            torch.cuda.synchronize()
        for name, method, begin, end in self._events:
            self.add(name, begin.elapsed_time(end) / 1000, method)
        self._events.clear()
