"""The error that says which file or folder of a data set is wrong and what to do."""


class DataError(ValueError):
    """A data set cannot be used as it lies there; the message names the file, what is wrong and the cure."""


def one_line(error: BaseException) -> str:
    """What a library says of its error, as part of a sentence."""
    return " ".join(str(error).split())[:200] or type(error).__name__
