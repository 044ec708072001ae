"""Where a guest's weights come from: timm's folders and names, files by their publishers' names; what is refused."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models import is_model_pretrained, save_for_hf
from torch import Tensor

from cliptrase.clip.guest import GuestTower
from cliptrase.clip.guest_weights import PUBLISHED_FILES, find_guest, load_guest
from cliptrase.common.errors import InputError
from tests.kit.dino import dino, save_dino, save_dinov2
from tests.kit.dino import state as dino_state

OF_DINO = {"img_size": 224, "patch_size": 16, "embed_dim": 384, "depth": 12, "num_heads": 6}  # ViT-S/16
OF_DINOV2 = {**OF_DINO, "img_size": 518, "patch_size": 14}


def made(architecture: str, state: dict[str, Tensor]) -> str:
    """Hash of a tower that holds these parameters by timm's names."""
    module = timm.create_model(architecture, num_classes=0, dynamic_img_size=True)
    module.load_state_dict(state)
    return GuestTower(module).weights_hash


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return dino_state(1, **OF_DINO)


@pytest.fixture(scope="module")
def expected(weights: dict[str, Tensor]) -> str:
    return made("vit_small_patch16_224.dino", weights)


def test_folders_as_timm_saves_them(tmp_path: Path) -> None:
    expected = GuestTower(dino())
    by_kit = load_guest(save_dino(tmp_path / "kit"))
    shape = {"img_size": 224, "patch_size": 8, "embed_dim": 96, "depth": 4, "num_heads": 3}
    save_for_hf(dino(), tmp_path / "safe", model_args=shape, safe_serialization=True)
    save_for_hf(dino(), tmp_path / "pickled", model_args=shape)
    for found in (by_kit, load_guest(str(tmp_path / "safe")), load_guest(str(tmp_path / "pickled"))):
        assert found.weights_hash == expected.weights_hash
        assert found.architecture == "vit_tiny_patch16_224.dino"
        assert (found.position_embedding, found.mean.flatten().tolist()) == ("dino", expected.mean.flatten().tolist())
        assert not any(parameter.requires_grad for parameter in found.parameters())
    assert by_kit.name == str(tmp_path / "kit")


def wrapped(kind: str, weights: dict[str, Tensor]) -> Any:
    """A checkpoint as DINO's, DINOv2's or somebody's training writes it."""
    heads = {"head.mlp.0.weight": torch.ones(2, 2), "head.last_layer.weight_g": torch.ones(2, 1)}
    backbone = {f"backbone.{name}": value for name, value in weights.items()}
    other = {f"module.backbone.{name}": value + 1 for name, value in weights.items()}
    options = argparse.Namespace(arch="vit_small", patch_size=16, lr=0.0005)
    return {
        "bare": weights,
        "classifier": weights | {"head.weight": torch.ones(7, 384), "head.bias": torch.ones(7)},
        "data parallel": {f"module.{name}": value for name, value in weights.items()},
        "model": {"model": weights, "epoch": 3},
        "dino": {
            "student": other | {f"module.{name}": value for name, value in heads.items()},
            "teacher": backbone | heads,
            "optimizer": {"state": {0: {"step": 1, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]},
            "epoch": 800,
            "args": options,
            "dino_loss": {"center": torch.zeros(1, 2)},
        },
        "dinov2": {
            "teacher": {name.replace("blocks.", "blocks.1."): value for name, value in backbone.items()}
            | {"dino_head.mlp.0.weight": torch.ones(2, 2), "ibot_head.mlp.0.weight": torch.ones(2, 2)}
        },
    }[kind]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bare", "dino_deitsmall16_pretrain.pth"),
        ("classifier", "vit_small_patch16_224.dino.pth"),
        ("data parallel", "dino_deitsmall16_pretrain.bin"),
        ("model", "vit_small_patch16_224.dino.pt"),
        ("dino", "dino_deitsmall16_pretrain_full_checkpoint.pth"),
        ("dinov2", "dino_deitsmall16_pretrain.pth"),
    ],
)
def test_files_by_their_publishers_name(
    kind: str, name: str, weights: dict[str, Tensor], expected: str, tmp_path: Path
) -> None:
    torch.save(wrapped(kind, weights), tmp_path / name)
    found = load_guest(tmp_path / name)
    assert found.weights_hash == expected
    assert (found.architecture, found.position_embedding) == ("vit_small_patch16_224.dino", "dino")
    assert found.name == str(tmp_path / name)


def test_a_file_of_safetensors(weights: dict[str, Tensor], expected: str, tmp_path: Path) -> None:
    save_file(weights, tmp_path / "vit_small_patch16_224.dino.safetensors")
    assert load_guest(tmp_path / "vit_small_patch16_224.dino.safetensors").weights_hash == expected


@pytest.mark.parametrize("registers", [0, 4])
def test_files_of_dinov2(registers: int, tmp_path: Path) -> None:
    """Registers, and the class token's row of the position embedding, go to where timm has them."""
    state = dino_state(2, registers, scaled=True, **OF_DINOV2)
    name = "dinov2_vits14_reg4_pretrain.pth" if registers else "dinov2_vits14_pretrain.pth"
    torch.save(state, tmp_path / name)
    found = load_guest(tmp_path / name)
    own = {name: value for name, value in state.items() if name != "mask_token"}
    if registers:
        table = own["pos_embed"]
        own |= {"reg_token": own.pop("register_tokens"), "cls_token": own["cls_token"] + table[:, :1]}
        own["pos_embed"] = table[:, 1:]
    assert found.weights_hash == made(PUBLISHED_FILES[name.removesuffix(".pth")], own)
    assert found.position_embedding == ("antialias" if registers else "dino")


def test_all_published_files_have_an_architecture_with_weights() -> None:
    assert all("." in name and is_model_pretrained(name) for name in PUBLISHED_FILES.values())


class Touch:
    """What a pickle may do on being read."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def test_no_code_of_a_file_is_run(weights: dict[str, Tensor], tmp_path: Path) -> None:
    options = argparse.Namespace(output=Touch(tmp_path / "made"))
    for content in ({"teacher": weights, "args": options}, {"teacher": Touch(tmp_path / "made")}):
        torch.save(content, tmp_path / "dino_deitsmall16_pretrain.pth")
        with pytest.raises(InputError, match=r"besides tensors it holds a Python object \(posix.mkdir\)"):
            load_guest(tmp_path / "dino_deitsmall16_pretrain.pth")
    save_dino(tmp_path / "folder")
    (tmp_path / "folder" / "model.safetensors").unlink()
    torch.save({"model": Touch(tmp_path / "made")}, tmp_path / "folder" / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"besides tensors it holds a Python object \(posix.mkdir\)"):
        load_guest(tmp_path / "folder")
    assert not (tmp_path / "made").exists()


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
        ("~nobody-is-here/dino.pth", "cannot be looked up: Could not determine home directory"),
        ("x" * 300, "cannot be looked up: "),
        ("empty", "guest empty is a folder without config.json and model.safetensors or pytorch_model.bin"),
        ("unread", "guest unread: its config.json describes no model of timm ("),
        (
            "weights.pth",
            "a file of weights is named as facebookresearch publishes it or after its timm architecture and tag, and "
            "'weights' is neither; rename it, such as dino_vitbase8_pretrain.pth or vit_base_patch8_224.dino.pth",
        ),
        ("dino_vitbase8_pretrained.pth", "is neither (did you mean dino_vitbase8_pretrain?); rename it"),
        (
            "vit_base_patch8_224.pth",
            "vit_base_patch8_224 alone does not tell whose weights it holds (timm knows "
            "vit_base_patch8_224.augreg2_in21k_ft_in1k, ",
        ),
        (
            "dino_vitbase8_pretrain.pth",
            "does not hold weights of its architecture: 150 parameters missing, 1 unknown, 0 of another shape (first: "
            "blocks.0.attn.proj.bias); give those of its architecture",
        ),
        ("resnet18.a1_in1k.pth", "resnet18.a1_in1k.pth is no vision transformer ("),
        (
            "dino_vitbase16_pretrain.pth",
            "patch_embed.proj.weight is of shape (768, 3, 8, 8), in its architecture of (768, 3, 16, 16); give",
        ),
        ("dinov2_vitb14_pretrain.pth", "pos_embed is of shape (1, 1374, 768), in its architecture of (1, 1370, 768)"),
        (
            "dinov2_vits14_pretrain.pth",
            "dinov2_vits14_pretrain.pth is not a weights file that can be read safely: it is",
        ),
        ("dino_deitsmall8_pretrain.pth", "dino_deitsmall8_pretrain.pth holds several sets of weights (one, two); save"),
    ],
)
def test_guests_that_cannot_be(guest: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    save_dino(tmp_path / "unread")
    (tmp_path / "unread" / "config.json").write_text('{"architecture": "no_such"}')
    stand_in = {"weight": torch.zeros(2)}
    by_name: dict[str, Any] = {
        "dino_vitbase16_pretrain.pth": {"patch_embed.proj.weight": torch.zeros(768, 3, 8, 8)},
        "dinov2_vitb14_pretrain.pth": {"pos_embed": torch.zeros(1, 1374, 768)},
        "dino_deitsmall8_pretrain.pth": {"one": stand_in, "two": stand_in},
    }
    if guest == "dinov2_vits14_pretrain.pth":
        Path(guest).write_text("<!doctype html><title>Not found</title>")
    elif guest.endswith(".pth") and not guest.startswith(("absent", "~")):
        torch.save(by_name.get(guest, stand_in), guest)
    with pytest.raises(InputError) as error:
        load_guest(guest)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_place_by_a_name_of_timms_is_called_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its figures would stand beside published ones."""
    save_dino(tmp_path / "vit_base_patch8_224.dino")
    monkeypatch.chdir(tmp_path)
    assert load_guest("vit_base_patch8_224.dino").name == "./vit_base_patch8_224.dino"


def test_a_guest_is_found_before_its_weights_are_read(tmp_path: Path) -> None:
    path = tmp_path / "dino_vitbase8_pretrain.pth"
    path.write_bytes(b"")
    assert find_guest(path) == ("vit_base_patch8_224.dino", path)
    assert find_guest("vit_base_patch14_dinov2.lvd142m") == ("vit_base_patch14_dinov2.lvd142m", None)
    folder = save_dinov2(tmp_path / "folder")
    assert find_guest(str(folder)) == (f"local-dir:{folder}", folder / "model.safetensors")
