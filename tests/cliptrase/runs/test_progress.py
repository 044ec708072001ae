"""A bar within a batch: a line of rich's, tqdm's own, or none."""

from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from cliptrase.runs.progress import windows_bar


def trainer(bar: Any, first: bool = True) -> Any:
    return SimpleNamespace(progress_bar_callback=bar, is_global_zero=first)


def test_a_line_of_rich() -> None:
    with (
        Progress(console=Console(quiet=True)) as progress,
        windows_bar(trainer(SimpleNamespace(progress=progress)), "[a]", 10) as advance,
    ):
        advance(4)
        (task,) = progress.tasks
        assert (task.description, task.completed, task.total) == (r"\[a]", 4, 10)
    assert not progress.tasks


def test_tqdm_or_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for asked in (trainer(None), trainer(SimpleNamespace(progress=None), first=False)):
        with windows_bar(asked, "a", 10) as advance:
            advance(10)
    assert not capsys.readouterr().err
    with windows_bar(trainer(SimpleNamespace(progress=None)), "a", 10) as advance:
        advance(10)
    assert "a:" in capsys.readouterr().err
