"""What a model's configuration says, read and questioned before open_clip builds anything from it.

A folder or hub repository is somebody else's: its `open_clip_config.json` must not choose code to run, a network
address to ask or terabytes to allocate.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from open_clip import CLIPTextCfg, CLIPVisionCfg

from cliptrase.clip.towers import refuse_tower, shown
from cliptrase.common.errors import InputError

_MODEL = {
    "embed_dim",
    "vision_cfg",
    "text_cfg",
    "quick_gelu",
    "custom_text",
    "init_logit_scale",
    "nonscalar_logit_scale",
}
# Of open_clip's tokenizers: what only cleans text. Others open files, draw words by chance or go on to transformers.
_TOKENIZER = {"clean": ("canonicalize", "lower", "whitespace")}
# The largest published tower has 56 layers of 1,792, the largest vocabulary 901,629 words.
_SIZES = {
    "vision_cfg": {"layers": 512, "width": 16384, "head_width": 16384, "patch_size": 512, "image_size": 8192},
    "text_cfg": {"layers": 512, "width": 16384, "heads": 1024, "context_length": 8192, "vocab_size": 2_000_000},
}
_PARAMETERS = 20_000_000_000


def read_config(path: Path, clip: str) -> dict[str, Any]:
    """`open_clip_config.json` of a folder or hub repository, where nothing is wrong with it.

    Args:
        path: of the file.
        clip: place as it was given, for messages.

    Returns:
        `model_cfg` and `preprocess_cfg`, the latter empty where the file has none.

    Raises:
        InputError: the file is damaged, names a tower or tokenizer that is not open_clip's own, asks for absurd sizes,
            or has a mean or standard deviation that cannot be.
    """
    where = f"`clip` {clip}: open_clip_config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        kind = "is no JSON" if isinstance(error, ValueError) else "cannot be read"
        raise InputError(f"{where} {kind} ({str(error)[:100]}); take the file that came with the weights") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg"), dict):
        raise InputError(f"{where} has no entry model_cfg; take the file that came with the weights")
    preprocess = config.get("preprocess_cfg") or {}
    if not isinstance(preprocess, dict):
        raise InputError(f"{where}: preprocess_cfg is {shown(preprocess)}, not names and values")
    check_model(config["model_cfg"], where)
    check_preprocess(preprocess, where)
    return {"model_cfg": config["model_cfg"], "preprocess_cfg": preprocess}


def check_model(model: Mapping[str, Any], where: str) -> None:
    """Refuses a configuration that open_clip must not see.

    Raises:
        InputError: see `read_config`.
    """
    for name, kind in (("vision_cfg", CLIPVisionCfg), ("text_cfg", CLIPTextCfg)):
        tower = model.get(name)
        if not isinstance(tower, dict):
            raise InputError(f"{where} has no entry {name}; take the file that came with the weights")
        if unknown := sorted(tower.keys() - {field.name for field in fields(kind)}):
            raise InputError(f"{where}: {name} has an entry {shown(unknown[0])} that open_clip does not know")
        if kind is CLIPVisionCfg:
            refuse_tower(tower, where)
        _check_kinds(tower, kind, f"{where}: {name}")
    if unknown := sorted(model.keys() - _MODEL):
        raise InputError(f"{where}: model_cfg has an entry {shown(unknown[0])} that is not supported")
    for name in model.keys() & {"quick_gelu", "custom_text", "nonscalar_logit_scale"}:
        _check_kind(model[name], False, f"{where}: {name}")
    text = model["text_cfg"]
    for name in ("hf_model_name", "hf_tokenizer_name"):
        if text.get(name):
            raise InputError(
                f"{where}: {name} {shown(text[name])} would have transformers load what the name says; a folder's "
                "text tower and tokenizer must be open_clip's own"
            )
    _check_tokenizer(text.get("tokenizer_kwargs"), where)
    _check_sizes(model, where)


def _check_kinds(tower: Mapping[str, Any], kind: type, where: str) -> None:
    """Refuses entries that open_clip would take for something else: the text "false" is true."""
    for field in fields(kind):
        if field.name in tower and isinstance(field.default, (bool, str)):
            _check_kind(tower[field.name], field.default, f"{where} {field.name}")
    for entry, allowed in (("norm_kwargs", {"eps"}), ("act_kwargs", {"approximate"})):
        options = tower.get(entry) or {}
        if not isinstance(options, dict) or options.keys() - allowed:
            raise InputError(f"{where} {entry} is {shown(options)}; only {', '.join(allowed)} may be set there")
        if "eps" in options:
            _check_number(options["eps"], f"{where} norm_kwargs eps", 0, 0.1)
        if options.get("approximate", "none") not in ("none", "tanh"):
            raise InputError(f"{where} act_kwargs approximate is {shown(options['approximate'])}, not none or tanh")
    if tower.get("ls_init_value") is not None:
        _check_number(tower["ls_init_value"], f"{where} ls_init_value", 0, 100)


def _check_kind(value: Any, example: bool | str, what: str) -> None:
    if not isinstance(value, type(example)):
        wanted = "true or false" if isinstance(example, bool) else "a text"
        raise InputError(f"{what} is {shown(value)}, not {wanted}")


def _check_tokenizer(options: Any, where: str) -> None:
    if options is None:
        return
    if not isinstance(options, dict):
        raise InputError(f"{where}: tokenizer_kwargs is {shown(options)}, not names and values")
    for name, value in options.items():
        if name not in _TOKENIZER or value not in _TOKENIZER[name]:
            raise InputError(
                f"{where}: tokenizer_kwargs has {name} {shown(value)}, which is not let through; only clean is, with "
                + " or ".join(_TOKENIZER["clean"])
            )


def _check_sizes(model: Mapping[str, Any], where: str) -> None:
    for name, limits in _SIZES.items():
        tower = model[name]
        for entry in limits.keys() & tower.keys():
            sides = tower[entry]
            pair = entry in ("image_size", "patch_size") and isinstance(sides, list) and len(sides) == 2
            for value in sides if pair else [sides]:
                _check_number(value, f"{where}: {name} {entry}", 1, limits[entry], whole=True)
        if "mlp_ratio" in tower:
            _check_number(tower["mlp_ratio"], f"{where}: {name} mlp_ratio", 0.01, 64)
    _check_number(model.get("embed_dim"), f"{where}: embed_dim", 1, 16384, whole=True)
    wanted = parameters(model)
    if wanted > _PARAMETERS:
        raise InputError(f"{where} describes a model of {wanted:.1e} parameters; take the file that came with it")


def parameters(model: Mapping[str, Any]) -> float:
    """About how many parameters a configuration asks for, from below."""
    total = 0.0
    for name, kind in (("vision_cfg", CLIPVisionCfg), ("text_cfg", CLIPTextCfg)):
        tower: Any = kind(**model[name])
        total += tower.layers * tower.width**2 * (4 + 2 * tower.mlp_ratio)
    text, vision = CLIPTextCfg(**model["text_cfg"]), CLIPVisionCfg(**model["vision_cfg"])
    patches = math.prod(
        image // patch for image, patch in zip(_pair(vision.image_size), _pair(vision.patch_size), strict=True)
    )
    return float(total + text.vocab_size * text.width + patches * vision.width)


def check_preprocess(preprocess: Mapping[str, Any], where: str) -> None:
    """Refuses normalisation that cannot be: `mean` and `std` are three numbers in [0, 1], `std` above 0, colours RGB.

    Raises:
        InputError: see above.
    """
    for name, least in (("mean", 0.0), ("std", 1e-6)):
        values = preprocess.get(name)
        if values is None:
            continue
        if not isinstance(values, (list, tuple)) or len(values) != 3:
            raise InputError(f"{where}: {name} is {shown(values)}, not three numbers, one for each of red, green, blue")
        for value in values:
            _check_number(value, f"{where}: {name}", least, 1.0)
    if (mode := preprocess.get("mode")) not in (None, "RGB"):
        raise InputError(f"{where}: mode is {shown(mode)}; pictures are shown as RGB")


def config_hash(model: Mapping[str, Any], preprocess: Mapping[str, Any]) -> str:
    """SHA-256 over both configurations, 16 hexadecimal digits."""
    content = json.dumps([model, preprocess], sort_keys=True, default=list)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _pair(size: Any) -> tuple[int, int]:
    """(height, width) of a size that is one number or one a side."""
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return int(height), int(width)


def _check_number(value: Any, what: str, least: float, most: float, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
        number = "a whole number" if whole else "a number"
        raise InputError(f"{what} is {shown(value)}, not {number} from {least:g} to {most:g}")
