"""What a segmenter refuses: protocols and methods that do not go together, and features or names without direction."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from cliptrase.common.errors import InputError
from cliptrase.methods import Method
from cliptrase.ops.classification import Size, has_direction
from cliptrase.protocols.protocol import EvaluationProtocol


def check_votes(protocol: EvaluationProtocol, methods: Sequence[Method]) -> None:
    """Refuses regions that vote with labels where there are only logits.

    Raises:
        InputError: a method asks for it under a protocol with windows.
    """
    majority = next((method.name for method in methods if method.vote == "majority"), None)
    if protocol.windowed and majority:
        raise InputError(
            f"method {majority}: protocol {protocol.name} averages the logits of windows, so regions vote by "
            "their mean; leave out +majority"
        )


def require_whole_patches(protocol: EvaluationProtocol, patch: Size) -> None:
    """Refuses sizes, those of single data sets too, that are no whole patches where the protocol asks for such."""
    side = patch[0]
    for name in ("", *protocol.overrides):
        size = protocol.on(name).size
        if protocol.fit == "exact" and isinstance(size, int) and any(size % step for step in patch):
            below = size // side * side
            field = f"overrides.{name}.size" if name else "size"
            raise InputError(
                f"`protocol.{field}` {size} is not a multiple of the tower's patch of {side} pixels; "
                f"take {below + side}" + (f" or {below}" if below else "")
            )


def require_directions(embeddings: Tensor, names: Sequence[str]) -> None:
    """Questions new text embeddings, (C, E): without a direction, or all with one, they name pixels at random."""
    if not (sound := has_direction(embeddings)).all():
        name = names[int(sound.int().argmin())]
        raise InputError(
            f"the model's text embedding of {name!r} is zero or not finite (NaN or infinite), so that no pixel can be "
            "named; take undamaged weights"
        )
    if len(set(names)) > 1 and bool((embeddings == embeddings[0]).all()):
        raise InputError(
            f"the model gives all {len(names)} names the same text embedding, so that none can be told from another; "
            "take undamaged weights"
        )


def require_features(features: Mapping[str, Tensor]) -> None:
    """Questions features of every method, (..., E) each; one answer is waited for, however many methods there are."""
    sound = torch.stack([has_direction(values).all() for values in features.values()])
    if not sound.all():
        name, values = next(
            (name, values) for (name, values), one in zip(features.items(), sound, strict=True) if not one
        )
        cure = "take undamaged weights"
        if values.dtype != torch.float32 or torch.is_autocast_enabled(values.device.type):
            cure = "take `trainer.precision` 32-true, or undamaged weights"
        raise InputError(
            f"method {name}: image features are zero or not finite (NaN or infinite), so that no pixel can be named; "
            f"{cure}"
        )
