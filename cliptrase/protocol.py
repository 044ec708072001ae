"""A protocol: everything besides method and vocabulary that moves a figure. Figures of two protocols do not compare."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from cliptrase.errors import InputError
from cliptrase.templates import TemplateSet


@dataclass(frozen=True)
class Protocol:
    """How pictures are shown to the model, how regions are made and what is scored.

    Attributes:
        name: `paper` (single pictures, square crop, majority vote) or `detectron2` (the released multi-GPU variant:
            whole pictures, mean logits in a region).
        size: pixels of the shorter side after resizing; `paper` crops the middle size x size.
        longest: most pixels of the longer side (`detectron2`).
        templates: prompt templates.
        eps: DBSCAN's radius.
        min_samples: DBSCAN's neighbours of a core point, itself included.

    Raises:
        InputError: a value out of range.
    """

    name: Literal["paper", "detectron2"] = "paper"
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
        """Short name for tables: `paper 336`, `detectron2`."""
        return f"{self.name} {self.size}" if self.name == "paper" else self.name

    @property
    def digest(self) -> str:
        """SHA-256 of every value, 16 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
