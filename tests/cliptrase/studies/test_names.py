"""Naming stress: every vocabulary as one of its own gives it, and cases whose figures are known beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cliptrase.clip.weights import LoadedClip
from cliptrase.evaluation.counts import Counts, SegmentationCounts
from cliptrase.methods import get_method
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import Seen, Studied, variant
from cliptrase.studies.name_tables import OWN, PRESENT, added, lost, name_tables
from cliptrase.studies.names import Choice, NamingStress, PreparedNames
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.spec import DatasetSpec
from tests.kit import scene_batch

CLASSES = (("grass", "green lawn"), ("sky",), ("sand",), ("sea",))
OTHERS = ("meadow", "cloud", "beach, shore", "lake", "grasses", "blue sky", "roof", "brick", "car", "dog", "cat", "hat")
STUDY = NamingStress([("sand", "gravel"), ("sea", "ocean")], OTHERS, draws=2)
WINDOWS = get_protocol("sclip", size=64, window=48, stride=32, templates="vild")
WHOLE = get_protocol(size=96, eps=0.7, min_samples=3, templates="vild")


def setting(background: tuple[str, ...] = (), weighting: bool = False) -> DatasetSpec:
    own = Vocabulary(CLASSES, background)
    mine = Vocabulary((("turf",), ("sky",), ("sand",), ("sea",)), ("cup",) if background else ())
    return DatasetSpec("Small", "", (), "", own, vocabularies={"mine": mine}, class_token_weighting=weighting)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliptrase.studies.names.STEPS", (2, 5))


def plain_maps(segmenter: Segmenter, spec: DatasetSpec, vocabulary: Vocabulary, images: Tensor) -> dict[str, Tensor]:
    """Label maps of a vocabulary alone, by a run of its own."""
    classifier = segmenter.classifier(vocabulary, spec.class_token_weighting, False, spec.name)
    return segmenter(images, classifier).labels


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("protocol", "methods", "spec"),
    [
        (WHOLE, ["cliptrase", "vanilla"], setting(weighting=True)),
        (WHOLE, ["cliptrase+mean", "vanilla"], setting(("wall",))),
        (WINDOWS, ["sclip", "sclip+regions"], setting(("wall", "floor"))),
    ],
    ids=["whole pictures", "background", "windows"],
)
def test_a_vocabulary_names_as_it_does_alone(
    protocol: EvaluationProtocol, methods: list[str], spec: DatasetSpec, loaded_clip: LoadedClip
) -> None:
    segmenter = Segmenter(loaded_clip, protocol, methods)
    images = scene_batch([1, 2], 96, 96)
    own = segmenter.classifier(spec.vocabulary, spec.class_token_weighting, False, spec.name)
    found = segmenter(images, own)
    truth = torch.arange(96).view(1, 1, -1).expand(2, 96, 96) // 20 - 1  # -1 is not scored
    seen = Seen(found.encoded, own, found.labels, truth)
    maps = STUDY.prepare(segmenter, spec, False).label_maps(seen)
    assert list(maps) == STUDY.variants(spec, segmenter.methods)
    labels = spec.vocabulary.num_labels
    alone = {name: plain_maps(segmenter, spec, one, images) for name, one in STUDY.vocabularies(spec).items()}
    assert list(alone) == ["list mine", "first names", "plurals", "with the article", "synonyms 1", "synonyms 2"]
    nearest = nearest_absent(segmenter, spec)
    assert "grasses" not in nearest
    assert "blue sky" not in nearest
    for step in (2, 5):
        # Absent names as classes of their own after the others; the background keeps its label.
        classes = (*spec.vocabulary.classes, *single_names(nearest[:step]))
        larger = replace(spec.vocabulary, classes=classes, background_label=spec.vocabulary.background_index)
        named = plain_maps(segmenter, spec, larger, images)
        alone[added(step)] = {method: one.clamp_max(labels) for method, one in named.items()}
        assert any((one >= labels).any() for one in named.values())
    for name, by_method in alone.items():
        for method, expected in by_method.items():
            assert torch.equal(maps[variant(method, name)], expected), (name, method)
    for method in methods:
        for picture in range(2):
            present = sorted(set(truth[picture].unique().tolist()) & set(range(labels)))
            assert set(maps[variant(method, PRESENT)][picture].unique().tolist()) <= set(present)
            for step in (2, 5):
                left = plain_left(found.labels[method][picture], truth[picture], alone[added(step)][method][picture])
                assert torch.equal(maps[variant(method, lost(step))][picture], left.where(left >= 0, labels))


def nearest_absent(segmenter: Segmenter, spec: DatasetSpec) -> list[str]:
    """Names of no class by their highest cosine with one of the vocabulary, one pair after the other."""
    kept = [name for name in OTHERS if name not in ("grasses", "blue sky", *spec.vocabulary.names)]
    prompt = ["a photo of a {}."]
    own = segmenter.embeddings(spec.vocabulary.names, prompt, progress=False)
    every = dict(zip(OTHERS, segmenter.embeddings(OTHERS, prompt, progress=False), strict=True))
    return sorted(kept, key=lambda name: max(float(every[name] @ row) for row in own), reverse=True)


def plain_left(own: Tensor, truth: Tensor, named: Tensor) -> Tensor:
    """The run's own labels, -1 where they are right and a name of something that is not there takes the pixel."""
    there = set(truth.unique().tolist()) - {-1}
    left = own.clone()
    for row in range(own.shape[0]):
        for column in range(own.shape[1]):
            label = int(own[row, column])
            if label == int(truth[row, column]) and int(named[row, column]) not in there:
                left[row, column] = -1
    return left


@dataclass
class Planted:
    """Patches of one pixel each, whose nearest name takes them."""

    features: Tensor  # (B, H, W, E)

    def labels(self, method: Any, classifier: TextClassifier, present: Tensor | None = None) -> Tensor:
        cosines = self.features @ classifier.embeddings.T
        if present is not None:
            allowed = present[:, classifier.name_to_label][:, None, None]
            cosines = cosines.masked_fill(~allowed, -2)
        return classifier.name_to_label[cosines.argmax(-1)]


def planted() -> tuple[PreparedNames, Seen]:
    """Two classes and an absent name on the axes of space, over two pictures of 4 x 5 pixels.

    Class 0 has a synonym of the very same direction. Of its pixels 3 lie nearer to the absent name, and 2 more of
    class 1 are wrong anyhow.
    """
    axes = torch.eye(3)
    text = torch.stack([axes[0], axes[1], axes[0], axes[2]])  # two classes, a synonym of the first, an absent name
    names = ["first", "second", "synonym", "absent"]
    features = axes[0].repeat(2, 4, 5, 1)
    features[:, 2:] = axes[1]
    features[0, 0, :3] = torch.tensor([0.6, 0.0, 0.8])
    features[1, 3, :2] = torch.tensor([0.6, 0.0, 0.8])
    truth = torch.zeros(2, 4, 5, dtype=torch.int64)
    truth[:, 2:] = 1
    labels = torch.tensor([0, 1])
    own = TextClassifier(text[:2], labels, 2)
    choices = {"": Choice.of(names[:2], labels, own, text, names)}
    choices["synonyms 1"] = Choice.of(["synonym", "second"], labels, own, text, names)
    choices[added(10)] = choices[""].with_absent(["absent"], text, names)
    encoded: Any = Planted(features)
    predictions = {"vanilla": encoded.labels(None, own)}
    return PreparedNames([get_method("vanilla")], text, choices, [10]), Seen(encoded, own, predictions, truth)


def counted(maps: Mapping[str, Tensor], labels: Tensor, num_labels: int) -> dict[str, Counts]:
    counts = SegmentationCounts(list(maps), num_labels)
    counts.update(maps, labels, list(range(len(labels))))
    found: dict[str, Counts] = counts.compute()
    return found


def spec_of(classes: int) -> DatasetSpec:
    return DatasetSpec("Planted", "", (), "", Vocabulary(single_names([f"class {n}" for n in range(classes)])))


def test_an_absent_name_takes_the_pixels_that_were_planted() -> None:
    prepared, seen = planted()
    counts = counted(prepared.label_maps(seen), seen.labels, 3)
    own = counted(seen.predictions, seen.labels, 2)
    # Of 40 scored pixels 38 are right, and 3 of them go to the absent name, with 2 that were wrong.
    with_absent = counts[variant("vanilla", added(10))].confusion.tolist()
    assert with_absent == [[17, 0, 3], [0, 18, 2], [0, 0, 0]]
    studied = Studied(get_protocol(), [get_method("vanilla")], [spec_of(2)], {"Planted": counts}, {"Planted": own})
    wordings, draws, curve, ranks = name_tables(
        studied, ["vanilla"], ["resclip"], {"Planted": ["synonyms 1"]}, {"Planted": [10]}, ["said"]
    )
    assert "resclip is left out" in wordings.notes[0]
    assert wordings.notes[1] == "said"
    first, second = wordings.rows
    assert first[:3] == ["Planted", "vanilla", OWN]
    assert second[3] == first[3]
    assert (second[5], second[6]) == (0.0, (0.0, 0.0))  # a synonym that changes nothing
    assert draws.rows == [["Planted", "vanilla", 1, first[3], first[3], first[3]]]
    assert [row[2] for row in curve.rows] == [PRESENT, OWN, added(10)]
    assert [row[7] for row in curve.rows] == [None, 0.0, 100 * 3 / 40]
    assert ranks.rows == []
    assert ranks.notes == ["Methods are ranked where there are at least 3."]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_what_an_absent_name_takes_is_a_miss_and_nobodys_false_positive(definition: str) -> None:
    """Against loops over the pixels; class 3 is only predicted, and class 4 occurs nowhere."""
    draws = np.random.default_rng(0)
    truth, named = draws.integers(3, size=(4, 6, 6)), draws.integers(6, size=(4, 6, 6))
    named[named == 4] = 5
    counts = counted({"one": torch.from_numpy(named), "two": torch.from_numpy(named)}, torch.from_numpy(truth), 6)
    protocol = replace(get_protocol(), base=None, scoring=definition)
    studied = Studied(protocol, [], [], {}, {})
    (figure, again) = studied.estimates([counts["one"], counts["two"]], labels=5)
    rule = DEFINITIONS[definition]
    ious = []
    for label in range(5):
        pairs = list(zip(truth.flatten().tolist(), named.flatten().tolist(), strict=True))
        both = sum(pair == (label, label) for pair in pairs)
        union = sum(label in pair for pair in pairs)
        in_truth = any(true == label for true, _ in pairs)
        if {"all": True, "truth": in_truth, "union": union > 0}[rule.iou_over]:
            ious.append(both / (union + rule.added) if union + rule.added else 0)
    assert figure.mIoU == pytest.approx(100 * sum(ious) / len(ious))
    assert again.difference == 0


def test_methods_are_ranked_by_planted_figures() -> None:
    """Under the plurals the first two of three methods change places: one pair of three in another order."""

    def right(share: int) -> Counts:
        prediction = torch.ones(2, 1, 10, dtype=torch.int64)
        prediction[:, :, :share] = 0
        return counted({"x": prediction}, torch.zeros(2, 1, 10, dtype=torch.int64), 2)["x"]

    methods = [get_method(name) for name in ("cliptrase", "vanilla", "maskclip")]
    names = [method.name for method in methods]
    own = dict(zip(names, map(right, (8, 6, 2)), strict=True))
    other = dict(zip((variant(name, "plurals") for name in names), map(right, (5, 7, 1)), strict=True))
    counts = other | {variant(name, PRESENT): one for name, one in own.items()}
    studied = Studied(get_protocol(), methods, [spec_of(2)], {"Planted": counts}, {"Planted": own})
    ranks = name_tables(studied, names, [], {"Planted": ["plurals"]}, {"Planted": []}, [])[-1]
    assert ranks.rows == [["Planted", "plurals", pytest.approx(1 / 3)], ["Planted", PRESENT, pytest.approx(1)]]


def test_methods_that_read_the_names_are_left_out() -> None:
    methods = [get_method("vanilla"), get_method("resclip")]
    assert {name.partition(" | ")[0] for name in STUDY.variants(setting(), methods)} == {"vanilla"}
    assert STUDY.variants(setting(), methods[1:]) == []


def test_labels_beyond_the_vocabulary_are_no_truth() -> None:
    """Maps of COCO's things hold values of stuff, which are left out; the study's further label is one of them."""
    prepared, seen = planted()
    labels = seen.labels.clone()
    labels[0, 0, :3] = torch.tensor([2, 3, 255])
    truth = prepared.truth(replace(seen, labels=labels))
    assert truth[0, 0].tolist() == [-1, -1, -1, 0, 0]
    counts = counted(prepared.label_maps(replace(seen, labels=labels)), truth, 3)
    assert counts[variant("vanilla", added(10))].confusion.tolist() == [[17, 0, 0], [0, 18, 2], [0, 0, 0]]


def test_the_lists_and_draws_decide_the_identity() -> None:
    def identities(studies: Sequence[NamingStress]) -> set[str]:
        return {study.identity for study in studies}

    others = [replace(STUDY, draws=3), replace(STUDY, others=OTHERS[:-1]), replace(STUDY, synonyms=[("a", "b")])]
    assert len(identities([STUDY, *others])) == 4
    assert identities([STUDY]) == identities([replace(STUDY)])
