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


def require_images(images: object) -> None:
    """Refuses what is no batch of pictures.

    Raises:
        InputError: anything but a uint8 tensor (B, 3, H, W) that holds a pixel.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        got = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise InputError(f"images must be a uint8 tensor (B, 3, H, W) of 0..255, not {got}; segment() takes pictures")
    if 0 in images.shape:
        raise InputError(f"images {tuple(images.shape)} hold no pixel; give at least one picture")


def require_size(size: Size) -> None:
    """Refuses label maps without a pixel."""
    if min(size) < 1:
        raise InputError(f"a label map of {size[0]} x {size[1]} pixels cannot be; give (height, width) from 1 on")


def require_tiles(protocol: EvaluationProtocol, method: Method) -> None:
    """Refuses what cannot be worked on by tiles.

    Raises:
        InputError: the protocol has no windows, or the method refines maps of whole pictures.
    """
    if not protocol.windowed:
        raise InputError(f"protocol {protocol.name} shows pictures whole; a large one needs windows, as `tiles` has")
    if method.refine:
        raise InputError(f"method {method.name} refines maps of whole pictures; leave out what refines for large ones")
