"""Weights against facts: those of a local model, computed here the plain way, and the shipped ones, which it fails."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.nn import functional as F

from cliptrase.cli import main
from cliptrase.clip.weights import LoadedClip
from cliptrase.evidence.weights import check_weights, read_facts
from tests.command import complaint

NAMES = ("cat", "dog", "potted plant")
SHARED = Path(__file__).resolve().parents[4] / "shared" / "facts" / "openai_text.yaml"


@pytest.fixture
def facts(loaded_clip: LoadedClip, tiny_clip: Path) -> dict[str, Any]:
    """Of the tiny CLIP, by open_clip's own way through the text tower."""
    with torch.no_grad():
        found = loaded_clip.model.encode_text(loaded_clip.tokenizer([f"a photo of a {name}" for name in NAMES]))
    found = F.normalize(found.double(), dim=-1)
    (weights,) = tiny_clip.glob("*.safetensors")
    return {
        "model": "tiny",
        "pretrained": "drawn",
        "source": "computed in a test",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "activation": "quick_gelu",
        "tolerance": 1e-4,
        "prompt": "a photo of a {}",
        "names": list(NAMES),
        "first": {name: row[:5].tolist() for name, row in zip(NAMES, found, strict=True)},
        "cosine": {name: row.tolist() for name, row in zip(NAMES, found @ found.T, strict=True)},
    }


def written(facts: dict[str, Any], tmp_path: Path) -> str:
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(facts))
    return str(tmp_path / "facts.yaml")


def test_weights_that_are_what_they_say(
    facts: dict[str, Any], tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["verify", "--model.clip", f"local-dir:{tiny_clip}", "--facts", written(facts, tmp_path)]
    assert main(words) == 0
    *lines, verdict = capsys.readouterr().out.splitlines()
    assert verdict == "verified: these are the weights tiny drawn: the file is the published one, and its text agrees"
    assert lines[0].endswith(f"has SHA-256 {facts['sha256']}, the published one")
    assert lines[1].startswith("text: the first 5 coordinates of 3 text embeddings agree, by at most 0.0000")
    assert lines[2].startswith("text: the cosines of 3 names agree, by at most 0.0000")
    assert lines[3] == "activation: quick_gelu"
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["verified"], record["published"], record["sha256"]) == (True, True, facts["sha256"])


def test_another_file_of_the_same_text_proves_no_visual_tower(
    facts: dict[str, Any], tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(facts | {"sha256": "0" * 64}, tmp_path)
    assert main(["verify", "--model.clip", f"local-dir:{tiny_clip}", "--facts", file]) == 0
    out = capsys.readouterr().out
    assert f"{facts['sha256']}, not the published {'0' * 64}" in out
    assert "the text tower is that of tiny drawn; the file is not the published one" in out
    assert "nothing is proved of the visual tower" in out


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a coordinate": (
        lambda f: f["first"]["dog"].__setitem__(3, 0.5),
        "the first 5 coordinates of 3 text embeddings diff",
    ),
    "a cosine": (lambda f: f["cosine"]["dog"].__setitem__(0, 0.5), "the cosines of 3 names differ by up to 0."),
    "the activation": (lambda f: f.update(activation="gelu"), "the model runs with quick_gelu, not gelu"),
    "the names": (lambda f: f.update(prompt="a picture of a {}"), "the cosines of 3 names differ"),
    "the width": (
        lambda f: f["first"].update({name: [0.0] * 100 for name in NAMES}),
        "a text embedding has 64 coordinates",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_weights_that_contradict_the_facts(
    name: str, facts: dict[str, Any], tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, says = WRONG[name]
    change(facts)
    words = ("--model.clip", f"local-dir:{tiny_clip}", "--facts", written(facts, tmp_path))
    sentence = complaint(capsys, "verify", *words)
    assert sentence.startswith("these are not the weights tiny drawn: ")
    assert says in sentence


def test_the_activation_that_is_asked_for(
    facts: dict[str, Any], tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The right weights under the wrong GELU give other text."""
    words = (
        "--model.clip",
        f"local-dir:{tiny_clip}",
        "--facts",
        written(facts, tmp_path),
        "--model.activation",
        "gelu",
    )
    sentence = complaint(capsys, "verify", *words)
    assert "the model runs with gelu, not quick_gelu" in sentence
    assert "the cosines of 3 names differ" in sentence


def test_an_archive_of_the_published_form_was_published_once(
    facts: dict[str, Any], loaded_clip: LoadedClip, tmp_path: Path
) -> None:
    """The text agrees, so that only its hash tells that something in the archive is another's."""
    known = read_facts(Path(written(facts, tmp_path)))
    file = tmp_path / "ViT-B-16.pt"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/constants.pkl", b"")
    assert check_weights(loaded_clip, file, known).wrong == [
        "the file has the form of the published archive and another SHA-256"
    ]
    published = replace(known, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    assert check_weights(loaded_clip, file, published).published


def test_the_shipped_facts_and_a_model_that_is_another(tiny_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for clip in (f"local-dir:{tiny_clip}", "embedded"):
        sentence = complaint(capsys, "verify", "--model.clip", clip)
        assert sentence.startswith("these are not the weights ViT-B-16 openai: ")
        assert "the first 8 coordinates of 20 text embeddings differ by up to 0." in sentence
        assert "the cosines of 20 names differ by up to 0." in sentence


def test_the_shipped_facts_agree_with_themselves() -> None:
    """Rows are parts of unit vectors, and cosines are symmetric with ones on the diagonal."""
    facts = read_facts()
    cosine = torch.tensor([facts.cosine[name] for name in facts.names])
    assert (cosine - cosine.T).abs().max() == 0
    assert (cosine.diagonal() == 1).all()
    assert all(0 < sum(value**2 for value in facts.first[name]) < 1 for name in facts.names)
    assert (facts.model, facts.activation, len(facts.sha256)) == ("ViT-B-16", "quick_gelu", 64)
    if SHARED.is_file():
        shared = yaml.safe_load(SHARED.read_text())
        assert all(getattr(facts, key) == value for key, value in shared.items())


def test_wrong_usage(tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def says(*words: str, status: int = 1) -> str:
        return complaint(capsys, "verify", *words, status=status)

    assert says(status=2).startswith("verify needs a run's folder, or weights")
    assert says("--model.pretrained", "openai", status=2).startswith("--model.pretrained and --facts are for weights")
    assert says("run", "--model.clip", "embedded", status=2).startswith("verify checks runs or weights; leave out run")
    assert says("--model.clip", "ViT-L-14", "--model.pretrained", "openai").startswith(
        "--model.clip ViT-L-14: the facts are of ViT-B-16; give those of other weights by --facts FILE"
    )
    assert says("--model.clip", "ViT-B-61", "--model.pretrained", "openai").startswith("--model.clip 'ViT-B-61' is not")
    for content in ("", "a: 1", "{", "[1, 2]"):
        (tmp_path / "facts.yaml").write_text(content)
        sentence = says("--model.clip", f"local-dir:{tiny_clip}", "--facts", str(tmp_path / "facts.yaml"))
        assert sentence.startswith(f"--facts {tmp_path / 'facts.yaml'} cannot be used (")
