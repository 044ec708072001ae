"""`test` and `predict`: what can be answered at once is, then Lightning's command line does the rest."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from cliptrase.cli import early, help_text
from cliptrase.cli.arguments import options, with_defaults
from cliptrase.cli.protocol_option import with_protocol
from cliptrase.common.console import complain, stopped
from cliptrase.common.errors import InputError, with_options


def main(arguments: Sequence[str]) -> int:
    """Runs `test` or `predict`.

    Args:
        arguments: the command's name and what follows.

    Returns:
        exit status; see `cliptrase.cli.main`.
    """
    command, *words = arguments
    try:
        if text := help_text.asked(command, words):
            print(text)
            return 0
        if not help_text.asked_in_full(words):
            words = with_defaults(arguments)[1:]
            early.check(command, words)
            words = with_protocol([command, *words])[1:]
    except InputError as error:
        return complain(with_options(str(error), early.options_by_parameter()), error.status)
    except KeyboardInterrupt as stop:
        return stopped(stop, "nothing was computed yet")
    return _run([command, *("--help" if word == "--help=all" else word for word in words)])


def _import_own_data(words: Sequence[str]) -> None:
    """Imports the module of a data set of the user's own, which may lie in the working folder."""
    for option, value in options(words):
        module = (value or "").rpartition(".")[0]
        named = all(part.isidentifier() for part in module.split("."))
        if option == "--data" and named and module != "datamodules":
            sys.path.insert(0, str(Path.cwd()))
            try:
                with suppress(ModuleNotFoundError):  # the parser says it
                    import_module(module)
            finally:
                sys.path.remove(str(Path.cwd()))


def _run(arguments: list[str]) -> int:
    """Hands the words to Lightning, and tells errors and stops in one sentence, whichever library they come from."""
    from jsonargparse import ArgumentError

    from cliptrase.cli import complaints, evaluate
    from cliptrase.cli.processes import is_first

    def told(error: BaseException) -> str:
        return with_options(complaints.mendable(error), early.options_by_parameter())

    complaints.quiet_libraries()
    _import_own_data(arguments)
    try:
        evaluate.EvaluationCLI(arguments)
    except ArgumentError as error:
        if sentence := told(error):
            return complain(sentence)
        return complain(complaints.usage(str(error)), status=2)
    except evaluate.StoppedRun as stop:
        return complain(str(stop), stop.status) if is_first() else stop.status
    except KeyboardInterrupt as stop:
        return stopped(stop, "nothing was computed yet")
    except SystemExit as stop:  # --help=all and --print_config
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if sentence := told(error) or complaints.from_machine(error):
            return complain(sentence)
        if complaints.of_other_processes(error):
            return complain("another process of this run stopped, for the reason that it gave") if is_first() else 1
        if complaints.refused_by_parser(error):
            return complain(complaints.usage(str(error)), status=2)
        raise
    return 0
