"""Whether figures that should be the published ones are: the first run with real weights and data is then the proof."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cliptrase.common.errors import counted, first_few
from cliptrase.evaluation.formatting import COLUMNS, format_score
from cliptrase.evaluation.records import SettingResult

ALLOWED = 0.1
"""Points by which a figure may differ from the published one; other hardware and decoders move one by less."""


class Checked(NamedTuple):
    """A figure that should be the published one, in percent."""

    method: str
    setting: str
    column: str
    found: float
    published: float

    @property
    def off(self) -> bool:
        """Whether it differs by more than is allowed, both as they are printed; NaN does."""
        return not abs(round(self.found, 2) - round(self.published, 2)) <= ALLOWED + 1e-9

    @property
    def sentence(self) -> str:
        """`mIoU of cliptrase on VOC20 is 80.10, published 81.20`."""
        figures = f"{format_score(self.found)}, published {format_score(self.published)}"
        return f"{self.column} of {self.method} on {self.setting} is {figures}"


@dataclass(frozen=True)
class PublishedCheck:
    """What became of comparing a run with published scores.

    Attributes:
        checked: every figure that should be a published one.
        beside: methods and data sets with published scores that do not compare, and why.
    """

    checked: Sequence[Checked]
    beside: Sequence[str]

    @property
    def off(self) -> list[Checked]:
        """Those that differ by more than is allowed."""
        return [one for one in self.checked if one.off]

    @property
    def passed(self) -> bool:
        """Whether there was something to check, and all of it agrees."""
        return bool(self.checked) and not self.off

    @property
    def sentence(self) -> str:
        """What was found, in one sentence."""
        if not self.checked:
            why = "; ".join(self.beside) or "nobody publishes scores of these methods and data sets under this protocol"
            return f"no figure can be checked against a published one ({why})"
        total = f"{counted(len(self.checked), 'figure')} that should be published ones"
        left = f"; not checked: {'; '.join(self.beside)}" if self.beside else ""
        if self.off:
            named = first_few((one.sentence for one in self.off), 3)
            return f"{len(self.off)} of {total} are off by more than {ALLOWED:g}: {named}{left}"
        return f"{total} are within {ALLOWED:g} of them{left}"


def check_published(results: Mapping[str, Sequence[SettingResult]]) -> PublishedCheck:
    """Compares a run's scores with those of its methods' authors.

    A figure should be the published one where the comparison's table shows a difference: method, protocol, model,
    guest, names, edition of labels and number of pictures are those of the authors.

    Args:
        results: by method.
    """
    beside = [
        f"{method} on {result.name}: {', '.join(result.remarks)}"
        for method, settings in results.items()
        for result in settings
        if result.published and not result.comparable
    ]
    return PublishedCheck(list(_checked(results)), beside)


def _checked(results: Mapping[str, Sequence[SettingResult]]) -> Iterator[Checked]:
    for method, settings in results.items():
        for result in settings:
            if result.published and result.comparable:
                for column in COLUMNS:
                    published = getattr(result.published, column)
                    if published == published:  # not every source gives all four
                        yield Checked(method, result.name, column, getattr(result.headline, column), published)
