"""Every stage against what the released code gives: a small kit in `tests/golden`, then the whole one where it is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.encoder import Encoding, VisualEncoder
from cliptrase.clip.weights import LoadedClip
from cliptrase.clustering import dbscan
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.evaluation.counts import SegmentationCounts
from cliptrase.methods import METHODS
from cliptrase.metrics import margins, scores
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules import VOC20, VOC21
from datamodules.spec import DatasetSpec, shipped_names
from datamodules.transforms import Geometry
from tests.golden.make import ROWS, SEED, SIZES, WHOLE
from tests.kit import scene, scene_batch

GOLDEN = Path(__file__).parents[1] / "golden"
PROTOCOLS = {224: get_protocol(size=224, eps=0.7, min_samples=3), 336: get_protocol(size=336, eps=1.1, min_samples=7)}
WITHIN = {"rtol": 0, "atol": 1e-5}


def load(name: str) -> Mapping[str, Any]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def picture(number: int, size: int) -> Tensor:
    """Picture of the VOC folder under protocol `paper`, (3, n, n) uint8."""
    return tensor(Geometry("centre_crop", size).transform()(image=scene(SEED + number, *SIZES[number])[0])["image"])


def clusters_of(encoding: Encoding, protocol: EvaluationProtocol) -> tuple[Tensor, Tensor]:
    """Correlation (B, N+1, N+1) and cluster numbers (B, N)."""
    p = encoding.passes[0].penultimate
    assert p is not None
    correlation = self_correlation(p.query, p.key, p.value)
    return correlation, dbscan(remove_global_patches(correlation), protocol.eps, protocol.min_samples)


@pytest.mark.parametrize("size", [224, 336])
def test_stages(loaded_clip: LoadedClip, size: int) -> None:
    golden = load("stages")
    segmenter = Segmenter(loaded_clip, PROTOCOLS[size])
    pixels = segmenter.prepare(picture(0, size).unsqueeze(0))
    np.testing.assert_allclose(pixels[0, :, ::7, ::7].numpy(), golden[f"{size}/pixels"], **WITHIN)
    with torch.no_grad():
        encoding = segmenter.encoder(pixels, segmenter.methods)
    features = F.normalize(encoding.features["cliptrase"], dim=-1)
    np.testing.assert_allclose(features[0, :: ROWS[size]].numpy(), golden[f"{size}/features"], **WITHIN)
    correlation, clusters = clusters_of(encoding, segmenter.protocol)
    np.testing.assert_allclose(correlation[0, :: ROWS[size]].numpy(), golden[f"{size}/correlation"], **WITHIN)
    np.testing.assert_array_equal(clusters[0].numpy(), golden[f"{size}/clusters"])


def test_text(segmenter: Segmenter) -> None:
    classifier = segmenter.classifier(VOC20.spec.vocabulary, progress=False)
    np.testing.assert_allclose(classifier.embeddings.numpy(), load("stages")["text"], **WITHIN)


@pytest.mark.parametrize("size", [224, 336])
@pytest.mark.parametrize("spec", [VOC20.spec, VOC21.spec], ids=["VOC20", "VOC21"])
def test_every_pixel(loaded_clip: LoadedClip, size: int, spec: DatasetSpec) -> None:
    """All six pictures, in a batch of four and one of two."""
    golden = load("paper")
    segmenter = Segmenter(loaded_clip, PROTOCOLS[size])
    classifier = segmenter.classifier(spec.vocabulary, spec.class_token_weighting, progress=False)
    pictures = torch.stack([picture(number, size) for number in range(len(SIZES))])
    found = torch.cat([segmenter(part, classifier).labels["cliptrase"] for part in pictures.split(4)])
    np.testing.assert_array_equal(found.numpy(), golden[f"{spec.name}/{size}/predictions"])


@pytest.mark.parametrize("size", [224, 336])
@pytest.mark.parametrize("name", ["VOC20", "VOC21"])
def test_scores(size: int, name: str) -> None:
    golden = load("paper")
    spec = {"VOC20": VOC20.spec, "VOC21": VOC21.spec}[name]
    metric = SegmentationCounts(["cliptrase"], spec.vocabulary.num_labels)
    predictions, labels = (golden[f"{name}/{size}/{key}"] for key in ("predictions", "labels"))
    metric.update({"cliptrase": torch.from_numpy(predictions)}, torch.from_numpy(labels), range(len(SIZES)))
    expected = json.loads((GOLDEN / "scores.json").read_text())[f"{name}_{size}"]
    counts = metric.compute()["cliptrase"]
    assert scores(*margins(counts.confusion), "released").rounded() == expected
    assert counts.images == len(SIZES)


@pytest.mark.parametrize("number", WHOLE)
def test_every_pixel_of_whole_pictures(loaded_clip: LoadedClip, number: int) -> None:
    segmenter = Segmenter(loaded_clip, get_protocol("detectron2", size=640, templates="vild"))
    spec = VOC20.spec
    classifier = segmenter.classifier(spec.vocabulary, spec.class_token_weighting, progress=False)
    image = scene(SEED + number, *SIZES[number])[0]
    shown = tensor(Geometry.of(segmenter.protocol).transform()(image=image)["image"]).unsqueeze(0)
    found = segmenter(shown, classifier, SIZES[number]).labels["cliptrase"]
    np.testing.assert_array_equal(found[0].numpy(), load("detectron2")[str(number)])


@torch.no_grad()
def dense(clip: LoadedClip, method: str, seed: int, height: int, width: int) -> np.ndarray:
    """(N+1, E) features of a scene that is not resized, before unit length."""
    segmenter = Segmenter(clip, methods=[method])
    encoding = VisualEncoder(clip.model.visual)(
        segmenter.prepare(scene_batch([seed], height, width)), [METHODS[method]]
    )
    return encoding.features[method][0].numpy()


@pytest.mark.parametrize("key", [key for key in load("stages") if key.startswith(("vanilla/", "maskclip/"))])
def test_other_methods(loaded_clip: LoadedClip, key: str) -> None:
    method, case = key.split("/")
    seed, size = case.split("_")
    found = dense(loaded_clip, method, int(seed), *map(int, size.split("x")))
    np.testing.assert_allclose(found[1:][::9], load("stages")[key], **WITHIN)


# ---------------------------------------------------------------------------------------------- the whole kit


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("size", [224, 336])
def test_parity_of_stages(parity: Path, loaded_clip: LoadedClip, size: int, number: int) -> None:
    with np.load(parity / "expected" / "stages_VOC2012.npz") as file:
        golden = {
            key: file[f"scene_{number}.png/{size}/{key}"] for key in ("pixels", "features", "correlation", "clusters")
        }
    segmenter = Segmenter(loaded_clip, PROTOCOLS[size])
    pixels = segmenter.prepare(picture(number, size).unsqueeze(0))
    np.testing.assert_allclose(pixels[0].numpy(), golden["pixels"], **WITHIN)
    with torch.no_grad():
        encoding = segmenter.encoder(pixels, segmenter.methods)
    features = F.normalize(encoding.features["cliptrase"], dim=-1)
    np.testing.assert_allclose(features[0].numpy(), golden["features"], **WITHIN)
    correlation, clusters = clusters_of(encoding, segmenter.protocol)
    np.testing.assert_allclose(correlation[0].numpy(), golden["correlation"], **WITHIN)
    np.testing.assert_array_equal(clusters[0].numpy(), golden["clusters"])


def test_parity_of_text(parity: Path, segmenter: Segmenter) -> None:
    from datamodules import PC59

    with np.load(parity / "expected" / "text.npz") as golden:
        for spec in (VOC20.spec, PC59.spec):
            classifier = segmenter.classifier(spec.vocabulary, progress=False)
            np.testing.assert_allclose(classifier.embeddings.numpy(), golden[spec.name], **WITHIN)


@pytest.mark.parametrize(("method", "file"), [("vanilla", "vanilla"), ("maskclip", "maskclip_clipexact")])
def test_parity_of_methods(parity: Path, loaded_clip: LoadedClip, method: str, file: str) -> None:
    checked = 0
    with np.load(parity / "methods" / f"{file}.npz") as golden:
        for key in golden:
            case, kind = key.split("/")
            seed, size = case.split("_")
            height, width = map(int, size.split("x"))
            if kind not in ("features", "cls"):
                continue
            found = dense(loaded_clip, method, int(seed), height, width)
            np.testing.assert_allclose(found[1:] if kind == "features" else found[0], golden[key], **WITHIN)
            checked += 1
    assert checked >= 3


def test_parity_pictures_are_the_scenes_of_the_golden_kit(parity: Path) -> None:
    from PIL import Image

    for number, size in enumerate(SIZES):
        path = parity / "datasets/VOC2012/images_detectron2/val" / f"scene_{number}.png"
        with Image.open(path) as file:
            np.testing.assert_array_equal(np.array(file), scene(SEED + number, *size)[0])


def test_shipped_names_are_single() -> None:
    """What the golden text was encoded from."""
    assert Vocabulary(single_names(shipped_names("voc20"))) == VOC20.spec.vocabulary
