"""The error that a user can mend: a wrong option, file or name, told in one sentence."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, its value and the cure."""


def one_line(error: BaseException) -> str:
    """What another library says of its error, as part of a sentence."""
    return " ".join(str(error).split())[:200] or type(error).__name__
