"""Kinds of values that records take from users; each checks one value and says what it may be."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Protocol

from cliptrase.common.errors import InputError, did_you_mean


class Kind(Protocol):
    """What a field may hold."""

    def check(self, name: str, value: Any) -> Any:
        """The value in its one form.

        Args:
            name: what the sentence calls the field.
            value: whatever was given.

        Raises:
            InputError: it is of another type or out of range.
        """


@dataclass(frozen=True)
class Text:
    """Any text that is not empty, in one line."""

    def check(self, name: str, value: Any) -> str:
        """See `Kind.check`."""
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise InputError(f"{name} must be a text in one line, not {value!r}")
        return value


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, name: str, value: Any) -> bool:
        """See `Kind.check`."""
        if not isinstance(value, bool):
            raise InputError(f"{name} must be true or false, not {value!r}")
        return value


@dataclass(frozen=True)
class Choice:
    """One of several words.

    Attributes:
        words: all that there are.
    """

    words: Collection[str]

    def check(self, name: str, value: Any) -> str:
        """See `Kind.check`.

        >>> Choice(("pad", "trim")).check("fit", "pad")
        'pad'
        """
        if not isinstance(value, str) or value not in self.words:
            meant = did_you_mean(value, self.words) if isinstance(value, str) else ""
            hint = f"; did you mean {meant}?" if meant else ""
            raise InputError(f"{name} must be one of {', '.join(self.words)}, not {value!r}{hint}")
        return value


@dataclass(frozen=True)
class Number:
    """A number greater than 0.

    Attributes:
        most: largest.
        zero: whether 0 is taken too, for "none".
    """

    most: float
    zero: bool = False

    def check(self, name: str, value: Any) -> float:
        """See `Kind.check`."""
        return float(_in_range(name, _number(name, value, "number"), self.most, self.zero))


@dataclass(frozen=True)
class Whole:
    """A whole number greater than 0.

    Attributes:
        most: largest.
        zero: whether 0 is taken too, for "none".
        word: a word that is taken instead, if any.
    """

    most: int
    zero: bool = False
    word: str = ""

    def check(self, name: str, value: Any) -> int | str:
        """See `Kind.check`."""
        if self.word and value == self.word:
            return self.word
        number = _number(name, value, f"whole number or {self.word!r}" if self.word else "whole number")
        _in_range(name, number, self.most, self.zero)
        if not isinstance(number, int):
            raise InputError(f"{name} must be a whole number, not {number}")
        return number


@dataclass(frozen=True)
class Share:
    """A number in [0, 1)."""

    def check(self, name: str, value: Any) -> float:
        """See `Kind.check`."""
        number = _number(name, value, "number")
        if not 0 <= number < 1:
            raise InputError(f"{name} is a share in [0, 1), not {number}")
        return float(number)


def _number(name: str, value: Any, kind: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, Real):  # a flag is an integer to Python
        raise InputError(f"{name} must be a {kind}, not {value!r}")
    return int(value) if isinstance(value, Integral) else float(value)


def _in_range(name: str, number: int | float, most: float, zero: bool) -> int | float:
    if not (number > 0 or (zero and number == 0)) or number == math.inf:
        raise InputError(f"{name} must be {'0 or more' if zero else 'greater than 0'}, not {number}")
    if number > most:
        raise InputError(f"{name} must be at most {most:g}, not {number}")
    return number
