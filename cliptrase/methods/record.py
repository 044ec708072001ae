"""A method as data: what it reads of the tower, and what it makes of that.

Nothing here needs torch until a method's reading is loaded.
"""

import importlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from cliptrase.common.errors import InputError
from cliptrase.methods.options import MethodOption
from cliptrase.methods.switches import OF_REFINEMENTS, SUFFIX

if TYPE_CHECKING:
    from cliptrase.clip.trunk import Reading
    from cliptrase.ops.position import PositionEmbedding
    from cliptrase.refinements.maps import Refinement

Vote = Literal["majority", "mean"]


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
        if not isinstance(self.name, str) or not re.fullmatch(rf"\w+({SUFFIX})*", self.name):
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
        return tuple(option for option in self.options if option.name not in OF_REFINEMENTS)

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
