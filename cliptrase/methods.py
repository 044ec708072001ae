"""Training-free methods as data: one record a method, one table, and methods from outside the package.

Nothing here needs torch until a method's reading is loaded.
"""

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from cliptrase.common.errors import InputError, did_you_mean
from cliptrase.common.extensions import installed, load_entry_point, load_object
from cliptrase.method_options import MethodOption
from cliptrase.protocols.values import Number, Share, Whole

if TYPE_CHECKING:
    from cliptrase.clip.trunk import Reading
    from cliptrase.ops.position import PositionEmbedding
    from cliptrase.refinements.maps import Refinement

Vote = Literal["majority", "mean"]

# `+regions`, `-denoise`, `+alpha=0.3`
_SUFFIX = r"[+-][a-z_]+(?:=-?(?:[0-9.]+e[+-]?[0-9]+|[\w.]*))?"

ENTRY_POINTS = "cliptrase.methods"
"""Group of entry points by which other distributions offer methods."""


@dataclass(frozen=True)
class Part:
    """A part of a method that its authors name, which `-NAME` after the method's name leaves out.

    Attributes:
        name: lower-case letters and `_`.
        meaning: what the part does, a few words.
        without: what the method reads without it, or its place, `package.module:NAME`.
        options: names of the method's options that act in this part alone; without it there are none such.
    """

    name: str
    meaning: str
    without: "Reading | str"
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """How a method reads dense features from CLIP's visual tower and what it makes of them.

    Attributes:
        name: key in tables and result files: letters, digits and `_`, and the switches it was changed by.
        source: where the method was published.
        reading: what it reads of CLIP's visual tower; see `readings`. `package.module:NAME` is loaded on first use.
        position_embedding: how the position embedding is resampled off its own grid; see
            `ops.position.resample_position_embedding`.
        regions: whether clusters of patches vote on names (CLIPtrase, section 3.4).
        denoise: whether the class token's correlation is removed before clustering (CLIPtrase, section 3.3).
        vote: how a region chooses its name; None is the protocol's own way.
        options: numbers that its authors chose, which `name+option=value` changes and `+frozen` holds alike on all data
            sets. Readings find them in `Trunk.options`.
        refine: what becomes of the names' maps at the label map's size, in this order, before the highest name is taken
            and before regions vote: refinements (`refinements.maps.Refinement`), or their places,
            `package.module:NAME`.
        parts: those that can be left out, one at a time.

    Raises:
        InputError: a value that is none of these.
    """

    name: str
    source: str
    reading: "Reading | str"
    position_embedding: "PositionEmbedding" = "dino"
    regions: bool = False
    denoise: bool = True
    vote: Vote | None = None
    options: tuple[MethodOption, ...] = ()
    refine: "tuple[Refinement | str, ...]" = ()
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(rf"\w+({_SUFFIX})*", self.name):
            raise InputError(f"a method's name is made of letters, digits and _, not {self.name!r}")
        if self.vote not in (None, *get_args(Vote)):
            raise InputError(f"method {self.name}: vote {self.vote!r} is none of {', '.join(get_args(Vote))} and None")
        if not callable(self.reading) and not (isinstance(self.reading, str) and ":" in self.reading):
            raise InputError(
                f"method {self.name}: reading {self.reading!r} is neither a Reading nor the place of one, "
                "'package.module:NAME'"
            )
        if not isinstance(self.refine, tuple) or not all(
            callable(one) or (isinstance(one, str) and ":" in one) for one in self.refine
        ):
            raise InputError(
                f"method {self.name}: refine {self.refine!r} is no tuple of refinements or of their places, "
                "'package.module:NAME'"
            )

    def without(self, part: str) -> "Method":
        """The method without one of its parts, and without the options that act in that part alone."""
        (left_out,) = (one for one in self.parts if one.name == part)
        options = tuple(option for option in self.options if option.name not in left_out.options)
        return replace(self, name=f"{self.name}-{part}", reading=left_out.without, options=options, parts=())

    @property
    def reading_options(self) -> tuple[MethodOption, ...]:
        """Those of the reading: without what came with the switch of a refinement, by which features do not differ."""
        return tuple(option for option in self.options if option.name not in _OF_REFINEMENTS)

    def on(self, dataset: str) -> "Method":
        """The method with its options' values for a data set in place."""
        return replace(self, options=tuple(option.on(dataset) for option in self.options))

    def load_reading(self) -> Any:
        """The reading, imported where the record holds its place."""
        return _at(self.reading)

    def load_refinements(self) -> "tuple[Refinement, ...]":
        """The refinements, imported where the record holds their places."""
        return tuple(_at(one) for one in self.refine)


def _at(value: Any) -> Any:
    """A value, or what a text names as its place."""
    if not isinstance(value, str):
        return value
    module, _, name = value.partition(":")
    return getattr(importlib.import_module(module), name)


# Of SC-CLIP and SFP. The weight for 24 blocks is what SC-CLIP's author names (SuleBai/SC-CLIP, issue 5).
_SIMILARITY = (
    MethodOption("similarity", 0.4, Share(), "cosine from which two patches are similar"),
    MethodOption("scale", 3, Number(1e6), "factor of similarity less its mean, before the softmax"),
    MethodOption(
        "class_weight",
        0.3,
        Number(1e6, zero=True),
        "weight of the class token, added to every patch",
        by_blocks={24: 0.1},
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("vanilla", "CLIP, Radford et al., ICML 2021", "cliptrase.readings.last_blocks:vanilla"),
            Method(
                "maskclip", "MaskCLIP, Zhou et al., ECCV 2022", "cliptrase.readings.last_blocks:maskclip", "bicubic"
            ),
            Method(
                "cliptrase",
                "CLIPtrase, Shao et al., ECCV 2024",
                "cliptrase.readings.last_blocks:cliptrase",
                regions=True,
            ),
            Method("sclip", "SCLIP, Wang et al., ECCV 2024", "cliptrase.readings.last_blocks:sclip"),
            Method("clearclip", "ClearCLIP, Lan et al., ECCV 2024", "cliptrase.readings.last_blocks:clearclip"),
            Method("naclip", "NACLIP, Hajimiri et al., WACV 2025", "cliptrase.readings.last_blocks:naclip"),
            Method(
                "clip_surgery",
                "CLIP Surgery, Li et al., 2023",
                "cliptrase.readings.last_blocks:clip_surgery",
                "bilinear",
            ),
            Method("gem", "GEM, Bousselham et al., CVPR 2024", "cliptrase.readings.last_blocks:gem", "antialias"),
            Method(
                "proxyclip",
                "ProxyCLIP, Lan et al., ECCV 2024",
                "cliptrase.readings.proxyclip:proxyclip",
                options=(
                    MethodOption("beta", 1.2, Number(1e6, zero=True), "share of the mean similarity taken off"),
                    MethodOption("gamma", 3, Number(1e6), "factor of the similarity that is left"),
                ),
            ),
            Method(
                "pearl",
                "PEARL, Pei et al., CVPR 2026",
                "cliptrase.readings.pearl:pearl",
                options=(
                    MethodOption(
                        "alpha",
                        0.08,
                        Number(1e6, zero=True),
                        "weight of the keys' own similarity",
                        by_dataset={"Cityscapes": 0.3, "ADE150": 0.3},
                    ),
                ),
            ),
            Method(
                "scclip",
                "SC-CLIP, Bai et al., 2024",
                "cliptrase.readings.scclip:scclip",
                options=(
                    MethodOption(
                        "neighbours", 30, Whole(10000), "nearest patches that tell whether a patch is an outlier"
                    ),
                    MethodOption("quantile", 0.95, Share(), "share of an image's patches that are no outliers"),
                    *_SIMILARITY,
                ),
            ),
            Method(
                "sfp",
                "SFP, Jin et al., ICCV 2025",
                "cliptrase.readings.sfp:sfp",
                options=(
                    MethodOption(
                        "factor",
                        1.5,
                        Number(1e6),
                        "factor of the class token's attention where it is compared with a patch's own",
                    ),
                    MethodOption("outliers", 10, Whole(10000, zero=True), "most outliers of an image"),
                    *_SIMILARITY,
                ),
            ),
            Method(
                "resclip",
                "ResCLIP, Yang et al., CVPR 2025",
                "cliptrase.readings.resclip:resclip",
                options=(
                    MethodOption("tau_r", 2, Number(1e6), "what each row of mixed attention sums to"),
                    MethodOption(
                        "lambda_r",
                        0.4,
                        Number(1, zero=True),
                        "share of earlier blocks' attention",
                        by_dataset={"VOC21": 0.3, "PC60": 0.3, "VOC20": 0.6, "Cityscapes": 0.2, "ADE150": 0.3},
                    ),
                    MethodOption(
                        "tau_s",
                        1.8,
                        Number(1e6),
                        "factor of the second pass's logits",
                        by_dataset={"VOC21": 2.2, "VOC20": 2.1, "Cityscapes": 2.1, "ADE150": 2.1},
                    ),
                    MethodOption(
                        "lambda_s",
                        0.7,
                        Number(1, zero=True),
                        "share of likeness by name in them",
                        by_dataset={"VOC20": 0.6, "Cityscapes": 0.6},
                    ),
                    MethodOption(
                        "temp_thd",
                        0.25,
                        Number(1, zero=True),
                        "first-pass probability under which a pixel bears name 0",
                        by_dataset={"VOC21": 0.5, "PC60": 0.3}
                        | dict.fromkeys(("COCOObject", "COCO171"), 0.11)
                        | dict.fromkeys(("VOC20", "Cityscapes"), 0.1),
                    ),
                ),
                parts=(
                    Part(
                        "sfr",
                        "its second pass, by likeness of patches",
                        "cliptrase.readings.resclip:resclip_rcs",
                        ("tau_s", "lambda_s", "temp_thd"),
                    ),
                ),
            ),
        )
    }
)

# What a suffix sets, or adds to `refine`.
SWITCHES: dict[str, tuple[str, Any]] = {
    "+regions": ("regions", True),
    "-regions": ("regions", False),
    "-denoise": ("denoise", False),
    "+majority": ("vote", "majority"),
    "+mean": ("vote", "mean"),
    "+pamr": ("refine", "cliptrase.refinements.pamr:pamr"),
    "+tlp": ("refine", "cliptrase.refinements.tlp:tlp"),
}
# What comes with a switch; a method of one's own that names such a refinement runs with the first value.
SWITCH_OPTIONS: dict[str, MethodOption] = {
    "+tlp": MethodOption("tlp_grid", 80, Whole(16384), "cells of a side of TLP's grid", {"Cityscapes": 224}),
}
_OF_REFINEMENTS = {option.name for option in SWITCH_OPTIONS.values()}
_OF_THE_VOTE = ("denoise", "vote")
_FROZEN = "+frozen"


def get_method(spec: str | Method) -> Method:
    """The method that `spec` names, with switches after it if wanted.

    A name of the table or of an entry point; `FILE.py:NAME` or `package.module:NAME`, where NAME is a `Method`, a
    `Reading`, or an attention rule, which then governs the last block; or a `Method` as it is.

    `+regions` and `-regions` switch the region vote: `vanilla+regions` (CLIPtrase without its attention),
    `cliptrase-regions` (its attention alone). With regions `-denoise` clusters the correlation as it is, and
    `+majority` (labels) or `+mean` (logits) sets how a region chooses: `cliptrase-denoise+mean`. `+pamr` and `+tlp`
    refine the maps of names, PAMR first where both are named. `-PART` leaves out one of a method's named parts:
    `resclip-sfr`. `+OPTION=VALUE` sets one of a method's numbers on all data sets, `+frozen` takes for all data sets
    the numbers that its authors take for most. A switch that changes nothing changes no name, and the order of switches
    does not matter, so that equal methods are one column.

    Raises:
        InputError: no such method, switch, part or option, one switched twice, several parts left out, a value that an
            option does not take, a part of the region vote without regions, a file or module that cannot be imported,
            or what it names is no method.
    """
    if isinstance(spec, Method):
        return _checked(spec)
    if not isinstance(spec, str):
        raise InputError(f"a method is named by a text such as 'cliptrase', or is a Method, not {spec!r}")
    if spec.endswith(".py"):
        spec = f"{spec}:"
    place, colon, rest = spec.rpartition(":")
    matched = re.fullmatch(rf"([\w.]*)((?:{_SUFFIX})*)" if colon else rf"(\w+)((?:{_SUFFIX})*)", rest)
    suffixes = re.findall(_SUFFIX, matched[2]) if matched else []
    switches = [suffix for suffix in suffixes if "=" not in suffix and suffix != _FROZEN]
    if not matched:
        raise _unknown(spec)
    if colon:
        base = _outside(f"{place}:{matched[1]}", load_object(f"{place}:{matched[1]}", "method", _is_candidate))
    elif matched[1] in METHODS:
        base = METHODS[matched[1]]
    elif point := installed(ENTRY_POINTS).get(matched[1]):
        base = replace(_outside(point.value, load_entry_point(point, "method")), name=point.name)
    else:
        raise _unknown(spec)
    chosen = [switch for suffix, switch in SWITCHES.items() if suffix in switches]
    values = {key: value for key, value in chosen if key != "refine"}
    added = [place for key, place in chosen if key == "refine"]
    own = [suffix for suffix in switches if suffix not in SWITCHES]
    if len(values) + len(added) + len(own) < len(switches):
        raise _unknown(spec)
    base = _without_part(base, own, spec)
    added = [place for place in added if place not in base.refine]
    further = [option for suffix, option in SWITCH_OPTIONS.items() if SWITCHES[suffix][1] in added]
    switched = replace(base, **values, refine=(*base.refine, *added), options=(*base.options, *further))
    method = _with_options(switched, [suffix for suffix in suffixes if suffix not in switches])
    if not method.regions and not values.keys().isdisjoint(_OF_THE_VOTE):
        raise InputError(f"method {spec!r}: -denoise, +majority and +mean are parts of the region vote; add +regions")
    changed = [
        suffix
        for suffix, (key, value) in SWITCHES.items()
        if (value in added if key == "refine" else getattr(method, key) == value != getattr(base, key))
    ]
    return replace(method, name=base.name + "".join(changed) + _changed_options(switched, method))


def _without_part(base: Method, suffixes: Sequence[str], spec: str) -> Method:
    """A method without the part that suffixes name, which are no switches of every method; as it is without any."""
    own = {f"-{part.name}": part.name for part in base.parts}
    others = {f"-{part.name}" for row in METHODS.values() for part in row.parts}
    for suffix in suffixes:
        if suffix not in own and (suffix in others or (own and suffix.startswith("-"))):
            near = did_you_mean(suffix, [*own, *SWITCHES])
            hint = f"did you mean {near}?" if near else f"it has {', '.join(own) or 'none that can be left out'}"
            raise InputError(f"method {base.name} has no part {suffix}; {hint}")
        if suffix not in own:
            raise _unknown(spec)
    if len(suffixes) > 1:
        raise InputError(f"method {spec!r} leaves out {' and '.join(suffixes)}; parts are left out one at a time")
    return base.without(own[suffixes[0]]) if suffixes else base


def _with_options(method: Method, suffixes: Sequence[str]) -> Method:
    """A method with `+frozen` and `+OPTION=VALUE` in place, whichever stands first."""
    options = {option.name: option for option in method.options}
    given = dict(suffix[1:].split("=") for suffix in suffixes if suffix != _FROZEN)
    asked = len(given) + (_FROZEN in suffixes)
    if asked < len(suffixes) or any(suffix.startswith("-") for suffix in suffixes):
        raise InputError(f"method {method.name}{''.join(suffixes)}: each option is set once, as +OPTION=VALUE")
    if suffixes and not options:
        raise InputError(f"method {method.name} has no options, so {suffixes[0]} sets none; leave it out")
    if _FROZEN in suffixes:
        options = {name: option.frozen() for name, option in options.items()}
    for name, text in given.items():
        if name not in options:
            near = did_you_mean(name, options)
            hint = f"; did you mean {near}?" if near else f"; it has {', '.join(options)}"
            raise InputError(f"method {method.name} has no option {name!r}{hint}")
        try:
            number = float(text)
        except ValueError:
            raise InputError(f"method {method.name}: option {name} must be a number, not {text!r}") from None
        try:
            options[name] = options[name].set_to(int(number) if number.is_integer() else number)
        except InputError as error:
            raise InputError(f"method {method.name}: option {error}") from None
    return replace(method, options=tuple(options.values()))


def _changed_options(base: Method, method: Method) -> str:
    """What differs from the options of `base`, as a name's ending: equal numbers give equal names."""

    def differing(before: Sequence[MethodOption]) -> list[str]:
        pairs = zip(method.options, before, strict=True)
        return [f"+{option.name}={option.value:.15g}" for option, other in pairs if option != other]

    one_by_one = differing(base.options)
    if any(option.by_dataset for option in base.options) and not any(option.by_dataset for option in method.options):
        together = [_FROZEN, *differing([option.frozen() for option in base.options])]
        if len(together) <= len(one_by_one):
            return "".join(together)
    return "".join(one_by_one)


def votes_by_regions(name: str) -> bool:
    """Whether a method of that name, with its switches, has regions vote on names."""
    row = METHODS.get(re.split("[+-]", name)[0])
    return "+regions" in name or (row is not None and row.regions and "-regions" not in name)


def get_methods(specs: str | Method | Sequence[str | Method]) -> list[Method]:
    """The methods that `specs` name, one or several, each once; see `get_method`.

    Raises:
        InputError: no method, one that `get_method` refuses, or two different ones of one name.
    """
    listed = [specs] if isinstance(specs, str | Method) else specs
    if not isinstance(listed, Sequence) or not all(isinstance(one, str | Method) for one in listed):
        raise InputError(f"methods are names such as 'cliptrase', not {specs!r}; take some of {', '.join(METHODS)}")
    methods: dict[str, Method] = {}
    for spec in listed:
        method = get_method(spec)
        if methods.setdefault(method.name, method) != method:
            raise InputError(
                f"method {method.name} of {method.source}: the name is taken by {methods[method.name].source}; "
                "give one of them another name"
            )
    if not methods:
        raise InputError(f"no method is named; take one of {', '.join(METHODS)}")
    return list(methods.values())


def split_methods(specs: str | Sequence[str | Method] | None) -> list[str | Method]:
    """The methods of a list, or of a text with commas between names; none for None."""
    if isinstance(specs, str):
        return [part.strip() for part in specs.split(",") if part.strip()]
    return list(specs or [])


def _outside(place: str, value: Any) -> Method:
    """A method of what stands in a user's file or module."""
    if isinstance(value, Method):
        return _checked(value)
    name = place.rpartition(":")[2].rpartition(".")[2]
    if _is_reading(value):
        return _checked(Method(name, place, value))
    if not callable(value) or isinstance(value, type) or not _takes_one(value):
        raise InputError(
            f"method {place!r} is no method but {value!r:.80}; it must be a Method, a Reading, or an attention rule, "
            "a function of Projections"
        )
    return _checked(Method(name, place, _rule_reading(value)))


def _checked(method: Method) -> Method:
    """Refuses a name of the table that stands for something else: published figures stand beside these names."""
    base = re.split("[+-]", method.name)[0]
    if base in METHODS and method != get_method(method.name):
        raise InputError(
            f"method {method.name} of {method.source}: the name is taken by {METHODS[base].source}; take another name"
        )
    return method


def _rule_reading(rule: Callable[..., Any]) -> "Reading":
    """One reading for one rule, so that a rule named twice is one method."""
    return _last_block(rule) if isinstance(rule, Hashable) else _last_block.__wrapped__(rule)


@functools.cache
def _last_block(rule: Callable[..., Any]) -> "Reading":
    from cliptrase.readings import last_block

    return last_block(rule)


def _is_reading(value: Any) -> bool:
    from cliptrase.clip.trunk import Reading

    return isinstance(value, Reading)


def _is_candidate(value: Any) -> bool:
    """Whether a module's object may be meant as a method: not what it only imports to make one."""
    if isinstance(value, Method) or _is_reading(value):
        return True
    return inspect.isfunction(value) and not value.__module__.startswith("cliptrase.") and _takes_one(value)


def _takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # of a function without a signature
        pass
    return True


def _unknown(spec: str) -> InputError:
    return InputError(
        f"unknown method {spec!r}{_meant(spec)}: take one of {', '.join([*METHODS, *installed(ENTRY_POINTS)])}, or "
        "FILE.py:NAME, with +regions or -regions, +pamr and +tlp after it if wanted; with regions also -denoise, and "
        "+majority or +mean; -PART leaves out a part and +OPTION=VALUE sets an option of a method that has some"
    )


def _meant(spec: str) -> str:
    """What to say where the name, or one of the switches, is nearly one of the table; empty elsewhere."""
    parts = re.split(r"(?=[+-])", spec.strip().lower())
    names = [*METHODS, *installed(ENTRY_POINTS)]
    near = [did_you_mean(parts[0].strip(), names)]
    own = [f"-{part.name}" for part in METHODS[near[0]].parts] if near[0] in METHODS else []
    near += [part if "=" in part else did_you_mean(part, [*SWITCHES, _FROZEN, *own]) for part in parts[1:]]
    if not near[0] or not all(near) or "".join(near) == spec:
        return ""
    return f" (did you mean {''.join(near)}?)"
