"""Clocks and memory."""

import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch

Clock = Literal["wall", "cpu"]


def clock(kind: Clock) -> Callable[[], float]:
    """`cpu` counts this process's time on the processors: what is left of it on a machine that does other work too."""
    return time.perf_counter if kind == "wall" else time.process_time


def system_share(work: Callable[[], object]) -> float:
    """Share of this process's processor time that the system took for `work`: on a CPU mostly clearing fresh memory."""
    begin = os.times()
    work()
    end = os.times()
    system, user = end.system - begin.system, end.user - begin.user
    return system / max(system + user, 1e-9)


def seconds(work: Callable[[], object], kind: Clock, device: torch.device) -> float:
    """Seconds that `work` takes, all that it has queued on the device included."""
    now = clock(kind)
    synchronize(device)
    begin = now()
    work()
    synchronize(device)
    return now() - begin


def interleaved(
    works: Mapping[str, Callable[[], object]], rounds: int, kind: Clock, device: torch.device
) -> dict[str, float]:
    """Median seconds of each work by name, taken in turns, so that a slow spell meets all alike; one more warms up."""
    measured: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            taken = seconds(work, kind, device)
            if number:
                measured[name].append(taken)
    return {name: statistics.median(values) for name, values in measured.items()}


def synchronize(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_mib(work: Callable[[], object], device: torch.device) -> float:
    """Most memory during `work`, weights and libraries included: allocated on CUDA, else resident in this process.

    Linux can start the count of the resident peak anew; elsewhere it is the highest of the whole process.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device) / 2**20
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    work()
    with suppress(OSError):
        for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def in_own_process(command: list[str]) -> float:
    """The number that a command prints last, run where nothing ran before; see `result_of_own_process`."""
    number: float = result_of_own_process(command)
    return number


def result_of_own_process(command: list[str]) -> Any:
    """What a command prints last, as JSON, run where nothing ran before.

    Raises:
        SystemExit: the command fails; with all that it printed.
    """
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
