"""Architectures by name and visual towers by configuration: which can be used is known before any weights are read.

open_clip keeps one JSON file an architecture. They are read without importing open_clip, and torch with it.
"""

import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cliptrase.common.errors import InputError, one_line, suggestion

EMBEDDED = Path(__file__).resolve().parents[1] / "demo"
CONFIG = "open_clip_config.json"
FOLDER = "local-dir:"
HUB = "hf-hub:"
OWN_WEIGHTS = (FOLDER, HUB, "embedded")  # how a model starts that brings its own weights
THREE_WAYS = (
    "get them in one of three ways: run once with network access (they are then cached), give a weights file by "
    "`pretrained`, or a folder with open_clip_config.json and its weights by `clip` local-dir:DIR"
)
SUPPORTED = "supported are open_clip VisionTransformers with a class token, such as ViT-B-16, ViT-L-14 or ViT-H-14"
_SUFFIXES = {".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".pkl", ".npz", ".onnx", ".h5", ".zip", ".tar", ".gz"}
_BLOCKS_OF_ANOTHER_KIND = ("qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc")
_FEWEST_BLOCKS = 2
# How others write names: OpenAI `ViT-L/14@336px`, Hugging Face `openai/clip-vit-large-patch14-336`.
_WORDS = (("openai/", ""), ("clip-vit", "vit"), ("base", "b"), ("large", "l"), ("huge", "h"), ("patch", ""), ("px", ""))


def names() -> list[str]:
    """open_clip's architectures."""
    return sorted(_files())


def find_name(clip: str) -> str:
    """open_clip's name of an architecture, however it is spelt; empty where there is none.

    >>> [find_name(clip) for clip in ("ViT-B/16", "vit_b_16", "ViT-L/14@336px", "clip-vit-base-patch32")]
    ['ViT-B-16', 'ViT-B-16', 'ViT-L-14-336', 'ViT-B-32']
    """
    if clip in _files() or _registered(clip):
        return clip
    return {_plain(name): name for name in names()}.get(_plain(clip), "")


def read_architecture(name: str) -> dict[str, Any]:
    """An architecture's configuration, `embed_dim`, `vision_cfg`, `text_cfg`."""
    config: dict[str, Any] = _registered(name) or json.loads(_files()[name].read_text(encoding="utf-8"))
    return config


def unknown_architecture(clip: str) -> InputError:
    """The error for a name that is no architecture, with the nearest one."""
    meant = suggestion(clip.replace("/", "-"), names())
    return InputError(
        f"`clip` {clip!r} is not an architecture of open_clip: {meant} one such as ViT-B-16 "
        "(open_clip.list_models() names all), local-dir:DIR or hf-hub:REPOSITORY"
    )


def refuse_tower(vision: Mapping[str, Any], where: str) -> None:
    """Refuses a visual tower that cannot be used, by its configuration alone.

    Raises:
        InputError: a ResNet, a timm model, attention pooling, no class token, blocks of another kind, or too few.
    """
    layers = vision.get("layers", 12)
    if name := vision.get("timm_model_name"):
        kind = f"is timm's {shown(name)}"
    elif isinstance(layers, (list, tuple)):
        kind = "is a ResNet"
    elif vision.get("attentional_pool"):
        kind = "pools by attention"
    elif (pool := vision.get("pool_type", "tok")) != "tok":
        kind = f"pools by {shown(pool)}, not by its class token"
    elif vision.get("block_type") not in (None, "default") or any(map(vision.get, _BLOCKS_OF_ANOTHER_KIND)):
        kind = "has blocks with other attention than CLIP's"
    elif type(layers) is int and 0 < layers < _FEWEST_BLOCKS:
        raise InputError(f"{where}: its visual tower has {layers} block, and {_FEWEST_BLOCKS} are needed; {SUPPORTED}")
    else:
        return
    raise InputError(f"{where}: its visual tower {kind}, which has no dense class-token attention; {SUPPORTED}")


def number_of_blocks(clip: str) -> int | None:
    """Blocks of a visual tower as far as a file on this machine says; None where it is a hub repository or unknown."""
    try:
        if clip == "embedded" or clip.startswith(FOLDER):
            config = json.loads((_folder(clip) / CONFIG).read_text(encoding="utf-8"))["model_cfg"]
        elif name := find_name(clip):
            config = read_architecture(name)
        else:
            return None
        layers = config["vision_cfg"].get("layers", 12)
    except (
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        RuntimeError,
        InputError,
    ):  # told where it is read
        return None
    return layers if type(layers) is int else None


def check(clip: str, pretrained: str | None) -> None:
    """Refuses a model whose name, places or configuration show that it cannot be used; nothing large is read.

    Args:
        clip: see `weights.load_clip`.
        pretrained: likewise.

    Raises:
        InputError: an unknown architecture, a tower that cannot be used, or a folder or weights file that is not there.
    """
    if clip == "embedded" or clip.startswith((FOLDER, HUB)):
        if pretrained is not None:
            raise InputError(f"`clip` {clip} brings its own weights: leave out `pretrained` {pretrained!r}")
        if not clip.startswith(HUB):
            _check_folder(clip)
        return
    name = find_name(clip)
    if not name:
        if (folder := path_of(clip, "`clip`")).is_dir():
            raise InputError(f"`clip` {clip!r} is a folder: {of_folder(folder, clip)}")
        raise unknown_architecture(clip)
    refuse_tower(read_architecture(name)["vision_cfg"], f"`clip` {clip}")
    if pretrained is None:
        raise InputError(f"`clip` {clip} needs weights: {THREE_WAYS}")
    path = path_of(pretrained, "`pretrained`")
    if _is_path(path):
        check_file(path, pretrained)


def check_guest(guest: str) -> None:
    """Refuses a guest that names a file or folder which is not there; timm's names are let through.

    Args:
        guest: see `guest_weights.load_guest`.

    Raises:
        InputError: see above.
    """
    path = path_of(guest, "guest")
    if _is_path(path) and not path.exists():
        raise InputError(f"guest {guest}: there is no such file or folder; give one, or a timm name")


def check_file(path: Path, pretrained: str) -> None:
    """Refuses a path that is no weights file, but for a single word, which may be a tag.

    Raises:
        InputError: see above.
    """
    if path.is_file():
        return
    if path.is_dir():
        raise InputError(f"`pretrained` {pretrained!r} is a folder: {of_folder(path, pretrained)}")
    if path.exists():
        raise InputError(f"`pretrained` {pretrained!r} is no plain file; give a weights file")
    if _is_path(path):
        raise InputError(
            f"`pretrained` {pretrained!r} names a file that does not exist; give the path of a weights file"
        )


def of_folder(folder: Path, given: str) -> str:
    """The cure for a folder where a name or a file is needed."""
    if (folder / CONFIG).is_file():
        return f"give `clip` local-dir:{given} and leave out `pretrained`"
    return f"it has no {CONFIG} to be read by local-dir:{given}; give an architecture and its weights file"


def path_of(given: str, parameter: str) -> Path:
    """A path, `~` filled in.

    Raises:
        InputError: no such user, a name too long, or a folder that is barred.
    """
    try:
        path = Path(given).expanduser()
        path.is_file()
    except (RuntimeError, OSError, ValueError) as error:
        raise InputError(f"{parameter} {given!r} cannot be looked up: {one_line(error)}") from error
    return path


def shown(value: Any) -> str:
    """A value of a configuration, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is_path(path: Path) -> bool:
    """Whether a word is a path whatever is there; a tag has neither a folder nor an ending."""
    return path.suffix.lower() in _SUFFIXES or len(path.parts) > 1


def _folder(clip: str) -> Path:
    return EMBEDDED if clip == "embedded" else path_of(clip.removeprefix(FOLDER), "`clip` local-dir:")


def _check_folder(clip: str) -> None:
    folder = _folder(clip)
    if not clip.removeprefix(FOLDER) or not (folder / CONFIG).is_file():
        raise InputError(f"`clip` {clip}: no {CONFIG} in {folder}; name a folder that holds one")
    try:
        vision = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["model_cfg"]["vision_cfg"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # `model_config.read_config` says what is wrong
        return
    if isinstance(vision, dict):
        refuse_tower(vision, f"`clip` {clip}: {CONFIG}")


def _plain(name: str) -> str:
    text = name.lower()
    for word, short in _WORDS:
        text = text.replace(word, short)
    return re.sub(r"[^a-z0-9]", "", text)


def _registered(name: str) -> dict[str, Any] | None:
    """What users added by `open_clip.add_model_config`, where they have imported it."""
    config: dict[str, Any] | None = None
    if library := sys.modules.get("open_clip"):
        config = library.get_model_config(name)
    return config


@cache
def _files() -> dict[str, Path]:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'open_clip'", name="open_clip")
    folder = Path(next(iter(spec.submodule_search_locations)), "model_configs")
    return {path.stem: path for path in folder.glob("*.json")}
