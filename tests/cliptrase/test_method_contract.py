"""What every method keeps, from outside too: shapes, dtypes, batch independence, any grid, half precision, towers."""

import copy
import math

import open_clip
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.methods import METHODS, get_method
from cliptrase.ops import integer_products
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests.cliptrase.clip.test_encoder import tower
from tests.kit import MEAN, STD, outside_methods, scene_batch
from tests.kit.dino import dino

NAMES = ["cat", "dog", "sky", "tree", "sea", "road", "house", "boat", "lamp", "bird", "horse", "field"]
GRIDS = [(2, 5), (14, 14), (7, 11), (1, 1)]
# As a user names them; the file is loaded anew, apart from the module that the tests import.
OUTSIDE = {name: f"{outside_methods.__file__}:{name.upper()}" for name in ("key_key", "mixed")}
# On random weights these make a picture's patches so alike that one name wins them all; with other numbers less so.
APART = {name: f"{name}+similarity=0.95+class_weight=0" for name in ("scclip", "sfp")}
APART["resclip"] = "resclip+lambda_s=0.1"
EVERY = {**METHODS, **{name: get_method(spec) for name, spec in OUTSIDE.items()}}


# Lowest cosine under bfloat16 where a similarity close to a threshold falls on its other side: of a few patches.
WITH_THRESHOLDS = {"proxyclip": 0.995}
READINGS = {name: method.load_reading() for name, method in EVERY.items()}


def encoder_of(visual: nn.Module, guest: bool) -> VisualEncoder:
    """With a tiny DINO beside it where a method reads one."""
    return VisualEncoder(visual, GuestTower(dino()) if guest else None, MEAN, STD)


@pytest.fixture(scope="module")
def encoder(loaded_clip: LoadedClip) -> VisualEncoder:
    return encoder_of(loaded_clip.model.visual, guest=True)


def text_for(encoder: VisualEncoder) -> Tensor:
    """(6, E) unit embeddings, for methods that read the names."""
    width = encoder.tower.proj.shape[1]
    text = torch.randn(6, width, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    return F.normalize(text, dim=-1).to(encoder.tower.proj.dtype)


def grid_of(name: str, grid: tuple[int, int], patch: int = 16) -> tuple[int, int]:
    """Patches of a method's features where the tower has so many: the same, or the guest's of 8 pixels."""
    return (round(grid[0] * patch / 8), round(grid[1] * patch / 8)) if READINGS[name].guest else grid


def pictures(count: int, grid: tuple[int, int], patch: int = 16) -> Tensor:
    return scene_batch(range(count), grid[0] * patch, grid[1] * patch) / 127.5 - 1


@torch.no_grad()
def features(encoder: VisualEncoder, pixels: Tensor, name: str) -> Tensor:
    return encoder(pixels, [EVERY[name]], text_for(encoder)).features[name]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", EVERY)
def test_shape_dtype_and_batch_independence(encoder: VisualEncoder, name: str, grid: tuple[int, int]) -> None:
    pixels = pictures(3, grid)
    before = pixels.clone()
    found = features(encoder, pixels, name)
    assert found.shape == (3, math.prod(grid_of(name, grid)) + 1, 64)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert torch.equal(pixels, before)
    for index in range(3):
        alone = features(encoder, pixels[index : index + 1], name)
        torch.testing.assert_close(found[index : index + 1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("grid", [(7, 11), (14, 14)])
@pytest.mark.parametrize("name", EVERY)
def test_double_precision_agrees(encoder: VisualEncoder, name: str, grid: tuple[int, int]) -> None:
    exact = encoder_of(copy.deepcopy(encoder.tower), READINGS[name].guest).double()
    pixels = pictures(2, grid)
    found = features(exact, pixels.double(), name)
    assert found.dtype == torch.float64
    torch.testing.assert_close(features(encoder, pixels, name).double(), found, rtol=0, atol=1e-5)


@pytest.mark.parametrize("grid", [(7, 11), (14, 14)])
@pytest.mark.parametrize("name", EVERY)
def test_bfloat16_is_close(encoder: VisualEncoder, name: str, grid: tuple[int, int]) -> None:
    """bfloat16 has 8 bits: a feature turns by less than 1.3 degrees, on average by less than 0.7."""
    pixels = pictures(2, grid)
    with torch.autocast("cpu", torch.bfloat16):
        half = features(encoder, pixels, name)
    assert half.isfinite().all()
    cosine = F.cosine_similarity(half.float(), features(encoder, pixels, name), dim=-1)  # (2, N+1)
    assert cosine.min() > WITH_THRESHOLDS.get(name, 0.99975)
    assert cosine.mean() > 0.99993


def test_integer_products_move_hardly_a_label(loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """99.95 percent of the pixels of every method, and each picture's as alone; bfloat16 moves ten times as many."""
    monkeypatch.setattr(integer_products, "usable", lambda device: True)
    spelt = [(OUTSIDE | APART).get(name, name) for name in EVERY]
    images = scene_batch(range(4), 112, 176)
    labels = {}
    for precision in ("32-true", "int8x3", "bf16-mixed"):
        segmenter = Segmenter(
            *(loaded_clip, get_protocol(size=160, eps=0.7, min_samples=3), spelt), guest=dino(), precision=precision
        )
        classifier = segmenter.classifier(Vocabulary(single_names(NAMES), ("wall",)), progress=False)
        labels[precision] = segmenter(images, classifier, (224, 352)).labels
        if precision == "int8x3":
            alone = segmenter(images[1:2], classifier, (224, 352)).labels
            assert all(torch.equal(alone[name][0], labels[precision][name][1]) for name in alone)
    moved = {
        precision: {name: float((found[name] != labels["32-true"][name]).float().mean()) for name in found}
        for precision, found in labels.items()
    }
    assert max(moved["int8x3"].values()) <= 0.0005
    assert sum(moved["int8x3"].values()) < sum(moved["bf16-mixed"].values()) / 10


@pytest.mark.parametrize("name", EVERY)
def test_features_are_the_methods_own(encoder: VisualEncoder, name: str) -> None:
    """No two rows of the table say the same thing, and the second streams' class token is CLIP's own."""
    pixels = pictures(1, (14, 14))
    found = features(encoder, pixels, name)
    for other in EVERY:
        if other != name:
            others = features(encoder, pixels, other)
            same = found.shape == others.shape and torch.allclose(found[:, 1:], others[:, 1:], atol=1e-2)
            assert not same, other
    if READINGS[name].depth or READINGS[name].guest:
        torch.testing.assert_close(found[:, 0], features(encoder, pixels, "vanilla")[:, 0], rtol=0, atol=1e-5)


def test_every_method_with_and_without_regions(loaded_clip: LoadedClip) -> None:
    """All in one run are each alone, in a batch and one by one, label for label."""
    spelt = {name: (OUTSIDE | APART).get(name, name) for name in EVERY}
    specs = [spelt[name] + switch for name in EVERY for switch in ("-regions", "+regions")]
    specs += [spelt[name] + "-regions+pamr+tlp" for name in EVERY]
    specs += ["cliptrase-denoise", "vanilla+regions-denoise", "gem+regions+mean", "cliptrase+mean"]
    protocol = get_protocol(size=160, eps=0.7, min_samples=3)
    segmenter = Segmenter(loaded_clip, protocol, specs, guest=dino())
    vocabulary = Vocabulary(single_names(NAMES), ("wall",))
    classifier = segmenter.classifier(vocabulary, progress=False)
    images = scene_batch([1, 2, 3], 112, 176)
    together = segmenter(images, classifier, (90, 130)).labels
    assert list(together) == [get_method(spec).name for spec in specs]
    one_by_one = [segmenter(image[None], classifier, (90, 130)).labels for image in images]
    for spec in specs:
        name = get_method(spec).name
        found = together[name]
        assert found.shape == (3, 90, 130)
        assert found.dtype == torch.int64
        assert 0 <= found.min() <= found.max() < vocabulary.num_labels
        assert torch.equal(found, torch.cat([single[name] for single in one_by_one]))
        guest = dino() if READINGS[name.split("+")[0].split("-")[0]].guest else None
        alone = Segmenter(loaded_clip, protocol, [spec], guest=guest)(images, classifier, (90, 130)).labels
        assert torch.equal(found, alone[name])
    switched = [
        (get_method(spelt[name] + "+regions").name, get_method(spelt[name]).name)
        for name in EVERY
        if not EVERY[name].regions
    ]
    switched += [
        (get_method(spelt[name] + "-regions+pamr+tlp").name, get_method(spelt[name] + "-regions").name)
        for name in EVERY
    ]
    switched += [
        ("cliptrase", "cliptrase-regions"),
        ("mixed", "mixed-regions"),
        ("cliptrase", "cliptrase-denoise"),
        ("cliptrase", "cliptrase+mean"),
    ]
    for name, other in switched:
        assert not torch.equal(together[name], together[other]), (name, other)


def deep(name: str) -> open_clip.CLIP:
    """A published shape with random weights; two blocks of weights take turns over the full depth."""
    config = open_clip.get_model_config(name)
    layers = config["vision_cfg"]["layers"]
    model = tower(config["vision_cfg"] | {"layers": 2}, "quickgelu" in name, config["embed_dim"])
    blocks = list(model.visual.transformer.resblocks)
    model.visual.transformer.resblocks = nn.ModuleList(blocks * (layers // 2))
    assert len(model.visual.transformer.resblocks) == layers
    return model


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        ("ViT-B-32", (7, 7)),
        ("ViT-B-16", (14, 14)),
        ("ViT-B-16-quickgelu", (5, 7)),
        ("ViT-L-14", (5, 7)),
        ("ViT-H-14", (5, 7)),
        pytest.param("ViT-L-14", (16, 16), marks=pytest.mark.slow),
        pytest.param("ViT-H-14", (16, 16), marks=pytest.mark.slow),
    ],
)
def test_published_towers_run_under_every_method(name: str, grid: tuple[int, int]) -> None:
    model = deep(name)
    encoder = encoder_of(model.visual, guest=True)
    patch = model.visual.patch_size[0]
    pixels = pictures(1, grid, patch)
    with torch.no_grad():
        encoding = encoder(pixels, list(EVERY.values()), text_for(encoder))
        assert encoding.grids == {name: grid_of(name, grid, patch) for name in EVERY}
        for method, found in encoding.features.items():
            assert found.shape == (1, math.prod(encoding.grids[method]) + 1, model.visual.output_dim)
            assert found.isfinite().all()
        if grid == model.visual.grid_size:
            expected = F.normalize(model.encode_image(pixels), dim=-1)
            for method in ("vanilla", "gem", "clip_surgery"):
                ours = F.normalize(encoding.features[method][:, 0], dim=-1)
                torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_shallow_towers(name: str) -> None:
    """A tower of as many blocks as the rule governs is enough; one less is told before anything runs."""
    depth = READINGS[name].depth
    shape = {"width": 64, "image_size": 32, "patch_size": 16, "head_width": 32}
    pixels = pictures(1, (2, 3))
    found = features(encoder_of(tower(shape | {"layers": max(depth, 2)}).visual, READINGS[name].guest), pixels, name)
    assert found.isfinite().all()
    if depth > 1:
        with pytest.raises(
            InputError, match=rf"method {name} governs the last {depth} blocks, but .* has {depth - 1}; take"
        ):
            features(VisualEncoder(tower(shape | {"layers": depth - 1}).visual), pixels, name)


def test_shallow_tower_is_told_when_the_segmenter_is_made(loaded_clip: LoadedClip) -> None:
    clip = copy.copy(loaded_clip)
    model = copy.deepcopy(loaded_clip.model)
    model.visual.transformer.resblocks = model.visual.transformer.resblocks[:5]
    object.__setattr__(clip, "model", model)
    with pytest.raises(InputError, match="method gem governs the last 6 blocks"):
        Segmenter(clip, methods=["vanilla", "gem"])


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("cliptrase-denoise", "cliptrase-denoise"),
        ("cliptrase+mean-denoise", "cliptrase-denoise+mean"),
        ("cliptrase+regions-denoise", "cliptrase-denoise"),
        ("vanilla-denoise+regions", "vanilla+regions-denoise"),
        ("clip_surgery+regions+majority", "clip_surgery+regions+majority"),
    ],
)
def test_parts_of_the_region_vote_are_switched_by_suffix(spec: str, name: str) -> None:
    """One name for each combination, whatever the order it is written in."""
    method = get_method(spec)
    assert method.name == name
    assert get_method(name) == method
    assert method.regions
    assert method.denoise == ("-denoise" not in spec)
    assert method.vote == next((vote for vote in ("mean", "majority") if f"+{vote}" in spec), None)


@pytest.mark.parametrize("spec", ["vanilla-denoise", "cliptrase-regions+mean", "gem+majority"])
def test_parts_of_a_region_vote_that_is_off(spec: str) -> None:
    with pytest.raises(InputError, match=r"are parts of the region vote; add \+regions") as error:
        get_method(spec)
    assert repr(spec) in str(error.value)


@pytest.mark.parametrize("spec", ["cliptrase+mean+majority", "cliptrase+mean+mean", "cliptrase+denoise", "naclip mean"])
def test_switches_that_do_not_exist(spec: str) -> None:
    with pytest.raises(InputError, match=r"unknown method .* with regions also -denoise"):
        get_method(spec)


@pytest.mark.parametrize("name", EVERY)
def test_gradients_reach_the_pixels(encoder: VisualEncoder, name: str) -> None:
    """Nothing that a gradient needs is overwritten, and asking for one changes no feature."""
    pixels = pictures(1, (2, 3)).requires_grad_()
    found = encoder(pixels, [EVERY[name]], text_for(encoder)).features[name]
    (gradient,) = torch.autograd.grad(found[:, 1:].square().sum(), pixels)
    assert gradient.isfinite().all()
    assert gradient.abs().amax() > 0
    assert torch.equal(found.detach(), features(encoder, pixels.detach(), name))
