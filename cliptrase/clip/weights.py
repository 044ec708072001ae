"""Loading CLIP: open_clip's names and tags, local folders, the Hugging Face hub, and local weight files."""

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import open_clip
import torch
from open_clip.pretrained import download_pretrained, get_pretrained_cfg, list_pretrained_tags_by_model
from torch import Tensor

from cliptrase.clip import hub, towers
from cliptrase.clip.checkpoint import hash_parameters, read_state_dict
from cliptrase.clip.filling import Unfilled, check_values, fill, fits
from cliptrase.clip.mapped import MappedFile
from cliptrase.clip.model_config import check_preprocess, config_hash, parameters, read_config
from cliptrase.clip.text import Tokenizer
from cliptrase.common.errors import InputError, did_you_mean, one_line

_SAMPLES = 64  # of a parameter
Activation = Literal["auto", "gelu", "quick_gelu"]

_FOLDER_WEIGHTS = (
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin"),
    *("open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"),
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
        file: in whose pages the text tower lies until `hold_text`; None where it never did.
        sample: of the text tower's values as they were hashed, some of each parameter.
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
    file: MappedFile | None = None
    sample: Tensor | None = None

    def text_hash(self) -> str:
        """`weights_hash`, or a new one where the text tower was changed since: its embeddings are others."""
        if self.file is not None and self.file.was_written_under(self.model):
            return self.weights_hash  # whose embeddings may be kept; no page of such a file is to be read
        unchanged = self.sample is None or torch.equal(self.sample, _sample_of_text(self.model))
        return self.weights_hash if unchanged else hash_parameters(self.model)

    def hold_text(self) -> None:
        """Makes the text tower's values this process's own; to be called before it encodes.

        Raises:
            InputError: their file was written to since they were read.
        """
        if self.file is not None:
            self.file.hold(self.model)


def load_clip(clip: str, pretrained: str | None = None, activation: Activation = "auto") -> LoadedClip:
    """Loads a CLIP model with the activation that its weights were trained with.

    Args:
        clip: open_clip architecture (`ViT-B-16`, in other usual spellings too, `ViT-B/16`), `local-dir:DIR`,
            `hf-hub:REPOSITORY`, or `embedded` for the small model that comes with this package.
        pretrained: open_clip tag (`openai`) or a weights file; unset for `local-dir:` and `hf-hub:`.
        activation: `auto` takes what the tag, the folder's config or the file says of itself.

    Raises:
        InputError: an unknown name or tag, a missing or unreadable file, weights of another architecture, weights that
            cannot be downloaded, values that are not finite, or a model that cannot be used.
    """
    clip, pretrained = _text(clip, "clip"), None if pretrained is None else _text(pretrained, "pretrained")
    if activation not in get_args(Activation):
        raise InputError(f"`activation` {activation!r} is none of {', '.join(get_args(Activation))}")
    towers.check(clip, pretrained)
    if clip == "embedded":
        return replace(_from_folder(f"{towers.FOLDER}{towers.EMBEDDED}", activation), name="embedded")
    if clip.startswith(towers.FOLDER):
        return _from_folder(clip, activation)
    if clip.startswith(towers.HUB):
        return _from_hub(clip, activation)
    name, weights = towers.find_name(clip), str(pretrained)
    card = get_pretrained_cfg(name, weights)
    return _from_tag(name, weights, card, activation) if card else _from_file(name, weights, activation)


def weights_file(clip: str, pretrained: str | None) -> Path:
    """The file that `load_clip` reads; to be called after it, which downloads what is not there and raises its errors.

    Raises:
        InputError: no file is there.
    """
    if clip == "embedded" or clip.startswith(towers.FOLDER):
        given = clip.removeprefix(towers.FOLDER)
        folder = towers.EMBEDDED if clip == "embedded" else towers.path_of(given, "`clip` local-dir:")
        return _in_folder(folder, clip)
    if clip.startswith(towers.HUB):
        return hub.download(hub.check_repository(clip), None, clip)
    if card := get_pretrained_cfg(towers.find_name(clip), str(pretrained)):
        with hub.quiet():
            return Path(download_pretrained(card))
    return towers.path_of(str(pretrained), "`pretrained`")


def _text(given: object, what: str) -> str:
    """A name or path as text."""
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"`{what}` must be a name or a path, not {given!r}")
    return str(given)


def default_tag(clip: str) -> str | None:
    """`openai` where OpenAI published weights of an architecture."""
    return "openai" if get_pretrained_cfg(towers.find_name(_text(clip, "clip")), "openai") else None


def _from_folder(clip: str, activation: Activation) -> LoadedClip:
    folder = towers.path_of(clip.removeprefix(towers.FOLDER), "`clip` local-dir:")
    config = read_config(folder / towers.CONFIG, clip)
    return _from_place(clip, f"{towers.FOLDER}{folder}", config, _in_folder(folder, clip), activation)


def _in_folder(folder: Path, clip: str) -> Path:
    """The weights of a folder."""
    weights = next((folder / name for name in _FOLDER_WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise InputError(f"`clip` {clip}: no weights in {folder}; put {_FOLDER_WEIGHTS[0]} beside its {towers.CONFIG}")
    return weights


def _from_hub(clip: str, activation: Activation) -> LoadedClip:
    repository = hub.check_repository(clip)
    hub.require(f"{repository}/{towers.CONFIG}", clip)
    # The configuration is questioned before the weights, which may be large, are asked for.
    config = read_config(hub.download(repository, towers.CONFIG, clip), clip)
    return _from_place(clip, clip, config, hub.download(repository, None, clip), activation)


def _from_place(clip: str, place: str, config: dict[str, Any], weights: Path, activation: Activation) -> LoadedClip:
    """A folder's or repository's model, of a configuration that was found harmless."""
    state, _, file = read_state_dict(weights)
    quick = _is_quick(config["model_cfg"], activation)
    entries = sum(value.numel() for value in state.values())
    if (wanted := parameters(config["model_cfg"])) > 2 * entries + 1_000_000:
        raise InputError(
            f"`clip` {clip}: {towers.CONFIG} describes a model of at least {wanted:.1e} parameters, {weights.name} "
            f"holds {entries}; take the two files that belong together"
        )
    try:
        with hub.quiet(), Unfilled():
            model = open_clip.create_model(place, load_weights=False, quick_gelu=quick)
    except Exception as error:  # whatever open_clip meets in sizes that do not go together
        raise InputError(f"`clip` {clip} cannot be loaded: {one_line(error)}") from error
    fill(
        model,
        state,
        str(weights),
        f"the model that {towers.CONFIG} describes",
        "take the two files that belong together",
    )
    return _loaded(model, place, None, quick, config, file)


def _from_tag(clip: str, tag: str, card: dict[str, Any], activation: Activation) -> LoadedClip:
    quick = _is_quick(card, activation)
    if repository := card.get("hf_hub"):
        hub.require(repository, f"{clip} {tag}")
    preprocess = {name: value for name, value in card.items() if name != "size"}  # the tower decides
    try:
        with hub.quiet():
            path = Path(download_pretrained(card))
            with Unfilled():
                model = open_clip.create_model(
                    clip, load_weights=False, quick_gelu=quick, force_preprocess_cfg=preprocess
                )
            file = _fill_from_tag(model, path)
    except Exception as error:  # network, hub and file errors of many libraries
        raise InputError(
            f"the weights {tag!r} of {clip} cannot be had ({one_line(error)}); {towers.THREE_WAYS}"
        ) from error
    return _loaded(model, clip, tag, quick, {"model_cfg": open_clip.get_model_config(clip)}, file)


def _fill_from_tag(model: Any, path: Path) -> MappedFile | None:
    """Gives a model the weights of a tag, by open_clip itself where names or shapes are not the model's."""
    try:
        state, _, file = read_state_dict(path)
    except InputError:
        state, file = {}, None
    if fits(model, state):
        fill(model, state, str(path), path.name, "")
        return file
    open_clip.load_checkpoint(model, str(path))
    return None


def _from_file(clip: str, pretrained: str, activation: Activation) -> LoadedClip:
    path = towers.path_of(pretrained, "`pretrained`")
    towers.check_file(path, pretrained)
    if not path.is_file():
        tags = list_pretrained_tags_by_model(clip)
        near = did_you_mean(pretrained, tags)
        meant = f"did you mean {near}? Its" if near else "its"
        raise InputError(
            f"`pretrained` {pretrained!r} is neither a file nor a tag of {clip}; {meant} tags: "
            f"{', '.join(tags) or 'none'}"
        )
    state, is_openai, file = read_state_dict(path)
    quick = _is_quick({"quick_gelu": clip.endswith("-quickgelu") or is_openai}, activation)
    has_twin = open_clip.get_model_config(f"{clip}-quickgelu") is not None
    if activation == "auto" and not quick and has_twin:
        warnings.warn(
            f"{path} does not say which activation it was trained with; plain GELU is taken. For weights by OpenAI, "
            "MetaCLIP or DFN give `activation` quick_gelu; gelu there confirms plain GELU.",
            stacklevel=3,
        )
    with hub.quiet(), Unfilled():
        model = open_clip.create_model(clip, pretrained=None, load_weights=False, quick_gelu=quick)
    fill(model, state, str(path), clip, "give the architecture that it was trained as by `clip`")
    return _loaded(model, clip, str(path), quick, {"model_cfg": open_clip.get_model_config(clip)}, file)


def _is_quick(card: dict[str, Any], activation: Activation) -> bool:
    return bool(card.get("quick_gelu", False)) if activation == "auto" else activation == "quick_gelu"


def _loaded(
    model: Any, name: str, pretrained: str | None, quick: bool, config: dict[str, Any], file: MappedFile | None
) -> LoadedClip:
    model.float().eval().requires_grad_(False)
    preprocess = open_clip.get_model_preprocess_cfg(model)
    where = f"`clip` {name}"
    check_preprocess(preprocess, where)
    check_values(model, f"{where} {pretrained}" if pretrained else where)
    try:
        with hub.quiet():
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
        file=file,
        sample=_sample_of_text(model),
    )


@torch.no_grad()
def _sample_of_text(model: Any) -> Tensor:
    """Some values of each parameter outside the visual tower, by which a change shows without hashing all.

    Returns:
        (N,) float32 on the CPU.
    """
    values = [value.flatten() for name, value in model.named_parameters() if not name.startswith("visual.")]
    return torch.cat([value[:: max(1, len(value) // _SAMPLES)].float() for value in values]).cpu()
