"""The embedded demo runs where nothing else is asked for, and nothing of it reaches another run."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from cliptrase.cli import main
from cliptrase.clip.weights import load_clip
from cliptrase.protocols.table import get_protocol
from datamodules.shapes_scenes import NAMES, scene
from tests.command import run

DEMO = yaml.safe_load(Path("configs/demo.yaml").read_text())
PACKAGE = Path(__file__).resolve().parent.parent / "cliptrase" / "demo"


def configuration(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["test", *arguments, "--print_config"]) == 0
    printed: dict[str, Any] = yaml.safe_load(capsys.readouterr().out)
    return printed


def test_without_options_the_demo_runs(tmp_path: Path) -> None:
    arguments = ["test", "--trainer.limit_test_batches", "1", "--trainer.enable_progress_bar", "false"]
    assert main([*arguments, "--trainer.default_root_dir", str(tmp_path)]) == 0
    (folder,) = tmp_path.iterdir()
    document = json.loads((folder / "results.json").read_text())
    assert list(document["methods"]) == ["cliptrase", "vanilla", "maskclip", "cliptrase-regions"]
    assert document["provenance"]["model"]["clip"] == "embedded"
    assert document["provenance"]["protocol"]["eps"] == DEMO["protocol"]["eps"]


def test_the_demos_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    printed = configuration(capsys)
    assert printed["protocol"] == get_protocol(DEMO["protocol"]).values()
    assert printed["data"]["class_path"] == "datamodules.Shapes"
    assert printed["data"]["init_args"]["scenes"] == 200


@pytest.mark.parametrize(
    "arguments",
    [
        ["--data", "VOC20"],
        ["--data=VOC20"],
        ["--data", "Shapes"],
        ["--data", "VOC20", "--model.method", "vanilla"],
        ["--config", "configs/paper_336.yaml", "--data", "VOC20"],
    ],
)
def test_nothing_of_the_demo_reaches_another_run(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    printed = configuration(capsys, *arguments)
    assert printed["protocol"] == get_protocol("paper", size=336).values()
    assert (printed["model"]["clip"], printed["model"]["pretrained"]) == ("ViT-B-16", "openai")
    assert printed["model"]["compare"] is None


def test_the_model_that_ships() -> None:
    clip = load_clip("embedded")
    assert clip.activation == "quick_gelu"
    assert sum(path.stat().st_size for path in PACKAGE.iterdir()) <= 10 * 2**20
    made = json.loads((PACKAGE / "training.json").read_text())
    assert {"command", "commit", "hardware", "hours", "seed", "data", "versions", "retrieval"} <= set(made)


def test_own_pictures_with_the_demos_words(tmp_path: Path) -> None:
    """A picture of another size and shape than the demo's scenes, in words of its vocabulary."""
    drawn = scene(17, "test", size=320)
    Image.fromarray(drawn.image[:, :300]).save(tmp_path / "own.jpg", quality=95)
    options = ["--config", "configs/photos.yaml", "--data.images", str(tmp_path / "own.jpg")]
    options += ["--data.words", "; ".join(NAMES), "--protocol.size", "224", "--protocol.eps", "0.5"]
    options += ["--protocol.min_samples", "3", "--model.clip", "embedded"]
    finished = run("predict", tmp_path / "out", *options)
    mask = finished.mask("Photos", "own")
    assert mask.shape == (320, 300)
    assert len(drawn.names) == 4
    assert (mask == drawn.labels[:, :300]).mean() > 0.7
    assert (finished.folder / "overlays" / "Photos" / "own.png").exists()
