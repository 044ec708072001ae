"""A second tower beside CLIP's: timm's own features, on any grid, from a folder or a file; and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models import save_for_hf
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.guest import GuestTower, load_guest
from cliptrase.clip.trunk import Trunk
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.methods import METHODS, Method
from cliptrase.protocols.table import get_protocol
from cliptrase.readings import reading
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests.kit import scene_batch

NAME = "vit_tiny_patch16_224"
SHAPE: dict[str, Any] = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}


def tiny(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    module: nn.Module = timm.create_model(NAME, num_classes=0, **{**SHAPE, "dynamic_img_size": True, **options})
    return module.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As timm saves a model."""
    path: Path = tmp_path_factory.mktemp("guest")
    save_for_hf(tiny(), path, model_args=SHAPE)
    return path


@pytest.mark.parametrize(
    ("size", "grid"), [((32, 32), (4, 4)), ((48, 80), (6, 10)), ((35, 61), (4, 8)), ((3, 9), (1, 1))]
)
def test_patch_features_are_timms_own(size: tuple[int, int], grid: tuple[int, int]) -> None:
    module = tiny()
    pixels = scene_batch([1, 2], *size) / 255
    with torch.no_grad():
        found = GuestTower(module)(pixels)
        shown = F.interpolate(pixels, (8 * grid[0], 8 * grid[1]), mode="bilinear", antialias=True)
        expected = module.forward_features((shown - 0.5) / 0.5)[
            :, 1:
        ]  # of this architecture, in the class token's wake
    assert found.grid == grid
    torch.testing.assert_close(found.tokens, expected, rtol=0, atol=1e-5)


def test_registers_are_left_out() -> None:
    module = tiny(reg_tokens=3)
    with torch.no_grad():
        assert GuestTower(module)(torch.zeros(1, 3, 32, 40)).tokens.shape == (1, 20, 32)


def test_folder_and_file(folder: Path, tmp_path: Path) -> None:
    expected = GuestTower(tiny())
    found = load_guest(str(folder))
    assert found.weights_hash == expected.weights_hash
    assert not any(parameter.requires_grad for parameter in found.parameters())
    torch.manual_seed(1)
    whole = timm.create_model(NAME, num_classes=7)  # whose head is left out
    torch.save(whole.state_dict(), tmp_path / f"{NAME}.pth")
    by_file = load_guest(str(tmp_path / f"{NAME}.pth"))
    headless = timm.create_model(NAME, num_classes=0, dynamic_img_size=True)
    headless.load_state_dict({k: v for k, v in whole.state_dict().items() if not k.startswith("head.")})
    assert by_file.weights_hash == GuestTower(headless).weights_hash


@pytest.mark.parametrize(
    ("guest", "words"),
    [
        (
            "vit_base_patch8_224.dinno",
            "no weights for guest vit_base_patch8_224.dinno (did you mean vit_base_patch8_224.dino?); give",
        ),
        ("no_such", "is no architecture of timm; supported are timm's vision transformers"),
        ("vit_base_patch8_224.dino", "its weights are not here and cannot be downloaded ("),
        (
            "vit_tinny_patch16_224",
            "'vit_tinny_patch16_224' is no architecture of timm (did you mean vit_tiny_patch16_224",
        ),
        ("vit_giant_patch14_224", "timm has no weights for guest vit_giant_patch14_224"),
        ("absent/folder", "guest absent/folder: there is no such file or folder"),
        ("absent.pth", "guest absent.pth: there is no such file or folder"),
        ("empty", "guest empty is a folder without config.json and model.safetensors or pytorch_model.bin"),
        ("weights.pth", "a file of weights is named after its timm architecture"),
        (f"{NAME}.pth", "its weights cannot be used ("),
        ("resnet18.pth", "resnet18.pth is no vision transformer ("),
    ],
)
def test_guests_that_cannot_be(guest: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("weights.pth", f"{NAME}.pth", "resnet18.pth"):
        torch.save({"weight": torch.zeros(2)}, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        load_guest(guest)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


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


def test_a_guest_that_nobody_reads(loaded_clip: LoadedClip) -> None:
    with pytest.raises(
        InputError, match="guest vit_tiny_patch16_224 is read by no method of gem, vanilla; leave it out"
    ):
        Segmenter(loaded_clip, methods=["gem", "vanilla"], guest=tiny())
    with pytest.raises(InputError, match="method guided reads a guest tower's features, and no guest is given"):
        Segmenter(loaded_clip, methods=[GUIDED])
