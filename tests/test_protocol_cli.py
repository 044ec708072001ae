"""Protocols of one's own on the command line: a YAML file, a module, single values; what a run writes of them."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import load_clip
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from datamodules import VOC20
from tests.command import complaint, run
from tests.kit import write_detectron2_tree

SIZES = ((96, 130), (90, 75))
# Nobody's: small windows on images that PIL shrinks, argmax over cosines, CLIP's own normalisation.
FIELDS = {
    "name": "small windows",
    "view": "whole_image",
    "size": 64,
    "longest": 80,
    "interpolation": "bilinear",
    "normalisation": "clip",
    "fit": "trim",
    "window": 40,
    "stride": 24,
    "eps": 0.7,
    "min_samples": 3,
    "vote": "mean",
    "templates": "vild",
    "vocabulary": "plain",
    "scoring": "detectron2",
}
MODULE = """
from dataclasses import replace
from cliptrase.protocols.table import PROTOCOLS

STRETCHED = replace(
    PROTOCOLS["whole"], base=None, name="stretched", size=70, interpolation="bilinear", label_area="canvas",
    class_token_weight="none", templates="vild", overrides={"VOC20": {"size": 75}},
)
"""


@pytest.fixture
def options(tmp_path: Path, tiny_clip: Path) -> list[str]:
    root = write_detectron2_tree(tmp_path / "datasets", VOC20.spec, sizes=SIZES)
    data = ["--data", "VOC20", "--data.root", str(root), "--data.batch_size", "1"]
    return [*data, "--model.clip", f"local-dir:{tiny_clip}", "--model.method", "vanilla", "--trainer.callbacks", "[]"]


def shown(stem: str, tmp_path: Path, size: int, longest: int) -> Tensor:
    """(1, 3, h, w) in [0, 255]: shorter side to `size`, the longer to at most `longest`, by PIL's bilinear."""
    (path,) = (tmp_path / "datasets").glob(f"*/images*/**/{stem}.*")
    image = Image.open(path).convert("RGB")
    scale = min(size / min(image.size), longest / max(image.size))
    width, height = (int(side * scale + 0.5) for side in image.size)
    resized = np.array(image.resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(resized).permute(2, 0, 1).unsqueeze(0).float()


class Plain:
    """Tower and names, without any protocol's code."""

    def __init__(self, clip: Path, vocabulary: str) -> None:
        spec = VOC20.spec
        words = spec.vocabularies.get(vocabulary, spec.vocabulary)
        self.segmenter = Segmenter(load_clip(f"local-dir:{clip}"), get_protocol(templates="vild", size=64), ["vanilla"])
        names = self.segmenter.classifier(words, progress=False)
        self.text, self.name_to_label = names.embeddings, names.name_to_label

    def pixels(self, image: Tensor) -> Tensor:
        return (image / 255 - self.segmenter.mean) / self.segmenter.std

    @torch.no_grad()
    def cosines(self, pixels: Tensor) -> Tensor:
        """(1, C, h, w) of pixels with whole patches."""
        encoding = self.segmenter.encoder(pixels, self.segmenter.methods)
        tokens = F.normalize(encoding.features["vanilla"][0, 1:], dim=-1)
        return (tokens @ self.text.T).T.unflatten(1, encoding.grids["vanilla"]).unsqueeze(0)


def by_windows(plain: Plain, image: Tensor, size: tuple[int, int]) -> Tensor:
    pixels = plain.pixels(image)
    height, width = pixels.shape[2:]
    total, count = torch.zeros(len(plain.text), height, width), torch.zeros(height, width)
    for top in sorted({*range(0, height - 40, 24), height - 40}):
        for left in sorted({*range(0, width - 40, 24), width - 40}):
            cosines = plain.cosines(pixels[:, :, top : top + 32, left : left + 32])  # two patches of 40 pixels
            total[:, top : top + 40, left : left + 40] += F.interpolate(cosines, (40, 40), mode="bilinear")[0]
            count[top : top + 40, left : left + 40] += 1
    maps = F.interpolate((total / count).unsqueeze(0), size, mode="bilinear")[0]
    return plain.name_to_label[maps.argmax(0)]


def stretched(plain: Plain, image: Tensor, size: tuple[int, int]) -> Tensor:
    pixels = plain.pixels(image)
    padded = F.pad(pixels, (0, -pixels.shape[3] % 16, 0, -pixels.shape[2] % 16), mode="replicate")
    return plain.name_to_label[F.interpolate(plain.cosines(padded), size, mode="bilinear")[0].argmax(0)]


def test_a_whole_new_protocol_in_one_file(options: list[str], tmp_path: Path, tiny_clip: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(FIELDS))
    chosen = [*options, "--protocol", str(file)]
    finished = run("test", tmp_path / "test", *chosen)
    written = finished.results["provenance"]["protocol"]
    wanted = get_protocol(file)
    assert (written["name"], written["label"], written["hash"]) == ("small windows", "small windows", wanted.digest)
    assert written.items() >= FIELDS.items()
    again = run("test", tmp_path / "again", *options, "--config", str(finished.folder / "config.yaml"))
    assert again.results["provenance"]["protocol"] == written
    assert again.results["methods"] == finished.results["methods"]
    predicted = run("predict", tmp_path / "predict", *chosen)
    plain = Plain(tiny_clip, "plain")
    for number, size in enumerate(SIZES):
        labels = by_windows(plain, shown(f"scene_{number}", tmp_path, 64, 80), size)
        np.testing.assert_array_equal(predicted.mask("VOC20", f"scene_{number}"), labels)


def test_a_protocol_of_a_module(
    options: list[str], tmp_path: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    chosen = [*options, "--protocol", "rules.mine:STRETCHED"]
    finished = run("test", tmp_path / "test", *chosen)
    written = finished.results["provenance"]["protocol"]
    protocol: EvaluationProtocol = sys.modules["rules.mine"].STRETCHED
    assert (written["name"], written["label"], written["hash"]) == ("stretched", "stretched", protocol.digest)
    config = yaml.safe_load((finished.folder / "config.yaml").read_text())
    assert config["protocol"] == protocol.values()
    predicted = run("predict", tmp_path / "predict", *chosen)
    plain = Plain(tiny_clip, "released")
    for number, size in enumerate(SIZES):
        labels = stretched(plain, shown(f"scene_{number}", tmp_path, 75, 1344), size)
        np.testing.assert_array_equal(predicted.mask("VOC20", f"scene_{number}"), labels)
    changed = run("predict", tmp_path / "changed", *chosen, "--protocol.eps", "0.4")
    config = yaml.safe_load((changed.folder / "config.yaml").read_text())
    assert get_protocol(config["protocol"]).label == "stretched, eps 0.4"


def test_what_is_wrong_with_a_file_is_said(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("base: sclip\nname: mine\nstide: 56\n")
    sentence = complaint(capsys, "test", *options, "--protocol", str(file))
    assert sentence == f"{file}: protocol has no field 'stide'; did you mean stride?"
    file.write_text("protocol: {base: sclip, stride: 300}\n")
    sentence = complaint(capsys, "test", *options, "--config", str(file))
    assert sentence.startswith(f"--config {file}: protocol.stride 300 leaves gaps between windows of 224 pixels")
