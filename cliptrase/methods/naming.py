"""Methods by name, with what follows the name, and methods from outside the package."""

import re
from collections.abc import Sequence
from dataclasses import replace

from cliptrase.common.errors import InputError, did_you_mean
from cliptrase.common.extensions import installed, load_entry_point, load_object
from cliptrase.methods.options import MethodOption
from cliptrase.methods.outside import is_candidate, outside_method
from cliptrase.methods.record import Method
from cliptrase.methods.switches import FROZEN, OF_THE_VOTE, SUFFIX, SWITCH_OPTIONS, SWITCHES
from cliptrase.methods.table import METHODS

ENTRY_POINTS = "cliptrase.methods"
"""Group of entry points by which other distributions offer methods."""


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
    matched = re.fullmatch(rf"([\w.]*)((?:{SUFFIX})*)" if colon else rf"(\w+)((?:{SUFFIX})*)", rest)
    suffixes = re.findall(SUFFIX, matched[2]) if matched else []
    switches = [suffix for suffix in suffixes if "=" not in suffix and suffix != FROZEN]
    if not matched:
        raise _unknown(spec)
    if colon:
        base = _checked(
            outside_method(f"{place}:{matched[1]}", load_object(f"{place}:{matched[1]}", "method", is_candidate))
        )
    elif matched[1] in METHODS:
        base = METHODS[matched[1]]
    elif point := installed(ENTRY_POINTS).get(matched[1]):
        base = replace(_checked(outside_method(point.value, load_entry_point(point, "method"))), name=point.name)
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
    if not method.regions and not values.keys().isdisjoint(OF_THE_VOTE):
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
    given = dict(suffix[1:].split("=") for suffix in suffixes if suffix != FROZEN)
    asked = len(given) + (FROZEN in suffixes)
    if asked < len(suffixes) or any(suffix.startswith("-") for suffix in suffixes):
        raise InputError(f"method {method.name}{''.join(suffixes)}: each option is set once, as +OPTION=VALUE")
    if suffixes and not options:
        raise InputError(f"method {method.name} has no options, so {suffixes[0]} sets none; leave it out")
    if FROZEN in suffixes:
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
        together = [FROZEN, *differing([option.frozen() for option in base.options])]
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


def _checked(method: Method) -> Method:
    """Refuses a name of the table that stands for something else: published figures stand beside these names."""
    base = re.split("[+-]", method.name)[0]
    if base in METHODS and method != get_method(method.name):
        raise InputError(
            f"method {method.name} of {method.source}: the name is taken by {METHODS[base].source}; take another name"
        )
    return method


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
    near += [part if "=" in part else did_you_mean(part, [*SWITCHES, FROZEN, *own]) for part in parts[1:]]
    if not near[0] or not all(near) or "".join(near) == spec:
        return ""
    return f" (did you mean {''.join(near)}?)"
