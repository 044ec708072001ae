"""Loading CLIP: open_clip's names and tags, local folders, the Hugging Face hub, and local weight files."""

import hashlib
import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import open_clip
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

from cliptrase.checkpoint import hash_parameters, read_state_dict
from cliptrase.errors import InputError, one_line
from cliptrase.text import Tokenizer

Activation = Literal["auto", "gelu", "quick_gelu"]

_EMBEDDED = Path(__file__).parent / "demo"
_HUB = ("huggingface.co", 443)
_HUB_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT")
_THREE_WAYS = (
    "get them in one of three ways: run once with network access (they are then cached), give a weights file by "
    "--model.pretrained FILE, or a folder with open_clip_config.json and its weights by --model.clip local-dir:DIR"
)


@dataclass(frozen=True)
class LoadedClip:
    """A CLIP model and what there is to say of it.

    Attributes:
        model: open_clip model, float32, in evaluation mode, parameters frozen.
        tokenizer: strings to (P, L) token ids.
        name: architecture or place, as given.
        pretrained: tag, file or None (a folder or hub repository brings its own weights).
        activation: which GELU the blocks run with.
        weights_hash: SHA-256 over the names, shapes and values of all parameters.
        mean: RGB mean of the pre-training pictures, in [0, 1].
        std: RGB standard deviation, likewise.
        config_hash: SHA-256 over open_clip's configuration of model and preprocessing, 16 hexadecimal digits: what the
            weights do not say of how they are read, such as the number of heads.
    """

    model: Any
    tokenizer: Tokenizer
    name: str
    pretrained: str | None
    activation: Literal["gelu", "quick_gelu"]
    weights_hash: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    config_hash: str


def load_clip(clip: str, pretrained: str | None = None, activation: Activation = "auto") -> LoadedClip:
    """Loads a CLIP model with the activation that its weights were trained with.

    Args:
        clip: open_clip architecture (`ViT-B-16`), `local-dir:DIR`, `hf-hub:REPOSITORY`, or `embedded` for the small
            model that comes with this package.
        pretrained: open_clip tag (`openai`) or a weights file; unset for `local-dir:` and `hf-hub:`.
        activation: `auto` takes what the tag, the folder's config or the file says of itself.

    Raises:
        InputError: an unknown name or tag, a missing or unreadable file, weights of another architecture, or
            weights that cannot be downloaded.
    """
    if clip == "embedded":
        return replace(load_clip(f"local-dir:{_EMBEDDED}", pretrained, activation), name="embedded")
    if clip.startswith(("local-dir:", "hf-hub:")):
        if pretrained is not None:
            raise InputError(f"--model.clip {clip} brings its own weights: leave out --model.pretrained {pretrained!r}")
        return _from_place(clip, activation)
    if open_clip.get_model_config(clip) is None:
        raise InputError(
            f"--model.clip {clip!r} is not an architecture of open_clip {open_clip.__version__}: take one such as "
            "ViT-B-16 (open_clip.list_models() names all), local-dir:DIR or hf-hub:REPOSITORY"
        )
    if pretrained is None:
        raise InputError(f"--model.clip {clip} needs weights: {_THREE_WAYS}")
    card = get_pretrained_cfg(clip, pretrained)
    if card:
        return _from_tag(clip, pretrained, card, activation)
    if not Path(pretrained).expanduser().is_file():
        tags = ", ".join(list_pretrained_tags_by_model(clip)) or "none"
        raise InputError(f"--model.pretrained {pretrained!r} is neither a file nor a tag of {clip}; its tags: {tags}")
    return _from_file(clip, Path(pretrained).expanduser(), activation)


def _from_place(clip: str, activation: Activation) -> LoadedClip:
    schema, place = clip.split(":", 1)
    if schema == "local-dir":
        folder = Path(place).expanduser()
        if not (folder / "open_clip_config.json").is_file():
            raise InputError(f"--model.clip {clip}: no open_clip_config.json in {folder}; name a folder that holds one")
        clip = f"local-dir:{folder}"
    else:
        _require_hub(f"{place}/open_clip_config.json", clip)
    try:
        quick = _is_quick(open_clip.get_model_config(clip), activation)
        with _quiet():
            model = open_clip.create_model(clip, require_pretrained=True, quick_gelu=quick)
    except Exception as error:  # open_clip and its readers raise whatever they meet in a damaged file
        raise InputError(f"--model.clip {clip} cannot be loaded: {one_line(error)}") from error
    return _loaded(model, clip, None, quick)


def _from_tag(clip: str, tag: str, card: dict[str, Any], activation: Activation) -> LoadedClip:
    quick = _is_quick(card, activation)
    if hub := card.get("hf_hub"):
        _require_hub(hub, f"{clip} {tag}")
    try:
        with _quiet():
            model = open_clip.create_model(clip, pretrained=tag, require_pretrained=True, quick_gelu=quick)
    except Exception as error:  # network, hub and file errors of many libraries
        raise InputError(f"the weights {tag!r} of {clip} cannot be had ({one_line(error)}); {_THREE_WAYS}") from error
    return _loaded(model, clip, tag, quick)


def _from_file(clip: str, path: Path, activation: Activation) -> LoadedClip:
    state, is_openai = read_state_dict(path)
    quick = _is_quick({"quick_gelu": clip.endswith("-quickgelu") or is_openai}, activation)
    has_twin = open_clip.get_model_config(f"{clip}-quickgelu") is not None
    if activation == "auto" and not quick and has_twin:
        warnings.warn(
            f"{path} does not say which activation it was trained with; plain GELU is taken. For weights by OpenAI, "
            "MetaCLIP or DFN give --model.activation quick_gelu; gelu there confirms plain GELU.",
            stacklevel=3,
        )
    with _quiet():
        model = open_clip.create_model(clip, pretrained=None, load_weights=False, quick_gelu=quick)
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    reshaped = sorted(key for key in own.keys() & state.keys() if own[key].shape != state[key].shape)
    if missing or extra or reshaped:
        raise InputError(
            f"{path} does not hold weights of {clip}: {len(missing)} parameters missing, {len(extra)} unknown, "
            f"{len(reshaped)} of another shape (first: {(missing or extra or reshaped)[0]}); "
            "give the architecture that it was trained as by --model.clip"
        )
    model.load_state_dict(state)
    return _loaded(model, clip, str(path), quick)


def _is_quick(card: dict[str, Any], activation: Activation) -> bool:
    return bool(card.get("quick_gelu", False)) if activation == "auto" else activation == "quick_gelu"


def _require_hub(file: str, wanted: str) -> None:
    """Fails at once where a file is neither cached nor reachable: the hub's client retries for most of a minute."""
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, name = file.rpartition("/")
    names = (name, f"{name.rsplit('.', 1)[0]}.safetensors", *_HUB_WEIGHTS) if name else _HUB_WEIGHTS
    if any(isinstance(try_to_load_from_cache(repository, candidate), str) for candidate in names):
        return
    if constants.HF_HUB_OFFLINE:
        raise InputError(f"the weights of {wanted} are not cached and HF_HUB_OFFLINE is set; {_THREE_WAYS}")
    if any(os.environ.get(variable) for variable in _PROXIES):
        return
    try:
        socket.create_connection(_HUB, timeout=5).close()
    except OSError as error:
        raise InputError(
            f"the weights of {wanted} are not cached and the network does not reach them ({one_line(error)}); "
            f"{_THREE_WAYS}"
        ) from error


def _loaded(model: Any, name: str, pretrained: str | None, quick: bool) -> LoadedClip:
    model.float().eval().requires_grad_(False)
    preprocess = open_clip.get_model_preprocess_cfg(model)
    try:
        with _quiet():
            tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # a Hugging Face tokenizer that needs more than open_clip itself
        raise InputError(f"the tokenizer of {name} cannot be had: {one_line(error)}") from error
    return LoadedClip(
        model=model,
        tokenizer=tokenizer,
        name=name,
        pretrained=pretrained,
        activation="quick_gelu" if quick else "gelu",
        weights_hash=hash_parameters(model),
        mean=tuple(preprocess["mean"]),
        std=tuple(preprocess["std"]),
        config_hash=hash_config(open_clip.get_model_config(name), preprocess),
    )


def hash_config(*parts: Any) -> str:
    """SHA-256 of configurations as open_clip gives them, 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps open_clip's log lines and its GELU warning out of the way: the activation is decided here."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="QuickGELU mismatch")
            yield
    finally:
        logging.disable(disabled)
