"""Exports of several processes are those of one, whichever process had which picture."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cliptrase.runs.batches import LabelMaps
from cliptrase.runs.callbacks import export_writer
from cliptrase.runs.callbacks.base import Step
from cliptrase.runs.callbacks.export_writer import ExportWriter
from cliptrase.vocabulary import Vocabulary
from datamodules.photo_exports import EXPORTS

STEMS = ["c", "a", "b"]  # in the data set's order
WORDS = Vocabulary((("cat",), ("dog",)), ("wall",))


class Data:
    """Three pictures."""

    datasets = (SimpleNamespace(stems=STEMS),)

    def __init__(self, export: tuple[str, ...]) -> None:
        self.export = export

    def file_name(self, stem: str) -> str:
        return f"folder/{stem}.jpg"


def written(folder: Path, processes: int, export: tuple[str, ...], patch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Files below a folder, and what the first process says of them."""
    setting: Any = SimpleNamespace(name="Photos", vocabulary=WORDS)
    run = SimpleNamespace(folder=folder, main_method="m", settings=[setting])
    writers = [ExportWriter() for _ in range(processes)]
    modules: list[Any] = [
        SimpleNamespace(run=run, data=Data(export), trainer=SimpleNamespace(is_global_zero=rank == 0))
        for rank in range(processes)
    ]
    labels = {stem: np.random.default_rng(number).integers(0, 3, (5, 7)) for number, stem in enumerate(STEMS)}
    for rank, (writer, module) in enumerate(zip(writers, modules, strict=True)):
        writer.begin(module)
        for stem in STEMS[rank::processes]:
            found = {"m": torch.from_numpy(labels[stem]).unsqueeze(0), "other": torch.zeros(1, 5, 7).long()}
            maps = LabelMaps([stem], torch.zeros(1, 3, 5, 7).byte(), found, None, {})
            writer.predicted(module, Step(setting, [], [maps]))
    gathered = iter(
        [[image for writer in writers for image in writer._images], [writer._exported for writer in writers]]
    )
    patch.setattr(export_writer, "all_gather_rows", lambda rows: next(gathered))
    writers[0].end_predicting(modules[0])
    said = "\n".join(" ".join(row) for row in writers[0].written)
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}
    return files | {"said": said.encode()}


def test_one_process_or_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = written(tmp_path / "one", 1, EXPORTS, monkeypatch)
    assert written(tmp_path / "three", 3, EXPORTS, monkeypatch) == one
    assert len(one) == 1 + 1 + 2 * 3 + 3
    assert b"COCO: 3 pictures, 6 annotations" in one["said"]
    assert b"nothing smoothed; background is left out" in one["said"]


@pytest.mark.parametrize("export", [(), *((name,) for name in EXPORTS)])
def test_each_form_alone(export: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = written(tmp_path / "all", 1, EXPORTS, monkeypatch)
    alone = written(tmp_path / "alone", 1, export, monkeypatch)
    del alone["said"]
    assert alone == {name: every[name] for name in alone}
    assert {name.split("/")[1].removesuffix(".json") for name in alone} == set(export)
