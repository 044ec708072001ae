"""Pictures to label maps: batches, pictures without clusters, vocabularies, geometry, errors."""

import math
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.clustering import dbscan
from cliptrase.common.errors import InputError
from cliptrase.common.timing import StageTimer, listening
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.inference.whole import WholePictures
from cliptrase.ops.classification import TextClassifier, patch_logits
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests import references
from tests.cliptrase.ops.test_upsampling import peak_bytes
from tests.kit import MEAN, STD, save_tiny_clip, scene_batch

VOCABULARY = Vocabulary(single_names(["cat", "dog", "sky", "tree", "sea", "road", "house"]), ("wall", "floor"))
SMALL = get_protocol(size=160, eps=0.7, min_samples=3, templates="vild")
WHOLE = get_protocol("detectron2", size=160, templates="vild", eps=0.7, min_samples=3)


def noise_picture(height: int, width: int) -> Tensor:
    """A picture whose patches look all different."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, 3, height, width), generator=generator, dtype=torch.uint8)


@torch.no_grad()
def cluster_counts(segmenter: Segmenter, images: Tensor) -> list[int]:
    p = segmenter.encoder(segmenter.prepare(images), segmenter.methods).passes[0].penultimate
    assert p is not None
    affinity = remove_global_patches(self_correlation(p.query, p.key, p.value))
    clusters = dbscan(affinity, segmenter.protocol.eps, segmenter.protocol.min_samples)
    return (clusters.amax(1) + 1).tolist()


@pytest.mark.parametrize("protocol", [SMALL, WHOLE], ids=["paper", "detectron2"])
@pytest.mark.parametrize("weighting", [False, True])
def test_batches_are_as_one_by_one(loaded_clip: LoadedClip, protocol: EvaluationProtocol, weighting: bool) -> None:
    """With unequal numbers of clusters, and a picture without any in the middle."""
    segmenter = Segmenter(loaded_clip, protocol)
    classifier = segmenter.classifier(VOCABULARY, weighting, progress=False)
    images = torch.cat([scene_batch([1, 2], 160, 160), noise_picture(160, 160), scene_batch([3], 160, 160)])
    counts = cluster_counts(segmenter, images)
    assert len(set(counts)) > 2, counts
    assert counts[2] == 0, counts
    together = segmenter(images, classifier).labels["cliptrase"]
    assert together.shape == (4, 160, 160)
    assert together.dtype == torch.int64
    for number in range(4):
        alone = segmenter(images[number : number + 1], classifier).labels["cliptrase"]
        assert torch.equal(together[number : number + 1], alone)


@pytest.mark.parametrize("protocol", [SMALL, WHOLE], ids=["paper", "detectron2"])
def test_without_clusters_patches_keep_their_own_names(loaded_clip: LoadedClip, protocol: EvaluationProtocol) -> None:
    segmenter = Segmenter(loaded_clip, protocol, ["cliptrase", "cliptrase-regions"])
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    images = torch.cat([noise_picture(160, 160), scene_batch([1], 160, 160)])
    assert cluster_counts(segmenter, images)[0] == 0
    found = segmenter(images, classifier).labels
    assert torch.equal(found["cliptrase"][0], found["cliptrase-regions"][0])
    assert not torch.equal(found["cliptrase"][1], found["cliptrase-regions"][1])


@pytest.mark.parametrize("weighting", [False, True])
def test_names_of_pixels_are_the_formula(loaded_clip: LoadedClip, weighting: bool) -> None:
    """exp(logit_scale) patch . text upsampled, times exp(logit_scale) class token . text, argmax, name_to_label."""
    segmenter = Segmenter(loaded_clip, SMALL, ["cliptrase-regions"])
    classifier = segmenter.classifier(VOCABULARY, weighting, progress=False)
    images = scene_batch([5], 160, 192)
    pixels = (images / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        tokens = segmenter.encoder(pixels, segmenter.methods).features["cliptrase-regions"]
    units = F.normalize(tokens[0], dim=-1).double().numpy()
    text = classifier.embeddings.double().numpy()
    scale = math.exp(float(loaded_clip.model.logit_scale))
    maps = references.bilinear((scale * units[1:] @ text.T).T.reshape(-1, 10, 12), (160, 192))
    if weighting:
        maps *= (scale * units[0] @ text.T)[:, None, None]
    ranked = np.sort(maps, axis=0)
    clear = ranked[-1] - ranked[-2] > 1e-4 * abs(ranked[-1])  # float32 there, float64 here
    assert clear.mean() > 0.99
    expected = np.array(VOCABULARY.name_to_label)[maps.argmax(0)]
    found = segmenter(images, classifier).labels["cliptrase-regions"][0].numpy()
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_names_fold_before_the_vote(loaded_clip: LoadedClip) -> None:
    """Background prompts that are one label vote together: their name_to_label changes what regions win."""
    segmenter = Segmenter(loaded_clip, SMALL, ["cliptrase", "cliptrase-regions"])
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    images = scene_batch([1, 2, 3, 4], 160, 160)
    apart = TextClassifier(classifier.embeddings, torch.arange(9), 9)
    folded = segmenter(images, classifier).labels
    names = segmenter(images, apart).labels
    assert torch.equal(classifier.name_to_label[names["cliptrase-regions"]], folded["cliptrase-regions"])
    assert folded["cliptrase"].max() <= 7


def test_several_methods_in_one_run_are_as_one_by_one(loaded_clip: LoadedClip) -> None:
    methods = ["cliptrase", "vanilla", "maskclip+regions", "cliptrase-regions", "vanilla"]
    segmenter = Segmenter(loaded_clip, SMALL, methods)
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    images = scene_batch([1, 2], 160, 160)
    found = segmenter(images, classifier).labels
    assert list(found) == methods[:4]
    for method in methods[:4]:
        alone = Segmenter(loaded_clip, SMALL, [method])
        assert torch.equal(alone(images, classifier).labels[method], found[method])


def test_pictures_that_are_not_square(loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter(loaded_clip, SMALL)
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    found = segmenter(scene_batch([1], 96, 240), classifier).labels["cliptrase"]
    assert found.shape == (1, 96, 240)
    assert len(found.unique()) > 1
    assert segmenter(scene_batch([1], 96, 240), classifier, (50, 70)).labels["cliptrase"].shape == (1, 50, 70)


def test_synonyms_are_further_names_of_a_class(loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter(loaded_clip, SMALL, ["cliptrase-regions"])
    synonyms = Vocabulary((("cat", "sky"), ("dog", "tree"), ("sea",)))
    single = Vocabulary((("cat",), ("sky",), ("dog",), ("tree",), ("sea",)))
    images = scene_batch([1], 160, 160)
    found = segmenter(images, segmenter.classifier(synonyms, progress=False)).labels["cliptrase-regions"]
    names = segmenter(images, segmenter.classifier(single, progress=False)).labels["cliptrase-regions"]
    assert torch.equal(found, torch.tensor([0, 0, 1, 1, 2])[names])


def test_padding_and_halving_of_whole_pictures(loaded_clip: LoadedClip) -> None:
    """Zeros right and below after normalisation, to whole multiples of 32 pixels, then half the size."""
    segmenter = Segmenter(loaded_clip, WHOLE)
    images = scene_batch([7], 100, 130)
    found = segmenter.prepare(images)[0].numpy()
    assert found.shape == (3, 64, 80)
    padded = np.zeros((3, 128, 160))
    for channel in range(3):
        padded[channel, :100, :130] = (images[0, channel].numpy() / 255 - MEAN[channel]) / STD[channel]
    np.testing.assert_allclose(found, padded.reshape(3, 64, 2, 80, 2).mean((2, 4)), atol=1e-5)
    assert segmenter.prepare(scene_batch([7], 64, 96)).shape == (1, 3, 32, 48)


def test_features_keep_their_length_under_detectron2(loaded_clip: LoadedClip) -> None:
    """Logits are of features as they are there, and of unit ones under `paper`."""
    seen: dict[str, Tensor] = {}
    images = scene_batch([1], 160, 160)
    for protocol in (SMALL, WHOLE):
        segmenter = Segmenter(loaded_clip, protocol, ["vanilla"])
        classifier = segmenter.classifier(VOCABULARY, progress=False)
        with pytest.MonkeyPatch.context() as patch:

            def watch(patches: Tensor, *rest: object, name: str = protocol.name) -> Tensor:
                seen[name] = patches
                return patch_logits(patches, *rest)  # type: ignore[arg-type]

            patch.setattr("cliptrase.inference.whole.patch_logits", watch)
            segmenter(images, classifier)
    torch.testing.assert_close(seen["paper"].norm(dim=-1), torch.ones(1, 100))
    assert (seen["detectron2"].norm(dim=-1) - 1).abs().min() > 0.05


def test_sizes_that_are_not_whole_patches(loaded_clip: LoadedClip) -> None:
    with pytest.raises(InputError, match="225 is not a multiple of the tower's patch of 16 pixels; take 240 or 224"):
        Segmenter(loaded_clip, get_protocol(size=225))
    segmenter = Segmenter(loaded_clip, SMALL)
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    with pytest.raises(ValueError, match="100 x 160 pixels is not whole patches of 16 x 16"):
        segmenter(scene_batch([1], 100, 160), classifier)


def test_unknown_method(loaded_clip: LoadedClip) -> None:
    with pytest.raises(InputError, match=r"unknown method 'clip' \(did you mean sclip\?\): take one of vanilla"):
        Segmenter(loaded_clip, SMALL, ["clip"])
    with pytest.raises(InputError, match="no method is named; take one of vanilla"):
        Segmenter(loaded_clip, SMALL, [])


def test_one_method_is_a_name(loaded_clip: LoadedClip) -> None:
    assert [method.name for method in Segmenter(loaded_clip, SMALL, "naclip").methods] == ["naclip"]


def test_a_prediction_is_labels_and_regions(loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter(loaded_clip, SMALL, ["vanilla", "cliptrase"])
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    images = torch.cat([noise_picture(160, 160), scene_batch([1], 160, 160)])
    found = segmenter(images, classifier, (80, 90))
    assert (list(found.labels), list(found.regions)) == (["vanilla", "cliptrase"], ["cliptrase"])
    regions = found.regions["cliptrase"]
    assert (regions.shape, regions.dtype) == ((2, 80, 90), torch.int64)
    assert (regions[0] == -1).all()
    assert regions[1].unique().tolist() == list(range(int(regions.max()) + 1))


def test_threads_may_share_a_segmenter(loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both threads have found their regions before either names: each still gets those of its own picture."""
    segmenter = Segmenter(loaded_clip, SMALL)
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    pictures = [scene_batch([number], 160, 160) for number in (1, 2)]
    alone = [segmenter(picture, classifier) for picture in pictures]
    assert not torch.equal(alone[0].regions["cliptrase"], alone[1].regions["cliptrase"])
    gate = threading.Barrier(2)
    name = segmenter.label

    def wait(encoded: WholePictures, classifier: TextClassifier) -> dict[str, Tensor]:
        gate.wait(20)
        return name(encoded, classifier)

    monkeypatch.setattr(segmenter, "label", wait)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda picture: segmenter(picture, classifier), pictures))
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.labels["cliptrase"], other.labels["cliptrase"])
        assert torch.equal(one.regions["cliptrase"], other.regions["cliptrase"])


def test_from_pretrained_is_one_line(tiny_clip: Path, loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter.from_pretrained(f"local-dir:{tiny_clip}", None, SMALL)
    assert segmenter.clip.weights_hash == loaded_clip.weights_hash
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    assert segmenter(scene_batch([1], 160, 160), classifier).labels["cliptrase"].shape == (1, 160, 160)


def test_nothing_of_the_method_is_trained_or_saved(tmp_path: Path) -> None:
    """No gradients, no buffers of its own in a state dict."""
    segmenter = Segmenter(load_clip(f"local-dir:{save_tiny_clip(tmp_path)}"), SMALL, cache_dir=tmp_path)
    assert not any(parameter.requires_grad for parameter in segmenter.parameters())
    assert not {"mean", "std"} & segmenter.state_dict().keys()
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    assert not segmenter(scene_batch([1], 160, 160), classifier).labels["cliptrase"].requires_grad


def test_seconds_of_every_stage(loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter(loaded_clip, SMALL)
    with listening(StageTimer()) as timer:
        classifier = segmenter.classifier(VOCABULARY, progress=False)
        segmenter(scene_batch([1], 160, 160), classifier)
    seconds = timer.seconds()
    stages = ["text", "forward", "correlation", "clustering", "regions", "classification", "vote"]
    assert list(seconds) == stages
    assert all(value > 0 for value in seconds.values())
    segmenter(scene_batch([1], 160, 160), classifier)  # nobody listens any more
    assert timer.seconds() == seconds


@pytest.mark.parametrize("protocol", [SMALL, WHOLE], ids=["paper", "detectron2"])
def test_memory_of_a_batch_does_not_grow_with_the_names(
    loaded_clip: LoadedClip, protocol: EvaluationProtocol, tmp_path: Path
) -> None:
    """From pixels to labels: 480 names take less than 60 full-size maps of a batch more than 8 names."""
    segmenter = Segmenter(loaded_clip, protocol)
    images, size = scene_batch([1, 2, 3, 4], 160, 160), (336, 336)
    text = F.normalize(torch.randn(480, 64, generator=torch.Generator().manual_seed(0)), dim=-1)
    few, many = (TextClassifier(text[:count], torch.arange(count), count) for count in (8, 480))
    peak_bytes(lambda: segmenter(images, few, size), tmp_path)
    one_map = 4 * 4 * 336 * 336
    growth = peak_bytes(lambda: segmenter(images, many, size), tmp_path) - peak_bytes(
        lambda: segmenter(images, few, size), tmp_path
    )
    assert growth < 60 * one_map


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.rand(1, 3, 64, 64), "not torch.float32 (1, 3, 64, 64)"),
        (torch.zeros(1, 1, 64, 64, dtype=torch.uint8), "not torch.uint8 (1, 1, 64, 64)"),
        (torch.zeros(3, 64, 64, dtype=torch.uint8), "not torch.uint8 (3, 64, 64)"),
        (torch.zeros(0, 3, 64, 64, dtype=torch.uint8), "hold no pixel"),
        (np.zeros((64, 64, 3), np.uint8), "not ndarray"),
    ],
)
def test_batches_of_another_form_are_refused(images: object, words: str, loaded_clip: LoadedClip) -> None:
    """Pixels of 0..1 would make every pixel the first class, without a word."""
    segmenter = Segmenter(loaded_clip, get_protocol("paper", size=64))
    with pytest.raises(InputError, match=re.escape(words)):
        segmenter(images, segmenter.classifier(Vocabulary(single_names(["cat", "dog"])), progress=False))


def test_arguments_of_another_type_are_refused(loaded_clip: LoadedClip, tiny_clip: Path) -> None:
    for wrong in (
        {"protocol": "photo"},
        {"protocol": 5},
        {"methods": None},
        {"methods": 5},
        {"activation": "quickgelu"},
    ):
        with pytest.raises(InputError):
            Segmenter.from_pretrained(f"local-dir:{tiny_clip}", None, **wrong)  # type: ignore[arg-type]
    for clip in (None, 5):
        with pytest.raises(InputError, match="must be a name or a path"):
            Segmenter.from_pretrained(clip)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="takes a model from load_clip"):
        Segmenter(None)  # type: ignore[arg-type]


def test_a_protocol_is_taken_by_name(loaded_clip: LoadedClip, tiny_clip: Path) -> None:
    assert Segmenter(loaded_clip, "sclip").protocol == get_protocol("sclip")
    assert Segmenter.from_pretrained(f"local-dir:{tiny_clip}", protocol="whole").protocol == get_protocol("whole")


@pytest.mark.parametrize("method", ["cliptrase", "vanilla", "vanilla+pamr", "cliptrase+regions"])
@pytest.mark.parametrize(
    "protocol",
    [SMALL, WHOLE, get_protocol("sclip", size=80, window=48, stride=32, templates="vild", min_area=0.05)],
    ids=["paper", "detectron2", "sclip"],
)
def test_only_labels_that_are_present(loaded_clip: LoadedClip, protocol: EvaluationProtocol, method: str) -> None:
    """A picture's labels are those that a vocabulary of its own, without the other names, gives."""
    if protocol.windowed and method == "cliptrase":
        method = "clearclip"
    segmenter = Segmenter(loaded_clip, protocol, [method])
    classifier = segmenter.classifier(VOCABULARY, progress=False)
    images = scene_batch([1, 2, 3], 160, 160)
    present = torch.zeros(3, classifier.num_labels, dtype=torch.bool)
    for picture, labels in enumerate(([0, 3, 7], [2], [1, 4, 5, 6])):
        present[picture, labels] = True
    found = segmenter.label(segmenter.encode(images), classifier, present)[segmenter.methods[0].name]
    for picture in range(3):
        kept = present[picture, classifier.name_to_label]
        background = classifier.background_label if present[picture, -1] else None
        own = TextClassifier(
            classifier.embeddings[kept], classifier.name_to_label[kept], classifier.num_labels, background
        )
        alone = segmenter(images[picture : picture + 1], own).labels[segmenter.methods[0].name]
        assert torch.equal(found[picture], alone[0])
