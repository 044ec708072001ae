"""The error that a user can mend: a wrong option, file or name, told in one sentence."""


class InputError(ValueError):
    """Something the user gave cannot be used; the message says what, its value and the cure."""
