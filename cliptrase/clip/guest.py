"""A guest: a second tower beside CLIP's, whose patch features readings may use (ProxyCLIP's DINO, say)."""

import warnings
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import is_model, is_model_pretrained, list_models, load_checkpoint
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.clip.checkpoint import hash_parameters
from cliptrase.clip.trunk import GuestFeatures
from cliptrase.common.errors import InputError, did_you_mean, one_line

_SUPPORTED = "supported are timm's vision transformers, such as vit_base_patch8_224.dino"
_FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class GuestTower(nn.Module):
    """Patch features of a vision transformer of timm.

    Args:
        module: made with `dynamic_img_size=True`; its `pretrained_cfg` names mean and standard deviation, without one
            ImageNet's are taken.
        name: as it is called in results; None takes the module's own.

    Attributes:
        weights_hash: SHA-256 over the names, shapes and values of all parameters.

    Raises:
        InputError: a module of another kind, or one for images of one size alone.
    """

    def __init__(self, module: nn.Module, name: str | None = None) -> None:
        super().__init__()
        config = getattr(module, "pretrained_cfg", None) or {}
        patch = getattr(getattr(module, "patch_embed", None), "patch_size", None)
        if patch is None or not hasattr(module, "forward_features") or not hasattr(module, "num_prefix_tokens"):
            raise InputError(f"a guest tower of type {type(module).__name__} gives no patch features; {_SUPPORTED}")
        if not getattr(module, "dynamic_img_size", False):
            raise InputError(
                f"the guest tower {type(module).__name__} takes images of one size alone; make it with "
                "timm.create_model(..., dynamic_img_size=True)"
            )
        self.module: Any = module.eval().requires_grad_(False)
        self.name = name or config.get("architecture") or type(module).__name__
        self.patch = (int(patch[0]), int(patch[1]))
        self.weights_hash = hash_parameters(module)
        self.mean: Tensor
        self.std: Tensor
        for key, usual in (("mean", _IMAGENET_MEAN), ("std", _IMAGENET_STD)):
            value = torch.tensor(config.get(key) or usual, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(key, value, persistent=False)

    def forward(self, pixels: Tensor) -> GuestFeatures:
        """Patch features of images, which are resized bilinearly to the nearest whole number of patches.

        Args:
            pixels: (B, 3, H, W) RGB in [0, 1].
        """
        grid = tuple(max(1, round(side / step)) for side, step in zip(pixels.shape[2:], self.patch, strict=True))
        size = (grid[0] * self.patch[0], grid[1] * self.patch[1])
        if size != tuple(pixels.shape[2:]):
            pixels = F.interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)
        tokens = self.module.forward_features((pixels - self.mean) / self.std)[:, self.module.num_prefix_tokens :]
        return GuestFeatures(tokens, (grid[0], grid[1]))


def load_guest(guest: str) -> GuestTower:
    """Loads a guest tower with its weights.

    Args:
        guest: a timm name, whose weights are downloaded unless they are cached; a folder as timm saves it
            (`config.json` and weights); or a file of weights named after its architecture:
            `vit_base_patch8_224.dino.pth`.

    Raises:
        InputError: no such architecture, file or folder, weights that do not fit or cannot be downloaded, or a tower of
            another kind.
    """
    place = Path(guest).expanduser()
    name, weights = guest, None
    if place.is_dir():
        weights = next((place / file for file in _FOLDER_WEIGHTS if (place / file).is_file()), None)
        if weights is None or not (place / "config.json").is_file():
            raise InputError(
                f"guest {guest} is a folder without config.json and {' or '.join(_FOLDER_WEIGHTS)}; give a folder as "
                "timm saves it, a file or a timm name"
            )
        name = f"local-dir:{place}"
    elif place.is_file():
        name, weights = place.stem, place
        if not is_model(name):
            raise InputError(
                f"guest {guest}: a file of weights is named after its timm architecture, such as "
                f"vit_base_patch8_224.dino{place.suffix}, and {name!r} is none{_meant(name)}; rename it"
            )
    else:
        _check_name(guest)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = timm.create_model(name, pretrained=weights is None, num_classes=0, dynamic_img_size=True)
            if weights:
                load_checkpoint(module, str(weights), strict=True, filter_fn=_without_head)
    except TypeError as error:  # of an architecture that knows no dynamic size
        raise InputError(f"guest {guest} is no vision transformer ({one_line(error)}); {_SUPPORTED}") from error
    except Exception as error:
        if weights is None:
            raise InputError(
                f"guest {guest}: its weights are not here and cannot be downloaded ({one_line(error)}); run once with "
                "network access, or give a folder or a file with its weights"
            ) from error
        raise InputError(
            f"guest {guest}: its weights cannot be used ({one_line(error)}); give those of its architecture"
        ) from error
    return GuestTower(module, guest)


def _check_name(guest: str) -> None:
    """Refuses a name by which timm would have no weights, some of which it would make up."""
    if "/" in guest or Path(guest).suffix in {".pth", ".pt", ".bin", ".safetensors"}:
        raise InputError(f"guest {guest}: there is no such file or folder; give one, or a timm name")
    if not is_model(guest):
        raise InputError(f"guest {guest!r} is no architecture of timm{_meant(guest)}; {_SUPPORTED}")
    if not is_model_pretrained(guest):
        raise InputError(
            f"timm has no weights for guest {guest}{_meant(guest)}; give a folder or a file with its weights"
        )


def _without_head(state: dict[str, Tensor], module: Any) -> dict[str, Tensor]:
    """A checkpoint under timm's names, without the classifier that a guest does not have."""
    renamed: dict[str, Tensor] = checkpoint_filter_fn(state, module)
    return {name: value for name, value in renamed.items() if not name.startswith("head.")}


def _meant(name: str) -> str:
    near = did_you_mean(name, list_models(pretrained="." in name))
    return f" (did you mean {near}?)" if near else ""
