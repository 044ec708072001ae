"""Numbers that a method's authors chose: typed, by data set and depth of the tower where theirs differ.

Nothing here needs torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cliptrase.protocols.values import Kind


@dataclass(frozen=True)
class MethodOption:
    """One number of a method.

    Attributes:
        name: lower-case letters, as in `pearl+alpha=0.3`.
        value: the authors' value.
        kind: what values it takes.
        meaning: what the number does, a few words.
        by_dataset: the authors' values for single data sets, by name.
        by_blocks: the authors' values for towers of so many blocks.

    Raises:
        InputError: a value that its kind does not take.
    """

    name: str
    value: float
    kind: Kind
    meaning: str
    by_dataset: Mapping[str, float] = field(default_factory=dict, hash=False)
    by_blocks: Mapping[int, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", self.kind.check(self.name, self.value))
        for rows in ("by_dataset", "by_blocks"):
            checked = {
                key: self.kind.check(f"{self.name} of {key}", value) for key, value in getattr(self, rows).items()
            }
            object.__setattr__(self, rows, checked)

    def frozen(self) -> "MethodOption":
        """The same value on every data set."""
        return replace(self, by_dataset={})

    def set_to(self, value: Any) -> "MethodOption":
        """One value everywhere.

        Raises:
            InputError: the option does not take it.
        """
        return replace(self, value=value, by_dataset={}, by_blocks={})

    def on(self, dataset: str) -> "MethodOption":
        """The option as it is on a data set: a value of its own there holds at every depth of the tower."""
        if dataset in self.by_dataset:
            return self.set_to(self.by_dataset[dataset])
        return self.frozen()

    def at(self, blocks: int) -> float:
        """The value for a tower of so many blocks."""
        return self.by_blocks.get(blocks, self.value)

    @property
    def summary(self) -> str:
        """The authors' values in a few words: `0.08; 0.3 on Cityscapes, ADE150`."""
        others: dict[float, list[str]] = {}
        for dataset, value in self.by_dataset.items():
            others.setdefault(value, []).append(dataset)
        parts = [f"{value:g} on {', '.join(datasets)}" for value, datasets in others.items()]
        parts += [f"{value:g} at {blocks} blocks" for blocks, value in self.by_blocks.items()]
        return "; ".join([f"{self.value:g}", *parts])

    def values(self) -> dict[str, Any]:
        """What it is everywhere, as results write it: one number, or numbers by `default`, data set and blocks."""
        return {
            "default": self.value,
            **self.by_dataset,
            **{f"{blocks} blocks": value for blocks, value in self.by_blocks.items()},
        }
