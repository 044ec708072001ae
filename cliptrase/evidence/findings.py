"""What is wrong with a run, a sentence each: what it says, and what it should say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cliptrase.common.errors import one_line

Place = tuple[str | int, ...]  # keys from a document's root
_LONGEST = 300  # characters of a value in a sentence


class Unequal(NamedTuple):
    """A value of a document that is not what it should be; None on a side where there is no value."""

    place: Place
    found: Any
    expected: Any


# Where an expected value comes from that another version may give otherwise: published figures and what hangs on them.
THIS_VERSION = "this version has"
FROM_THAT = "this version's data give"


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        file: of the run, by its name there.
        what: the value in words.
        found: what stands there.
        expected: what should.
        source: words before the expected value: `the counts give`.
        others: further values that are wrong with it.
    """

    file: str
    what: str
    found: Any
    expected: Any
    source: str
    others: Sequence[Unequal] = ()

    @property
    def of_version(self) -> bool:
        """Whether another version of cliptrase may say so rightly: no count, score or hash is in doubt."""
        return self.source in (THIS_VERSION, FROM_THAT)

    @property
    def sentence(self) -> str:
        """`results.json: mIoU of gem on VOC20 is 50, and the counts give 49.9; 2 more of its values differ`."""
        number = len(self.others)
        further = f"; {number} more of its values {'differs' if number == 1 else 'differ'}" if number else ""
        return f"{self.file}: {self.what} is {_shown(self.found)}, and {self.source} {_shown(self.expected)}{further}"

    def record(self) -> dict[str, Any]:
        """The same for scripts."""
        others = [
            {"what": dotted(other.place), "found": other.found, "expected": other.expected} for other in self.others
        ]
        return {**self._asdict(), "others": others, "sentence": self.sentence}


def unequal(found: Any, expected: Any, place: Place = ()) -> Iterator[Unequal]:
    """Every value in which two documents differ; numbers are equal whatever their kind, true is not 1.

    >>> [dotted(one.place) for one in unequal({"a": [1, 2.0], "b": 1}, {"a": [1.0, 3], "b": True})]
    ['a.1', 'b']
    """
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*expected, *found]):
            yield from unequal(found.get(key), expected.get(key), (*place, key))
    elif isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            yield from unequal(one, other, (*place, number))
    elif found != expected or isinstance(found, bool) != isinstance(expected, bool):
        yield Unequal(place, found, expected)


def dotted(place: Place) -> str:
    """A place as documents name it."""
    return ".".join(map(str, place))


def _shown(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, Mapping):
        return f"a table of {len(value)}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return one_line(text, _LONGEST) if text else "empty"
