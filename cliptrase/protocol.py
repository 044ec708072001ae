"""A protocol: everything besides method and vocabulary that moves a figure. Figures of two protocols do not compare."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, Literal, get_args

from cliptrase.clip.templates import TemplateSet
from cliptrase.errors import InputError
from cliptrase.methods import votes_by_regions

ProtocolName = Literal["paper", "detectron2", "whole", "photos", "sclip", "naclip", "clearclip"]
VocabularyName = Literal["released", "plain", "sclip", "clearclip"]

# Protocols that look through windows, as most forks of mmseg's segmentors do.
_WINDOWED = ("sclip", "naclip", "clearclip")
_OF_WINDOWS = ("window", "stride", "logit_scale", "background_threshold", "min_area", "overrides")
_WHOLE_NUMBERS = ("size", "longest", "min_samples", "window", "stride")
_NUMBERS = ("eps", "logit_scale", "background_threshold", "min_area")
# What a setting may have for itself.
_OVERRIDABLE = ("size", "window", "stride", "logit_scale", "background_threshold", "min_area", "eps", "min_samples")
# Above these a run ends for want of memory or float32 overflows; far beyond what anybody publishes.
_MOST_PIXELS = 16384
_MOST = 1e6

_USUAL: Mapping[str, Any] = {
    "longest": 2560,
    "templates": "imagenet",
    "eps": 1.1,
    "min_samples": 7,
    "window": 0,
    "stride": 0,
    "logit_scale": 0.0,
    "background_threshold": 0.0,
    "min_area": 0.0,
    "vocabulary": "released",
    "overrides": {},
}
_SCLIP: Mapping[str, Any] = {
    "longest": 2048,
    "eps": 0.7,
    "min_samples": 3,
    "window": 224,
    "stride": 112,
    "logit_scale": 40.0,
    "background_threshold": 0.1,
    "vocabulary": "sclip",
    "overrides": {
        "VOC21": {"logit_scale": 65, "min_area": 0.1},
        "PC60": {"logit_scale": 50},
        "COCOObject": {"logit_scale": 50},
        "COCO171": {"size": 448},
        "Cityscapes": {"size": 560},
    },
}
# NACLIP's configurations for VOC have `slide_crop=0`; regions of such a picture are those of `paper 336`.
_ONE_WINDOW: Mapping[str, int | float] = {"window": 0, "eps": 1.1, "min_samples": 7}

# What differs from `_USUAL`, by name and size; the last size of a name is taken where none is given. `paper` and
# `detectron2` are CLIPtrase's; `whole` and `photos` are ours. `sclip`, `naclip` and `clearclip` have no published
# values for regions: eps and min_samples are those of `paper 224` for windows of that grid; for the larger
# one min_samples grows with the number of patches, and eps with its root, as the length of the clustered rows does.
_PUBLISHED: Mapping[str, Mapping[int, Mapping[str, Any]]] = {
    "paper": {224: {"eps": 0.7, "min_samples": 3}, 336: {}},
    "detectron2": {640: {"templates": "vild"}},
    "whole": {336: {"longest": 1344}},
    "photos": {336: {"longest": 1344}},
    "sclip": {336: _SCLIP},
    "naclip": {
        336: {**_SCLIP, "overrides": {"VOC21": _ONE_WINDOW, "VOC20": _ONE_WINDOW, "Cityscapes": {"size": 560}}},
    },
    "clearclip": {
        448: {
            "longest": 2048,
            "eps": 1.4,
            "min_samples": 12,
            "window": 448,
            "stride": 224,
            "logit_scale": 50.0,
            "vocabulary": "clearclip",
            "overrides": {
                "VOC21": {"background_threshold": 0.5},
                "PC60": {"background_threshold": 0.15},
                "COCOObject": {"background_threshold": 0.4},
                "Cityscapes": {"window": 224, "stride": 224, "eps": 0.7, "min_samples": 3},
            },
        }
    },
}


@dataclass(frozen=True, init=False)
class EvaluationProtocol:
    """How pictures are shown to the model, how regions are made and what is scored.

    What is not given has the published value of the name, at the published size nearest to `size`:
    `get_protocol("sclip")`, `get_protocol("paper", size=224)`.

    Attributes:
        name: `paper` (square crop, majority vote), `detectron2` (the released multi-GPU variant: whole pictures, mean
            logits in a region), `whole` (whole pictures, majority vote, label maps as they are: for own folders),
            `photos` (the same for pictures without label maps), `sclip` (windows, softmax over names, background
            threshold, mmseg's scores; Wang et al., ECCV 2024), `naclip` (the same with VOC's pictures whole; Hajimiri
            et al., WACV 2025) or `clearclip` (the same with larger windows; Lan et al., ECCV 2024).
        size: pixels of the shorter side after resizing; `paper` crops the middle size x size.
        longest: most pixels of the longer side (all but `paper`).
        templates: prompt templates.
        eps: DBSCAN's radius.
        min_samples: DBSCAN's neighbours of a core point, itself included.
        window: pixels of a window's side (`sclip`, `naclip`, `clearclip`); 0 for one window as large as the picture.
        stride: pixels from one window to the next.
        logit_scale: factor of the cosines before the softmax (`sclip`, `naclip`, `clearclip`).
        background_threshold: with a background, pixels whose best class has a lower probability become background.
        min_area: foreground classes on no more than this share of a picture's foreground are left out; 0 for none.
        vocabulary: whose class names, synonyms and background prompts; a setting without such a list takes the
            released one.
        overrides: values that settings have for themselves, by the setting's name.

    Raises:
        InputError: an unknown name, a value of another type or out of range, or one that the protocol does not use.
    """

    name: ProtocolName
    size: int
    longest: int
    templates: TemplateSet
    eps: float
    min_samples: int
    window: int
    stride: int
    logit_scale: float
    background_threshold: float
    min_area: float
    vocabulary: VocabularyName
    overrides: dict[str, dict[str, int | float]] = field(hash=False)

    def __init__(
        self,
        name: ProtocolName = "paper",
        size: int | None = None,
        longest: int | None = None,
        templates: TemplateSet | None = None,
        eps: float | None = None,
        min_samples: int | None = None,
        window: int | None = None,
        stride: int | None = None,
        logit_scale: float | None = None,
        background_threshold: float | None = None,
        min_area: float | None = None,
        vocabulary: VocabularyName | None = None,
        overrides: dict[str, dict[str, int | float]] | None = None,
    ) -> None:
        arguments = locals()
        given = {
            key.name: arguments[key.name]
            for key in fields(self)
            if arguments[key.name] is not None or key.name == "name"
        }
        for key, kind in (("name", ProtocolName), ("templates", TemplateSet), ("vocabulary", VocabularyName)):
            if key in given and given[key] not in get_args(kind):
                raise InputError(f"protocol.{key} must be one of {', '.join(get_args(kind))}, not {given[key]!r}")
        numbers = given.keys() & {*_WHOLE_NUMBERS, *_NUMBERS}
        given |= {key: _number(f"protocol.{key}", given[key], key) for key in sorted(numbers)}
        sizes = _PUBLISHED[name]
        near = min(sizes, key=lambda published: abs(published - given["size"])) if "size" in given else [*sizes][-1]
        values = {"size": near, **_USUAL, **sizes[near], **given}
        values["overrides"] = _overrides(values["overrides"])
        for key, value in values.items():
            object.__setattr__(self, key, value)
        self._check()

    def _check(self) -> None:
        """Refuses values out of range and those that the protocol does not use."""
        if not self.windowed:
            for key in _OF_WINDOWS:
                if getattr(self, key):
                    windowed = f"{', '.join(_WINDOWED[:-1])} and {_WINDOWED[-1]}"
                    raise InputError(f"protocol.{key} is for the protocols {windowed}, not {self.name}; leave it out")
        for key in ("logit_scale", *(("stride",) if self.window else ())):
            if self.windowed and not getattr(self, key):
                raise InputError(f"protocol.{key} must be greater than 0, not {_text(getattr(self, key))}")
        if self.window and self.stride > self.window:
            raise InputError(
                f"protocol.stride {self.stride} leaves gaps between windows of {self.window} pixels; "
                f"take {self.window} or less"
            )
        for setting in self.overrides:
            self.on(setting)

    @property
    def windowed(self) -> bool:
        """Whether pictures are seen through windows."""
        return self.name in _WINDOWED

    @property
    def keeps_own_size(self) -> bool:
        """Whether pictures are seen whole, by their own pixels alone, and label maps have the pictures' own size."""
        return self.name in ("whole", "photos")

    @property
    def scoring(self) -> str:
        """Name of the definition of the scores that the protocol's figures are published in; see `definitions`."""
        if self.windowed:
            return "mmseg"
        return "detectron2" if self.name == "detectron2" else "released"

    def on(self, setting: str) -> "EvaluationProtocol":
        """The protocol with the values that `setting` has for itself."""
        values: dict[str, Any] = dict(self.overrides.get(setting, {}))
        return replace(self, overrides={}, **values)

    def agrees_on(self, setting: str, other: "EvaluationProtocol") -> bool:
        """Whether two protocols do the same on a setting, whatever their names: `sclip` and `naclip` on PC59."""
        return self._values_for(setting) == other._values_for(setting)

    def _values_for(self, setting: str) -> dict[str, Any]:
        values = asdict(self.on(setting))
        return values | {"name": "windows" if self.windowed else self.name}

    def notes(self, methods: Sequence[str], settings: Sequence[str]) -> list[str]:
        """What must be said beside the figures of these methods on these settings under this protocol.

        Args:
            methods: names, with their switches.
            settings: names of the settings.

        Returns:
            sentences, none where nothing is to be said.
        """
        found = []
        others = [method for method in methods if method.partition("+")[0].partition("-")[0] != "clearclip"]
        published = EvaluationProtocol(self.name)
        chosen = {
            setting: self.on(setting).background_threshold
            for setting in settings
            if self.name == "clearclip"
            and 0 < self.on(setting).background_threshold == published.on(setting).background_threshold
        }
        if chosen and others:
            named = ", ".join(f"{setting} {threshold:g}" for setting, threshold in chosen.items())
            found.append(
                f"The background thresholds of clearclip ({named}) were chosen for ClearCLIP, whose author names 0.2 "
                f"for plain CLIP: they may cost {', '.join(others)} points."
            )
        voting = [method for method in methods if votes_by_regions(method)]
        if self.windowed and voting:
            found.append(
                f"No paper has measured regions under {self.name}: eps and min_samples of {', '.join(voting)} are this "
                "project's."
            )
        return found

    @property
    def label(self) -> str:
        """Short name for tables: `paper 336`, `sclip`; values that are not the published ones are named."""
        usual = EvaluationProtocol(self.name, self.size)
        unused = {"longest"} if self.name == "paper" else set()
        named = f"{self.name} {self.size}" if self.name == "paper" else self.name
        if self.size not in _PUBLISHED[self.name]:
            unused |= {"eps", "min_samples", "templates"}
            named = f"{self.name} {self.size}, eps {self.eps:g}, min_samples {self.min_samples}, {self.templates}"
        changed = [key.name for key in fields(self) if getattr(self, key.name) != getattr(usual, key.name)]
        overrides = f"values for settings {_hash(self.overrides)[:8]}" if self.overrides else "no values for settings"
        words = [
            overrides if key == "overrides" else f"{key} {_text(getattr(self, key))}"
            for key in changed
            if key not in unused
        ]
        return ", ".join([named, *words])

    @property
    def digest(self) -> str:
        """SHA-256 of every value, 16 hexadecimal digits."""
        return _hash(asdict(self))[:16]


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _number(name: str, value: Any, key: str) -> int | float:
    """`value` as a number of the field `key`, within its range; `name` is what the sentence calls it."""
    if isinstance(value, bool) or not isinstance(value, Real):  # a flag is an integer to Python
        kind = "whole number" if key in _WHOLE_NUMBERS else "number"
        raise InputError(f"{name} must be a {kind}, not {value!r}")
    whole = isinstance(value, Integral)
    value = int(value) if isinstance(value, Integral) else float(value)
    if key in ("background_threshold", "min_area"):
        if not 0 <= value < 1:
            raise InputError(f"{name} is a share in [0, 1), not {value}")
        return float(value)
    may_be_none = key in ("window", "stride", "logit_scale")  # outside of windows they are 0
    if not (value > 0 or (may_be_none and value == 0)) or value == math.inf:
        raise InputError(f"{name} must be {'0 or more' if may_be_none else 'greater than 0'}, not {value}")
    most = _MOST_PIXELS if key in _WHOLE_NUMBERS else _MOST
    if value > most:
        raise InputError(f"{name} must be at most {most:g}, not {value}")
    if key in _WHOLE_NUMBERS:
        if not whole:
            raise InputError(f"{name} must be a whole number, not {value}")
        return int(value)
    return float(value)


def _overrides(overrides: Any) -> dict[str, dict[str, int | float]]:
    """Values of settings, each checked as the protocol's own are."""
    if not isinstance(overrides, Mapping) or not all(isinstance(values, Mapping) for values in overrides.values()):
        raise InputError(
            "protocol.overrides must name values by setting, like {'VOC21': {'logit_scale': 65}}, "
            f"not {overrides!r}"
        )
    for setting, values in overrides.items():
        if unknown := [key for key in values if key not in _OVERRIDABLE]:
            raise InputError(f"protocol.overrides.{setting} sets {unknown[0]!r}; it may set {', '.join(_OVERRIDABLE)}")
    return {
        setting: {key: _number(f"protocol.overrides.{setting}.{key}", value, key) for key, value in values.items()}
        for setting, values in overrides.items()
    }


def _hash(values: Mapping[str, Any]) -> str:
    """SHA-256 of numbers and names; 40 and 40.0 are one value."""
    floats = json.loads(json.dumps(values), parse_int=float)
    return hashlib.sha256(json.dumps(floats, sort_keys=True).encode()).hexdigest()
