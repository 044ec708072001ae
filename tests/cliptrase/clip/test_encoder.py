"""The encoder against open_clip's own, and the towers that it refuses."""

import itertools
import weakref
from collections.abc import Sequence
from typing import Any

import open_clip
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.clip.block import complete_block, project
from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.trunk import Kept
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.common.timing import StageTimer, listening
from cliptrase.methods import METHODS, get_method
from tests.kit import MEAN, STD, scene_batch
from tests.kit.dino import dino

TEXT = {"context_length": 8, "vocab_size": 16, "width": 64, "heads": 1, "layers": 1}
VANILLA = [METHODS["vanilla"]]
VOTING = [get_method("vanilla+regions")]


def tower(vision: dict[str, Any], quick_gelu: bool = False, embed: int = 32) -> open_clip.CLIP:
    """A CLIP with random weights, a visual tower as asked for and next to no text tower.

    All parameters are cut from one stretch of noise: 300 million draws would take most of the time.
    """
    with torch.device("meta"):
        model = open_clip.CLIP(embed, dict(vision), dict(TEXT), quick_gelu=quick_gelu)
    model.to_empty(device="cpu").eval().requires_grad_(False)
    noise = torch.randn(1 << 20, generator=torch.Generator().manual_seed(0))
    for number, (name, value) in enumerate(model.named_parameters()):
        draw = noise.roll(1009 * number).repeat(-(-value.numel() // len(noise)))[: value.numel()].view_as(value)
        if value.ndim < 2:
            value.copy_(draw * 0.1 + (".ln_" in name and name.endswith("weight")))
        else:
            fan_in = value.shape[0] if name.endswith("proj") else value[0].numel()
            value.copy_(draw / fan_in**0.5)
    return model


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-16", "ViT-L-14"])
@pytest.mark.parametrize("quick_gelu", [False, True])
def test_class_token_is_open_clips_own(name: str, quick_gelu: bool) -> None:
    """Published shapes with random weights, as unit vectors; then a picture that is not square.

    Three blocks of weights take turns over the full depth, so that it is the arithmetic that takes the time.
    """
    config = open_clip.get_model_config(name)
    layers = config["vision_cfg"]["layers"]
    model = tower(config["vision_cfg"] | {"layers": 3}, quick_gelu, config["embed_dim"])
    blocks = list(model.visual.transformer.resblocks)
    if not quick_gelu:
        model.visual.transformer.resblocks = nn.ModuleList(blocks * (layers // 3))
    pixels = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    encoder = VisualEncoder(model.visual)
    with torch.no_grad():
        encoding = encoder(pixels, VANILLA)
        expected = model.encode_image(pixels)
        tokens = encoding.features["vanilla"]
        torch.testing.assert_close(F.normalize(tokens[:, 0], dim=-1), F.normalize(expected, dim=-1), rtol=0, atol=1e-5)
        patch = model.visual.patch_size[0]
        assert encoding.grids["vanilla"] == (224 // patch, 224 // patch)
        wide = encoder(pixels[:, :, : 3 * patch, : 5 * patch], VANILLA)
    assert wide.grids["vanilla"] == (3, 5)
    assert wide.features["vanilla"].shape == (1, 16, config["embed_dim"])
    assert wide.features["vanilla"].isfinite().all()


def test_patch_tokens_are_open_clips_own() -> None:
    """Not the class token alone: open_clip gives the tokens before its projection."""
    config = open_clip.get_model_config("ViT-B-32")["vision_cfg"] | {"layers": 3}
    model = tower(config)
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    model.visual.output_tokens = True
    with torch.no_grad():
        found = VisualEncoder(model.visual)(pixels, VANILLA).features["vanilla"]
        _, patches = model.visual(pixels)
        expected = patches @ model.visual.proj
    torch.testing.assert_close(F.normalize(found[:, 1:], dim=-1), F.normalize(expected, dim=-1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("extra", [{"no_ln_pre": True}, {"ls_init_value": 0.1}, {"head_width": 16}, {"patch_size": 8}])
def test_variants_of_the_tower(extra: dict[str, Any]) -> None:
    """Without the first norm, with layer scale, and other divisions: all that open_clip's configs vary."""
    model = tower({"layers": 3, "width": 64, "image_size": 48, "patch_size": 16, "head_width": 32} | extra)
    pixels = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        found = VisualEncoder(model.visual)(pixels, VANILLA).features["vanilla"][:, 0]
        torch.testing.assert_close(found, model.encode_image(pixels), rtol=1e-5, atol=1e-5)


def test_several_methods_at_once_are_one_by_one(loaded_clip: LoadedClip) -> None:
    encoder = VisualEncoder(loaded_clip.model.visual)
    pixels = scene_batch([1, 2], 64, 96) / 255
    methods = [get_method(name) for name in ("cliptrase", "vanilla", "maskclip", "vanilla+regions")]
    with torch.no_grad():
        together = encoder(pixels, methods)
        assert list(together.features) == ["cliptrase", "vanilla", "maskclip", "vanilla+regions"]
        for method in methods:
            alone = encoder(pixels, [method])
            assert torch.equal(together.features[method.name], alone.features[method.name])
    assert torch.equal(together.features["vanilla"], together.features["vanilla+regions"])
    assert not torch.allclose(together.features["vanilla"], together.features["cliptrase"], atol=1e-3)


def test_projections_of_the_block_before_the_last(loaded_clip: LoadedClip) -> None:
    """Taken by a hook from open_clip's own run at the native size."""
    visual = loaded_clip.model.visual
    block = visual.transformer.resblocks[-2]
    seen: list[torch.Tensor] = []
    handle = block.ln_1.register_forward_hook(lambda module, inputs, output: seen.append(output))
    pixels = scene_batch([3], 224, 224) / 255
    with torch.no_grad():
        visual(pixels)
        handle.remove()
        p = VisualEncoder(visual)(pixels, VOTING).passes[0].penultimate
        assert p is not None
        projected = F.linear(seen[0], block.attn.in_proj_weight, block.attn.in_proj_bias)
    torch.testing.assert_close(p.tokens, seen[0], rtol=0, atol=1e-5)
    for found, flat in zip((p.query, p.key, p.value), projected.chunk(3, -1), strict=True):
        expected = torch.stack(flat.chunk(block.attn.num_heads, -1), 1)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert p.grid == (14, 14)


def test_going_block_by_block_is_the_same_pass(loaded_clip: LoadedClip) -> None:
    visual = loaded_clip.model.visual
    encoder, pixels = VisualEncoder(visual), scene_batch([3, 4], 64, 96) / 255
    with torch.no_grad():
        blocks = list(encoder.blocks(pixels))
        expected = encoder(pixels, VOTING).passes[0].penultimate
    assert expected is not None
    assert len(blocks) == len(visual.transformer.resblocks)
    assert torch.equal(blocks[-2].query, expected.query)
    assert torch.equal(blocks[-2].tokens, expected.tokens)
    assert not torch.equal(blocks[-1].tokens, expected.tokens)
    assert {p.grid for p in blocks} == {(4, 6)}


def test_size_that_is_not_whole_patches(loaded_clip: LoadedClip) -> None:
    with pytest.raises(ValueError, match="225 x 224 pixels is not whole patches of 16 x 16"):
        VisualEncoder(loaded_clip.model.visual)(torch.zeros(1, 3, 225, 224), VANILLA)


SMALL = {"layers": 2, "width": 64, "image_size": 32, "patch_size": 16, "head_width": 32}


@pytest.mark.parametrize(
    ("vision", "words"),
    [
        ({"layers": (1, 1, 1, 1), "width": 8, "image_size": 64}, "of type ModifiedResNet has no dense class-token"),
        ({"timm_model_name": "vit_tiny_patch16_224", "image_size": 224}, "of type TimmModel has no dense class-token"),
        (SMALL | {"attentional_pool": True, "attn_pooler_heads": 2}, "not by its class token"),
        (SMALL | {"pool_type": "avg"}, "pools by 'avg', not by its class token"),
        (SMALL | {"qk_norm": True}, "2 blocks of type CustomResidualAttentionBlock"),
        (SMALL | {"layers": 1}, "1 blocks of type ResidualAttentionBlock"),
    ],
)
def test_other_towers_are_refused(vision: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        VisualEncoder(tower(vision).visual)
    assert "supported are open_clip VisionTransformers with a class token, such as ViT-B-16" in str(error.value)


def test_coca_is_refused() -> None:
    model = open_clip.CoCa(
        32,
        {"context_length": 8, "vocab_size": 16, "width": 64, "heads": 1, "layers": 1},
        {"context_length": 8, "vocab_size": 16, "width": 64, "heads": 1, "layers": 1},
        SMALL | {"attentional_pool": True, "attn_pooler_heads": 2},
    )
    with pytest.raises(InputError, match="not by its class token; supported are"):
        VisualEncoder(model.visual)


def test_a_batch_in_parts_is_the_batch(loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off the native grid, where methods take passes of their own; two pictures at a time, then the fifth."""
    encoder = VisualEncoder(loaded_clip.model.visual)
    methods = [get_method(name) for name in ("cliptrase", "maskclip+regions")]
    pixels = scene_batch([1, 2, 3, 4, 5], 64, 96) / 255
    with torch.no_grad():
        whole = encoder(pixels, methods)
        monkeypatch.setattr("cliptrase.clip.encoder._TOKENS", 50)  # 4 x 6 patches and the class token, twice
        parts = encoder(pixels, methods)
    assert len(parts.passes) == len(whole.passes) == 2
    for name in whole.features:
        torch.testing.assert_close(parts.features[name], whole.features[name], rtol=0, atol=1e-5)
    for found, expected in zip(parts.passes, whole.passes, strict=True):
        for part in ("query", "key", "value", "tokens"):
            mine, usual = getattr(found.penultimate, part), getattr(expected.penultimate, part)
            torch.testing.assert_close(mine, usual, rtol=0, atol=1e-4)


def small_encoder(layers: int) -> VisualEncoder:
    """On a grid of 4 x 4 patches, with a guest."""
    shape = {"layers": layers, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 64}
    return VisualEncoder(tower(shape).visual, GuestTower(dino()), MEAN, STD)


@pytest.mark.parametrize("side", [64, 96])
def test_what_a_method_needs_is_timed_as_alone(side: int) -> None:
    """Every stretch that is timed ticks once. Off the tower's own grid of 4 x 4 there are passes that not all need."""
    encoder = small_encoder(layers=7)
    text = torch.eye(3, encoder.tower.proj.shape[1])
    pixels = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))

    def ticks(names: Sequence[str]) -> StageTimer:
        timer = StageTimer(clock=itertools.count().__next__)
        with listening(timer):
            encoder(pixels, [METHODS[name] for name in names], text)
        return timer

    together = ticks(list(METHODS))
    for name in METHODS:
        assert together.seconds(name) == ticks([name]).seconds(), name
    assert together.seconds("gem")["forward"] > together.seconds("vanilla")["forward"]
    assert together.seconds("vanilla")["forward"] < together.seconds()["forward"]


@pytest.mark.parametrize("name", [*METHODS, "vanilla+regions"])
def test_nothing_is_kept_that_is_not_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Projections alive while blocks pass, a second stream's included, and what is left when a reading reads."""
    encoder = small_encoder(layers=9)
    made: list[weakref.ref[Projections]] = []
    alive: list[list[int]] = []

    def look() -> None:
        alive.append([number for number, reference in enumerate(made) if reference() is not None])

    def projected(*arguments: Any) -> Projections:
        look()
        p = project(*arguments)
        made.append(weakref.ref(p))
        return p

    def complete(*arguments: Any) -> torch.Tensor:
        look()
        return complete_block(*arguments)

    kept: list[Kept] = []
    monkeypatch.setattr("cliptrase.clip.encoder.project", projected)
    monkeypatch.setattr("cliptrase.clip.trunk.complete_block", complete)
    monkeypatch.setattr("cliptrase.clip.encoder.Kept", lambda: kept.append(Kept()) or kept[-1])
    method = get_method(name)
    with torch.no_grad():
        encoding = encoder(torch.zeros(1, 3, 64, 64), [method], torch.eye(3, encoder.tower.proj.shape[1]))
    reading = method.load_reading()
    asked = {
        kind: sorted({number % 9 for number in reading.asks(kind, 9)})
        for kind in ("projections", "tokens", "attention")
    }
    assert max(map(len, alive)) <= len(asked["projections"]) + 1 + method.regions
    assert alive[-1] == sorted({*asked["projections"], *([7] * method.regions)})
    for kind, numbers in asked.items():
        assert list(getattr(kept[0], kind)) == numbers, kind
    kept.clear()
    alive.clear()
    look()
    assert alive[-1] == [7] * method.regions
    assert (encoding.passes[0].penultimate is not None) == method.regions
