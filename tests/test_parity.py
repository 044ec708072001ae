"""The command line against what the released code gives: every pixel, every score, at any batch size."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cliptrase.cli import main
from datamodules.specs import BENCHMARKS

DETECTRON2 = ("ADE150", "COCO171", "PC59", "VOC20")


def run(command: str, config: str, root: Path, clip: Path, out: Path, *options: str) -> Path:
    """Runs the command line in process and gives the run's folder."""
    arguments = [command, "--config", f"configs/{config}.yaml", "--data.root", str(root), *options]
    arguments += ["--model.clip", f"local-dir:{clip}", "--trainer.default_root_dir", str(out)]
    arguments += ["--data.num_workers", "0", "--trainer.enable_progress_bar", "false"]
    assert main(arguments) == 0
    (folder,) = out.iterdir()
    return folder


def masks(folder: Path, setting: str, names: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    return [np.array(Image.open(folder / "masks" / setting / f"{Path(str(name)).stem}.png")) for name in names]


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("size", [224, 336])
def test_every_pixel_and_score_of_the_nine_settings(
    size: int, batch_size: int, parity: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--data", "Benchmark", "--data.batch_size", str(batch_size))
    predicted = run("predict", f"paper_{size}", parity / "datasets", tiny_clip, tmp_path / "predict", *options)
    scored = run("test", f"paper_{size}", parity / "datasets", tiny_clip, tmp_path / "test", *options)
    results = json.loads((scored / "results.json").read_text())
    published = json.loads((parity / "expected" / "scores.json").read_text())
    assert list(results["settings"]) == list(BENCHMARKS["paper"])
    for name in BENCHMARKS["paper"]:
        expected = np.load(parity / "expected" / f"{name}_{size}.npz")
        for mask, truth in zip(masks(predicted, name, expected["names"]), expected["predictions"], strict=True):
            assert mask.dtype == (np.uint16 if name in ("PC459", "ADEfull") else np.uint8)
            np.testing.assert_array_equal(mask, truth.astype(np.uint16), err_msg=name)
        ours, theirs = results["settings"][name], published[f"{name}_{size}"]
        assert ours["images"] == theirs["images"]
        assert ours["scores"]["released"] == {key: theirs[key] for key in ours["scores"]["released"]}, name
    assert results["methods"]["cliptrase"]["settings"] == results["settings"]
    assert "ADEfull" in capsys.readouterr().out


@pytest.mark.parametrize("batch_size", [1, 4])
def test_every_pixel_of_the_multi_gpu_variant(batch_size: int, parity: Path, tiny_clip: Path, tmp_path: Path) -> None:
    options = ("--data", "Benchmark", "--data.settings", f"[{','.join(DETECTRON2)}]")
    options += ("--data.batch_size", str(batch_size))
    folder = run("predict", "detectron2", parity / "datasets", tiny_clip, tmp_path, *options)
    for name in DETECTRON2:
        expected = np.load(parity / "expected" / f"detectron2_{name}.npz")
        names = np.array(sorted(expected.files))
        for mask, key in zip(masks(folder, name, names), names, strict=True):
            np.testing.assert_array_equal(mask, expected[key], err_msg=f"{name} {key}")
