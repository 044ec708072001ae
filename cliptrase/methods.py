"""Training-free methods as data: one record a method, one table."""

from dataclasses import dataclass, replace
from typing import Literal

from cliptrase import attention
from cliptrase.errors import InputError

PositionEmbedding = Literal["dino"]


@dataclass(frozen=True)
class Method:
    """How a method reads dense features from CLIP's visual tower and what it makes of them.

    Attributes:
        name: key in tables and result files.
        attention: rule of the last block.
        regions: whether clusters of patches vote on names (CLIPtrase, section 3.4).
        residual: whether the last block keeps its residual connection.
        mlp: whether the last block keeps its MLP.
        position_embedding: how the position embedding is resampled off its own grid. `dino`: bicubic with scale
            factor (h + 0.1) / g, as DINO's released code does.
        source: where the method was published.
    """

    name: str
    attention: attention.AttentionRule
    source: str
    regions: bool = False
    residual: bool = True
    mlp: bool = True
    position_embedding: PositionEmbedding = "dino"


METHODS = {
    method.name: method
    for method in (
        Method("vanilla", attention.query_key, "CLIP, Radford et al., ICML 2021"),
        Method("maskclip", attention.value_path, "MaskCLIP, Zhou et al., ECCV 2022"),
        Method(
            "cliptrase",
            attention.correlative_self_attention,
            "CLIPtrase, Shao et al., ECCV 2024",
            regions=True,
        ),
    )
}


def get_method(spec: str) -> Method:
    """The method that `spec` names.

    A suffix `+regions` or `-regions` switches the region vote: `vanilla+regions`, `cliptrase-regions`.

    Raises:
        InputError: no such method.
    """
    name, switch = spec, None
    for suffix, value in (("+regions", True), ("-regions", False)):
        if spec.endswith(suffix):
            name, switch = spec.removesuffix(suffix), value
    if name not in METHODS:
        raise InputError(
            f"unknown method {spec!r}: take one of {', '.join(METHODS)}, with +regions or -regions after it if wanted"
        )
    method = METHODS[name]
    if switch is None or switch == method.regions:
        return method
    return replace(method, name=spec, regions=switch)
