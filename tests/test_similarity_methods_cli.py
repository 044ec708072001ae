"""SC-CLIP and SFP on the command line under their own protocols: every pixel as slow references of both give it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import load_clip
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from datamodules import ADE150, VOC21, SpecDataModule
from datamodules.spec import LabelScheme
from tests import similarity_references as plain
from tests.command import run
from tests.kit import scene, write_detectron2_tree
from tests.plain_tower import PlainTower
from tests.published_protocols import VALUES, decide, resized, slide

SIZES = ((100, 100), (90, 132), (131, 84))
NAMES = {"scclip": "sclip", "sfp": "sfp"}  # whose words each takes
TIE = 1e-6  # of probabilities: sums of float32 cosines in another order differ by as much
# The demo's CLIP has six blocks and tells patches apart. With random weights all are alike unless fewer are similar.
SIX = plain.Numbers(compared=4, early=2, first_added=2, last_added=5)
APART = "+similarity=0.95+class_weight=0"


@pytest.mark.parametrize(("clip", "module"), [("embedded", ADE150), ("tiny", VOC21)])
@pytest.mark.parametrize("name", NAMES)
def test_every_pixel(name: str, clip: str, module: type[SpecDataModule], tmp_path: Path, tiny_clip: Path) -> None:
    """Square and other images; VOC21 has a threshold and an area rule, ADE20K a size of SFP's own."""
    embedded = clip == "embedded"
    model = "embedded" if embedded else f"local-dir:{tiny_clip}"
    loaded = load_clip(model)
    tower = PlainTower(loaded.model.state_dict(), 32 if embedded else 64)
    numbers = SIX if embedded else plain.TWELVE._replace(similarity=0.95, class_weight=0)
    setting = module.__name__
    spec = module.spec.with_labels(LabelScheme(NAMES[name], void=True))
    root = write_detectron2_tree(tmp_path / setting, spec, sizes=SIZES)
    options = ["--protocol", name, "--data", setting, "--data.root", str(root), "--data.batch_size", "1"]
    options += ["--model.method", name if embedded else name + APART, "--model.clip", model]
    predicted = run("predict", tmp_path / f"{setting} out", *options, "--trainer.callbacks", "[]")
    text = Segmenter(loaded, get_protocol(name)).classifier(spec.vocabulary, progress=False).embeddings

    def cosines(pixels: Tensor) -> Tensor:
        features = torch.from_numpy(plain.features(name, tower, pixels, numbers))
        return (text.double() @ F.normalize(features, dim=-1).T).unflatten(1, tower.grid(pixels)).float()

    values = VALUES[name][setting]
    labels: set[int] = set()
    for number, size in enumerate(SIZES):
        image, _ = scene(number, *size)
        maps = slide(resized(image, values.size), size, values, cosines, tower.patch)
        wanted = decide(maps, spec.vocabulary, values)
        found = torch.from_numpy(predicted.mask(setting, f"scene_{number}").astype(np.int64))
        assert found.shape == size
        assert [margin for margin in wanted.margin[found != wanted.labels].tolist() if margin > TIE] == []
        labels |= set(found.unique().tolist())
    assert len(labels) >= 5, labels
