"""Loading CLIP: open_clip's names and tags, local folders, the Hugging Face hub, and local weight files."""

import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import open_clip
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.pretrained import download_pretrained_from_hf, get_pretrained_cfg, list_pretrained_tags_by_model
from torch import Tensor

from cliptrase.clip.checkpoint import hash_parameters, read_state_dict
from cliptrase.clip.model_config import check_preprocess, config_hash, parameters, read_config, refuse_tower
from cliptrase.clip.text import Tokenizer
from cliptrase.errors import InputError, did_you_mean, one_line

Activation = Literal["auto", "gelu", "quick_gelu"]

_EMBEDDED = Path(__file__).parents[1] / "demo"
_CONFIG = "open_clip_config.json"
_FOLDER_WEIGHTS = (
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"),
    *("open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"),
)
_SUFFIXES = {".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".pkl", ".npz", ".onnx", ".h5", ".zip", ".tar", ".gz"}
_LOG_SCALE = 9.21  # a factor of ten thousand
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
        config_hash: SHA-256 over the configurations of the model and its preprocessing.
        mean: RGB mean of the pre-training pictures, in [0, 1].
        std: RGB standard deviation, likewise.
    """

    model: Any
    tokenizer: Tokenizer
    name: str
    pretrained: str | None
    activation: Literal["gelu", "quick_gelu"]
    weights_hash: str
    config_hash: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def load_clip(clip: str, pretrained: str | None = None, activation: Activation = "auto") -> LoadedClip:
    """Loads a CLIP model with the activation that its weights were trained with.

    Args:
        clip: open_clip architecture (`ViT-B-16`, also as OpenAI spells it, `ViT-B/16`), `local-dir:DIR`,
            `hf-hub:REPOSITORY`, or `embedded` for the small model that comes with this package.
        pretrained: open_clip tag (`openai`) or a weights file; unset for `local-dir:` and `hf-hub:`.
        activation: `auto` takes what the tag, the folder's config or the file says of itself.

    Raises:
        InputError: an unknown name or tag, a missing or unreadable file, weights of another architecture, weights that
            cannot be downloaded, values that are not finite, or a model that cannot be used.
    """
    clip, pretrained = _text(clip, "clip"), None if pretrained is None else _text(pretrained, "pretrained")
    if activation not in get_args(Activation):
        raise InputError(f"--model.activation {activation!r} is none of {', '.join(get_args(Activation))}")
    if clip == "embedded" or clip.startswith(("local-dir:", "hf-hub:")):
        if pretrained is not None:
            raise InputError(f"--model.clip {clip} brings its own weights: leave out --model.pretrained {pretrained!r}")
        if clip == "embedded":
            return replace(_from_folder(f"local-dir:{_EMBEDDED}", activation), name="embedded")
        return _from_folder(clip, activation) if clip.startswith("local-dir:") else _from_hub(clip, activation)
    clip = _architecture(clip)
    if pretrained is None:
        raise InputError(f"--model.clip {clip} needs weights: {_THREE_WAYS}")
    card = get_pretrained_cfg(clip, pretrained)
    return _from_tag(clip, pretrained, card, activation) if card else _from_file(clip, pretrained, activation)


def _text(given: object, what: str) -> str:
    """A name or path as text."""
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"--model.{what} must be a name or a path, not {given!r}")
    return str(given)


def default_tag(clip: str) -> str | None:
    """`openai` where OpenAI published weights of an architecture."""
    return "openai" if get_pretrained_cfg(_openai_spelling(_text(clip, "clip")), "openai") else None


def _architecture(clip: str) -> str:
    """open_clip's name of an architecture whose visual tower can be used, as far as its configuration says."""
    name = clip if open_clip.get_model_config(clip) else _openai_spelling(clip)
    config = open_clip.get_model_config(name)
    if config is None:
        if (folder := _path(clip, "--model.clip")).is_dir():
            raise InputError(f"--model.clip {clip!r} is a folder: {_of_folder(folder, clip)}")
        near = did_you_mean(name, open_clip.list_models())
        meant = f"did you mean {near}? Else take" if near else "take"
        raise InputError(
            f"--model.clip {clip!r} is not an architecture of open_clip {open_clip.__version__}: {meant} one such as "
            "ViT-B-16 (open_clip.list_models() names all), local-dir:DIR or hf-hub:REPOSITORY"
        )
    refuse_tower(config["vision_cfg"], f"--model.clip {clip}")
    return name


def _openai_spelling(clip: str) -> str:
    return clip.replace("/", "-").replace("@336px", "-336")


def _of_folder(folder: Path, given: str) -> str:
    if (folder / _CONFIG).is_file():
        return f"give --model.clip local-dir:{given} and leave out --model.pretrained"
    return f"it has no {_CONFIG} to be read by local-dir:{given}; give an architecture and its weights file"


def _path(given: str, option: str) -> Path:
    try:
        path = Path(given).expanduser()
        path.is_file()
    except (RuntimeError, OSError, ValueError) as error:  # no such user, a name too long, a folder that is barred
        raise InputError(f"{option} {given!r} cannot be looked up: {one_line(error)}") from error
    return path


def _from_folder(clip: str, activation: Activation) -> LoadedClip:
    place = clip.removeprefix("local-dir:")
    folder = _path(place, "--model.clip local-dir:")
    if not place or not (folder / _CONFIG).is_file():
        raise InputError(f"--model.clip {clip}: no {_CONFIG} in {folder}; name a folder that holds one")
    config = read_config(folder / _CONFIG, clip)
    weights = next((folder / name for name in _FOLDER_WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise InputError(f"--model.clip {clip}: no weights in {folder}; put {_FOLDER_WEIGHTS[0]} beside its {_CONFIG}")
    return _from_place(clip, f"local-dir:{folder}", config, weights, activation)


def _from_hub(clip: str, activation: Activation) -> LoadedClip:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, but not in its __all__

    place = clip.removeprefix("hf-hub:")
    try:
        validate_repo_id(place)
    except HFValidationError as error:
        raise InputError(f"--model.clip {clip}: a repository is OWNER/NAME, such as hf-hub:laion/CLIP") from error
    _require_hub(f"{place}/{_CONFIG}", clip)
    config = read_config(_download(place, _CONFIG, clip), clip)  # before the weights, which may be large
    return _from_place(clip, clip, config, _download(place, None, clip), activation)


def _download(repository: str, file: str | None, clip: str) -> Path:
    """A file of a hub repository, its weights where none is named."""
    try:
        with _quiet():
            return Path(download_pretrained_from_hf(repository, filename=file))
    except Exception as error:  # network, hub and file errors of many libraries
        raise InputError(f"--model.clip {clip} cannot be had ({one_line(error)}); {_THREE_WAYS}") from error


def _from_place(clip: str, place: str, config: dict[str, Any], weights: Path, activation: Activation) -> LoadedClip:
    """A folder's or repository's model, of a configuration that was found harmless."""
    state, _ = read_state_dict(weights)
    quick = _is_quick(config["model_cfg"], activation)
    entries = sum(value.numel() for value in state.values())
    if (wanted := parameters(config["model_cfg"])) > 2 * entries + 1_000_000:
        raise InputError(
            f"--model.clip {clip}: {_CONFIG} describes a model of at least {wanted:.1e} parameters, {weights.name} "
            f"holds {entries}; take the two files that belong together"
        )
    try:
        with _quiet():
            model = open_clip.create_model(place, load_weights=False, quick_gelu=quick)
    except Exception as error:  # whatever open_clip meets in sizes that do not go together
        raise InputError(f"--model.clip {clip} cannot be loaded: {one_line(error)}") from error
    _fill(model, state, str(weights), f"the model that {_CONFIG} describes", "take the two files that belong together")
    return _loaded(model, place, None, quick, config)


def _from_tag(clip: str, tag: str, card: dict[str, Any], activation: Activation) -> LoadedClip:
    quick = _is_quick(card, activation)
    if hub := card.get("hf_hub"):
        _require_hub(hub, f"{clip} {tag}")
    try:
        with _quiet():
            model = open_clip.create_model(clip, pretrained=tag, require_pretrained=True, quick_gelu=quick)
    except Exception as error:  # network, hub and file errors of many libraries
        raise InputError(f"the weights {tag!r} of {clip} cannot be had ({one_line(error)}); {_THREE_WAYS}") from error
    return _loaded(model, clip, tag, quick, {"model_cfg": open_clip.get_model_config(clip)})


def _from_file(clip: str, pretrained: str, activation: Activation) -> LoadedClip:
    path = _path(pretrained, "--model.pretrained")
    if not path.is_file():
        raise InputError(f"--model.pretrained {pretrained!r} {_no_file(clip, pretrained, path)}")
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
    _fill(model, state, str(path), clip, "give the architecture that it was trained as by --model.clip")
    return _loaded(model, clip, str(path), quick, {"model_cfg": open_clip.get_model_config(clip)})


def _no_file(clip: str, pretrained: str, path: Path) -> str:
    """What is wrong with a weights file that is none, nor a tag."""
    if path.is_dir():
        return f"is a folder: {_of_folder(path, pretrained)}"
    if path.exists():
        return "is no plain file; give a weights file"
    if path.suffix.lower() in _SUFFIXES or len(path.parts) > 1:
        return "names a file that does not exist; give the path of a weights file"
    tags = list_pretrained_tags_by_model(clip)
    near = did_you_mean(pretrained, tags)
    meant = f"did you mean {near}? Its" if near else "its"
    return f"is neither a file nor a tag of {clip}; {meant} tags: {', '.join(tags) or 'none'}"


def _fill(model: Any, state: dict[str, Tensor], path: str, of_what: str, cure: str) -> None:
    """Gives a model the weights of a file, where each has its place and its shape.

    Raises:
        InputError: the file's weights are another model's.
    """
    own = model.state_dict()
    if "positional_embedding" in state and "positional_embedding" not in own:
        state = convert_to_custom_text_state_dict(state)
    if "logit_scale" in state and state["logit_scale"].numel() == 1:
        state = state | {"logit_scale": state["logit_scale"].reshape(own["logit_scale"].shape)}
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    reshaped = sorted(key for key in own.keys() & state.keys() if own[key].shape != state[key].shape)
    if missing and (prefix := _prefix_of(own, state)):
        raise InputError(
            f"{path}: the names of {of_what} begin with {prefix!r} there, and other entries are beside them "
            f"({next(key for key in extra if not key.startswith(prefix))}); save those under {prefix!r} by themselves"
        )
    if missing or extra or reshaped:
        raise InputError(
            f"{path} does not hold weights of {of_what}: {len(missing)} parameters missing, {len(extra)} unknown, "
            f"{len(reshaped)} of another shape (first: {(missing or extra or reshaped)[0]}); {cure}"
        )
    model.load_state_dict(state)


def _prefix_of(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What comes before all of a model's own names in a state dict that holds more besides."""
    found = (key.removesuffix("visual.conv1.weight") for key in state if key.endswith(".visual.conv1.weight"))
    return next((prefix for prefix in found if all(prefix + key in state for key in own)), "")


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


def _loaded(model: Any, name: str, pretrained: str | None, quick: bool, config: dict[str, Any]) -> LoadedClip:
    model.float().eval().requires_grad_(False)
    preprocess = open_clip.get_model_preprocess_cfg(model)
    where = f"--model.clip {name}"
    check_preprocess(preprocess, where)
    _check_values(model, f"{where} {pretrained}" if pretrained else where)
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
        config_hash=config_hash(config["model_cfg"], preprocess),
        mean=tuple(preprocess["mean"]),
        std=tuple(preprocess["std"]),
    )


def _check_values(model: Any, where: str) -> None:
    """Refuses what would make every pixel the first label without a word: one NaN among the weights is enough.

    Raises:
        InputError: a parameter or buffer that is not finite, or a logit_scale that is no scale.
    """
    masks = {name for name, _ in model.named_buffers() if name.rpartition(".")[2] == "attn_mask"}  # -inf by design
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if name not in masks and not (finite := value.isfinite()).all():
            bad = int((~finite).sum())
            raise InputError(
                f"{where}: {bad} of the {value.numel()} values of {name} are not finite (NaN or infinite), so that "
                "nothing can be segmented; take undamaged weights"
            )
    scale = model.logit_scale
    if scale.numel() != 1 or not abs(float(scale)) <= _LOG_SCALE:
        raise InputError(
            f"{where}: logit_scale is {scale.flatten()[:3].tolist()}, the logarithm of a factor that CLIP keeps below "
            "100 (4.6); take undamaged weights"
        )


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
