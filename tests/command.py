"""The command line called in process."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from cliptrase.cli import main

QUIET = ["--data.num_workers", "0", "--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]


class Run(NamedTuple):
    """What a run left behind."""

    folder: Path

    @property
    def results(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "results.json").read_text())
        return document

    def mask(self, setting: str, stem: str) -> np.ndarray[Any, Any]:
        return np.array(Image.open(self.folder / "masks" / setting / f"{stem}.png"))

    def overlay(self, setting: str, stem: str) -> np.ndarray[Any, Any]:
        return np.array(Image.open(self.folder / "overlays" / setting / f"{stem}.png"))


def run(command: str, out: Path, *options: str) -> Run:
    """Runs a command that must succeed, its files under the new folder `out`."""
    assert main([command, *options, *QUIET, "--trainer.default_root_dir", str(out)]) == 0
    (folder,) = out.iterdir()
    return Run(folder)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 1) -> str:
    """Runs a command that must fail with `status`, and gives its one line of complaint; notes may come before it."""
    capsys.readouterr()
    assert main(list(arguments)) == status
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip() and not line.startswith("note: ")]
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")
