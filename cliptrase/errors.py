"""The error that a user can mend: a wrong option, file or name, told in one sentence."""

import difflib
import re
import textwrap
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, its value and the cure."""


def one_line(error: BaseException) -> str:
    """What another library says of its error, as part of a sentence."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # some colour their messages for a terminal
    return textwrap.shorten(plain, 300, placeholder=" ...") or type(error).__name__


def first_few(words: Iterable[str], number: int = 5) -> str:
    """The first words of several, with dots where there are more."""
    several = list(words)
    return ", ".join(several[:number]) + (", ..." if len(several) > number else "")


def counted(number: int, one: str, several: str = "") -> str:
    """A number and its noun: `1 picture`, `2 pictures`, `2 classes`; `several` where the plural is not `one` with s."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The name of `known` that is nearest to `given`, whatever the case of letters; empty where none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(given.lower(), by_lower, 1, cutoff=0.7)
    return by_lower[near[0]] if near else ""
