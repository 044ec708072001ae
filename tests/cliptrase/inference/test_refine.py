"""A refinement of maps at the label map's size, against the plain thing, whole and in windows, square and not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.inference.maps import resized
from cliptrase.methods import METHODS, Method, get_method
from cliptrase.ops.classification import TextClassifier, patch_logits
from cliptrase.ops.upsampling import upsampled_argmax
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.readings import last_block
from cliptrase.refinements import maps as maps_module
from cliptrase.refinements.maps import Guide, Maps, NameMaps, Refinement, UpsampledMaps, each_part, highest
from cliptrase.refinements.pamr import pamr
from cliptrase.refinements.tlp import tlp
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests.kit import outside_methods, scene_batch

NAMES = ["cat", "dog", "sky", "tree", "sea", "road", "house", "boat", "lamp", "bird", "horse", "field"]


@each_part
def box_blur(maps: Tensor, guide: Guide) -> Tensor:
    """Mean of 9 x 9 pixels, weighted by how bright they are."""
    weight = guide.images.mean(1, keepdim=True) + 0.1
    return F.avg_pool2d(maps * weight, 9, 1, 4) / F.avg_pool2d(weight, 9, 1, 4)


def plain_blur(maps: Tensor, images: Tensor) -> Tensor:
    """The same, pixel by pixel; (C, H, W) and (3, H, W)."""
    weight = images.double().mean(0) + 0.1
    weighted = maps.double() * weight
    found = torch.empty_like(weighted)
    for y in range(maps.shape[1]):
        for x in range(maps.shape[2]):
            rows, columns = slice(max(0, y - 4), y + 5), slice(max(0, x - 4), x + 5)
            found[:, y, x] = weighted[:, rows, columns].sum((1, 2)) / weight[rows, columns].sum()
    return found


@each_part
def unchanged(maps: Tensor, guide: Guide) -> Tensor:
    return maps


REFINED = replace(METHODS["vanilla"], name="refined", refine=(box_blur,))


def made(clip: LoadedClip, protocol: EvaluationProtocol, method: Method) -> tuple[Segmenter, TextClassifier]:
    segmenter = Segmenter(clip, protocol, [method, "vanilla"])
    return segmenter, segmenter.classifier(Vocabulary(single_names(NAMES)), progress=False)


def agree(found: Tensor, values: Tensor) -> None:
    """Labels (H, W) are the highest of values (C, H, W), save where two are as good as equal."""
    best = values.amax(0)
    chosen = values.gather(0, found.unsqueeze(0))[0]
    assert (best - chosen).max() < 1e-4
    assert (values.argmax(0) == found).float().mean() > 0.999


@pytest.mark.parametrize(("shown", "size"), [((48, 48), (48, 48)), ((48, 80), (30, 50)), ((64, 32), (70, 41))])
def test_whole_images(loaded_clip: LoadedClip, shown: tuple[int, int], size: tuple[int, int]) -> None:
    segmenter, classifier = made(loaded_clip, get_protocol("paper", size=160, eps=0.7, min_samples=3), REFINED)
    images = scene_batch([1, 2], *shown)
    labels = segmenter(images, classifier, size).labels
    with torch.no_grad():
        encoding = segmenter.encoder(segmenter.prepare(images), segmenter.methods)
    features = F.normalize(encoding.features["refined"], dim=-1)
    logits = patch_logits(features[:, 1:], classifier.embeddings, segmenter.scale, encoding.grids["refined"])
    full = F.interpolate(logits, size, mode="bilinear")
    seen = F.interpolate(images.float() / 255, size, mode="bilinear")
    for number in range(2):
        agree(labels["refined"][number], plain_blur(full[number], seen[number]))
    assert not torch.equal(labels["refined"], labels["vanilla"])


@pytest.mark.parametrize(("shown", "size"), [((64, 64), (64, 64)), ((50, 90), (40, 60))])
def test_windows(loaded_clip: LoadedClip, shown: tuple[int, int], size: tuple[int, int]) -> None:
    """Windows without softmax's background rules: the labels are those of the refined mean cosines."""
    protocol = get_protocol("sclip", window=48, stride=32)
    segmenter, classifier = made(loaded_clip, protocol, REFINED)
    images = scene_batch([1, 2], *shown)
    seen: list[Tensor] = []

    @each_part
    def identity(maps: Tensor, guide: Guide) -> Tensor:
        seen.append(maps)
        return maps

    unrefined, _ = made(loaded_clip, protocol, replace(REFINED, refine=(identity,)))
    same = unrefined(images, classifier, size).labels
    assert torch.equal(same["refined"], same["vanilla"])
    labels = segmenter(images, classifier, size).labels["refined"]
    pictures = F.interpolate(images.float() / 255, size, mode="bilinear")
    for number in range(2):
        agree(labels[number], plain_blur(seen[0][number], pictures[number]))


@pytest.mark.parametrize("name", ["paper", "detectron2", "photos", "sclip"])
def test_few_names_at_a_time_are_all_at_once(
    name: str, loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded in names; and without a change to maps nothing changes, under any protocol."""
    taken: list[int] = []

    def watched(maps: NameMaps, guide: Guide) -> NameMaps:
        def refined() -> Maps:
            for first, part in box_blur(maps, guide)():
                taken.append(part.shape[1])
                yield first, part

        assert guide.pixels.shape == guide.images.shape == (2, 3, 50, 70)
        assert 0 <= guide.images.min() <= guide.images.max() <= 1
        assert torch.equal(guide.text, classifier.embeddings)
        return refined

    values: dict[str, Any] = {"size": 160, "eps": 0.7, "min_samples": 3} if name == "paper" else {}
    segmenter, classifier = made(loaded_clip, get_protocol(name, **values), replace(REFINED, refine=(watched,)))
    images = scene_batch([1, 2], 64, 96)
    at_once = segmenter(images, classifier, (50, 70)).labels
    assert taken == [len(NAMES)]
    taken.clear()
    for module in ("refinements.maps", "inference.window_maps"):
        monkeypatch.setattr(f"cliptrase.{module}.VALUES", 5 * 2 * 50 * 70)
    few = segmenter(images, classifier, (50, 70)).labels
    assert taken == [5, 5, 2]
    assert torch.equal(at_once["refined"], few["refined"])
    assert not torch.equal(at_once["refined"], at_once["vanilla"])
    untouched, _ = made(loaded_clip, segmenter.protocol, replace(REFINED, refine=(unchanged,)))
    same = untouched(images, classifier, (50, 70)).labels
    assert (same["refined"] == same["vanilla"]).float().mean() > 0.999


def test_class_token_weighting_comes_before(loaded_clip: LoadedClip) -> None:
    segmenter, _ = made(loaded_clip, get_protocol("paper", size=160), replace(REFINED, refine=(unchanged,)))
    classifier = segmenter.classifier(Vocabulary(single_names(NAMES)), class_token_weighting=True, progress=False)
    labels = segmenter(scene_batch([1], 64, 96), classifier).labels
    assert (labels["refined"] == labels["vanilla"]).float().mean() > 0.999


def test_upsampled_maps_are_the_arg_maxs(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.randn(2, 7, 3, 5, generator=torch.Generator().manual_seed(0))
    expected = upsampled_argmax(maps, (40, 60))[:, :33, :51]
    for values in (1 << 24, 1):
        monkeypatch.setattr(maps_module, "VALUES", values)
        assert torch.equal(highest(UpsampledMaps(maps, (40, 60), (33, 51))())[0], expected)


def test_pixels_of_the_label_maps_size() -> None:
    pixels = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(0))
    assert resized(pixels, (8, 10)) is pixels
    assert resized(pixels, (5, 20)).shape == (1, 3, 5, 20)


@pytest.mark.parametrize(
    ("refine", "words"),
    [
        (each_part(lambda maps, guide: maps[:, :1]), "maps of 1 names; wanted is a function that gives"),
        (each_part(lambda maps, guide: maps[..., 1:]), "(1, 12, 64, 63) from name 0 on where name 0 is next;"),
        (each_part(lambda maps, guide: None), "NoneType; wanted"),  # type: ignore[arg-type, return-value]
        (lambda maps, guide: None, "NoneType instead of a function; wanted"),
        (
            lambda maps, guide: lambda: iter([*maps(), *maps()]),
            "(1, 12, 64, 64) from name 0 on where name 12 is",
        ),
        (lambda maps, guide: lambda: iter([]), "maps of 0 names; wanted is"),
    ],
)
@pytest.mark.parametrize("protocol", ["paper", "sclip"])
def test_refinements_that_return_something_else(
    protocol: str, refine: Refinement, words: str, loaded_clip: LoadedClip
) -> None:
    values: dict[str, Any] = {"size": 160} if protocol == "paper" else {}
    segmenter, classifier = made(loaded_clip, get_protocol(protocol, **values), replace(REFINED, refine=(refine,)))
    with pytest.raises(InputError) as error:
        segmenter(scene_batch([1], 64, 64), classifier)
    assert f"method refined: its refinement returns {words}" in str(error.value)


@pytest.mark.parametrize("refine", [3, box_blur, [box_blur], ("box_blur",), ("a:b", None)])
def test_refinements_that_cannot_be(refine: Any) -> None:
    with pytest.raises(InputError, match="is no tuple of refinements or of their places"):
        replace(REFINED, refine=refine)


def test_a_refinement_from_a_file(tmp_path: Path) -> None:
    """As part of a method; by its place too; with switches after it."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from dataclasses import replace\nfrom cliptrase.methods import METHODS\n"
        "def as_is(maps, guide): return maps\n"
        "AS_IS = replace(METHODS['sclip'], name='as_is', refine=(as_is,))\n"
        "PLACED = replace(AS_IS, name='placed', refine=('cliptrase.refinements.tlp:tlp',))\n"
    )
    (refine,) = get_method(f"{file}:AS_IS").load_refinements()
    assert refine.__name__ == "as_is"
    assert get_method(f"{file}:PLACED").load_refinements() == (tlp,)
    both = get_method(f"{file}:AS_IS+tlp+regions+pamr")
    assert both.name == "as_is+regions+pamr+tlp"
    assert [one.__name__ for one in both.load_refinements()] == ["as_is", "pamr", "tlp"]
    changed = get_method(f"{file}:PLACED+tlp+pamr")
    assert (changed.name, changed.load_refinements()) == ("placed+pamr", (tlp, pamr))
    assert Method("mine", "tests", last_block(outside_methods.key_key)).load_refinements() == ()
