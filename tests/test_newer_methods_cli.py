"""Methods of 2024 to 2026 on the command line under their own protocols: every pixel as slow references give it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

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
from tests import pearl_proxyclip_references, similarity_references
from tests.command import run
from tests.kit import scene, write_detectron2_tree
from tests.kit.dino import save_dino
from tests.plain_tower import PlainTower
from tests.published_protocols import VALUES, decide, resized, slide
from tests.references import Array

SIZES = ((100, 100), (90, 132), (131, 84))
TIE = 1e-6  # of probabilities: sums of float32 cosines in another order differ by as much


class Case(NamedTuple):
    """A method as it is asked for, its protocol, whose words that takes, and the features and grid of its reference."""

    method: str
    protocol: str
    names: str
    module: type[SpecDataModule]
    features: Callable[[PlainTower, Tensor], tuple[Array, tuple[int, int]]]
    embedded: bool = False
    images: int = len(SIZES)


def similarity(
    tower: PlainTower, pixels: Tensor, name: str, numbers: similarity_references.Numbers
) -> tuple[Array, tuple[int, int]]:
    """SC-CLIP or SFP."""
    return similarity_references.features(name, tower, pixels, numbers), tower.grid(pixels)


# The demo's CLIP has six blocks and tells patches apart. With random weights all are alike unless fewer are similar.
SIX = similarity_references.Numbers(compared=4, early=2, first_added=2, last_added=5)
APART = similarity_references.TWELVE._replace(similarity=0.95, class_weight=0)
CASES = [
    # Whole pictures; ADE20K has another alpha.
    Case("pearl", "naclip", "sclip", VOC20, partial(pearl_proxyclip_references.pearl, alpha=0.08)),
    Case("pearl", "naclip", "sclip", ADE150, partial(pearl_proxyclip_references.pearl, alpha=0.3)),
    # The loops of the second tower take seconds a window.
    Case("proxyclip", "proxyclip", "proxyclip", VOC21, pearl_proxyclip_references.proxyclip, images=2),
]
# VOC21 has a threshold and an area rule, ADE20K a size of SFP's own.
for name, names in (("scclip", "sclip"), ("sfp", "sfp")):
    CASES += [
        Case(name, name, names, ADE150, partial(similarity, name=name, numbers=SIX), embedded=True),
        Case(
            f"{name}+similarity=0.95+class_weight=0", name, names, VOC21, partial(similarity, name=name, numbers=APART)
        ),
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method}-{case.module.__name__}")
def test_every_pixel(case: Case, tmp_path: Path, tiny_clip: Path) -> None:
    """Square and other images."""
    model, setting = "embedded" if case.embedded else f"local-dir:{tiny_clip}", case.module.__name__
    loaded = load_clip(model)
    tower = PlainTower(loaded.model.state_dict(), 32 if case.embedded else 64)
    spec = case.module.spec.with_labels(LabelScheme(case.names, void=True))
    root = write_detectron2_tree(tmp_path / setting, spec, sizes=SIZES[: case.images])
    options = ["--protocol", case.protocol, "--data", setting, "--data.root", str(root), "--data.batch_size", "1"]
    options += ["--model.method", case.method, "--model.clip", model]
    if case.method == "proxyclip":
        options += ["--model.guest", str(save_dino(tmp_path / "dino"))]
    predicted = run("predict", tmp_path / "out", *options, "--trainer.callbacks", "[]")
    text = Segmenter(loaded, get_protocol(case.protocol)).classifier(spec.vocabulary, progress=False).embeddings

    def cosines(pixels: Tensor) -> Tensor:
        features, grid = case.features(tower, pixels)
        return (text.double() @ F.normalize(torch.from_numpy(features), dim=-1).T).unflatten(1, grid).float()

    values = VALUES[case.protocol][setting]
    labels: set[int] = set()
    for number, size in enumerate(SIZES[: case.images]):
        image, _ = scene(number, *size)
        maps = slide(resized(image, values.size), size, values, cosines, tower.patch)
        wanted = decide(maps, spec.vocabulary, values)
        found = torch.from_numpy(predicted.mask(setting, f"scene_{number}").astype(np.int64))
        assert found.shape == size
        assert [margin for margin in wanted.margin[found != wanted.labels].tolist() if margin > TIE] == []
        labels |= set(found.unique().tolist())
    assert len(labels) >= (3 if case.method == "proxyclip" else 4), labels
