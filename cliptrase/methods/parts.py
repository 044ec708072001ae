"""Methods without one of their parts: what an audit compares them with."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cliptrase.methods.record import Method
from cliptrase.methods.switches import OF_THE_VOTE, SUFFIX, SWITCH_OPTIONS, SWITCHES


class PartOff(NamedTuple):
    """Two methods of a run that differ by one part.

    Attributes:
        method: name of the one that has it.
        part: `regions`, `denoise`, `pamr`, `tlp`, or one that the method's authors name.
        without: name of the other.
    """

    method: str
    part: str
    without: str


def parts_off(spec: str, method: Method) -> dict[str, str]:
    """A method's parts, and by what name it goes without each of them.

    Args:
        spec: by which the method was asked for, or its own name.
        method: what `get_method` makes of it.

    >>> from cliptrase.methods import get_method
    >>> [parts_off(name, get_method(name)) for name in ("cliptrase", "vanilla+regions-denoise", "resclip+pamr")]
    [{'regions': 'cliptrase-regions', 'denoise': 'cliptrase-denoise'}, {'regions': 'vanilla'}, \
{'pamr': 'resclip', 'sfr': 'resclip+pamr-sfr'}]
    """
    head, suffixes = _taken_apart(spec)
    found = {}
    if method.regions:
        of_regions = {suffix for suffix, (field, _) in SWITCHES.items() if field in OF_THE_VOTE}
        left = [suffix for suffix in suffixes if suffix not in of_regions]
        switched_on = "+regions" in left
        found["regions"] = [suffix for suffix in left if suffix != "+regions"] + ([] if switched_on else ["-regions"])
        if method.denoise:
            found["denoise"] = [*suffixes, "-denoise"]
    for suffix in ("+pamr", "+tlp"):
        if suffix in suffixes:
            options = {option.name for name, option in SWITCH_OPTIONS.items() if name == suffix}
            found[suffix[1:]] = [one for one in suffixes if one != suffix and _option(one) not in options]
    for part in method.parts:
        found[part.name] = [one for one in suffixes if _option(one) not in part.options] + [f"-{part.name}"]
    return {part: head + "".join(left) for part, left in found.items()}


def pairs(methods: Sequence[Method]) -> Iterator[PartOff]:
    """All pairs of methods of a run that differ by one part."""
    names = {_in_any_order(method.name): method.name for method in methods}
    for method in methods:
        for part, without in parts_off(method.name, method).items():
            if (name := names.get(_in_any_order(without))) is not None:
                yield PartOff(method.name, part, name)


def _taken_apart(spec: str) -> tuple[str, list[str]]:
    """What stands before all switches and options, and these."""
    ending = re.search(rf"(?:{SUFFIX})*$", spec)
    assert ending is not None  # nothing at all is an ending too
    return spec[: ending.start()], re.findall(SUFFIX, ending[0])


def _in_any_order(name: str) -> tuple[str, frozenset[str]]:
    head, suffixes = _taken_apart(name)
    return head, frozenset(suffixes)


def _option(suffix: str) -> str:
    """The option that a suffix sets; the suffix itself of a switch."""
    return suffix[1:].partition("=")[0] if "=" in suffix else suffix
