"""A device that is none: tensors that say they are elsewhere and are computed on the CPU.

PyTorch refuses to mix tensors of two devices, which no run on a CPU notices. Here an operation that mixes them fails as
it would on a GPU, and so does whatever asks a tensor for its memory without `.cpu()`. What a GPU's own kernels give is
not tested, and neither is code for CUDA alone.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

aten = torch.ops.aten

if not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"):
    pytest.skip("this PyTorch knows no devices written in Python", allow_module_level=True)
if torch.cuda.is_available():  # PyTorch takes the pretended one for the machine's accelerator
    pytest.skip("there is a real GPU, which no pretended device may stand beside", allow_module_level=True)

# Operations that take tensors of two devices, as a GPU's own do: copies, and indices from the CPU.
_COPIES = {aten._to_copy, aten.copy_}
_INDEXING = {aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_}


class _Backend(backend_registration._DummyBackendModule):
    """What PyTorch asks a device's module for."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


backend_registration._setup_privateuseone_for_python_backend(backend_module=_Backend())
DEVICE = torch.device("privateuseone", 0)


class PretendTensor(Tensor):
    """A tensor on `DEVICE` that holds its numbers in a CPU tensor."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "PretendTensor":
        made: PretendTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"PretendTensor({self.held})"

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(f"can't convert {DEVICE} device type tensor to numpy; use Tensor.cpu() first")

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class PretendDevice(TorchDispatchMode):
    """While it is entered, tensors can be made on `DEVICE` and moved there."""

    def __enter__(self) -> "PretendDevice":
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) is a tensor on the CPU that is moved
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(False)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Computes on the CPU what is asked of either device, and gives it back where it belongs."""
    given = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
    pretended = [leaf for leaf in given if isinstance(leaf, PretendTensor)]
    packet = func.overloadpacket
    if packet is aten._fused_sdp_choice:
        return 0  # plain attention: fused ones are chosen by device
    strangers = [leaf for leaf in given if not isinstance(leaf, PretendTensor) and leaf.ndim]
    if packet in _INDEXING and isinstance(args[0], PretendTensor):
        strangers = [leaf for leaf in args[2:3] if any(leaf is stranger for stranger in strangers)]  # the values
    if pretended and strangers and packet not in _COPIES:
        raise RuntimeError(f"expected all tensors to be on the same device, but {func} got {DEVICE} and cpu")

    if kwargs.get("device") is not None:
        elsewhere = torch.device(kwargs["device"]) == DEVICE
        kwargs = {**kwargs, "device": torch.device("cpu")}
    else:
        elsewhere = isinstance(args[0], PretendTensor) if packet is aten.copy_ else bool(pretended)

    def inner(leaf: Any) -> Any:
        return leaf.held if isinstance(leaf, PretendTensor) else leaf

    owners = {id(leaf.held): leaf for leaf in pretended}  # work in place gives back the tensor it was given

    def outer(leaf: Any) -> Any:
        return owners.get(id(leaf), PretendTensor(leaf)) if elsewhere and isinstance(leaf, Tensor) else leaf

    return tree_map(outer, func(*tree_map(inner, args), **tree_map(inner, kwargs)))
