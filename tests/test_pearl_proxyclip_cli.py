"""PEARL and ProxyCLIP on the command line under their own protocols: every pixel as slow references of both give it."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import load_clip
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from datamodules import ADE150, VOC20, VOC21, SpecDataModule
from datamodules.spec import LabelScheme
from tests import pearl_proxyclip_references as plain
from tests.command import run
from tests.kit import scene, write_detectron2_tree
from tests.kit.dino import save_dino
from tests.plain_tower import PlainTower
from tests.published_protocols import VALUES, decide, resized, slide

SIZES = ((100, 100), (90, 132))
TIE = 1e-6  # of probabilities: sums of float32 cosines in another order differ by as much
# VOC20 is seen whole by PEARL; VOC21 has a threshold; ADE20K has PEARL's other alpha and a size of ProxyCLIP's own.
METHODS = {
    ("pearl", VOC20): ("naclip", "sclip", partial(plain.pearl, alpha=0.08)),
    ("pearl", ADE150): ("naclip", "sclip", partial(plain.pearl, alpha=0.3)),
    ("proxyclip", VOC21): ("proxyclip", "proxyclip", plain.proxyclip),
}


@pytest.mark.parametrize(("method", "module"), METHODS)
def test_every_pixel(method: str, module: type[SpecDataModule], tmp_path: Path, tiny_clip: Path) -> None:
    """Square and other images."""
    protocol, names, features_of = METHODS[method, module]
    model, setting = f"local-dir:{tiny_clip}", module.__name__
    loaded = load_clip(model)
    tower = PlainTower(loaded.model.state_dict(), 64)
    spec = module.spec.with_labels(LabelScheme(names, void=True))
    root = write_detectron2_tree(tmp_path / setting, spec, sizes=SIZES)
    options = ["--protocol", protocol, "--data", setting, "--data.root", str(root), "--data.batch_size", "1"]
    options += ["--model.method", method, "--model.clip", model]
    if method == "proxyclip":
        options += ["--model.guest", str(save_dino(tmp_path / "dino"))]
    predicted = run("predict", tmp_path / "out", *options, "--trainer.callbacks", "[]")
    text = Segmenter(loaded, get_protocol(protocol)).classifier(spec.vocabulary, progress=False).embeddings

    def cosines(pixels: Tensor) -> Tensor:
        features, grid = features_of(tower, pixels)
        return (text.double() @ F.normalize(torch.from_numpy(features), dim=-1).T).unflatten(1, grid).float()

    values = VALUES[protocol][setting]
    labels: set[int] = set()
    for number, size in enumerate(SIZES):
        image, _ = scene(number, *size)
        maps = slide(resized(image, values.size), size, values, cosines, tower.patch)
        wanted = decide(maps, spec.vocabulary, values)
        found = torch.from_numpy(predicted.mask(setting, f"scene_{number}").astype(np.int64))
        assert found.shape == size
        assert [margin for margin in wanted.margin[found != wanted.labels].tolist() if margin > TIE] == []
        labels |= set(found.unique().tolist())
    assert len(labels) > 2, labels
