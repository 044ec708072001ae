"""Protocols of the newer methods on the command line: every pixel as a slow run of the released ones gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import load_clip
from cliptrase.methods import get_method
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary
from datamodules.spec import DatasetSpec, LabelScheme
from datamodules.specs import DATASETS
from tests.command import run
from tests.kit import label_map, save_labels, scene
from tests.kit.dino import save_dino
from tests.published_protocols import VALUES, Published, decide, mmseg_scores, resized, slide

SIZES = ((100, 100), (90, 132), (131, 84))
SETTINGS = ("VOC21", "PC60", "COCOObject", "ADE150", "Cityscapes")
NAMES = {"naclip": "sclip", "scclip": "sclip", "sfp": "sfp", "proxyclip": "proxyclip"}  # whose words each takes
# Random weights show SC-CLIP and SFP one label; `test_newer_methods_cli` runs them under their protocols.
METHODS = {"naclip": "pearl", "scclip": "sclip", "sfp": "sclip", "proxyclip": "proxyclip"}
TIE = 1e-6  # of probabilities: sums of float32 cosines in another order differ by as much


def asked(protocol: str, setting: str) -> DatasetSpec:
    return DATASETS[setting].with_labels(LabelScheme(NAMES[protocol], void=True))


def write(root: Path, spec: DatasetSpec) -> None:
    for number, size in enumerate(SIZES):
        image, index = scene(number, *size)
        stem = f"scene_{number}"
        path = root / spec.folder / spec.images[0] / f"{stem}{spec.image_suffix}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        labels = label_map(number, index, spec.valid_labels, spec.ignore_label)
        save_labels(root / spec.folder / spec.labels / f"{stem}{spec.label_suffix}.png", labels)


def truth(spec: DatasetSpec, number: int) -> NDArray[np.int64]:
    labels = label_map(number, scene(number, *SIZES[number])[1], spec.valid_labels, spec.ignore_label)
    if spec.ignored_is_background:
        assert spec.vocabulary.background_index is not None
        labels[labels == spec.ignore_label] = spec.vocabulary.background_index
    return labels


class Plain:
    """The tower, a method on a data set and names, without any protocol's code."""

    def __init__(self, clip: Path, guest: Path | None, method: str, setting: str, vocabulary: Vocabulary) -> None:
        self.segmenter = Segmenter(load_clip(f"local-dir:{clip}"), get_protocol("sclip"), [method], guest=guest)
        self.text = self.segmenter.classifier(vocabulary, progress=False).embeddings
        self.method = get_method(method).on(setting)

    def cosines(self, pixels: Tensor) -> Tensor:
        encoding = self.segmenter.encoder(pixels, [self.method], self.text)
        tokens = F.normalize(encoding.features[self.method.name][0, 1:], dim=-1)
        return (tokens @ self.text.T).T.unflatten(1, encoding.grids[self.method.name])

    def maps(self, number: int, values: Published) -> Tensor:
        image, _ = scene(number, *SIZES[number])
        return slide(resized(image, values.size), SIZES[number], values, self.cosines, self.segmenter.patch[0])


@pytest.mark.parametrize("protocol", VALUES)
def test_every_pixel_and_score(protocol: str, tmp_path: Path, tiny_clip: Path) -> None:
    """Square and other pictures; with a background the threshold and the area rule both decide pixels."""
    for setting in SETTINGS:
        write(tmp_path / "datasets", asked(protocol, setting))
    options = [
        *("--protocol", protocol, "--data", "Benchmark", "--data.settings", f"[{', '.join(SETTINGS)}]"),
        *("--data.root", str(tmp_path / "datasets"), "--model.clip", f"local-dir:{tiny_clip}"),
        *("--model.method", METHODS[protocol], "--trainer.callbacks", "[]"),
    ]
    guest = save_dino(tmp_path / "dino") if METHODS[protocol] == "proxyclip" else None
    options += ["--model.guest", str(guest)] if guest else []
    predicted = run("predict", tmp_path / "predict", *options)
    scored = run("test", tmp_path / "test", *options).results["settings"]
    decided = {"threshold": 0, "area": 0}  # pixels by rule
    labels = []
    for setting in SETTINGS:
        spec, values = asked(protocol, setting), VALUES[protocol][setting]
        plain = Plain(tiny_clip, guest, METHODS[protocol], setting, spec.vocabulary)
        pairs = []
        for number, size in enumerate(SIZES):
            maps = plain.maps(number, values)
            wanted = decide(maps, spec.vocabulary, values)
            found = torch.from_numpy(predicted.mask(setting, f"scene_{number}").astype(np.int64))
            assert found.shape == size
            assert [margin for margin in wanted.margin[found != wanted.labels].tolist() if margin > TIE] == []
            pairs.append((found.numpy(), truth(spec, number)))
            for rule in decided:
                without = decide(maps, spec.vocabulary, values._replace(**{rule: 0}))
                decided[rule] += int((without.labels != wanted.labels).sum())
        labels.append(len(np.unique([label for found, _ in pairs for label in found.ravel()])))
        scores = scored[setting]["scores"]["mmseg"]
        accuracy, iou = mmseg_scores(pairs, spec.vocabulary.num_labels)
        assert (scores["pAcc"], scores["mIoU"]) == (round(accuracy, 2), round(iou, 2))
    assert max(labels) > 5, labels
    assert decided["threshold"] > 0
    assert (decided["area"] > 0) == any(values.area for values in VALUES[protocol].values())
