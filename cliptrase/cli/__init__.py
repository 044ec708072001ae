"""The command line: `python cli.py COMMAND`, `cliptrase COMMAND` and `python -m cliptrase COMMAND` are one.

Every command is a function `main(arguments) -> exit status` in a module of its own, which is imported when it is asked
for and imports only what it needs.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from cliptrase import __version__
from cliptrase.common.console import complain
from cliptrase.common.errors import one_line, suggestion
from cliptrase.common.options import program


class Command(NamedTuple):
    """One command.

    Attributes:
        module: whose `main` runs it.
        summary: what it does, in a few words.
    """

    module: str
    summary: str


COMMANDS = {
    "test": Command("cliptrase.cli.evaluation", "score methods on data sets; without options, the demo"),
    "predict": Command("cliptrase.cli.evaluation", "write masks of pictures with label maps or without"),
    "prepare": Command("datamodules.prepare.command", "make a data set's folders of what its publisher offers"),
    "doctor": Command("datamodules.doctor.command", "say what is wrong with the folders of data sets"),
    "draw": Command("datamodules.draw", "write the demo's scenes as files"),
    "report": Command("cliptrase.cli.report", "make a page of the results of runs"),
    "verify": Command("cliptrase.cli.verify", "recompute a run's figures from its counts, check its hashes"),
    "compare": Command("cliptrase.cli.compare", "differences between runs of different places, without data"),
    "list": Command("cliptrase.cli.listing", "show methods, protocols, data sets, vocabularies, configs"),
    "completion": Command("cliptrase.cli.completion", "print a script by which bash or zsh completes words"),
    "global-patches": Command("cliptrase.cli.global_patches", "draw where a picture's attention goes"),
    "app": Command("cliptrase.cli.app", "show a page on this machine for own pictures and words"),
}
_WITH_NAME = ("test", "predict")  # one module serves both
_UNTRAINED = ("fit", "validate")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: after the program's name; the process's own by default.

    Returns:
        exit status: 0 where everything asked was done, 1 for input that cannot be used, 2 for wrong usage, 128 and the
        signal's number where a signal stopped the command.
    """
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or [""]
    if name in COMMANDS:
        command = COMMANDS[name]
        if clash := _load_datamodules():
            return complain(clash)
        try:
            status: int = import_module(command.module).main([name, *rest] if name in _WITH_NAME else rest)
        except ImportError as error:
            if "failed to map segment" not in str(error):  # what the loader says where memory runs out
                raise
            return complain(f"there is not enough memory to load the libraries ({one_line(error)}); free some")
        return status
    if name in ("-h", "--help"):
        print(overview())
        return 0
    if name == "--version":
        print(f"cliptrase {__version__}")
        return 0
    if not name:
        print(overview())
        return complain(f"no command: take one of {', '.join(COMMANDS)}", status=2)
    if name in _UNTRAINED:
        return complain(f"nothing is trained here, so there is no {name!r}: take 'test' or 'predict'", status=2)
    meant = suggestion(name, COMMANDS)
    return complain(f"there is no command {name!r}; {meant} one of {', '.join(COMMANDS)}", status=2)


def _load_datamodules() -> str:
    """Imports the `datamodules` that lies beside this package, though one of the user's may come first on the path.

    Returns:
        what is wrong where that cannot be; else nothing.
    """
    beside = Path(__file__).resolve().parents[2]
    if (loaded := sys.modules.get("datamodules")) is None and (beside / "datamodules" / "__init__.py").is_file():
        sys.path.insert(0, str(beside))
        try:
            loaded = import_module("datamodules")
        finally:
            sys.path.remove(str(beside))
    place = Path(getattr(loaded, "__file__", None) or beside / "datamodules")
    if place.parent.resolve() in (beside, beside / "datamodules"):
        return ""
    return f"{place} has the name of a package of cliptrase and was imported in its place; give it another name"


def overview() -> str:
    """Help without a command."""
    width = max(map(len, COMMANDS)) + 2
    lines = (f"  {name:{width}}{command.summary}" for name, command in COMMANDS.items())
    return "\n".join(
        (
            f"Usage: {program()} COMMAND ...",
            "",
            "CLIPtrase and other training-free open-vocabulary segmentation, evaluated.",
            "",
            *lines,
            "",
            f"`{program()} COMMAND --help` says more; `{program()} test` runs the demo,",
            "which needs neither data nor network.",
        )
    )
