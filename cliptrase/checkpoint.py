"""Reading weights files without running anything that is in them."""

import hashlib
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cliptrase.errors import InputError, one_line

_KINDS = "give .safetensors, a PyTorch state dict or OpenAI's .pt"


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], bool]:
    """Parameters of a weights file as float32, and whether OpenAI published them.

    Safetensors, plain PyTorch checkpoints (read with `weights_only`) and TorchScript archives are understood.
    TorchScript is read by its own C++ reader, which knows tensors and no Python objects.

    Raises:
        InputError: the file is none of these.
    """
    script = _is_torchscript(path)
    try:
        content: Any
        if path.suffix == ".safetensors":
            content = load_file(path)
        elif script:
            content = _read_torchscript(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has errors of its own
        raise InputError(
            f"{path} is not a weights file that can be read safely ({one_line(error)}); {_KINDS}"
        ) from error
    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path} holds no state dict of tensors; {_KINDS}")
    state = {str(key).removeprefix("module."): value.float() for key, value in content.items()}
    return state, script or _has_openai_rounding(state)


def hash_parameters(model: nn.Module) -> str:
    """SHA-256 over the sorted names, shapes and float32 values of a model's parameters, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for key, value in sorted(model.named_parameters()):
        digest.update(json.dumps([key, list(value.shape)]).encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:16]


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, OpenAI's files are not
        state = dict(torch.jit.load(str(path), map_location="cpu").state_dict())
    for key in ("input_resolution", "context_length", "vocab_size"):
        state.pop(key, None)
    return state


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
