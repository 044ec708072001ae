"""The error that a user can mend: a wrong option, file or name, told in one sentence."""

import difflib
import re
from collections.abc import Iterable, Mapping


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, its value and the cure.

    A message writes the names of parameters in backquotes: "`clip` 'ViT-B-61' is not an architecture". Python users
    read it as it is; a command shows its options instead (`--model.clip`), see `with_options`.

    Attributes:
        status: exit status of a command that ends for it.
    """

    status = 1


class UsageError(InputError):
    """A command was called in a way that it does not have: an unknown option or command, say."""

    status = 2


def with_options(sentence: str, options: Mapping[str, str]) -> str:
    """A sentence with a command's options in place of parameters.

    >>> with_options("`clip` 'x' is not an architecture; run `git lfs pull`", {"clip": "--model.clip"})
    "--model.clip 'x' is not an architecture; run `git lfs pull`"
    """
    return re.sub(r"`([\w.]+)`", lambda match: options.get(match[1], match[0]), sentence)


def one_line(error: BaseException | str, longest: int = 300) -> str:
    """What another library says of its error, as part of a sentence of at most some `longest` characters.

    >>> one_line(ValueError("a first line", "and a second"))
    "('a first line', 'and a second')"
    >>> one_line("a text of many words", longest=10)
    'a text of ...'
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # some colour their messages for a terminal
    text = " ".join(plain.split()) or type(error).__name__
    return text if len(text) <= longest else f"{text[:longest].rpartition(' ')[0] or text[:longest]} ..."


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


def suggestion(given: str, known: Iterable[str]) -> str:
    """The words before a list of what there is, with the name of `known` that is nearest to `given` where one is near.

    >>> suggestion("tset", ["test", "predict"]), suggestion("x", ["test", "predict"])
    ('did you mean test? Else take', 'take')
    """
    near = did_you_mean(given, known)
    return f"did you mean {near}? Else take" if near else "take"
