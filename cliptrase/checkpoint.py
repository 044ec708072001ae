"""Reading weights files without running anything that is in them."""

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cliptrase.errors import InputError, one_line

# Entries of OpenAI's archives and of scripted models that are no parameters.
_NO_PARAMETERS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
_KINDS = "give .safetensors, a PyTorch state dict or OpenAI's .pt"


def read_state_dict(path: Path) -> tuple[dict[str, Tensor], bool]:
    """Parameters of a weights file as float32, and whether OpenAI published them.

    Safetensors, plain PyTorch checkpoints (read with `weights_only`) and TorchScript archives are understood. Of the
    last only the tensors are read: `torch.jit.load` would run the archive's own code, which can write files.

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
    """Parameters and buffers of a TorchScript archive by name."""
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
        module = _ScriptReader(archive, root).load()
    return {name: tensor for name, tensor in _tensors(module, "") if name.rpartition(".")[2] not in _NO_PARAMETERS}


class _ScriptModule:
    """Stands for every class of a TorchScript archive: attributes without code."""


class _ScriptReader(pickle.Unpickler):
    """Reads `data.pkl` of a TorchScript archive: tensors and plain values in nested modules, nothing else."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}data.pkl")))
        self.archive, self.root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        """The few names that such archives need."""
        if module.startswith("__torch__"):
            return _ScriptModule
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Tensor:
        """The flat values of a storage."""
        _, dtype, key, *_ = pid
        return torch.frombuffer(bytearray(self.archive.read(f"{self.root}data/{key}")), dtype=dtype)


_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
}


def _rebuild(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _tensors(module: _ScriptModule, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _ScriptModule):
            yield from _tensors(value, f"{prefix}{name}.")


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
