"""What methods ask of a tower: which blocks they read, whether it has them, and whether readings keep their word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn

from cliptrase.clip.trunk import Reading, from_start
from cliptrase.common.errors import InputError
from cliptrase.methods import Method
from cliptrase.ops.position import PositionEmbedding


@dataclass(frozen=True)
class Asked:
    """Blocks, counted from 0, of which readings ask for something, each with the methods that do."""

    projections: dict[int, list[str]]
    tokens: dict[int, list[str]]
    attention: dict[int, list[str]]

    @classmethod
    def of(cls, readings: Mapping[Reading, list[str]], count: int) -> "Asked":
        """What these readings ask for.

        Args:
            readings: each with the names of its methods.
            count: of blocks.
        """
        by_kind: list[dict[int, list[str]]] = []
        for kind in ("projections", "tokens", "attention"):
            by_kind.append({})
            for reading, names in readings.items():
                for number in {from_start(block, count) for block in reading.asks(kind, count)}:
                    by_kind[-1].setdefault(number, []).extend(names)
        return cls(*by_kind)


def loaded_reading(method: Method) -> Reading:
    """A method's reading, loaded where the method's record names it.

    Raises:
        InputError: it is no `Reading`.
    """
    reading = method.load_reading()
    if not isinstance(reading, Reading):
        raise InputError(
            f"method {method.name}: reading {reading!r} is no Reading; make one with cliptrase.readings: "
            "last_block(rule), second_stream(rule, depth) or @reading(...)"
        )
    return reading


def checked_features(features: Any, wanted: tuple[int, ...], method: str) -> Tensor:
    """What a reading returned, where it has the shape that all later steps count on.

    Raises:
        InputError: it has another.
    """
    if isinstance(features, Tensor) and tuple(features.shape) == wanted and features.is_floating_point():
        return features
    got = f"{features.dtype} {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
    raise InputError(
        f"method {method}: its reading returns {got}; wanted are projected tokens, class token first, "
        f"(B, N+1, E) = {wanted}"
    )


def check_methods(methods: Sequence[Method], blocks: int | None) -> None:
    """Refuses methods that no visual tower of so many blocks has; also before there is a tower.

    Args:
        methods: of the run.
        blocks: of the visual tower, None where that is not known yet.

    Raises:
        InputError: see `VisualEncoder.require`.
    """
    for method in methods:
        reading = loaded_reading(method)
        if method.position_embedding not in get_args(PositionEmbedding):
            raise InputError(
                f"method {method.name}: position_embedding {method.position_embedding!r} is none of "
                f"{', '.join(get_args(PositionEmbedding))}"
            )
        if blocks is None:
            continue
        if reading.depth > blocks:
            raise InputError(
                f"method {method.name} governs the last {reading.depth} blocks, but the visual tower has {blocks}; "
                "take another method or a deeper tower such as ViT-B-16"
            )
        if absent := [number for number in reading.numbers(blocks) if not -blocks <= number < blocks]:
            raise InputError(
                f"method {method.name} reads block {absent[0]}, but the visual tower has {blocks} blocks; take "
                "another method or a deeper tower such as ViT-B-16"
            )


def check_guest(methods: Sequence[Method], guest: str | None) -> None:
    """Refuses methods without the guest that they read, and a guest that none of them reads; also before it is loaded.

    Args:
        methods: of the run.
        guest: the guest's name, None without one.

    Raises:
        InputError: either.
    """
    reading = [method.name for method in methods if loaded_reading(method).guest]
    if reading and guest is None:
        raise InputError(
            f"method {reading[0]} reads a guest tower's features, and no guest is given; give one, such as "
            "vit_base_patch8_224.dino of timm, or another method"
        )
    if guest is not None and not reading:
        names = ", ".join(method.name for method in methods)
        raise InputError(f"guest {guest} is read by no method of {names}; leave it out, or take a method that does")


def supported_tower(tower: nn.Module) -> VisionTransformer:
    """The tower, where its blocks can be run one by one.

    Raises:
        InputError: it is of another kind.
    """
    wanted = "supported are open_clip VisionTransformers with a class token, such as ViT-B-16, ViT-L-14 or ViT-H-14"
    if not isinstance(tower, VisionTransformer):
        raise InputError(f"a visual tower of type {type(tower).__name__} has no dense class-token attention; {wanted}")
    if tower.attn_pool is not None or tower.pool_type != "tok" or tower.proj is None:
        raise InputError(f"the visual tower pools by {tower.pool_type!r}, not by its class token; {wanted}")
    blocks = list(tower.transformer.resblocks)
    if len(blocks) < 2 or any(type(block) is not ResidualAttentionBlock for block in blocks):
        kinds = sorted({type(block).__name__ for block in blocks})
        raise InputError(f"the visual tower has {len(blocks)} blocks of type {', '.join(kinds)}; {wanted}")
    return tower
