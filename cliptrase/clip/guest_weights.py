"""Loading a guest tower: timm's names, folders as timm saves them, and files by their publishers' names."""

import re
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import timm
from timm.models import is_model, is_model_pretrained, list_models
from timm.models.vision_transformer import checkpoint_filter_fn
from torch import Tensor

from cliptrase.clip.checkpoint import read_tensors
from cliptrase.clip.filling import Unfilled
from cliptrase.clip.guest import SUPPORTED, GuestTower
from cliptrase.clip.towers import check_guest, path_of
from cliptrase.common.errors import InputError, did_you_mean, one_line

_FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

# timm's names of what facebookresearch publishes, by the names of the files.
PUBLISHED_FILES = {
    "dino_deitsmall16_pretrain": "vit_small_patch16_224.dino",
    "dino_deitsmall8_pretrain": "vit_small_patch8_224.dino",
    "dino_deitsmall8_300ep_pretrain": "vit_small_patch8_224.dino",
    "dino_vitbase16_pretrain": "vit_base_patch16_224.dino",
    "dino_vitbase8_pretrain": "vit_base_patch8_224.dino",
    "dinov2_vits14_pretrain": "vit_small_patch14_dinov2.lvd142m",
    "dinov2_vitb14_pretrain": "vit_base_patch14_dinov2.lvd142m",
    "dinov2_vitl14_pretrain": "vit_large_patch14_dinov2.lvd142m",
    "dinov2_vitg14_pretrain": "vit_giant_patch14_dinov2.lvd142m",
    "dinov2_vits14_reg4_pretrain": "vit_small_patch14_reg4_dinov2.lvd142m",
    "dinov2_vitb14_reg4_pretrain": "vit_base_patch14_reg4_dinov2.lvd142m",
    "dinov2_vitl14_reg4_pretrain": "vit_large_patch14_reg4_dinov2.lvd142m",
    "dinov2_vitg14_reg4_pretrain": "vit_giant_patch14_reg4_dinov2.lvd142m",
}
_WHOLE = "_full_checkpoint"  # ends the name of a file with student, teacher and optimizer
_TEACHER = "teacher"  # whose weights DINO publishes and evaluates
_WRAPPERS = ("teacher.", "module.", "_orig_mod.", "model.", "backbone.")
_HEADS = ("head.", "dino_head.", "ibot_head.")


def load_guest(guest: str | Path) -> GuestTower:
    """Loads a guest tower with its weights, and runs nothing that is in a file.

    Args:
        guest: a timm name, whose weights are downloaded unless they are cached; a folder as timm saves it
            (`config.json` and weights); or a file of weights, named as facebookresearch publishes it
            (`dino_vitbase8_pretrain.pth`, `dinov2_vitb14_reg4_pretrain.pth`; see `PUBLISHED_FILES`) or after its
            architecture and tag (`vit_base_patch8_224.dino.safetensors`). Of a training checkpoint the teacher is read.

    Raises:
        InputError: no such architecture, file or folder, weights that do not fit, are not finite or cannot be
            downloaded, or a tower of another kind.
    """
    name, weights = find_guest(guest)
    given = str(guest)
    state = read_tensors(weights, _TEACHER) if weights else None
    try:
        with warnings.catch_warnings(), nullcontext() if state is None else Unfilled():
            warnings.simplefilter("ignore")
            module = timm.create_model(name, pretrained=weights is None, num_classes=0, dynamic_img_size=True)
    except TypeError as error:  # of an architecture that knows no dynamic size
        raise InputError(f"guest {given} is no vision transformer ({one_line(error)}); {SUPPORTED}") from error
    except Exception as error:
        if weights is None:
            raise InputError(
                f"guest {given}: its weights are not here and cannot be downloaded ({one_line(error)}); run once with "
                "network access, or give a folder or a file with its weights"
            ) from error
        raise InputError(
            f"guest {given}: its config.json describes no model of timm ({one_line(error)}); give a folder as timm "
            "saves it"
        ) from error
    if state is not None:
        _fill(module, state, given)
    # A place is never called by a name of timm's, for which results would take it.
    return GuestTower(module, given if weights is None or len(Path(given).parts) > 1 else f"./{given}")


def find_guest(guest: str | Path) -> tuple[str, Path | None]:
    """A guest's architecture by timm's name and the file of its weights, None where timm has them; reads no weights.

    Raises:
        InputError: no such architecture, file or folder.
    """
    given = str(guest)
    check_guest(given)
    place = path_of(given, "guest")
    if place.is_file():
        return _of_file(place), place
    if not place.is_dir():
        _check_name(given)
        return given, None
    weights = next((place / file for file in _FOLDER_WEIGHTS if (place / file).is_file()), None)
    if weights is None or not (place / "config.json").is_file():
        raise InputError(
            f"guest {given} is a folder without config.json and {' or '.join(_FOLDER_WEIGHTS)}; give a folder as timm "
            "saves it, a file or a timm name"
        )
    return f"local-dir:{place}", weights


def _of_file(file: Path) -> str:
    """The architecture and tag, by timm's name, of which a file says that it holds the weights.

    The tag is asked for: it tells mean and standard deviation, and how the position embedding is resampled.
    """
    stem = file.stem.removesuffix(_WHOLE)
    if stem in PUBLISHED_FILES:
        return PUBLISHED_FILES[stem]
    if is_model_pretrained(stem) and "." in stem:
        return stem
    cure = f"rename it, such as dino_vitbase8_pretrain{file.suffix} or vit_base_patch8_224.dino{file.suffix}"
    if is_model(stem):
        tags = ", ".join(list_models(f"{stem}.*", pretrained=True)) or "none of its weights"
        raise InputError(f"guest {file}: {stem} alone does not tell whose weights it holds (timm knows {tags}); {cure}")
    raise InputError(
        f"guest {file}: a file of weights is named as facebookresearch publishes it or after its timm architecture and "
        f"tag, and {stem!r} is neither{_meant(stem, *PUBLISHED_FILES)}; {cure}"
    )


def _check_name(guest: str) -> None:
    """Refuses a name by which timm would have no weights, some of which it would make up."""
    if not is_model(guest):
        raise InputError(f"guest {guest!r} is no architecture of timm{_meant(guest)}; {SUPPORTED}")
    if not is_model_pretrained(guest):
        raise InputError(
            f"timm has no weights for guest {guest}{_meant(guest)}; give a folder or a file with its weights"
        )


def _fill(module: Any, state: dict[str, Tensor], guest: str) -> None:
    """Gives a tower the weights of a checkpoint, each of which must have its place and its shape there.

    timm would resample patch and position embedding of other sizes, and so take a tower of other patches for this one.
    """
    state = _towers_own(state)
    own = module.state_dict()
    for key, more in (("patch_embed.proj.weight", 0), ("pos_embed", int("register_tokens" in state))):
        if key not in own or key not in state:
            continue
        wanted = (*own[key].shape[:1], own[key].shape[1] + more, *own[key].shape[2:])
        if wanted != tuple(state[key].shape):
            raise InputError(
                f"guest {guest}: {key} is of shape {tuple(state[key].shape)}, in its architecture of {wanted}; give "
                "weights of its architecture"
            )
    try:
        renamed: dict[str, Tensor] = checkpoint_filter_fn(dict(state), module)
    except (KeyError, IndexError, RuntimeError, ValueError, AttributeError, AssertionError) as error:
        raise InputError(
            f"guest {guest}: its weights cannot be used ({one_line(error)}); give those of its architecture"
        ) from error
    missing, extra = sorted(own.keys() - renamed.keys()), sorted(renamed.keys() - own.keys())
    reshaped = sorted(key for key in own.keys() & renamed.keys() if own[key].shape != renamed[key].shape)
    if missing or extra or reshaped:
        raise InputError(
            f"guest {guest} does not hold weights of its architecture: {len(missing)} parameters missing, {len(extra)} "
            f"unknown, {len(reshaped)} of another shape (first: {(missing or extra or reshaped)[0]}); give those of "
            "its architecture"
        )
    module.load_state_dict(renamed)


def _towers_own(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tower's weights by its own names: without wrappers, heads, and numbers of groups of blocks (DINOv2)."""
    while "patch_embed.proj.weight" not in state:
        prefix = next((each for each in _WRAPPERS if any(key.startswith(each) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return {
        re.sub(r"^blocks\.\d+\.(\d+)\.", r"blocks.\1.", key): value
        for key, value in state.items()
        if not key.startswith(_HEADS)
    }


def _meant(name: str, *others: str) -> str:
    near = did_you_mean(name, [*list_models(pretrained="." in name), *others])
    return f" (did you mean {near}?)" if near else ""
