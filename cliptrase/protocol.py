"""A protocol: everything besides method and vocabulary that moves a figure. Figures of two protocols do not compare."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from cliptrase.errors import InputError
from cliptrase.templates import TemplateSet

# By name and size: the values of the published figures.
_PUBLISHED = {
    ("paper", 224): {"templates": "imagenet", "eps": 0.7, "min_samples": 3},
    ("paper", 336): {"templates": "imagenet", "eps": 1.1, "min_samples": 7},
    ("detectron2", 640): {"templates": "vild", "eps": 1.1, "min_samples": 7, "longest": 2560},
}


@dataclass(frozen=True)
class Protocol:
    """How pictures are shown to the model, how regions are made and what is scored.

    Attributes:
        name: `paper` (square crop, majority vote), `detectron2` (the released multi-GPU variant: whole pictures, mean
            logits in a region) or `photos` (whole pictures, majority vote, for pictures without label maps).
        size: pixels of the shorter side after resizing; `paper` crops the middle size x size.
        longest: most pixels of the longer side (`detectron2`, `photos`).
        templates: prompt templates.
        eps: DBSCAN's radius.
        min_samples: DBSCAN's neighbours of a core point, itself included.

    Raises:
        InputError: a value out of range.
    """

    name: Literal["paper", "detectron2", "photos"] = "paper"
    size: int = 336
    longest: int = 2560
    templates: TemplateSet = "imagenet"
    eps: float = 1.1
    min_samples: int = 7

    def __post_init__(self) -> None:
        for key in ("size", "longest", "eps", "min_samples"):
            if getattr(self, key) <= 0:
                raise InputError(f"protocol.{key} must be greater than 0, not {getattr(self, key)}")

    @property
    def label(self) -> str:
        """Short name for tables: `paper 336`, `detectron2`; values that are not the published ones are named."""
        published = _PUBLISHED.get((self.name, self.size))
        name = f"{self.name} {self.size}" if self.name == "paper" else self.name
        if published is None:
            return f"{name}, eps {self.eps:g}, min_samples {self.min_samples}, {self.templates}"
        changed = [f"{key} {getattr(self, key)}" for key, value in published.items() if getattr(self, key) != value]
        return ", ".join([name, *changed])

    @property
    def digest(self) -> str:
        """SHA-256 of every value, 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
