"""Loading CLIP: open_clip's names and tags, local folders, the Hugging Face hub, and local weight files."""

import hashlib
import json
import logging
import os
import socket
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import open_clip
import torch
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model
from torch import Tensor, nn

from cliptrase.errors import InputError
from cliptrase.text import Tokenizer

Activation = Literal["auto", "gelu", "quick_gelu"]

_HUB = ("huggingface.co", 443)
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
    """

    model: nn.Module
    tokenizer: Tokenizer
    name: str
    pretrained: str | None
    activation: Literal["gelu", "quick_gelu"]
    weights_hash: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def load_clip(clip: str, pretrained: str | None = None, activation: Activation = "auto") -> LoadedClip:
    """Loads a CLIP model with the activation that its weights were trained with.

    Args:
        clip: open_clip architecture (`ViT-B-16`), `local-dir:DIR` or `hf-hub:REPOSITORY`.
        pretrained: open_clip tag (`openai`) or a weights file; unset for `local-dir:` and `hf-hub:`.
        activation: `auto` takes what the tag, the folder's config or the file says of itself.

    Raises:
        InputError: an unknown name or tag, a missing or unreadable file, weights of another architecture, or
            weights that cannot be downloaded.
    """
    if clip.startswith(("local-dir:", "hf-hub:")):
        if pretrained is not None:
            raise InputError(
                f"--model.clip {clip} brings its own weights: leave --model.pretrained out, not {pretrained!r}"
            )
        return _from_place(clip, activation)
    if open_clip.get_model_config(clip) is None:
        raise InputError(
            f"--model.clip {clip!r} is not an architecture of open_clip {open_clip.__version__}: take one such as ViT-B-16 "
            "(open_clip.list_models() names all), local-dir:DIR or hf-hub:REPOSITORY"
        )
    if pretrained is None:
        raise InputError(f"--model.clip {clip} needs weights: {_THREE_WAYS}")
    card = get_pretrained_cfg(clip, pretrained)
    if card:
        return _from_tag(clip, pretrained, card, activation)
    if not Path(pretrained).expanduser().is_file():
        tags = ", ".join(list_pretrained_tags_by_model(clip)) or "none"
        raise InputError(
            f"--model.pretrained {pretrained!r} is neither a file nor a tag of {clip}; its tags are: {tags}"
        )
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
        config = open_clip.get_model_config(clip)
        quick = bool(config.get("quick_gelu", False)) if activation == "auto" else activation == "quick_gelu"
        with _quiet():
            model = open_clip.create_model(clip, require_pretrained=True, quick_gelu=quick)
    except Exception as error:  # open_clip and its readers raise whatever they meet in a damaged file
        raise InputError(f"--model.clip {clip} cannot be loaded: {_one_line(error)}") from error
    return _loaded(model, clip, None, quick)


def _from_tag(clip: str, tag: str, card: dict[str, Any], activation: Activation) -> LoadedClip:
    quick = bool(card.get("quick_gelu", False)) if activation == "auto" else activation == "quick_gelu"
    if hub := card.get("hf_hub"):
        _require_hub(hub, f"{clip} {tag}")
    try:
        with _quiet():
            model = open_clip.create_model(clip, pretrained=tag, require_pretrained=True, quick_gelu=quick)
    except Exception as error:  # network, hub and file errors of many libraries
        raise InputError(f"the weights {tag!r} of {clip} cannot be had ({_one_line(error)}); {_THREE_WAYS}") from error
    return _loaded(model, clip, tag, quick)


def _from_file(clip: str, path: Path, activation: Activation) -> LoadedClip:
    state, is_openai = read_state_dict(path)
    quick = activation == "quick_gelu"
    if activation == "auto":
        quick = clip.endswith("-quickgelu") or is_openai
        twin = open_clip.get_model_config(f"{clip}-quickgelu") is not None
        if not quick and twin:
            warnings.warn(
                f"{path} does not say which activation it was trained with; plain GELU is taken. For weights by OpenAI, "
                f"MetaCLIP or DFN give --model.activation quick_gelu (and --model.activation gelu to confirm plain GELU).",
                stacklevel=2,
            )
    with _quiet():
        model = open_clip.create_model(clip, pretrained=None, load_weights=False, quick_gelu=quick)
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if missing or extra or wrong:
        example = (missing or extra or sorted(wrong))[0]
        raise InputError(
            f"{path} does not hold weights of {clip}: {len(missing)} parameters missing, {len(extra)} unknown, "
            f"{len(wrong)} of another shape (first: {example}); give the architecture that it was trained as by --model.clip"
        )
    model.load_state_dict(state)
    return _loaded(model, clip, str(path), quick)


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], bool]:
    """Parameters of a weights file, and whether it is one that OpenAI published (or holds the same values).

    Safetensors, plain PyTorch checkpoints (read with `weights_only`) and TorchScript archives are understood.
    TorchScript is read by its own C++ reader, which knows tensors and no Python objects: nothing in a file is run.

    Raises:
        InputError: the file is none of these.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        elif script := _is_torchscript(path):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # TorchScript is deprecated, OpenAI's files are not
                state = dict(torch.jit.load(str(path), map_location="cpu").state_dict())
            for key in ("input_resolution", "context_length", "vocab_size"):
                state.pop(key, None)
            return {key: value.float() for key, value in state.items()}, script
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has errors of its own
        raise InputError(
            f"{path} is not a weights file that can be read safely ({_one_line(error)}); "
            "give .safetensors, a PyTorch state dict or OpenAI's .pt"
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(
            f"{path} holds no state dict of tensors; give .safetensors, a PyTorch state dict or OpenAI's .pt"
        )
    state = {key.removeprefix("module."): value.float() for key, value in state.items()}
    return state, _has_openai_rounding(state)


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _has_openai_rounding(state: dict[str, Tensor]) -> bool:
    """Whether matrices hold float16 values and norms do not, as in OpenAI's release and what was converted from it.

    Other weights were published in one precision, so a file that somebody rounded as a whole does not pass.
    """
    visual = {key: value for key, value in state.items() if key.startswith("visual.")}
    matrices = [value for key, value in visual.items() if key.endswith("in_proj_weight")]
    norms = [value for key, value in visual.items() if ".ln_" in key and key.endswith("weight")]
    return bool(matrices) and all(map(_is_half, matrices)) and not all(map(_is_half, norms))


def _is_half(value: Tensor) -> bool:
    return torch.equal(value, value.half().float())


def _require_hub(file: str, wanted: str) -> None:
    """Fails at once where a file is neither cached nor reachable: the hub's client would retry for most of a minute."""
    from huggingface_hub import constants, try_to_load_from_cache

    repository, _, name = file.rpartition("/")
    known = (
        (name,)
        if name
        else ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
    )
    stem = tuple(candidate.rsplit(".", 1)[0] + ".safetensors" for candidate in known)
    if any(isinstance(try_to_load_from_cache(repository, candidate), str) for candidate in (*known, *stem)):
        return
    proxied = any(
        os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT")
    )
    if constants.HF_HUB_OFFLINE:
        raise InputError(f"the weights of {wanted} are not cached and HF_HUB_OFFLINE is set; {_THREE_WAYS}")
    if not proxied:
        try:
            socket.create_connection(_HUB, timeout=5).close()
        except OSError as error:
            raise InputError(
                f"the weights of {wanted} are not cached and the network does not reach the hub ({_one_line(error)}); {_THREE_WAYS}"
            ) from error


def _loaded(model: nn.Module, name: str, pretrained: str | None, quick: bool) -> LoadedClip:
    model.float().eval().requires_grad_(False)
    preprocess = open_clip.get_model_preprocess_cfg(model)
    try:
        with _quiet():
            tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # a Hugging Face tokenizer that needs more than open_clip itself
        raise InputError(f"the tokenizer of {name} cannot be had: {_one_line(error)}") from error
    r, g, b = preprocess["mean"]
    std_r, std_g, std_b = preprocess["std"]
    return LoadedClip(
        model=model,
        tokenizer=tokenizer,
        name=name,
        pretrained=pretrained,
        activation="quick_gelu" if quick else "gelu",
        weights_hash=hash_parameters(model),
        mean=(r, g, b),
        std=(std_r, std_g, std_b),
    )


def hash_parameters(model: nn.Module) -> str:
    """SHA-256 over the sorted names, shapes and float32 values of a model's parameters, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for key, value in sorted(model.named_parameters()):
        digest.update(json.dumps([key, list(value.shape)]).encode())
        digest.update(value.detach().cpu().contiguous().numpy())
    return digest.hexdigest()[:16]


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


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
