"""Reading weights files without running anything that is in them."""

import hashlib
import io
import json
import pickle
import re
import warnings
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cliptrase.clip.mapped import MappedFile
from cliptrase.clip.sniffing import is_safetensors, what_it_is
from cliptrase.common.errors import InputError, one_line

_SIZES = ("input_resolution", "context_length", "vocab_size")  # by which OpenAI's archives are known
_NO_PARAMETERS = (*_SIZES, "attn_mask")
_CLIPS_OWN = {"visual", "transformer", "text"}
_OF_TRAINING = ("optimizer", "optimizer_states", "scaler", "lr_scheduler", "lr_schedulers", "scheduler")
_KINDS = "give .safetensors, a PyTorch state dict or, of CLIP, OpenAI's .pt"


class Weights(NamedTuple):
    """What a weights file holds.

    Attributes:
        state: parameters by open_clip's names, float32; those that the file holds in that form lie in its pages.
        is_openai: whether OpenAI published them.
        file: with the addresses of what lies in its pages.
    """

    state: dict[str, Tensor]
    is_openai: bool
    file: MappedFile


def read_state_dict(path: Path) -> Weights:
    """Parameters of a weights file.

    Safetensors, plain PyTorch checkpoints (read with `weights_only`) and OpenAI's TorchScript archives are understood,
    whatever the file is called. Of the last only the tensors are read: `torch.jit.load` would run the archive's own
    code, which can write files. A state dict inside a checkpoint is found, and what all its names begin with
    (`module.`, `_orig_mod.`) is left out. Safetensors and PyTorch's zip archives are mapped into memory; of TorchScript
    every tensor is read.

    Raises:
        InputError: the file is none of these, holds several state dicts, or names of another library.
    """
    content, script, file = _content(path)
    state = _without_prefix(_state_dict_in(content, path))
    if foreign := next((key for key in state if key.startswith(("text_model.", "vision_model."))), ""):
        raise InputError(
            f"{path} holds weights by the names of Hugging Face's transformers ({foreign}); give open_clip's file of "
            "the same weights (open_clip_model.safetensors), or open_clip's tag for them"
        )
    whole = [value for value in state.values() if value.dtype == torch.float32]  # others are copied on the next line
    state = _as_floats(state, path)
    lying = frozenset(value.data_ptr() for value in whole) if _can_be_mapped(path) else frozenset()
    sizes = {key for key in content if key in _SIZES} if script else set()
    return Weights(state, len(sizes) == 3 or _has_openai_rounding(state), replace(file, addresses=lying))


def read_tensors(path: Path, group: str) -> dict[str, Tensor]:
    """Parameters of a weights file as float32 by the names that they have there.

    Safetensors and plain PyTorch checkpoints are understood, as by `read_state_dict`.

    Args:
        path: of the file.
        group: which of several state dicts is meant where it is among them, `teacher`.

    Raises:
        InputError: the file is neither, or holds several state dicts of other names.
    """
    content, *_ = _content(path)
    if isinstance(content, dict) and isinstance(content.get(group), dict):
        content = content[group]
    return _as_floats(_state_dict_in(content, path), path)


def _content(path: Path) -> tuple[Any, bool, MappedFile]:
    """What a file holds, whether it is TorchScript, and the file as it was before."""
    script, file = False, MappedFile(path, ())
    try:
        file = MappedFile.of(path)
        script = is_torchscript(path)
        content = {} if (wrong := what_it_is(path)) else _read(path, script)
    except Exception as error:  # each reader has errors of its own
        wrong = _reason(error, path)
    if wrong:
        raise InputError(f"{path} is not a weights file that can be read safely: {wrong}; {_KINDS}")
    return content, script, file


def _as_floats(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    for key, value in state.items():
        if value.device.type != "cpu" or value.layout != torch.strided or not value.is_floating_point():
            raise InputError(f"{path}: {key} holds {value.dtype} values, not floating-point weights; {_KINDS}")
    return {key: value.float() for key, value in state.items()}


def _read(path: Path, script: bool) -> Any:
    if is_safetensors(path):
        return load_file(path)
    if script:
        return _read_torchscript(path)
    # Training checkpoints, DINO's among them, hold their command line's options: a plain record, which runs nothing.
    with path.open("rb") as file, warnings.catch_warnings(), torch.serialization.safe_globals([Namespace]):
        warnings.simplefilter("ignore")  # of pickle protocols
        mapped = _can_be_mapped(path)
        return torch.load(path if mapped else file, map_location="cpu", weights_only=True, mmap=mapped)


def _can_be_mapped(path: Path) -> bool:
    """Whether a file's values can be used where they lie.

    PyTorch's files can be where they are zip archives; by a name that ends in .safetensors torch would read no other.
    """
    if is_safetensors(path):
        return True
    return path.suffix != ".safetensors" and zipfile.is_zipfile(path) and not is_torchscript(path)


def _reason(error: Exception, path: Path) -> str:
    """What is wrong with a file, without what its reader advises: torch's advice is to run what the file says."""
    text = str(error)
    if isinstance(error, _ForeignScript):
        return f"it is TorchScript other than OpenAI's ({text}); save the model's state_dict() instead"
    if named := re.search(r"Unsupported global: GLOBAL (\S+)|unsupported GLOBAL (\S+)", text):
        return (
            f"besides tensors it holds a Python object ({named[1] or named[2]}), and reading that would run code; save "
            "the model's state_dict() alone"
        )
    if isinstance(error, pickle.UnpicklingError):
        return "it is no checkpoint of tensors"
    if isinstance(error, OSError):
        return error.strerror or one_line(error)
    return one_line(error)


def _state_dict_in(content: Any, path: Path) -> dict[str, Tensor]:
    """The only dictionary of tensors in a checkpoint, at any of the first levels."""
    level = [("", content)]
    for _ in range(4):
        found = [(name, value) for name, value in level if _is_state_dict(value)]
        if len(found) > 1:
            names = ", ".join(name for name, _ in found)
            raise InputError(f"{path} holds several sets of weights ({names}); save the one that is meant by itself")
        if found:
            return {str(key): value for key, value in found[0][1].items() if str(key) not in _NO_PARAMETERS}
        level = [
            (f"{name}.{key}".lstrip("."), value)
            for name, group in level
            if isinstance(group, dict)
            for key, value in group.items()
            if key not in _OF_TRAINING
        ]
    raise InputError(f"{path} holds no state dict of tensors; {_KINDS}")


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(entry, Tensor) for entry in value.values())


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leaves out leading parts of names that all share: a wrapper's, since CLIP's own begin in several ways."""
    while len(first := {key.partition(".")[0] for key in state}) == 1 and all("." in key for key in state):
        if first & _CLIPS_OWN:
            break  # one tower alone
        state = {key.partition(".")[2]: value for key, value in state.items()}
    return state


def check_finite(model: nn.Module, where: str) -> None:
    """Refuses what would make every pixel the first label without a word: one NaN among the weights is enough.

    Raises:
        InputError: a parameter or buffer that is not finite.
    """
    masks = {name for name, _ in model.named_buffers() if name.rpartition(".")[2] == "attn_mask"}  # -inf by design
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if name in masks or not value.numel() or bool(torch.stack(value.aminmax()).isfinite().all()):
            continue
        if bad := int((~value.isfinite()).sum()):
            raise InputError(
                f"{where}: {bad} of the {value.numel()} values of {name} are not finite (NaN or infinite), so that "
                "nothing can be segmented; take undamaged weights"
            )


def hash_parameters(model: nn.Module) -> str:
    """SHA-256 over the sorted names, shapes and float32 values of a model's parameters, 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for key, value in sorted(model.named_parameters()):
        digest.update(json.dumps([key, list(value.shape)]).encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:16]


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, as OpenAI publishes its weights."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers of a TorchScript archive by name."""
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
        module = _ScriptReader(archive, root).load()
    return {name: tensor for name, tensor in _tensors(module, "") if name.rpartition(".")[2] != "attn_mask"}


class _ForeignScript(pickle.UnpicklingError):
    """The archive needs more than tensors in modules."""


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
        raise _ForeignScript(f"it names {module}.{name}")

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
