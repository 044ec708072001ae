""" "None of these": which pixels lose their word, against a slow plain reference; probabilities; neutral words."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import LoadedClip
from cliptrase.common import resizing
from cliptrase.common.errors import InputError
from cliptrase.inference import unlikely as unlikely_module
from cliptrase.inference.neutral import CHANCE, close_to, none_of_these, null_rank
from cliptrase.inference.neutral_words import NEUTRAL_WORDS
from cliptrase.ops.classification import NoneOfThese, TextClassifier
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, parse_words
from tests.cliptrase.inference.test_refined_labels import PAPER, cosines_on_grid, refined, text_of_patches
from tests.kit import scene, scene_batch

FEW_TEMPLATES = replace(PAPER, templates="vild")
NAME_TO_LABEL = [0, 0, 1, 2]
SCALE = 20.0


def with_none(names: TextClassifier, neutral: Tensor, rank: int, least: float | None) -> TextClassifier:
    rule = NoneOfThese(neutral, rank, SCALE, least)
    return replace(names, num_labels=names.num_labels + 1, none=rule)


def words(segmenter: Segmenter, images: Tensor, least: float | None) -> tuple[TextClassifier, TextClassifier]:
    """Names without and with a threshold; some neutral words are near patches too."""
    text = text_of_patches(segmenter, images, len(NAME_TO_LABEL))
    near = text_of_patches(segmenter, images, 13)
    noise = F.normalize(torch.randn(20, text.shape[1], generator=torch.Generator().manual_seed(3)), dim=-1)
    names = TextClassifier(text, torch.tensor(NAME_TO_LABEL), 3)
    return names, with_none(names, torch.cat([near, noise]), 5, least)


def plain_scores(maps: Tensor) -> Tensor:
    """(C, H, W) of names to (labels, H, W): the highest name of each label."""
    return torch.stack(
        [
            torch.stack([maps[name] for name, own in enumerate(NAME_TO_LABEL) if own == label]).amax(0)
            for label in range(3)
        ]
    )


def plain_short(maps: Tensor, level: Tensor, least: float | None) -> Tensor:
    """Where (C, H, W) cosines of names are none of them beside (H, W): all probabilities, written out."""
    scores = plain_scores(maps).double()
    if least is None:
        return (scores < level).all(0)
    weights = (SCALE * torch.cat([scores, level[None].double()])).exp()
    return (weights[:-1] / weights.sum(0) < least).all(0)


@pytest.mark.parametrize("least", [None, 0.35])
@pytest.mark.parametrize("spec", ["sclip", "cliptrase", "cliptrase+mean", "sclip+tlp", "cliptrase+mean+pamr"])
def test_whole_pictures(spec: str, least: float | None, loaded_clip: LoadedClip) -> None:
    """The level by a sort at every patch; a region by most of its pixels, or by the means of its maps."""
    images, size = scene_batch([5, 6], 112, 176), (27, 42)
    segmenter = Segmenter(loaded_clip, PAPER, [spec])
    names, ruled = words(segmenter, images, least)
    free, found = segmenter(images, names, size), segmenter(images, ruled, size)
    assert ruled.none is not None
    cosines, _ = cosines_on_grid(segmenter, images, names.embeddings)
    neutral, _ = cosines_on_grid(segmenter, images, ruled.none.neutral)
    levels = torch.from_numpy(np.sort(neutral.numpy(), 1)[:, -ruled.none.rank][:, None].copy())

    def enlarged(maps: Tensor) -> Tensor:
        return F.interpolate(maps, size, mode="bilinear", align_corners=False)

    refinement = "+".join(part for part in spec.split("+") if part in ("pamr", "tlp"))
    wrong = decided = 0
    for image in range(2):
        maps, level = enlarged(cosines)[image], enlarged(levels)[image]
        if refinement:
            guide = F.interpolate(segmenter.prepare(images), size, mode="bilinear", align_corners=False)[image]
            mean = F.normalize(ruled.none.neutral.mean(0, keepdim=True), dim=-1)
            maps = refined(refinement, maps, guide, names.embeddings)
            level = refined(refinement, level, guide, mean)
        short = plain_short(maps, level[0], least)
        if spec in found.regions:
            regions = found.regions[spec][image]
            for number in regions.unique().tolist():
                inside = regions == number
                if number >= 0 and "mean" in spec:
                    means = torch.stack([one[inside].mean() for one in maps]).view(-1, 1, 1)
                    short[inside] = plain_short(means, level[0][inside].mean().view(1, 1), least)[0, 0]
                elif number >= 0:
                    short[inside] = 2 * int(short[inside].sum()) > int(inside.sum())
        expected = torch.where(short, 3, free.labels[spec][image])
        wrong += int((found.labels[spec][image] != expected).sum())
        decided += int(short.any()) + int((~short).any())
    assert wrong <= 2  # pixels at which the level is met up to rounding
    assert decided >= 3  # some pixels are named and some are not


@pytest.mark.parametrize("least", [None, 0.35])
@pytest.mark.parametrize("method", ["sclip", "cliptrase", "sclip+pamr"])
@torch.no_grad()
def test_windows_take_their_level_as_a_name_takes_its_map(
    method: str, least: float | None, loaded_clip: LoadedClip
) -> None:
    """The level is laid on the picture like a name: what a name of such cosines gives is the reference."""
    protocol = get_protocol("sclip", window=64, stride=40, eps=0.7, min_samples=3)
    segmenter = Segmenter(loaded_clip, protocol, [method])
    images, size = scene_batch([5, 6], 100, 120), (90, 130)
    names, ruled = words(segmenter, images, least)
    encoded = segmenter.encode(images, size)
    (likely,) = segmenter.probabilities(encoded, ruled).values()
    free, found = (segmenter.label(encoded, one)[method] for one in (names, ruled))
    torch.testing.assert_close(likely.sum(1), torch.ones(2, *size))
    scale = protocol.logit_scale / SCALE  # `probabilities` takes the protocol's, and the rule here has its own
    weights = likely.double() ** (1 / scale)
    best = weights[:, :3].amax(1)
    short = best < weights[:, 3] if least is None else best / weights.sum(1) < least
    wrong = found != torch.where(short, 3, free)
    assert wrong.sum() <= 2
    assert 0 < (found == 3).float().mean() < 1
    torch.testing.assert_close(likely[:, :3].argmax(1)[~wrong & ~short], free[~wrong & ~short])


@torch.no_grad()
def test_the_level_of_windows_is_that_of_their_own_patches(
    loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One window as large as the picture is the picture; however few neutral cosines are held at once."""
    images = scene_batch([5], 96, 128)
    whole = Segmenter(loaded_clip, get_protocol("whole", size=96, fit="trim"), ["sclip"])
    window = Segmenter(loaded_clip, get_protocol("sclip", normalisation="clip", window="image", stride=0), ["sclip"])
    _, ruled = words(whole, images, None)
    found = whole(images, ruled).labels["sclip"]
    assert torch.equal(window(images, ruled).labels["sclip"], found)
    assert 0 < (found == 3).float().mean() < 1
    monkeypatch.setattr(unlikely_module, "_COSINES", 1)
    assert torch.equal(whole(torch.cat([images, images]), ruled).labels["sclip"][1:], found)


@pytest.mark.parametrize("threshold", ["auto", 0.3])
def test_a_picture_is_judged_without_its_neighbours(
    threshold: str | float, loaded_clip: LoadedClip, text_cache: Path
) -> None:
    segmenter = Segmenter(loaded_clip, FEW_TEMPLATES, ["cliptrase", "vanilla"], cache_dir=text_cache)
    names = segmenter.classifier(parse_words("cat, kitten; dog", "wall", threshold), progress=False)
    images = scene_batch([1, 2, 3], 160, 160)
    together = segmenter(images, names).labels
    for method, labels in together.items():
        alone = torch.cat([segmenter(images[number : number + 1], names).labels[method] for number in range(3)])
        assert torch.equal(alone, labels)


def test_segment_with_and_without(loaded_clip: LoadedClip, text_cache: Path) -> None:
    """No pixel changes one word for another; no threshold, `none` and 0 take nothing away; one word is enough."""
    protocol = get_protocol("photos", size=96, templates="vild", eps=0.7, min_samples=3)
    segmenter = Segmenter(loaded_clip, protocol, ["cliptrase+mean"], cache_dir=text_cache)
    picture = scene(3, 100, 140)[0]
    free = segmenter.segment(picture, "cat; dog; tree", "wall")
    assert free.probabilities is None
    unbound = segmenter.segment(picture, "cat; dog; tree", "wall", threshold=0)
    assert unbound.names == ("cat", "dog", "tree", "background", "none of these")
    np.testing.assert_array_equal(unbound.labels, free.labels)
    none = segmenter.segment(picture, "cat; dog; tree", "wall", threshold="none")
    assert (none.names, none.labels.tobytes()) == (free.names, free.labels.tobytes())
    for threshold in (0.22, "auto"):
        bound = segmenter.segment(picture, "cat; dog; tree", "wall", threshold=threshold)
        kept = bound.labels != 4
        np.testing.assert_array_equal(bound.labels[kept], free.labels[kept])
    one = segmenter.segment(picture, "cat", threshold="auto", probabilities=True)
    assert (one.names, one.none, free.none) == (("cat", "none of these"), 1, None)
    assert segmenter.segment(picture, "cat; none of these").none is None  # a word like others, without a threshold
    assert one.probabilities is not None
    assert one.probabilities.shape == (2, 100, 140)
    assert one.probabilities.dtype == np.float32
    with pytest.raises(InputError, match="or take the threshold auto"):
        segmenter.segment(picture, "cat")


@pytest.mark.parametrize("given", [-0.1, 1.1, math.nan, math.inf, "", "often", True, [0.5], np.array([0.1, 0.2])])
def test_what_is_no_threshold(given: object) -> None:
    with pytest.raises(InputError, match="the threshold must be a number from 0 to 1, auto or none, not "):
        parse_words("cat; dog", threshold=given)  # type: ignore[arg-type]


def test_the_label_is_the_last_and_has_a_name_of_its_own() -> None:
    vocabulary = parse_words("cat, kitten; dog", "wall", 0.5)
    assert (vocabulary.num_labels, vocabulary.none_index, vocabulary.background_index) == (4, 3, 2)
    assert vocabulary.label_names == ("cat", "dog", "background", "none of these")
    assert Vocabulary((("cat",),), ("wall",), 0, threshold="auto").label_names == ("background", "cat", "none of these")
    assert parse_words("none of these; dog").num_labels == 2
    with pytest.raises(InputError, match="'None of  these' is what the threshold calls pixels without a likely word"):
        parse_words("None of  these; dog", threshold=0.5)
    digests = {parse_words("cat; dog", threshold=one).digest for one in (None, 0.5, 0.25, "auto")}
    assert len(digests) == 4
    assert parse_words("cat; dog", threshold=None).digest == Vocabulary((("cat",), ("dog",))).digest


@pytest.mark.parametrize("asked", [1, 2, 3])
@pytest.mark.parametrize("neutral", [3, 4])
@pytest.mark.parametrize("chance", [0.2, 0.5, 0.7])
def test_the_rank_by_all_orders(asked: int, neutral: int, chance: float) -> None:
    """How often the highest asked word stands above the neutral word of that rank, over all orders of the words."""
    orders = list(itertools.permutations([True] * asked + [False] * neutral))

    def named(rank: int) -> Fraction:
        above = [
            order.index(True) < [place for place, own in enumerate(order) if not own][rank - 1] for order in orders
        ]
        return Fraction(sum(above), len(orders))

    rank = null_rank(asked, neutral, chance)
    assert rank == max([1, *(one for one in range(1, neutral + 1) if named(one) <= chance)])


@pytest.mark.parametrize("asked", [1, 2, 7, 23])
def test_the_rank_by_the_numbers_of_choices(asked: int) -> None:
    def named(rank: int) -> float:
        return 1 - math.comb(450, rank) / math.comb(450 + asked, rank)

    rank = null_rank(asked, 450)
    assert named(rank) <= CHANCE < named(rank + 1)


def test_foreign_words_are_named_as_seldom_as_is_said() -> None:
    """Where asked and neutral words are drawn alike, the share of patches with a name is the one that is promised."""
    draws = torch.Generator().manual_seed(0)
    patches = F.normalize(torch.randn(4000, 16, generator=draws), dim=-1)
    shares = []
    for _ in range(30):
        text = F.normalize(torch.randn(203, 16, generator=draws), dim=-1)
        level = (patches @ text[3:].T).sort(1, descending=True).values[:, null_rank(3, 200) - 1]
        shares.append(float(((patches @ text[:3].T).amax(1) >= level).float().mean()))
    error = np.std(shares) / math.sqrt(len(shares))
    assert 0 < np.mean(shares) < CHANCE + 2 * error
    assert np.mean(shares) > CHANCE - 0.03


def embed(names: Sequence[str]) -> Tensor:
    """A direction for each of the neutral words."""
    draws = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(len(names), 8, generator=draws), dim=-1)


def test_neutral_words_are_not_those_that_are_asked_for() -> None:
    assert len(NEUTRAL_WORDS) == len(set(NEUTRAL_WORDS)) > 400
    assert list(NEUTRAL_WORDS) == sorted(NEUTRAL_WORDS)
    every = embed(NEUTRAL_WORDS)
    far = F.normalize(torch.eye(8)[:1] - every.mean(0), dim=-1)
    close = close_to(far, every)
    left_out = {
        "Apples": {"apple"},
        "red apple, dog": {"apple", "dog"},
        "lemon tree": {"lemon", "tree", "palm tree"},
        "a thing": set(),
    }
    for asked, names in left_out.items():
        rule = none_of_these(parse_words(asked, threshold="auto"), far, embed, 1.0)
        assert rule is not None
        kept = torch.tensor([word not in names for word in NEUTRAL_WORDS]) & ~close
        torch.testing.assert_close(rule.neutral, every[kept])
        assert rule.rank == null_rank(1, int(kept.sum()))
    assert none_of_these(parse_words("Apples; dog"), far, embed, 1.0) is None


def test_words_of_like_meaning_are_left_out() -> None:
    """Those that are closer to an asked word than 99 of 100 pairs of neutral words are."""
    every = embed(NEUTRAL_WORDS)
    text = every[[4, 7]] + 1e-3
    similar = (every @ every.T).numpy()
    bound = np.sort(similar[np.triu_indices(len(every), 1)])[int(0.99 * (len(every) * (len(every) - 1) // 2 - 1))]
    expected = [max(float(row @ text[0]), float(row @ text[1])) > bound for row in every]
    assert close_to(text, every).tolist() == expected
    assert expected[4]
    assert expected[7]
    assert sum(expected) < 40


def test_too_few_neutral_words() -> None:
    asked = parse_words("; ".join(NEUTRAL_WORDS[:-20]), threshold="auto")
    with pytest.raises(InputError, match="neutral words that the threshold compares them with, and it needs 50"):
        none_of_these(asked, embed(asked.names), embed, 1.0)


def test_weights_of_the_class_token_do_not_go_with_a_threshold(loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter(loaded_clip, PAPER)
    with pytest.raises(InputError, match="not weighted by the class token"):
        segmenter.classifier(parse_words("cat; dog", threshold=0.5), class_token_weighting=True)


@pytest.mark.parametrize("method", ["sclip", "cliptrase", "sclip+pamr", "cliptrase+mean"])
@pytest.mark.parametrize("threshold", [None, "auto"])
def test_probabilities_are_a_softmax(
    method: str, threshold: str | None, loaded_clip: LoadedClip, text_cache: Path
) -> None:
    segmenter = Segmenter(loaded_clip, FEW_TEMPLATES, ["vanilla", method], cache_dir=text_cache)
    images = scene_batch([5, 6], 112, 112)
    names = segmenter.classifier(parse_words("cat, kitten; dog", "wall", threshold), progress=False)
    prediction = segmenter(images, names, (50, 60), probabilities=True)
    assert prediction.probabilities is not None
    assert list(prediction.probabilities) == ["vanilla", method]
    found = prediction.probabilities[method]
    if method == "sclip":
        logits = [
            segmenter.scale * cosines_on_grid(Segmenter(loaded_clip, PAPER, [method]), images, names.embeddings)[0]
        ]
        maps = F.interpolate(logits[0], (50, 60), mode="bilinear", align_corners=False)
        scores = torch.stack([maps[:, :2].amax(1), maps[:, 2], maps[:, 3]], 1)
        without = found[:, :3] / found[:, :3].sum(1, keepdim=True)
        torch.testing.assert_close(without, scores.softmax(1), atol=1e-5, rtol=1e-4)
        named = prediction.labels[method] < 3
        assert (found[:, :3].argmax(1) != prediction.labels[method])[named].sum() <= 2
    assert found.shape == (2, 3 + (threshold is not None), 50, 60)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 50, 60))


def test_too_many_probabilities(loaded_clip: LoadedClip, text_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protocol = get_protocol("tiles", window=64, stride=64, templates="vild")
    segmenter = Segmenter(loaded_clip, protocol, ["vanilla"], cache_dir=text_cache)
    picture = scene(3, 60, 80)[0]
    monkeypatch.setattr(resizing, "_MOST_BYTES", 4 * 3 * 60 * 80)
    assert segmenter.segment(picture, "cat; dog; sky", probabilities=True).probabilities is not None
    with pytest.raises(InputError, match="probabilities of 4 labels for 80 x 60 pixels are too many to be held"):
        segmenter.segment(picture, "cat; dog; sky", threshold=0.5, probabilities=True)
    monkeypatch.setattr(resizing, "_LARGE", 60 * 80 - 1)
    with pytest.raises(InputError, match="probabilities of 2 labels for 80 x 60 pixels"):
        segmenter.segment(picture, "cat; dog", probabilities=True)
