"""Training-free methods as data: one record a method, one table."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from cliptrase import attention
from cliptrase.errors import InputError, did_you_mean
from cliptrase.ops.position import PositionEmbedding

Vote = Literal["majority", "mean"]


@dataclass(frozen=True)
class Method:
    """How a method reads dense features from CLIP's visual tower and what it makes of them.

    Attributes:
        name: key in tables and result files.
        attention: rule of the last block.
        source: where the method was published.
        regions: whether clusters of patches vote on names (CLIPtrase, section 3.4).
        residual: whether the last block keeps its residual connection.
        mlp: whether the last block keeps its MLP.
        position_embedding: how the position embedding is resampled off its own grid; see
            `ops.position.resample_position_embedding`.
        depth: how many of the last blocks the rule governs. Above 1 they run a second stream beside CLIP's own:
            queries, keys, values and, at the end, the class token always come from CLIP's own.
        denoise: whether the class token's correlation is removed before clustering (CLIPtrase, section 3.3).
        vote: how a region chooses its name; None is the protocol's own way.
    """

    name: str
    attention: attention.AttentionRule
    source: str
    regions: bool = False
    residual: bool = True
    mlp: bool = True
    position_embedding: PositionEmbedding = "dino"
    depth: int = 1
    denoise: bool = True
    vote: Vote | None = None


METHODS = {
    method.name: method
    for method in (
        Method("vanilla", attention.query_key, "CLIP, Radford et al., ICML 2021"),
        # With CLIP's own quick GELU and layer-norm eps; the released config runs exact GELU and eps 1e-6, which
        # changes every feature a little (--model.activation gelu gives the larger part of that).
        Method("maskclip", attention.value_path, "MaskCLIP, Zhou et al., ECCV 2022", position_embedding="bicubic"),
        Method("cliptrase", attention.correlative_self_attention, "CLIPtrase, Shao et al., ECCV 2024", regions=True),
        Method("sclip", attention.query_and_key, "SCLIP, Wang et al., ECCV 2024"),
        Method("clearclip", attention.query_query, "ClearCLIP, Lan et al., ECCV 2024", residual=False, mlp=False),
        Method("naclip", attention.neighbour_key, "NACLIP, Hajimiri et al., WACV 2025", residual=False, mlp=False),
        # Its architecture surgery. Its "feature surgery" is left out: what it takes off, the mean over names, is the
        # same for every name and moves no label; its weights of names serve similarity maps of single words.
        Method(
            "clip_surgery",
            attention.value_value,
            "CLIP Surgery, Li et al., 2023",
            mlp=False,
            position_embedding="bilinear",
            depth=6,
        ),
        Method(
            "gem",
            attention.grounded_self_self,
            "GEM, Bousselham et al., CVPR 2024",
            mlp=False,
            position_embedding="antialias",
            depth=6,
        ),
    )
}

# What a suffix sets; those after the first two concern the region vote alone.
SWITCHES: dict[str, tuple[str, Any]] = {
    "+regions": ("regions", True),
    "-regions": ("regions", False),
    "-denoise": ("denoise", False),
    "+majority": ("vote", "majority"),
    "+mean": ("vote", "mean"),
}


def get_method(spec: str) -> Method:
    """The method that `spec` names: one of the table, with switches after it if wanted.

    `+regions` and `-regions` switch the region vote: `vanilla+regions` (CLIPtrase without its attention),
    `cliptrase-regions` (its attention alone). With regions `-denoise` clusters the correlation as it is, and
    `+majority` (labels) or `+mean` (logits) sets how a region chooses: `cliptrase-denoise+mean`. A switch that
    changes nothing changes no name, and the order of switches does not matter, so that equal methods are one column.

    Raises:
        InputError: no such method or switch, one switched twice, or a part of the region vote without regions.
    """
    if not isinstance(spec, str):
        raise InputError(f"a method is named by a text such as 'cliptrase', not by {spec!r}")
    found = re.fullmatch(r"(\w+)((?:[+-][a-z]+)*)", spec)
    suffixes = re.findall(r"[+-][a-z]+", found[2]) if found else []
    values = dict(SWITCHES[suffix] for suffix in suffixes if suffix in SWITCHES)
    if not found or found[1] not in METHODS or len(values) < len(suffixes):
        raise InputError(
            f"unknown method {spec!r}{_meant(spec)}: take one of {', '.join(METHODS)}, with +regions or -regions after "
            "it if wanted; with regions also -denoise, and +majority or +mean"
        )
    method = replace(METHODS[found[1]], **values)
    if not method.regions and not values.keys() <= {"regions"}:
        raise InputError(f"method {spec!r}: -denoise, +majority and +mean are parts of the region vote; add +regions")
    changed = [
        suffix
        for suffix, (key, value) in SWITCHES.items()
        if getattr(method, key) == value != getattr(METHODS[found[1]], key)
    ]
    return replace(method, name=found[1] + "".join(changed))


def votes_by_regions(name: str) -> bool:
    """Whether a method of that name, with its switches, has regions vote on names."""
    row = METHODS.get(re.split("[+-]", name)[0])
    return "+regions" in name or (row is not None and row.regions and "-regions" not in name)


def get_methods(specs: str | Sequence[str]) -> list[Method]:
    """The methods that `specs` name, one name or several, each once; see `get_method`.

    Raises:
        InputError: no method, or one that `get_method` refuses.
    """
    names = [specs] if isinstance(specs, str) else specs
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise InputError(f"methods are names such as 'cliptrase', not {specs!r}; take some of {', '.join(METHODS)}")
    methods = list({method.name: method for method in map(get_method, names)}.values())
    if not methods:
        raise InputError(f"no method is named; take one of {', '.join(METHODS)}")
    return methods


def _meant(spec: str) -> str:
    """What to say where the name, or one of the switches, is nearly one of the table; empty elsewhere."""
    parts = re.split(r"(?=[+-])", spec.strip().lower())
    near = [did_you_mean(parts[0].strip(), METHODS), *(did_you_mean(part, SWITCHES) for part in parts[1:])]
    if not near[0] or not all(near) or "".join(near) == spec:
        return ""
    return f" (did you mean {''.join(near)}?)"
