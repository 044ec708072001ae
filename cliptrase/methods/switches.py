"""What may follow a method's name: `+regions`, `-denoise`, `+pamr`, `+frozen`, `+alpha=0.3`."""

from typing import Any

from cliptrase.methods.options import MethodOption
from cliptrase.protocols.values import Whole

# `+regions`, `-denoise`, `+alpha=0.3`
SUFFIX = r"[+-][a-z_]+(?:=-?(?:[0-9.]+e[+-]?[0-9]+|[\w.]*))?"

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
OF_REFINEMENTS = {option.name for option in SWITCH_OPTIONS.values()}
OF_THE_VOTE = ("denoise", "vote")
FROZEN = "+frozen"
