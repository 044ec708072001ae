"""A model gets the weights of a file, where each has its place, its shape and a value that can be."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from open_clip.model import convert_to_custom_text_state_dict
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cliptrase.clip.checkpoint import check_finite
from cliptrase.clip.mapped import own
from cliptrase.common.errors import InputError

_LOG_SCALE = 9.21  # a factor of ten thousand
_VISUAL = "visual."
_BY_CHANCE = (torch.Tensor.normal_, torch.Tensor.uniform_, torch.Tensor.erfinv_)


class Unfilled(TorchFunctionMode):
    """Within it a model is made without values, where drawing them by chance would take longer than reading them.

    Every parameter must get its value afterwards; buffers that are computed have theirs.
    """

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Calls the function, unless it would fill a tensor by chance."""
        kwargs = kwargs or {}
        if func in _BY_CHANCE or getattr(func, "__module__", "") == torch.nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def fits(model: Any, state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict holds a model's parameters by its own names and in its own shapes."""
    own_shapes = {key: value.shape for key, value in model.state_dict().items()}
    return own_shapes == {key: value.shape for key, value in state.items()}


def fill(model: Any, state: dict[str, Tensor], path: str, of_what: str, cure: str) -> None:
    """Gives a model the weights of a file, where each has its place and its shape.

    The visual tower's and the scale are copied, others stay where they lie; see `mapped`.

    Raises:
        InputError: the file's weights are another model's.
    """
    wanted = model.state_dict()
    if "positional_embedding" in state and "positional_embedding" not in wanted:
        state = convert_to_custom_text_state_dict(state)
    if "logit_scale" in state and state["logit_scale"].numel() == 1:
        state = state | {"logit_scale": state["logit_scale"].reshape(wanted["logit_scale"].shape)}
    missing = sorted(wanted.keys() - state.keys())
    extra = sorted(state.keys() - wanted.keys())
    reshaped = sorted(key for key in wanted.keys() & state.keys() if wanted[key].shape != state[key].shape)
    if missing and (prefix := _prefix_of(wanted, state)):
        raise InputError(
            f"{path}: the names of {of_what} begin with {prefix!r} there, and other entries are beside them "
            f"({next(key for key in extra if not key.startswith(prefix))}); save those under {prefix!r} by themselves"
        )
    if missing or extra or reshaped:
        raise InputError(
            f"{path} does not hold weights of {of_what}: {len(missing)} parameters missing, {len(extra)} unknown, "
            f"{len(reshaped)} of another shape (first: {(missing or extra or reshaped)[0]}); {cure}"
        )
    held = {key: own(value) if key.startswith(_VISUAL) or value.numel() == 1 else value for key, value in state.items()}
    model.load_state_dict(held, assign=True)


def _prefix_of(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What comes before all of a model's own names in a state dict that holds more besides."""
    found = (key.removesuffix("visual.conv1.weight") for key in state if key.endswith(".visual.conv1.weight"))
    return next((prefix for prefix in found if all(prefix + key in state for key in own)), "")


def check_values(model: Any, where: str) -> None:
    """Refuses a model with whose values nothing can be segmented.

    Raises:
        InputError: a parameter or buffer that is not finite, or a logit_scale that is no scale.
    """
    check_finite(model, where)
    scale = model.logit_scale
    if scale.numel() != 1 or not abs(float(scale)) <= _LOG_SCALE:
        raise InputError(
            f"{where}: logit_scale is {scale.flatten()[:3].tolist()}, the logarithm of a factor that CLIP keeps below "
            "100 (4.6); take undamaged weights"
        )
