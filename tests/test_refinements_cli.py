"""`+pamr` and `+tlp` on the command line: every pixel as a slow run of protocol, method and refinement gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import load_clip
from cliptrase.methods import get_method
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from datamodules.spec import DatasetSpec, LabelScheme
from datamodules.specs import DATASETS
from tests import references
from tests.command import Run, run
from tests.kit import save_labels, scene
from tests.published_protocols import VALUES, decide, resized, slide

# Whole pictures with a threshold; windows with one; windows without, where TLP's grid is another.
SIZES = {"VOC21": ((60, 60), (52, 81)), "PC60": ((70, 49),), "Cityscapes": ((200, 270),)}
TIE = 1e-5  # of probabilities


def asked(setting: str) -> DatasetSpec:
    return DATASETS[setting].with_labels(LabelScheme("sclip", void=True))


def write(root: Path, setting: str) -> None:
    """Pictures `scene_0 ...` of a setting, with label maps that nobody reads."""
    spec = asked(setting)
    for number, size in enumerate(SIZES[setting]):
        path = root / spec.folder / spec.images[0] / f"scene_{number}{spec.image_suffix}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(3 + number, *size)[0]).save(path)
        labels = root / spec.folder / spec.labels / f"scene_{number}{spec.label_suffix}.png"
        save_labels(labels, np.zeros(size, np.uint8))


def refined(maps: Tensor, pixels: Tensor, text: Tensor, names: list[str], grid: int) -> Tensor:
    """(C, H, W) maps after refinements by name, in order; pixels (1, 3, h, w) as the tower is shown them."""
    guide = F.interpolate(pixels, maps.shape[1:], mode="bilinear", align_corners=False)[0].numpy()
    values = maps.numpy()
    for name in names:
        act = {"pamr": references.pamr, "tlp": lambda *given: references.tlp(*given, text.numpy(), grid)}[name]
        values = act(values, guide)
    return torch.from_numpy(values)


def predicted(method: str, protocol: str, root: Path, clip: Path) -> Run:
    return run(
        "predict",
        root / f"predict {method}",
        *("--protocol", protocol, "--data", "Benchmark", "--data.settings", f"[{', '.join(SIZES)}]"),
        *("--data.root", str(root / "datasets"), "--model.clip", f"local-dir:{clip}"),
        *("--model.method", method, "--trainer.callbacks", "[]"),
    )


@pytest.mark.parametrize(
    ("spec", "refinements", "grids"),
    [
        ("naclip+pamr", ["pamr"], {}),
        ("pearl+tlp", ["tlp"], {"Cityscapes": 224}),
        ("sclip+tlp+pamr+tlp_grid=40", ["pamr", "tlp"], dict.fromkeys(SIZES, 40)),
    ],
)
@torch.no_grad()
def test_every_pixel(spec: str, refinements: list[str], grids: dict[str, int], tmp_path: Path, tiny_clip: Path) -> None:
    for setting in SIZES:
        write(tmp_path / "datasets", setting)
    found = predicted(spec, "naclip", tmp_path, tiny_clip)
    segmenter = Segmenter(load_clip(f"local-dir:{tiny_clip}"), get_protocol("sclip"))
    changed = 0
    for setting, sizes in SIZES.items():
        vocabulary, values = asked(setting).vocabulary, VALUES["naclip"][setting]
        text = segmenter.classifier(vocabulary, progress=False).embeddings
        method = get_method(spec.partition("+")[0]).on(setting)

        def cosines(pixels: Tensor, method=method, text=text) -> Tensor:  # type: ignore[no-untyped-def]
            encoding = segmenter.encoder(pixels, [method], text)
            tokens = F.normalize(encoding.features[method.name][0, 1:], dim=-1)
            return (tokens @ text.T).T.unflatten(1, encoding.grids[method.name])

        for number, size in enumerate(sizes):
            pixels = resized(scene(3 + number, *size)[0], values.size)
            maps = slide(pixels, size, values, cosines, segmenter.patch[0])
            wanted = decide(refined(maps, pixels, text, refinements, grids.get(setting, 80)), vocabulary, values)
            mask = torch.from_numpy(found.mask(setting, f"scene_{number}").astype(np.int64))
            assert mask.shape == size
            assert [margin for margin in wanted.margin[mask != wanted.labels].tolist() if margin > TIE] == []
            assert (mask != wanted.labels).float().mean() < 1e-3
            changed += int((mask != decide(maps, vocabulary, values).labels).sum())
    assert changed > 100
