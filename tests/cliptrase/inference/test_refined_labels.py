"""Label maps of `+pamr` and `+tlp` with and without regions, whole and in windows, against slow references."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import LoadedClip
from cliptrase.inference import maps as maps_module
from cliptrase.inference.maps import KeptMaps
from cliptrase.methods import METHODS, get_method
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.table import get_protocol
from cliptrase.refinements.maps import Guide, Maps, NameMaps, each_part
from cliptrase.segmenter import Segmenter
from tests import references
from tests.cliptrase.inference.test_windows import classifier, plain_decision, plain_slide
from tests.kit import scene_batch

NAME_TO_LABEL = [0, 0, 1, 2, 2, 3, 3, 4, 4]
PAPER = get_protocol("paper", size=160, eps=0.5, min_samples=2)
SCLIP = get_protocol(
    "sclip", window=64, stride=40, logit_scale=40, eps=0.7, min_samples=3, background_threshold=0.2, min_area=0.1
)


@torch.no_grad()
def text_of_patches(segmenter: Segmenter, images: Tensor, names: int) -> Tensor:
    """(names, E) unit embeddings, each near patches of some picture and far from what all have in common."""
    pixels = segmenter.prepare(images)[:, :, : images.shape[2] // 16 * 16, : images.shape[3] // 16 * 16]
    encoding = segmenter.encoder(pixels, segmenter.methods)
    tokens = F.normalize(encoding.features[segmenter.methods[0].name][:, 1:], dim=-1).flatten(0, 1)
    return F.normalize(tokens[:: len(tokens) // names][:names] - tokens.mean(0), dim=-1)


def refined(name: str, maps: Tensor, guide: Tensor, text: Tensor) -> Tensor:
    """(C, H, W) maps under (3, H, W) normalised pixels after one refinement or both."""
    values = maps.numpy()
    for one in name.split("+"):
        if one == "pamr":
            values = references.pamr(values, guide.numpy())
        else:
            values = references.tlp(values, guide.numpy(), text.numpy())
    return torch.from_numpy(values).float()


def alike(found: Tensor, expected: Tensor) -> None:
    """(B, H, W) labels, up to a pixel or two where names tie; and there is more than one label to be told apart."""
    assert len(expected.unique()) > 1
    assert (found != expected).sum() <= 2


def cosines_on_grid(segmenter: Segmenter, images: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, h, w) cosines of patches and (B, C) of the class token, from a tower that sees the pictures whole."""
    with torch.no_grad():
        encoding = segmenter.encoder(segmenter.prepare(images), segmenter.methods)
    tokens = F.normalize(encoding.features[segmenter.methods[0].name], dim=-1) @ text.T
    return tokens[:, 1:].mT.unflatten(2, (images.shape[2] // 16, images.shape[3] // 16)), tokens[:, 0]


@pytest.mark.parametrize(("shown", "size"), [((112, 112), (50, 50)), ((112, 176), (45, 70))])
@pytest.mark.parametrize("weighting", [False, True])
@pytest.mark.parametrize(
    "spec", ["sclip+pamr", "sclip+tlp", "sclip+pamr+tlp", "cliptrase+pamr", "cliptrase+mean+pamr", "cliptrase+mean+tlp"]
)
def test_whole_pictures(
    spec: str, weighting: bool, shown: tuple[int, int], size: tuple[int, int], loaded_clip: LoadedClip
) -> None:
    """Majorities are of refined labels, means of refined maps; the class token's weights come first."""
    images = scene_batch([5, 6], *shown)
    segmenter = Segmenter(loaded_clip, PAPER, [spec])
    text = text_of_patches(segmenter, images, len(NAME_TO_LABEL))
    names = replace(classifier(text, NAME_TO_LABEL), class_token_weighting=weighting)
    prediction = segmenter(images, names, size)
    cosines, weights = cosines_on_grid(segmenter, images, text)
    if weighting:
        cosines = cosines * weights[:, :, None, None]
    full = F.interpolate(cosines, size, mode="bilinear")
    guides = F.interpolate(segmenter.prepare(images), size, mode="bilinear")
    refinement = "+".join(part for part in spec.split("+") if part in ("pamr", "tlp"))
    labels = names.name_to_label.numpy()
    wanted = []
    for number in range(2):
        maps = refined(refinement, full[number], guides[number], text)
        expected = maps.argmax(0).numpy()
        if "mean" in spec:
            regions = prediction.regions[spec][number].numpy()
            expected = labels[references.mean_logits_vote(maps.numpy(), regions, expected)]
        elif "cliptrase" in spec:
            regions = prediction.regions[spec][number].numpy()
            expected = references.majority_vote(labels[expected], regions)
        else:
            expected = labels[expected]
        wanted.append(torch.from_numpy(expected))
    alike(prediction.labels[spec], torch.stack(wanted))


@pytest.mark.parametrize(("height", "width", "size"), [(96, 96, (60, 60)), (80, 120, (50, 75))])
@pytest.mark.parametrize("spec", ["clearclip+pamr", "clearclip+tlp", "clearclip+pamr+tlp"])
def test_windows(spec: str, height: int, width: int, size: tuple[int, int], loaded_clip: LoadedClip) -> None:
    images = scene_batch([3, 4], height, width)
    segmenter = Segmenter(loaded_clip, SCLIP, [spec])
    text = text_of_patches(segmenter, images, len(NAME_TO_LABEL))
    found = segmenter(images, classifier(text, NAME_TO_LABEL, background=3), size).labels[spec]
    guides = F.interpolate(segmenter.prepare(images), size, mode="bilinear")
    wanted = []
    for number in range(2):
        maps = plain_slide(segmenter, images[number : number + 1], text, size, SCLIP)
        maps = refined(spec.removeprefix("clearclip+"), maps, guides[number], text)
        wanted.append(plain_decision(maps, NAME_TO_LABEL, SCLIP, 3))
    alike(found, torch.stack(wanted))


def test_windows_with_regions(loaded_clip: LoadedClip) -> None:
    """The maps that regions voted for in each window and windows averaged are refined."""
    images, size = scene_batch([3, 4], 80, 120), (50, 75)
    voted: list[Tensor] = []

    @each_part
    def seen(maps: Tensor, guide: Guide) -> Tensor:
        voted.append(maps)
        return maps

    unrefined = Segmenter(loaded_clip, SCLIP, [replace(METHODS["cliptrase"], name="seen", refine=(seen,)), "cliptrase"])
    text = text_of_patches(unrefined, images, len(NAME_TO_LABEL))
    names = classifier(text, NAME_TO_LABEL, background=3)
    plain = unrefined(images, names, size).labels
    assert torch.equal(plain["seen"], plain["cliptrase"])
    segmenter = Segmenter(loaded_clip, SCLIP, ["cliptrase+pamr"])
    found = segmenter(images, names, size).labels["cliptrase+pamr"]
    guides = F.interpolate(segmenter.prepare(images), size, mode="bilinear")
    maps = [refined("pamr", voted[0][number], guides[number], text) for number in range(2)]
    alike(found, torch.stack([plain_decision(one, NAME_TO_LABEL, SCLIP, 3) for one in maps]))
    assert not torch.equal(found, plain["cliptrase"])


@pytest.mark.parametrize("protocol", [PAPER, SCLIP], ids=lambda protocol: protocol.name)
def test_every_method_every_switch(protocol: Any, loaded_clip: LoadedClip) -> None:
    """All in one run are each alone, in a batch and one by one, and no refinement is another or none."""
    specs = [f"{name}{regions}" for name in ("vanilla", "cliptrase", "naclip") for regions in ("-regions", "+regions")]
    specs = [spec + switch for spec in specs for switch in ("", "+pamr", "+tlp", "+tlp+pamr")]
    images, size = scene_batch([1, 2, 3], 112, 176), (50, 70)
    segmenter = Segmenter(loaded_clip, protocol, specs)
    text = text_of_patches(segmenter, images, len(NAME_TO_LABEL))
    names = classifier(text, NAME_TO_LABEL, background=3)
    together = segmenter(images, names, size).labels
    alone = [segmenter(image[None], names, size).labels for image in images]
    for spec in specs:
        name = get_method(spec).name
        assert torch.equal(together[name], torch.cat([labels[name] for labels in alone]))
    for first in range(0, len(specs), 4):
        maps = {together[get_method(spec).name].numpy().tobytes() for spec in specs[first : first + 4]}
        assert len(maps) == 4 or ("+regions" in specs[first] and protocol is PAPER), specs[first]


@pytest.mark.parametrize("protocol", [PAPER, SCLIP], ids=lambda protocol: protocol.name)
def test_half_precision_of_the_tower_leaves_refinements_exact(protocol: Any, loaded_clip: LoadedClip) -> None:
    images, size = scene_batch([1, 2], 80, 112), (50, 70)
    segmenter = Segmenter(loaded_clip, protocol, ["sclip+pamr", "sclip+tlp"])
    names = classifier(text_of_patches(segmenter, images, len(NAME_TO_LABEL)), NAME_TO_LABEL, background=3)
    with torch.no_grad():
        encoded = segmenter.encode(images, size)
        expected = segmenter.label(encoded, names)
        with torch.autocast("cpu", torch.bfloat16):
            found = segmenter.label(encoded, names)
    for name, labels in expected.items():
        assert torch.equal(found[name], labels)


class Counted:
    """A refinement that counts how often its maps are computed."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, maps: NameMaps, guide: Guide) -> NameMaps:
        def refined() -> Maps:
            self.times += 1
            yield from maps()

        return refined


def with_area_rule(clip: LoadedClip, method: Any) -> tuple[Segmenter, TextClassifier, Tensor]:
    images = scene_batch([3, 4], 80, 120)
    segmenter = Segmenter(clip, SCLIP, [method, "clearclip"])
    text = text_of_patches(segmenter, images, len(NAME_TO_LABEL))
    return segmenter, classifier(text, NAME_TO_LABEL, background=3), images


def test_the_area_rule_computes_nothing_twice(loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as all maps together are few; the labels are the same otherwise."""
    counted = Counted()
    method = replace(METHODS["clearclip"], name="counted", refine=(counted,))
    segmenter, names, images = with_area_rule(loaded_clip, method)
    few = segmenter(images, names, (50, 75)).labels
    assert counted.times == 1
    monkeypatch.setattr(maps_module, "VALUES", 50 * 75 * 2 * 8)  # all but one name
    many = segmenter(images, names, (50, 75)).labels
    assert counted.times == 3
    assert torch.equal(few["counted"], many["counted"])
    assert torch.equal(few["counted"], few["clearclip"])
    lenient = Segmenter(loaded_clip, replace(SCLIP, min_area=0), [method])
    assert not torch.equal(lenient(images, names, (50, 75)).labels["counted"], few["counted"])
    assert counted.times == 4


def test_kept_maps_are_those_that_came() -> None:
    def maps() -> Iterator[tuple[int, Tensor]]:
        for first in range(0, 6, 2):
            yield first, torch.full((1, 2, 3, 4), float(first))

    kept = KeptMaps(maps)
    for _ in range(2):
        assert [(first, float(part.mean())) for first, part in kept()] == [(0, 0), (2, 2), (4, 4)]
    next(iter(KeptMaps(maps)()))
    half = KeptMaps(maps)
    next(half())  # given up on after one part
    assert len(list(half())) == 3


def test_a_batch_encoded_for_methods_that_do_not_refine(loaded_clip: LoadedClip) -> None:
    images = scene_batch([3], 64, 64)
    segmenter = Segmenter(loaded_clip, PAPER, ["sclip"])
    text = text_of_patches(segmenter, images, len(NAME_TO_LABEL))
    encoded = segmenter.encode(images)
    method = replace(get_method("sclip+pamr"), name="sclip")
    with pytest.raises(ValueError, match="method sclip refines, but the batch was encoded for methods that do not"):
        encoded.labels(method, classifier(text, NAME_TO_LABEL))


def test_what_guides_is_what_lies_under_the_label_map(loaded_clip: LoadedClip) -> None:
    """Normalised as the tower is shown it; without padding, save where the label map is stretched over that too."""
    given: list[Guide] = []

    def seen(maps: NameMaps, guide: Guide) -> NameMaps:
        given.append(guide)
        return maps

    images, size = scene_batch([3], 72, 120), (36, 60)
    shares = F.interpolate(images / 255, size, mode="bilinear")
    for name, values in {
        "paper": {"size": 160, "fit": "trim"},
        "whole": {},
        "sclip": {"window": 48, "stride": 32},
        "naclip": {},
    }.items():
        protocol = get_protocol(name, **values)  # type: ignore[arg-type]
        segmenter = Segmenter(loaded_clip, protocol, [replace(METHODS["sclip"], name="seen", refine=(seen,))])
        text = text_of_patches(segmenter, images, 5)
        given.clear()
        segmenter(images, classifier(text, list(range(5))), size)
        (guide,) = given
        assert torch.equal(guide.text, text)
        torch.testing.assert_close(guide.images, shares, rtol=0, atol=2e-6)
        mean, std = segmenter.mean, segmenter.std
        if protocol.normalisation == "mmseg":
            mean, std = (torch.tensor(np.round(255 * value.numpy(), 3)) / 255 for value in (mean, std))
        torch.testing.assert_close(guide.pixels, (shares - mean) / std, rtol=0, atol=1e-5)
    for protocol, padded in (
        (get_protocol("whole", label_area="canvas"), F.pad(images / 255, (0, 8, 0, 8), mode="replicate")),
        (get_protocol("detectron2"), with_mean(images / 255, segmenter.mean, (96, 128))),
    ):
        segmenter = Segmenter(loaded_clip, protocol, [replace(METHODS["sclip"], name="seen", refine=(seen,))])
        given.clear()
        segmenter(images, classifier(text, list(range(5))), size)
        halved = F.interpolate(padded, scale_factor=0.5, mode="bilinear") if protocol.name == "detectron2" else padded
        expected = F.interpolate(halved, size, mode="bilinear")
        torch.testing.assert_close(given[0].images, expected, rtol=0, atol=2e-6)


def with_mean(images: Tensor, mean: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures padded right and below by what is 0 once it is normalised."""
    padded = mean.expand(len(images), 3, *size).clone()
    padded[:, :, : images.shape[2], : images.shape[3]] = images
    return padded
