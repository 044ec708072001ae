"""What the label maps of a setting hold, counted while they are checked, and what is odd about it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.errors import counted
from cliptrase.vocabulary import as_read, shown
from datamodules.errors import DataError
from datamodules.shift import Values, doubt
from datamodules.spec import DatasetSpec

# How class lists of data sets and tools call what is no class of its own.
BACKGROUND = frozenset({"background", "_background_", "__background__"})
UNLABELLED = frozenset({"void", "unlabeled", "unlabelled", "ignore", "__ignore__", "ignored", "unknown"})
_MOST = 0.5  # of a map's pixels
_NEARLY_ALL = 0.9  # of the maps
_EXAMPLES = 5


def count_values(labels: NDArray[np.integer]) -> dict[int, int]:
    """Pixels of each raw value of a label map, (H, W) of any integer type."""
    if labels.dtype.itemsize <= 2 and labels.dtype.kind == "u":
        flat = np.ascontiguousarray(labels).ravel()
        if labels.dtype == np.uint8 and labels.size % 2 == 0:  # two pixels at a time take two thirds of the time
            pairs = np.bincount(flat.view(np.uint16), minlength=1 << 16).reshape(256, 256)
            counts = pairs.sum(0) + pairs.sum(1)
        else:
            counts = np.bincount(flat)
        values = np.flatnonzero(counts)
        return dict(zip(values.tolist(), counts[values].tolist(), strict=True))
    values, numbers = np.unique(labels, return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


@dataclass
class Census:
    """Raw values of a setting's label maps.

    Attributes:
        spec: facts of the setting.
        maps: label maps read so far.
        pixels: pixels by raw value.
        holding: maps by raw value that they hold.
        mostly: maps by raw value that covers more than half of them.
        empty: maps that hold nothing that is scored.
    """

    spec: DatasetSpec
    maps: int = 0
    pixels: Counter[int] = field(default_factory=Counter)
    holding: Counter[int] = field(default_factory=Counter)
    mostly: Counter[int] = field(default_factory=Counter)
    empty: int = 0

    def add(self, counts: Mapping[int, int]) -> None:
        """Counts one map's pixels by raw value."""
        self.maps += 1
        self.pixels.update(counts)
        self.holding.update(counts.keys())
        half = _MOST * sum(counts.values())
        self.mostly.update(value for value, count in counts.items() if count > half)
        self.empty += all(self.spec.label_of(value) is None for value in counts)

    @cached_property
    def labels(self) -> dict[int, int]:
        """Pixels by label; what is not scored is left out."""
        found: Counter[int] = Counter()
        for value, count in self.pixels.items():
            if (label := self.spec.label_of(value)) is not None:
                found[label] += count
        return dict(found)

    @property
    def unscored(self) -> float:
        """Share of the pixels that are not scored, in [0, 1]."""
        return 1 - sum(self.labels.values()) / max(1, sum(self.pixels.values()))

    @property
    def absent(self) -> list[str]:
        """Names of the labels that never occur."""
        return [name for label, name in enumerate(self.spec.vocabulary.label_names) if label not in self.labels]

    def _is_background(self, label: int) -> bool:
        vocabulary = self.spec.vocabulary
        return label == vocabulary.background_index or as_read(vocabulary.label_names[label]) in BACKGROUND | UNLABELLED

    def require_labels(self) -> None:
        """Asks that there is something to score.

        Raises:
            DataError: no pixel of any map is scored.
        """
        if not self.labels:
            values = _some(sorted(self.pixels))
            hold = f"{counted(self.maps, 'label map')} hold{'s' * (self.maps == 1)}"
            if self.spec.colours is not None:
                raise DataError(
                    f"{self.spec.name}: there is nothing to score, for {hold} nothing but colours that are not scored; "
                    "name other label maps, or give the colours classes in `colors`"
                )
            raise DataError(
                f"{self.spec.name}: there is nothing to score, for {hold} nothing but {values}, which is not scored; "
                "name other label maps, or set their ignore label or label offset"
            )

    def sentence(self) -> str:
        """One line for people: pictures, share that is not scored, classes that never occur or cannot be predicted."""
        share, names, labels = self.unscored, self.absent, self.spec.vocabulary.num_labels
        parts = [f"{self.spec.name}: {counted(self.maps, 'picture')}"]
        parts.append(f"{100 * share:.3g} % of the pixels are not scored" if share else "all pixels are scored")
        if self.empty:
            parts.append(f"{counted(self.empty, 'label map')} with nothing to score")
        if names:
            verb = "occurs" if len(names) == 1 else "occur"
            parts.append(
                f"{len(names)} of {counted(labels, 'class', 'classes')} never {verb}: {_some(map(shown, names))}"
            )
        else:
            parts.append("every class occurs")
        if lost := sorted({*range(labels)} - {*self.spec.vocabulary.name_to_label}):
            words = _some(shown(self.spec.vocabulary.label_names[label]) for label in lost)
            parts.append(f"no pixel becomes {words}, a background prompt too, which the released codes prefer")
        return "; ".join(parts)

    def doubts(self) -> list[str]:
        """Sentences on what hardly can be meant; of a published setting only on its classes and on shifted labels."""
        spec = self.spec
        vocabulary = spec.vocabulary
        found = []
        own = spec.label_of(spec.ignore_label, ignore=False)
        if own is not None and not spec.ignored_is_background:
            found.append(
                f"{spec.name}: {spec.ignore_label} is the value that is not scored and the label of "
                f"{shown(vocabulary.label_names[own])}, which therefore never counts"
            )
        if vocabulary.num_labels == 1:
            (name,) = vocabulary.label_names
            found.append(
                f"{spec.name}: one class and no background, so that every pixel is {shown(name)} and "
                "the score is 100 whatever the model does; give --data.background to tell the class from the rest"
            )
        if shifted := doubt(spec, Values(self.pixels, self.holding, self.maps)):
            found.append(
                f"{spec.name}: {shifted.sentence}; then every score is of wrong classes: look at the maps with "
                "`cliptrase doctor`, and make them anew or choose another --data.layout"
            )
        if spec.images_expected:
            return found
        never = f"{_some(map(shown, self.absent))} never occur{'s' * (len(self.absent) == 1)}"
        for value, maps in sorted(self.mostly.items()):
            label = spec.label_of(value)
            if maps < _NEARLY_ALL * self.maps:
                continue
            if label is None:
                what, cure = f"value {value}", _cure(value)
                if spec.colours is not None:
                    what, cure = "what `colors` leaves out", "if it stands for a class, give its colour that name there"
                found.append(
                    f"{spec.name}: {what} covers most of {maps} of {self.maps} label maps and is not scored"
                    f"{f', while {never}' if self.absent else ''}; {cure}"
                )
            elif spec.colours is not None:  # which says of each colour what it is
                continue
            elif value == 0 and vocabulary.num_labels > 1 and not self._is_background(label):
                found.append(
                    f"{spec.name}: value 0, which is {shown(vocabulary.label_names[label])}, covers most of {maps} of "
                    f"{self.maps} label maps; if 0 stands for background or unlabelled pixels there, say so by "
                    "--data.background_index 0 or --data.label_offset 1"
                )
        if spec.colours is not None:
            return found
        left_out = [value for value in self.pixels if spec.label_of(value) is None]
        if (
            len(self.labels) == len(left_out) == 1
            and self.absent
            and self.mostly[left_out[0]] < _NEARLY_ALL * self.maps
        ):
            found.append(
                f"{spec.name}: besides one class the label maps hold nothing but {left_out[0]}, which is not scored, "
                f"while {never}; {_cure(left_out[0])}"
            )
        return found


def _cure(value: int) -> str:
    in_maps = f"give it that class's label in the maps (a mask of 0 and {value}: 0 and 1)"
    as_colour = (
        f", or name the grey values by `colors`, [{value}, {value}, {value}] for one" if 0 <= value <= 255 else ""
    )
    return f"if {value} stands for a class, {in_maps}{as_colour}"


def _some(words: Iterable[object]) -> str:
    """The first few of several words."""
    several = [str(word) for word in words]
    more = f" and {len(several) - _EXAMPLES} more" if len(several) > _EXAMPLES else ""
    return ", ".join(several[:_EXAMPLES]) + more
