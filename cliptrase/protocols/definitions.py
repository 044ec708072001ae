"""How scores are defined: what is added to denominators, and over which classes means are taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cliptrase.common.errors import InputError

Classes = Literal["all", "truth", "union"]


@dataclass(frozen=True)
class Definition:
    """One definition of pAcc, mAcc, fwIoU and mIoU.

    A class's accuracy is hits / (truth + added) and its IoU is hits / (truth + predicted - hits + added), in pixels of
    the whole data set. pAcc is hits / truth over all classes. fwIoU weights each class's IoU by its share of the truth.

    Classes of a mean: `all` of the vocabulary; those that occur in the `truth`; those with a `union`, which occur in
    the truth or in the predictions.

    Attributes:
        name: as results, tables and protocols call it.
        added: pixels added to each class's denominators.
        accuracy_over: classes of mAcc.
        iou_over: classes of mIoU.
        source: code that defines it.
    """

    name: str
    added: float
    accuracy_over: Classes
    iou_over: Classes
    source: str

    @property
    def sentence(self) -> str:
        """What a reader of the scores has to know.

        >>> Definition("mine", 0.0, "truth", "all", "a paper").sentence
        'mine (a paper): nothing is added; mAcc over classes in the truth, mIoU over all classes.'
        """
        added = f"{self.added:g} pixels are added to each denominator" if self.added else "nothing is added"
        accuracy_over, iou_over = _WORDS[self.accuracy_over], _WORDS[self.iou_over]
        return f"{self.name} ({self.source}): {added}; mAcc over {accuracy_over}, mIoU over {iou_over}."


_WORDS: Mapping[Classes, str] = MappingProxyType(
    {"all": "all classes", "truth": "classes in the truth", "union": "classes in the truth or predicted"}
)
_ROWS = (
    Definition("released", 0.01, "all", "truth", "CLIPtrase's released code, which made its published scores"),
    Definition("detectron2", 0.0, "truth", "truth", "detectron2's SemSegEvaluator"),
    Definition("mmseg", 0.0, "truth", "union", "mmsegmentation's IoUMetric, which calls pAcc aAcc and has no fwIoU"),
)

DEFINITIONS: Mapping[str, Definition] = MappingProxyType({row.name: row for row in _ROWS})


def get_definition(definition: Definition | str) -> Definition:
    """The row of `DEFINITIONS` with that name; a definition as it is.

    Raises:
        InputError: there is no such row.

    >>> get_definition("mmseg").iou_over
    'union'
    """
    if isinstance(definition, Definition):
        return definition
    if definition not in DEFINITIONS:
        raise InputError(f"scores have no definition {definition!r}; take one of {', '.join(DEFINITIONS)}")
    return DEFINITIONS[definition]
