"""Seconds by stage add up, in the order in which stages first ran."""

import copy
import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from cliptrase.common.timing import StageTimer


def test_stages_add_up() -> None:
    ticks = itertools.count(0, 2)
    timer = StageTimer(clock=lambda: next(ticks))
    for name in ("b", "a", "b"):
        with timer.stage(name, torch.device("cpu")):
            pass
    timer.add("data", 0.5)
    assert list(timer.seconds().items()) == [("b", 4), ("a", 2), ("data", 0.5)]
    with timer.stage("a"), timer.stage("c"):  # the outer one's time includes the inner one's
        pass
    assert timer.seconds() == {"b": 4, "a": 8, "data": 0.5, "c": 2}
    timer.seconds().clear()
    assert timer.seconds()
    timer.reset()
    assert timer.seconds() == {}


def test_seconds_of_a_method_alone() -> None:
    ticks = itertools.count(0, 2)
    timer = StageTimer(clock=lambda: next(ticks))
    for methods in ([], ["a"], ["b", "a"], ["a"]):
        with timer.stage("vote", methods=methods):
            pass
    timer.add("scores", 0.5, ["b"])
    assert timer.seconds() == {"vote": 8, "scores": 0.5}
    assert timer.seconds("a") == {"vote": 8}
    assert timer.seconds("b") == {"vote": 4, "scores": 0.5}
    assert timer.seconds("c") == {"vote": 2}
    timer.reset()
    assert timer.seconds("a") == {}


def test_threads_share_a_timer() -> None:
    """Nothing is lost where threads are switched at every chance, and a timer can still be copied."""
    timer, before = StageTimer(), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: [timer.add("a", 1) for _ in range(2000)], range(8)))
    finally:
        sys.setswitchinterval(before)
    assert copy.deepcopy(timer).seconds() == {"a": 16000}


def test_errors_pass_through() -> None:
    timer = StageTimer()
    with pytest.raises(ValueError, match="inside"), timer.stage("a"):
        raise ValueError("inside")


def test_events_do_not_heap_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a device that is through with all but the last 3,000 events, all but those are read on the way."""
    recorded: list[object] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            recorded.append(self)

        def record(self) -> None: ...

        def query(self) -> bool:
            return len(recorded) - recorded.index(self) > 3000

        def elapsed_time(self, end: "Event") -> float:
            return 2.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    timer = StageTimer()
    for _ in range(2500):
        with timer.stage("forward", torch.device("cuda")):
            pass
    assert len(timer._events) == 1500
    assert timer.seconds()["forward"] == pytest.approx(5)
    assert not timer._events


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_work_on_a_gpu() -> None:
    timer, device = StageTimer(), torch.device("cuda")
    values = torch.ones(2048, 2048, device=device)
    with timer.stage("product", device):
        for _ in range(20):
            values = values @ values / 2048
    assert 0 < timer.seconds()["product"] < 60
    assert timer.seconds() == timer.seconds()  # events are read once
