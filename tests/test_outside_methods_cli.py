"""A method from a file of the user's on the command line: compare, intervals, report, resume."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from cliptrase.cli import main
from cliptrase.clip.guest import GuestTower
from datamodules import PC59, VOC20
from tests.command import QUIET, complaint, run
from tests.kit import outside_methods, write_detectron2_tree
from tests.kit.dino import dino, save_dino
from tests.kit.dino import state as dino_state
from tests.test_resume import stop


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(outside_methods.__file__, tmp_path / "mine.py"))


@pytest.fixture
def options(tmp_path: Path, tiny_clip: Path) -> list[str]:
    for module in (VOC20, PC59):
        root = write_detectron2_tree(tmp_path / "datasets", module.spec, sizes=((96, 96), (80, 70)))
    chosen = ["--config", "configs/paper_224.yaml", "--protocol.size", "64"]
    data = ["--data", "Benchmark", "--data.settings", "[VOC20, PC59]", "--data.root", str(root)]
    return [*chosen, *data, "--data.batch_size", "1", "--model.clip", f"local-dir:{tiny_clip}"]


def test_a_run_of_ones_own_methods(options: list[str], file: Path, tmp_path: Path) -> None:
    chosen = ["--model.method", f"{file}:KEY_KEY", "--model.compare", f"{file}:MIXED-regions,vanilla"]
    finished = run("test", tmp_path / "out", *options, *chosen)
    methods = finished.results["methods"]
    assert list(methods) == ["key_key", "mixed-regions", "vanilla"]
    for name in ("mixed-regions", "vanilla"):
        assert methods[name]["settings"]["VOC20"]["intervals"]["difference_to_first"] is not None
    assert "mixed-regions" in (finished.folder / "report.html").read_text()
    with np.load(finished.folder / "confusion" / "VOC20.npz") as counts:
        assert any("key_key" in key for key in counts.files)
    again = run("test", tmp_path / "again", *options, "--config", str(finished.folder / "config.yaml"))
    assert again.results["methods"] == methods


def test_resume_knows_a_method_by_its_source(
    options: list[str], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--model.method", f"{file}:key_key", "--trainer.callbacks", "[]", "--trainer.logger", "false"]
    arguments = ["test", *options, *chosen, *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    folder = stop(arguments, 3)
    capsys.readouterr()
    assert main([*arguments, "--resume"]) == 0
    assert f"resumed: {folder} " in capsys.readouterr().out
    assert json.loads((folder / "results.json").read_text())["provenance"]["unfinished"] == []
    stopped = stop(arguments, 3)
    capsys.readouterr()
    file.write_text(file.read_text().replace("p.key, p.key, p.value", "p.key, p.key, -p.value"))
    assert main([*arguments, "--resume"]) == 0
    said = capsys.readouterr().out
    assert "nothing to resume" in said
    assert "source of method key_key" in said
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert stopped.exists()


def test_what_is_no_method_is_one_sentence(
    options: list[str], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(file.read_text() + "\n\nimport no_such_library\n")
    out = ["--trainer.default_root_dir", str(tmp_path / "out"), *QUIET]
    said = complaint(capsys, "test", *options, *out, "--model.method", f"{file}:KEY_KEY")
    assert said.startswith(f"method '{file}:KEY_KEY': {file} cannot be imported: ModuleNotFoundError in line ")
    said = complaint(capsys, "test", *options, *out, "--model.compare", f"{tmp_path}/absent.py:KEY_KEY")
    assert "absent.py cannot be read" in said


GUIDED = """
import torch
from torch.nn import functional as F
from cliptrase.readings import reading

@reading(tokens=(-1,), guest=True)
def guided(trunk):
    similar = F.normalize(trunk.guest.tokens, dim=-1)
    at_guest = F.interpolate(trunk.tokens(-1)[:, 1:].mT.unflatten(2, trunk.grid), trunk.guest.grid).flatten(2).mT
    moved = ((10 * similar @ similar.mT).softmax(-1) @ at_guest).mT.unflatten(2, trunk.guest.grid)
    patches = F.interpolate(moved, trunk.grid, mode="bilinear").flatten(2).mT
    return trunk.project(torch.cat([trunk.tokens(-1)[:, :1], patches], 1))
"""


def test_a_guest_on_the_command_line(
    options: list[str], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stands in provenance and below the tables; what cannot be one is told in a sentence."""
    file.write_text(GUIDED)
    guest = save_dino(tmp_path / "guest")
    chosen = [*options, "--model.method", f"{file}:guided", "--model.compare", "vanilla"]
    finished = run("test", tmp_path / "out", *chosen, "--model.guest", str(guest))
    methods = finished.results["methods"]
    assert methods["guided"]["settings"] != methods["vanilla"]["settings"]
    told = finished.results["provenance"]["model"]["guest"]
    assert told == {
        "name": str(guest),
        "architecture": "vit_tiny_patch16_224.dino",
        "position_embedding": "dino",
        "weights_hash": GuestTower(dino()).weights_hash,
    }
    stated = f"Guest tower: {guest} (vit_tiny_patch16_224.dino, weights {told['weights_hash']})."
    assert stated in (finished.folder / "report.html").read_text()
    assert stated.replace(" ", "") in "".join(capsys.readouterr().out.split())
    out = ["--trainer.default_root_dir", str(tmp_path / "none"), *QUIET]
    said = complaint(capsys, "test", *chosen, *out)
    assert said.startswith("method guided reads a guest tower's features, and no guest is given; give one")
    said = complaint(capsys, "test", *options, *out, "--model.method", "gem", "--model.guest", str(guest))
    assert said.endswith("guest is read by no method of gem; leave it out, or take a method that does")
    said = complaint(capsys, "test", *chosen, *out, "--model.guest", "vit_base_patch8_224.dino")
    assert "its weights are not here and cannot be downloaded" in said
    nowhere = [*chosen, *out, "--data.root", str(tmp_path / "absent")]  # not looked for any more
    said = complaint(capsys, "test", *nowhere, "--model.guest", "dino_vitbase8_pretrain.pth")
    assert said.startswith("guest dino_vitbase8_pretrain.pth: there is no such file or folder")
    weights = dino_state()
    weights["blocks.3.attn.qkv.bias"][5] = float("nan")
    save_file(weights, guest / "model.safetensors")
    said = complaint(capsys, "test", *chosen, *out, "--model.guest", str(guest))
    assert said.startswith(f"guest {guest}: 1 of the 288 values of blocks.3.attn.qkv.bias are not finite")


def test_resume_knows_the_guest(
    options: list[str], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its weights and by what else decides its features, not by where it lies."""
    file.write_text(GUIDED)
    one, moved = save_dino(tmp_path / "one"), save_dino(tmp_path / "moved")
    other, heads = save_dino(tmp_path / "other", seed=4), save_dino(tmp_path / "heads", num_heads=4)
    chosen = ["--model.method", f"{file}:guided", "--trainer.callbacks", "[]", "--trainer.logger", "false"]
    arguments = ["test", *options, *chosen, *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    folder = stop([*arguments, "--model.guest", str(one)], 3)
    for unlike in (other, heads):
        capsys.readouterr()
        assert main([*arguments, "--resume", "--model.guest", str(unlike)]) == 0
        said = capsys.readouterr().out
        assert re.search(r"nothing to resume: the newest unfinished run \S+ differs in: guest; a new one starts", said)
    assert main([*arguments, "--resume", "--model.guest", str(moved)]) == 0
    assert f"resumed: {folder} " in capsys.readouterr().out
