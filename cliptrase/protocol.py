"""A protocol: everything besides method and vocabulary that moves a figure. Figures of two protocols do not compare."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from cliptrase.errors import InputError
from cliptrase.metrics import Definition
from cliptrase.templates import TemplateSet

ProtocolName = Literal["paper", "detectron2", "photos", "sclip", "clearclip"]
VocabularyName = Literal["released", "plain", "sclip", "clearclip"]

# Protocols that look through windows, as most forks of mmseg's segmentors do.
_WINDOWED = ("sclip", "clearclip")
# What a setting may have for itself.
_OWN = ("size", "window", "stride", "logit_scale", "background_threshold", "min_area", "eps", "min_samples")

_WHOLE = {"size", "window", "stride", "min_samples"}

# By name and size: the values of the published figures. `sclip` and `clearclip` have none for regions: eps and
# min_samples are those of `paper 224` for windows of that grid; for the larger one min_samples grows with the number of
# patches, and eps with its root, as the length of the clustered rows does.
_PUBLISHED: Mapping[tuple[str, int], Mapping[str, Any]] = {
    ("paper", 224): {"eps": 0.7, "min_samples": 3},
    ("paper", 336): {},
    ("detectron2", 640): {"templates": "vild"},
    ("sclip", 336): {
        "longest": 2048,
        "eps": 0.7,
        "min_samples": 3,
        "window": 224,
        "stride": 112,
        "logit_scale": 40,
        "background_threshold": 0.1,
        "vocabulary": "sclip",
        "own": {
            "VOC21": {"logit_scale": 65, "min_area": 0.1},
            "PC60": {"logit_scale": 50},
            "COCOObject": {"logit_scale": 50},
            "COCO171": {"size": 448},
            "Cityscapes": {"size": 560},
        },
    },
    ("clearclip", 448): {
        "longest": 2048,
        "eps": 1.4,
        "min_samples": 12,
        "window": 448,
        "stride": 224,
        "logit_scale": 50,
        "vocabulary": "clearclip",
        "own": {
            "VOC21": {"background_threshold": 0.5},
            "PC60": {"background_threshold": 0.15},
            "COCOObject": {"background_threshold": 0.4},
            "Cityscapes": {"window": 224, "stride": 224, "eps": 0.7, "min_samples": 3},
        },
    },
}
# What another size of a protocol is told apart from.
_OF_NAME: Mapping[str, Mapping[str, Any]] = {name: values for (name, _), values in _PUBLISHED.items()}


@dataclass(frozen=True)
class Protocol:
    """How pictures are shown to the model, how regions are made and what is scored.

    Attributes:
        name: `paper` (square crop, majority vote), `detectron2` (the released multi-GPU variant: whole pictures, mean
            logits in a region), `photos` (whole pictures, majority vote, for pictures without label maps), `sclip`
            (windows, softmax over names, background threshold, mmseg's scores; Wang et al., ECCV 2024) or `clearclip`
            (the same with larger windows; Lan et al., ECCV 2024).
        size: pixels of the shorter side after resizing; `paper` crops the middle size x size.
        longest: most pixels of the longer side (all but `paper`).
        templates: prompt templates.
        eps: DBSCAN's radius.
        min_samples: DBSCAN's neighbours of a core point, itself included.
        window: pixels of a window's side (`sclip`, `clearclip`); 0 where pictures are seen whole.
        stride: pixels from one window to the next.
        logit_scale: factor of the cosines before the softmax (`sclip`, `clearclip`).
        background_threshold: with a background, pixels whose best class has a lower probability become background.
        min_area: foreground classes on no more than this share of a picture's foreground are left out; 0 for none.
        vocabulary: whose class names, synonyms and background prompts; a setting without such a list takes the
            released one.
        own: values that settings have for themselves, by the setting's name.

    Raises:
        InputError: a value out of range, or one that the protocol does not use.
    """

    name: ProtocolName = "paper"
    size: int = 336
    longest: int = 2560
    templates: TemplateSet = "imagenet"
    eps: float = 1.1
    min_samples: int = 7
    window: int = 0
    stride: int = 0
    logit_scale: float = 0
    background_threshold: float = 0
    min_area: float = 0
    vocabulary: VocabularyName = "released"
    own: dict[str, dict[str, int | float]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        windowed = ("window", "stride", "logit_scale")
        for key in ("size", "longest", "eps", "min_samples", *(windowed if self.windowed else ())):
            if not 0 < getattr(self, key) < math.inf:
                cure = f"; configs/{self.name}.yaml has one that works" if key in windowed else ""
                raise InputError(f"protocol.{key} must be greater than 0, not {getattr(self, key)}{cure}")
        for key in ("background_threshold", "min_area"):
            if not 0 <= getattr(self, key) < 1:
                raise InputError(f"protocol.{key} is a share in [0, 1), not {getattr(self, key)}")
        if self.windowed and self.stride > self.window:
            raise InputError(
                f"protocol.stride {self.stride} leaves gaps between windows of {self.window} pixels; "
                f"take {self.window} or less"
            )
        for key in () if self.windowed else (*windowed, "background_threshold", "min_area", "own"):
            if getattr(self, key):
                raise InputError(
                    f"protocol.{key} is for the protocols {' and '.join(_WINDOWED)}, not {self.name}; leave it out"
                )
        for setting, values in self.own.items():
            if unknown := values.keys() - set(_OWN):
                raise InputError(f"protocol.own.{setting} sets {sorted(unknown)[0]!r}; it may set {', '.join(_OWN)}")
            for key in _WHOLE & values.keys():
                if not isinstance(values[key], int):
                    raise InputError(f"protocol.own.{setting}.{key} must be a whole number, not {values[key]}")
            self.of(setting)

    @property
    def windowed(self) -> bool:
        """Whether pictures are seen through windows."""
        return self.name in _WINDOWED

    @property
    def scoring(self) -> Definition:
        """Definition of the scores that the protocol's figures are published in; see `metrics`."""
        if self.windowed:
            return "mmseg"
        return "textbook" if self.name == "detectron2" else "released"

    def of(self, setting: str) -> "Protocol":
        """The protocol with the values that `setting` has for itself."""
        own: dict[str, Any] = dict(self.own.get(setting, {}))
        return replace(self, own={}, **own)

    @property
    def label(self) -> str:
        """Short name for tables: `paper 336`, `sclip`; values that are not the published ones are named."""
        published = _PUBLISHED.get((self.name, self.size))
        known: Mapping[str, Any] = published if published is not None else _OF_NAME.get(self.name, {})
        usual = Protocol(self.name, self.size, **known)
        unused = {"longest"} if self.name == "paper" else set()
        named = f"{self.name} {self.size}" if self.name == "paper" else self.name
        if published is None:
            unused |= {"eps", "min_samples", "templates"}
            named = f"{self.name} {self.size}, eps {self.eps:g}, min_samples {self.min_samples}, {self.templates}"
        changed = [key.name for key in fields(self) if getattr(self, key.name) != getattr(usual, key.name)]
        own = f"values for settings {_hash(self.own)[:8]}" if self.own else "no values for settings"
        words = [own if key == "own" else f"{key} {getattr(self, key)}" for key in changed if key not in unused]
        return ", ".join([named, *words])

    @property
    def digest(self) -> str:
        """SHA-256 of every value, 16 hexadecimal digits."""
        return _hash(asdict(self))[:16]


def _hash(values: Mapping[str, Any]) -> str:
    """SHA-256 of numbers and names; 40 and 40.0 are one value."""
    floats = json.loads(json.dumps(values), parse_int=float)
    return hashlib.sha256(json.dumps(floats, sort_keys=True).encode()).hexdigest()
