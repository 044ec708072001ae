"""The error that says which file or folder of a data set is wrong and what to do."""

from cliptrase.common.errors import InputError


class DataError(InputError):
    """A data set cannot be used as it lies there; the message names the file, what is wrong and the cure."""
