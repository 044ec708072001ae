"""A run that is stopped leaves its finished settings, and --resume goes on after them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliptrase.cli import main
from cliptrase.segmenter import Segmenter
from datamodules import ADE150, PC59, VOC20
from tests.command import QUIET, run
from tests.kit import write_detectron2_tree

NAMES = ("VOC20", "PC59", "ADE150")


class StoppedError(Exception):
    """Stands for whatever kills a run."""


@pytest.fixture
def options(tmp_path: Path, tiny_clip: Path) -> list[str]:
    root = tmp_path / "datasets"
    for seed, module in enumerate((VOC20, PC59, ADE150)):
        write_detectron2_tree(root, module.card, sizes=((96, 96), (80, 70)), seed=seed)
    chosen = ["--config", "configs/paper_224.yaml", "--protocol.size", "64", "--model.compare", "[vanilla]"]
    data = ["--data", "Benchmark", "--data.settings", f"[{', '.join(NAMES)}]", "--data.root", str(root)]
    return [*chosen, *data, "--data.batch_size", "1", "--model.clip", f"local-dir:{tiny_clip}"]


def stop_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The segmenter stops the run at the next call after `calls`."""
    original, count = Segmenter.forward, iter(range(10**6))

    def forward(self: Segmenter, *arguments: Any, **named: Any) -> Any:
        if next(count) >= calls:
            raise StoppedError
        return original(self, *arguments, **named)

    monkeypatch.setattr(Segmenter, "forward", forward)


def test_a_stopped_run_goes_on_to_the_same_table(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run("test", tmp_path / "whole", *options)
    arguments = ["test", *options, *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    with pytest.MonkeyPatch.context() as patch:
        stop_after(5, patch)  # in the last setting
        with pytest.raises(StoppedError):
            main(arguments)
    (folder,) = (tmp_path / "out").iterdir()
    kept = json.loads((folder / "results.json").read_text())
    assert list(kept["settings"]) == ["VOC20", "PC59"]
    assert kept["provenance"]["unfinished"] == ["ADE150"]
    assert kept["settings"] == {name: whole.results["settings"][name] for name in ("VOC20", "PC59")}
    with pytest.MonkeyPatch.context() as patch:
        stop_after(2, patch)  # nothing but the last setting's two pictures is computed
        assert main([*arguments, "--resume"]) == 0
    assert f"resumed: {folder} holds VOC20, PC59" in capsys.readouterr().out
    assert list((tmp_path / "out").iterdir()) == [folder]
    resumed = json.loads((folder / "results.json").read_text())
    assert resumed["settings"] == whole.results["settings"]
    assert resumed["methods"] == whole.results["methods"]
    assert resumed["provenance"]["unfinished"] == []
    assert resumed["methods"]["vanilla"]["settings"]["VOC20"]["intervals"]["difference_to_first"] is not None
    for name in NAMES:
        with (
            np.load(folder / "confusion" / f"{name}.npz") as kept,
            np.load(whole.folder / "confusion" / f"{name}.npz") as expected,
        ):
            assert kept.files == expected.files
            assert all(np.array_equal(kept[key], expected[key]) for key in kept.files)
    assert (folder / "results.csv").read_bytes() == (whole.folder / "results.csv").read_bytes()


@pytest.mark.parametrize("change", ["protocol", "vocabulary", "data", "nothing unfinished"])
def test_other_inputs_start_anew(
    change: str, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["test", *options, *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    if change == "nothing unfinished":
        assert main(arguments) == 0
    else:
        with pytest.MonkeyPatch.context() as patch:
            stop_after(3, patch)
            with pytest.raises(StoppedError):
                main(arguments)
    if change == "data":
        picture = tmp_path / "datasets" / VOC20.card.folder / VOC20.card.images[0] / "scene_0.png"
        picture.write_bytes(picture.read_bytes() + b"\0")
    more = {"protocol": ["--protocol.eps", "0.5"], "vocabulary": ["--data.settings", "[VOC20, PC59]"]}.get(change, [])
    assert main([*arguments, *more, "--resume"]) == 0
    assert f"nothing to resume: no unfinished run of these inputs under {tmp_path / 'out'}" in capsys.readouterr().out
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_confusion_matrices_are_kept(options: list[str], tmp_path: Path) -> None:
    finished = run("test", tmp_path / "out", *options)
    with np.load(finished.folder / "confusion" / "VOC20.npz") as stored:
        confusion = stored["cliptrase/confusion"]
        pictures = stored["cliptrase/pictures"]
        assert stored["stems"].tolist() == ["scene_0", "scene_1"]
    assert pictures.dtype == np.int32
    margins = [confusion.diagonal(), confusion.sum(1), confusion.sum(0)]
    assert np.array_equal(pictures.sum(0), margins)
    right, total = int(confusion.diagonal().sum()), int(confusion.sum())
    assert finished.results["settings"]["VOC20"]["scores"]["pAcc"] == round(100 * right / total, 2)


@pytest.mark.parametrize(("signum", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM")])
def test_a_signal_leaves_what_there_is(signum: int, word: str, options: list[str], tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    write_detectron2_tree(root, ADE150.card, sizes=((96, 96),) * 400, seed=5)  # long enough to be caught at it
    arguments = ["test", *options, *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    process = subprocess.Popen(
        [sys.executable, "cli.py", *arguments],
        cwd=Path(__file__).resolve().parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while not any(",PC59," in path.read_text() for path in tmp_path.glob("out/*/results.csv")):
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(process.pid, signum)
    _, complaints = process.communicate(timeout=60)
    (folder,) = (tmp_path / "out").iterdir()
    assert process.returncode == 128 + signum
    sentence = f"{word}: finished settings are in {folder}; the same command with --resume goes on"
    assert complaints == f"error: {sentence}\n"
    assert list(json.loads((folder / "results.json").read_text())["settings"]) == ["VOC20", "PC59"]
