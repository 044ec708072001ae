"""A second tower beside CLIP's: the features of DINO's released code and of loops, on any grid, whole and in parts."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.guest_weights import load_guest
from cliptrase.clip.trunk import Trunk
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.methods import METHODS, Method
from cliptrase.protocols.table import get_protocol
from cliptrase.readings import reading
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests.cliptrase.ops.test_upsampling import peak_bytes
from tests.dino_reference import patch_tokens
from tests.kit import MEAN, STD, scene_batch
from tests.kit.dino import dino, save_dino, save_dinov2
from tests.kit.dino import state as dino_state

SMALL = {"img_size": 16, "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 3}
GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "methods.npz")


def tiny(**options: Any) -> nn.Module:
    """A transformer that is not DINO: its means are 0.5, its position embedding is resampled as timm does."""
    torch.manual_seed(0)
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
    module: nn.Module = timm.create_model(
        "vit_tiny_patch16_224", num_classes=0, **{**shape, "dynamic_img_size": True, **options}
    )
    return module.eval()


def of_scene(tower: GuestTower, case: str) -> tuple[Tensor, tuple[int, int]]:
    """Every third patch token of a case of the golden arrays, `11_336x336`, as a run reads them."""
    seed, height, width = map(int, re.split("[_x]", case))
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    normalised = (scene_batch([seed], height, width) / 255 - mean) / std
    with torch.no_grad():
        found = tower(normalised * std + mean)
    return found.tokens[0, ::3], found.grid


def relative(found: Tensor, expected: NDArray[np.float32]) -> float:
    """Largest difference over the largest magnitude."""
    return float(np.abs(found.numpy() - expected).max() / np.abs(expected).max())


def test_golden_rows_of_dino() -> None:
    """facebookresearch/dino's own code, on its native grid and on another."""
    tower = GuestTower(dino())
    cases = [name.split("/")[1] for name in GOLDEN.files if name.startswith("proxyclip/") and name.endswith("/dino")]
    assert cases == ["11_224x224", "11_336x336"]
    for case in cases:
        found, grid = of_scene(tower, case)
        expected = GOLDEN[f"proxyclip/{case}/dino"]
        kept = found[np.linspace(0, len(found) - 1, len(expected), dtype=int)]
        assert relative(kept, expected) < 1e-5
        assert grid == {"11_224x224": (28, 28), "11_336x336": (42, 42)}[case]


def test_all_golden_arrays_of_dino(parity: Path) -> None:
    stored = np.load(parity / "methods2" / "proxyclip.npz")
    cases = [name.partition("/")[0] for name in stored.files if name.endswith("/dino")]
    assert len(cases) == 3
    tower = GuestTower(dino())
    for case in cases:
        assert relative(of_scene(tower, case)[0], stored[f"{case}/dino"]) < 1e-5


@pytest.mark.parametrize("size", [(16, 16), (24, 24), (12, 28), (36, 20), (4, 40)])
@pytest.mark.parametrize("kind", ["dino", "dinov2", "dinov2 with registers"])
def test_patch_tokens_are_those_of_loops(kind: str, size: tuple[int, int], tmp_path: Path) -> None:
    """Native, square, not square, smaller and larger in each direction; two images at once."""
    registers, scaled = 4 * ("registers" in kind), kind != "dino"
    state = dino_state(5, registers, scaled, **SMALL)
    tower = load_guest(save_dinov2(tmp_path, 5, registers, **SMALL)) if scaled else GuestTower(dino(5, **SMALL))
    assert tower.position_embedding == ("antialias" if registers else "dino")
    pixels = scene_batch([1, 2], *size) / 255
    with torch.no_grad():
        found = tower(pixels)
    assert found.grid == (size[0] // 4, size[1] // 4)
    shown = ((pixels - tower.mean) / tower.std).double().numpy()
    weights = {name: value.numpy() for name, value in state.items()}
    for image, tokens in zip(shown, found.tokens, strict=True):
        expected = patch_tokens(weights, image, SMALL["num_heads"])
        assert relative(tokens, expected) < 1e-5


def test_the_authors_resampling_is_not_timms() -> None:
    """A tower of the same weights without DINO's tag differs off the native grid, and only there."""
    plain = tiny(img_size=224, embed_dim=96, depth=4, num_heads=3)
    plain.load_state_dict(dino_state())
    plain.pretrained_cfg = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    other, tower = GuestTower(plain), GuestTower(dino())
    assert (other.position_embedding, tower.position_embedding) == ("antialias", "dino")
    assert torch.equal(of_scene(other, "11_224x224")[0], of_scene(tower, "11_224x224")[0])
    assert relative(of_scene(other, "11_336x336")[0], of_scene(tower, "11_336x336")[0].numpy()) > 1e-2


@pytest.mark.parametrize(
    ("size", "grid"), [((32, 32), (4, 4)), ((48, 80), (6, 10)), ((35, 61), (4, 8)), ((3, 9), (1, 1))]
)
@pytest.mark.parametrize(
    "options", [{}, {"reg_tokens": 3}, {"reg_tokens": 2, "no_embed_class": True}, {"pre_norm": True}]
)
def test_of_others_patch_features_are_timms_own(
    options: dict[str, Any], size: tuple[int, int], grid: tuple[int, int]
) -> None:
    module = tiny(**options)
    pixels = scene_batch([1, 2], *size) / 255
    with torch.no_grad():
        found = GuestTower(module)(pixels)
        shown = F.interpolate(pixels, (8 * grid[0], 8 * grid[1]), mode="bilinear", antialias=True)
        expected = module.forward_features((shown - 0.5) / 0.5)[:, 1 + options.get("reg_tokens", 0) :]
    assert found.grid == grid
    torch.testing.assert_close(found.tokens, expected, rtol=0, atol=1e-5)


def test_relatives_go_through_timms_own_forward() -> None:
    """DINOv3's positions are rotations: there is no table to resample."""
    module = timm.create_model("vit_small_patch16_dinov3", num_classes=0, depth=1, dynamic_img_size=True)
    with torch.no_grad():
        found = GuestTower(module)(torch.zeros(1, 3, 32, 48))
    assert found.tokens.shape == (1, 6, 384)


def test_a_cpu_takes_few_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as one by one, and each part through the blocks before the next."""
    tower = GuestTower(dino(5, **SMALL))
    pixels = scene_batch([1, 2, 3, 4, 5], 16, 24) / 255  # 24 patches and the class token
    seen: list[int] = []
    tower.module.blocks[0].register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    monkeypatch.setattr("cliptrase.clip.guest._TOKENS", 60)
    with torch.no_grad():
        found = tower(pixels).tokens
        assert seen == [2, 2, 1]
        for number in range(5):
            alone = tower(pixels[number : number + 1]).tokens[0]
            torch.testing.assert_close(found[number], alone, rtol=0, atol=1e-6)


def test_memory_grows_with_the_images_by_their_features_and_with_the_grid_as_it_does(tmp_path: Path) -> None:
    """All pairs of a long image's 1024 patches, or the blocks of 8 images at once, would take far more."""
    tower = GuestTower(dino(5, **SMALL))
    width = SMALL["embed_dim"]

    def peak(number: int, *size: int) -> int:
        pixels = torch.rand(number, 3, *size)

        def work() -> None:
            with torch.no_grad():
                tower(pixels)

        return peak_bytes(work, tmp_path)

    one, eight = peak(1, 32, 512), peak(8, 32, 512)
    features, image = 4 * 1024 * width, 4 * 3 * 32 * 512
    assert eight - one < 8 * 2 * features + image  # of each part, and joined
    long = peak(1, 32, 2048)  # 4096 patches
    assert long < 4.5 * one
    assert 4 * 4096**2 * SMALL["num_heads"] > 4 * long  # what one block's attention would be


def test_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    tower = GuestTower(dino(5, **SMALL))
    pixels = scene_batch([1], 24, 16) / 255
    with torch.no_grad():
        whole = tower(pixels).tokens
        with torch.autocast("cpu", torch.bfloat16):
            half = tower(pixels).tokens
    assert F.cosine_similarity(half.float(), whole, dim=-1).min() > 0.99
    assert not torch.equal(half.float(), whole)


def test_weights_and_features_that_are_not_finite() -> None:
    damaged = dino(5, **SMALL)
    damaged.blocks[1].mlp.fc2.weight.data[0, 0] = float("nan")
    with pytest.raises(InputError, match=r"guest mine: 1 of the 576 values of blocks.1.mlp.fc2.weight are not finite"):
        GuestTower(damaged, "mine")
    large = dino(5, **SMALL)
    large.norm.weight.data[:] = 3e38
    tower, pixels = GuestTower(large, "mine"), scene_batch([1], 16, 16) / 255
    with torch.no_grad(), pytest.raises(InputError, match=r"guest mine: features are zero .*; take undamaged weights"):
        tower(pixels)
    in_half = pytest.raises(InputError, match=r"take `trainer.precision` 32-true, or undamaged weights")
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), in_half:
        tower(pixels)


def test_a_tower_says_what_it_is() -> None:
    tower = GuestTower(dino())
    assert (tower.name, tower.architecture) == ("vit_tiny_patch16_224.dino", "vit_tiny_patch16_224.dino")
    assert tower.patch == (8, 8)
    assert tower.weights_hash == GuestTower(dino()).weights_hash != GuestTower(dino(4)).weights_hash
    assert not any(parameter.requires_grad for parameter in tower.parameters())


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Linear(2, 2), "a guest tower of type Linear gives no patch features; supported are timm's vision"),
        (tiny(dynamic_img_size=False), "takes images of one size alone; make it with timm.create_model(..., dynamic"),
    ],
)
def test_modules_that_are_no_guest(module: nn.Module, words: str) -> None:
    with pytest.raises(InputError) as error:
        GuestTower(module)
    assert words in str(error.value)


@reading(tokens=(-1,), guest=True)
def guided(trunk: Trunk) -> Tensor:
    """CLIP's tokens, moved to where the guest finds alike patches."""
    guest = trunk.guest
    similar = F.normalize(guest.tokens, dim=-1)
    weights = (10 * similar @ similar.mT).softmax(-1)  # (B, n, n)
    tokens = trunk.tokens(-1)
    at_guest = F.interpolate(tokens[:, 1:].mT.unflatten(2, trunk.grid), guest.grid, mode="nearest").flatten(2).mT
    moved = (weights @ at_guest).mT.unflatten(2, guest.grid)
    back = F.interpolate(moved, trunk.grid, mode="area").flatten(2).mT
    return trunk.project(torch.cat([tokens[:, :1], back], dim=1))


GUIDED = Method("guided", "tests", guided)


def test_a_reading_gets_the_guests_features(loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in a batch, in parts of it and one by one, beside methods that ask for no guest."""
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    guest = GuestTower(tiny())
    encoder = VisualEncoder(loaded_clip.model.visual, guest, mean, std)
    images = scene_batch([1, 2, 3], 64, 96) / 255
    pixels = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    seen: list[Tensor] = []
    guest.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        together = encoder(pixels, [METHODS["vanilla"], GUIDED])
        torch.testing.assert_close(seen[0], images, rtol=0, atol=1e-6)
        assert len(seen) == 1
        encoder(pixels, [METHODS["vanilla"]])
        assert len(seen) == 1  # nobody asked
        monkeypatch.setattr("cliptrase.clip.encoder._TOKENS", 50)
        parts = encoder(pixels, [GUIDED]).features["guided"]
    assert len(seen) == 3
    torch.testing.assert_close(parts, together.features["guided"], rtol=0, atol=1e-5)
    assert not torch.allclose(together.features["guided"], together.features["vanilla"], atol=1e-2)


def test_a_guest_that_is_missing(loaded_clip: LoadedClip) -> None:
    with pytest.raises(InputError, match="method guided reads a guest tower's features, and no guest is given"):
        VisualEncoder(loaded_clip.model.visual).require([METHODS["vanilla"], GUIDED])


@pytest.mark.parametrize("protocol", ["paper", "sclip"])
def test_a_segmenter_with_a_guest(protocol: str, loaded_clip: LoadedClip) -> None:
    """A module or a loaded guest; whole and in windows; alone as in a batch."""
    values = {"size": 160} if protocol == "paper" else {"window": 64, "stride": 32}
    chosen = get_protocol(protocol, **values)
    segmenter = Segmenter(loaded_clip, chosen, [GUIDED, "vanilla"], guest=tiny())
    classifier = segmenter.classifier(Vocabulary(single_names(["cat", "dog", "sky", "tree"])), progress=False)
    images = scene_batch([1, 2], 96, 112)
    labels = segmenter(images, classifier).labels
    other = Segmenter(loaded_clip, chosen, [GUIDED], guest=GuestTower(tiny()))
    for number in range(2):
        alone = other(images[number : number + 1], classifier).labels["guided"]
        assert torch.equal(alone[0], labels["guided"][number])
    assert not torch.equal(labels["guided"], labels["vanilla"])


def test_a_segmenter_by_the_guests_place(tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text or a path; what cannot be one is told before CLIP's weights are read."""
    clip, folder = f"local-dir:{tiny_clip}", save_dino(tmp_path / "dino")
    protocol = get_protocol("photos", size=64)
    made = [
        Segmenter.from_pretrained(clip, protocol=protocol, methods=[GUIDED], guest=guest)
        for guest in (folder, str(folder), dino(), load_guest(folder))
    ]
    assert len({segmenter.encoder.guest.weights_hash for segmenter in made if segmenter.encoder.guest}) == 1
    picture = scene_batch([3], 70, 90)[0].permute(1, 2, 0).numpy()
    first, *others = (segmenter.segment(picture, "cat; dog; sky").labels for segmenter in made)
    assert all((labels == first).all() for labels in others)
    monkeypatch.setattr("cliptrase.segmenter.load_clip", lambda *_: pytest.fail("CLIP is read"))
    for guest, methods, words in (
        (tmp_path / "absent", [GUIDED], "there is no such file or folder"),
        (folder, ["gem"], "is read by no method of gem"),
    ):
        with pytest.raises(InputError, match=words):
            Segmenter.from_pretrained(clip, protocol=protocol, methods=methods, guest=guest)


def test_a_guest_that_nobody_reads(loaded_clip: LoadedClip) -> None:
    with pytest.raises(
        InputError, match=r"guest vit_tiny_patch16_224.* is read by no method of gem, vanilla; leave it out"
    ):
        Segmenter(loaded_clip, methods=["gem", "vanilla"], guest=tiny())
    with pytest.raises(InputError, match="method guided reads a guest tower's features, and no guest is given"):
        Segmenter(loaded_clip, methods=[GUIDED])
