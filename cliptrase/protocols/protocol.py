"""A protocol: everything besides method and vocabulary that moves a score. Scores of two protocols do not compare."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from cliptrase.clip.templates import TEMPLATES
from cliptrase.common.errors import InputError, did_you_mean
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.protocols.values import Choice, Flag, Kind, Number, Share, Text, Whole
from cliptrase.vocabulary import LISTS

# Above these a run ends for want of memory or float32 overflows; far beyond what anybody publishes.
_MOST_PIXELS = 16384
_MOST = 1e6

OWN_PIXELS = "own"
"""What `size` is where images are shown at their own pixels."""

WHOLE_IMAGE = "image"
"""What `window` is where one window is as large as the image."""

# What a protocol may set for single data sets.
_OVERRIDABLE = (*("size", "window", "stride", "logit_scale", "background_threshold", "min_area", "eps", "min_samples"),)


def _of(kind: Kind, **options: Any) -> Any:
    return field(metadata={"kind": kind}, **options)


def _word(*words: str, default: str | None = None) -> Any:
    return _of(Choice(words)) if default is None else _of(Choice(words), default=default)


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol:
    """How images are shown to the model, how pixels get their names and what is scored.

    Every difference between two protocols is a field. `protocols.PROTOCOLS` holds those that there are, and
    `protocols.get_protocol` makes others of them or of a file.

    Attributes:
        name: as tables and files call it.
        version: raised when scores of the same values would change.
        view: `whole_image` resizes the shorter side to `size`; `centre_crop` cuts out the middle `size` x `size` then,
            of label maps too.
        size: pixels of the shorter side; `own` shows images at their own pixels.
        longest: most pixels of the longer side of a whole image; 0 for no limit.
        interpolation: `bicubic` and `bilinear` are PIL's, antialiased; `opencv` is its INTER_LINEAR, as mmseg resizes.
        normalisation: `clip`, or `mmseg`: CLIP's mean and standard deviation times 255, rounded to three decimals.
        fit: how pixels meet the grid of patches. `exact`: sides are whole patches as they are; `pad`: the last row and
            column are repeated; `pad_and_halve`: zeros up to whole double patches, then halved; `trim`: rows and
            columns beyond whole patches are left out.
        label_area: what the grid is stretched over: `image`, so that a label covers the pixels that it was read from;
            `canvas`: the label map, though the grid covers padding too, as the released code does.
        window: pixels of a window's side; `image` for one window as large as the image; 0 for no windows.
        stride: pixels from one window to the next.
        unit_features: whether patch features are brought to length 1 before they are compared with names.
        class_token_weight: where the class token's logit of a name weighs the patches' logits, on data sets that ask
            for it: on `pixels`, on `patches`, or `none`.
        decision: `argmax` over names; `softmax` over names at `logit_scale`, with the background's rules.
        logit_scale: factor of the cosines before the softmax.
        background_threshold: with a background, pixels whose best class has a lower probability become background.
        min_area: foreground classes on no more than this share of an image's foreground are left out; 0 for none.
        eps: DBSCAN's radius.
        min_samples: DBSCAN's neighbours of a core point, itself included.
        vote: how a region chooses its name: the `majority` of its pixels' labels, or the highest `mean` logit.
        templates: prompt templates; see `clip.templates`.
        vocabulary: whose class names, synonyms and background prompts; a data set without such a list takes the
            released one.
        void: whether pixels without a label are scored as `background`, where a data set has none, or `ignored`.
        scoring: definition of the scores that come first; see `definitions`.
        overrides: values that data sets have instead, by the data set's name.
        base: the values that this protocol was made from by changing some, its own where none were; the label names
            the difference.

    Raises:
        InputError: a value of another type or out of range, or one that cannot be together with another.
    """

    name: str = _of(Text())
    version: int = _of(Whole(1_000_000), default=1)
    view: str = _word("centre_crop", "whole_image")
    size: int | str = _of(Whole(_MOST_PIXELS, word=OWN_PIXELS))
    longest: int = _of(Whole(_MOST_PIXELS, zero=True), default=0)
    interpolation: str = _word("bicubic", "bilinear", "opencv")
    normalisation: str = _word("clip", "mmseg")
    fit: str = _word("exact", "pad", "pad_and_halve", "trim")
    label_area: str = _word("image", "canvas", default="image")
    window: int | str = _of(Whole(_MOST_PIXELS, zero=True, word=WHOLE_IMAGE), default=0)
    stride: int = _of(Whole(_MOST_PIXELS, zero=True), default=0)
    unit_features: bool = _of(Flag(), default=True)
    class_token_weight: str = _word("none", "pixels", "patches", default="none")
    decision: str = _word("argmax", "softmax", default="argmax")
    logit_scale: float = _of(Number(_MOST, zero=True), default=0.0)
    background_threshold: float = _of(Share(), default=0.0)
    min_area: float = _of(Share(), default=0.0)
    eps: float = _of(Number(_MOST))
    min_samples: int = _of(Whole(_MOST_PIXELS))
    vote: str = _word("majority", "mean")
    templates: str = _word(*TEMPLATES)
    vocabulary: str = _word(*LISTS)
    void: str = _word("background", "ignored", default="background")
    scoring: str = _word(*DEFINITIONS)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    base: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for row in fields(self):
            if kind := row.metadata.get("kind"):
                object.__setattr__(self, row.name, kind.check(f"protocol.{row.name}", getattr(self, row.name)))
        object.__setattr__(self, "overrides", _checked_overrides(self.overrides))
        for sentence in _contradictions(self):
            raise InputError(sentence)
        for dataset in self.overrides:
            self.on(dataset)
        object.__setattr__(self, "base", self.base or self.values())

    @property
    def windowed(self) -> bool:
        """Whether images are seen through windows."""
        return self.window != 0

    @property
    def pads(self) -> bool:
        """Whether the grid covers more than the image."""
        return self.fit in ("pad", "pad_and_halve")

    def on(self, dataset: str) -> "EvaluationProtocol":
        """The protocol with the values of a data set in place."""
        return replace(self, overrides={}, **self.overrides.get(dataset, {}))

    def values(self) -> dict[str, Any]:
        """Every value by its field's name, as results and configurations write them."""
        return {row.name: getattr(self, row.name) for row in fields(self) if row.name not in ("base", "overrides")} | {
            "overrides": {dataset: dict(values) for dataset, values in self.overrides.items()}
        }

    def agrees_on(self, dataset: str, other: "EvaluationProtocol") -> bool:
        """Whether two protocols do the same on a data set, whatever they are called: `sclip` and `naclip` on PC59."""
        return self.on(dataset).values() | {"name": ""} == other.on(dataset).values() | {"name": ""}

    @property
    def label(self) -> str:
        """Short name for tables: `paper 336`, `sclip`; values that differ from the row's are named."""
        sized = self.view == "centre_crop"
        if self.size == self._base["size"]:
            return ", ".join([f"{self.name} {self.size}" if sized else self.name, *self.changes()])
        named = f"{self.name} {self.size}, eps {self.eps:g}, min_samples {self.min_samples}, {self.templates}"
        return ", ".join([named, *self.changes(("size", "eps", "min_samples", "templates"))])

    def changes(self, left_out: Sequence[str] = ()) -> list[str]:
        """What was changed, a few words each, without the fields left out."""
        values = self.values()
        overrides = f"values for settings {_hash(self.overrides)[:8]}" if self.overrides else "no values for settings"
        return [
            overrides if name == "overrides" else f"{name} {as_text(value)}"
            for name, value in values.items()
            if value != self._base[name] and name != "name" and name not in left_out
        ]

    @property
    def _base(self) -> Mapping[str, Any]:
        return self.base or self.values()

    @property
    def digest(self) -> str:
        """SHA-256 of every value, 16 hexadecimal digits."""
        return _hash(self.values())[:16]


FIELDS: Mapping[str, Kind | None] = {
    row.name: row.metadata.get("kind") for row in fields(EvaluationProtocol) if row.name != "base"
}
"""What a user may set, by name; `overrides` holds such fields again."""


def require_field(name: Any, known: Collection[str] = FIELDS.keys(), record: str = "protocol") -> None:
    """Refuses a field that there is not.

    Raises:
        InputError: the name is none of the known ones.
    """
    if name not in known:
        meant = did_you_mean(str(name), known)
        hint = f"; did you mean {meant}?" if meant else f"; it has {', '.join(known)}"
        raise InputError(f"{record} has no field {name!r}{hint}")


def as_text(value: Any) -> str:
    """A value as labels and sentences write it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _contradictions(protocol: EvaluationProtocol) -> Iterator[str]:
    """Values that cannot be together, a sentence each."""
    p = protocol
    crop = p.view == "centre_crop"
    if crop and p.longest:
        yield f"protocol.longest {p.longest} is for view whole_image, a centre crop has no longer side; take 0"
    if isinstance(p.size, str) and crop:
        yield f"protocol.size {p.size} cannot be with view centre_crop, which cuts out a square; take a number"
    if isinstance(p.size, str) and p.fit == "exact":
        yield f"protocol.size {p.size} cannot be with fit exact, for images are seldom whole patches; take fit pad"
    if p.windowed:
        yield from _contradictions_of_windows(p)
    elif p.stride:
        yield f"protocol.stride {p.stride} is for windows, and protocol.window is 0; take 0, or give windows"
    elif p.fit == "exact" and not crop:
        yield "protocol.fit exact is for view centre_crop; whole images have any size: take pad, pad_and_halve or trim"
    elif p.decision == "softmax":
        yield (
            f"protocol.decision softmax needs windows; take protocol.window {WHOLE_IMAGE} for one window as large as "
            "the image, or decision argmax"
        )
    if p.label_area == "canvas" and not p.pads:
        yield f"protocol.label_area canvas is for padded images, and protocol.fit {p.fit} pads none; take image"
    if p.decision == "softmax" and not p.logit_scale:
        yield "protocol.logit_scale must be greater than 0 under decision softmax, not 0"
    if p.decision == "argmax":
        for name in ("logit_scale", "background_threshold", "min_area"):
            if value := getattr(p, name):
                yield f"protocol.{name} {as_text(value)} is for decision softmax, not argmax; take 0"


def _contradictions_of_windows(p: EvaluationProtocol) -> Iterator[str]:
    if isinstance(p.window, str):
        if p.stride:
            yield f"protocol.stride {p.stride} is for several windows, and protocol.window {p.window} is one; take 0"
    elif not p.stride:
        yield "protocol.stride must be greater than 0 for windows, not 0"
    elif p.stride > p.window:
        yield (f"protocol.stride {p.stride} leaves gaps between windows of {p.window} pixels; take {p.window} or less")
    if p.fit != "trim":
        yield f"protocol.fit {p.fit} cannot be with windows, which leave out what is beyond whole patches; take trim"
    if p.vote != "mean":
        yield (
            f"protocol.vote {p.vote} cannot be with windows, whose logits are averaged where they overlap; take mean"
        )
    if p.class_token_weight != "none":
        yield (
            f"protocol.class_token_weight {p.class_token_weight} cannot be with windows, each of which has a class "
            "token of its own; take none"
        )


def _checked_overrides(overrides: Any) -> dict[str, dict[str, Any]]:
    """Values of data sets, each checked as the protocol's are."""
    if not isinstance(overrides, Mapping) or not all(isinstance(values, Mapping) for values in overrides.values()):
        raise InputError(
            f"protocol.overrides must name values by setting, like {{'VOC21': {{'logit_scale': 65}}}}, "
            f"not {overrides!r}"
        )
    checked: dict[str, dict[str, Any]] = {}
    for dataset, values in overrides.items():
        place = f"protocol.overrides.{Text().check('a name in protocol.overrides', dataset)}"
        checked[dataset] = {}
        for name, value in values.items():
            require_field(name, _OVERRIDABLE, place)
            kind = FIELDS[name]
            assert kind is not None  # of every field that may be overridden
            checked[dataset][name] = kind.check(f"{place}.{name}", value)
    return checked


def _hash(values: Mapping[str, Any]) -> str:
    """SHA-256 of numbers and names; 40 and 40.0 are one value."""
    floats = json.loads(json.dumps(values), parse_int=float)
    return hashlib.sha256(json.dumps(floats, sort_keys=True).encode()).hexdigest()
