"""Errors and warnings in one sentence."""

import logging
import os
import re
import sys
import warnings

from cliptrase.cli.arguments import DATA, NO_DATA
from cliptrase.errors import InputError
from datamodules import DataError

# Lines in which jsonargparse tells of its own types, not of the user's input.
_ABOUT_TYPES = (
    "Given value type",
    "Subtypes:",
    "Errors:",
    "- Expected a <class 'NoneType'>",
    "Does not validate",
    "- Does not",
)


def mendable(error: BaseException) -> str:
    """The sentence of the user's error that led to `error`, or nothing where there is none.

    Such an error comes wrapped by jsonargparse while objects are made, and with a traceback from a data worker.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError | DataError):
            return str(cause).rsplit("Error: ", 1)[-1].strip()
        cause = cause.__cause__ or cause.__context__
    return ""


def usage(message: str) -> str:
    """One line of what jsonargparse complains of."""
    if message.endswith(("required: test.data", "required: predict.data")):
        return NO_DATA
    unknown = re.search(r"Expected a dot import path string: (\S+)", message)
    if unknown and 'key "data"' in message:
        return f"--data {unknown[1]} is not a data set; take one of {', '.join(DATA)}"
    lines = [line.strip() for line in message.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(_ABOUT_TYPES))


def complain(sentence: str, status: int = 1) -> int:
    """Prints the sentence and gives the exit status."""
    print(f"error: {sentence}", file=sys.stderr)
    return status


def quiet_libraries() -> None:
    """Keeps the log lines and hints of libraries out of the way of the run's own output."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's calls, not ours
    for name in ("pytorch_lightning", "lightning_fabric", "torch.distributed", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
    warnings.formatwarning = _one_line


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning to the user is its sentence; where in the code it arose matters for the others only."""
    if category is UserWarning:
        return f"warning: {message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"
