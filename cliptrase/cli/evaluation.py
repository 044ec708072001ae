"""`test` and `predict`: their errors and stops in one sentence, whichever library they come from."""

from collections.abc import Sequence

from jsonargparse import ArgumentError

from cliptrase.cli import evaluate
from cliptrase.cli.arguments import with_defaults
from cliptrase.cli.complaints import (
    from_machine,
    mendable,
    of_other_processes,
    quiet_libraries,
    refused_by_parser,
    usage,
)
from cliptrase.cli.processes import is_first
from cliptrase.console import complain, stopped


def main(arguments: Sequence[str]) -> int:
    """Runs `test` or `predict`.

    Args:
        arguments: the command's name and what follows.

    Returns:
        exit status; see `cliptrase.cli.main`.
    """
    quiet_libraries()
    try:
        evaluate.EvaluationCLI(with_defaults(list(arguments)))
    except ArgumentError as error:
        if sentence := mendable(error):
            return complain(sentence)
        return complain(usage(str(error)), status=2)
    except evaluate.StoppedRun as stop:
        return complain(str(stop), stop.status) if is_first() else stop.status
    except KeyboardInterrupt as stop:
        return stopped(stop, "nothing was computed yet")
    except SystemExit as stop:  # --help and --print_config
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if sentence := mendable(error) or from_machine(error):
            return complain(sentence)
        if of_other_processes(error):
            return complain("another process of this run stopped, for the reason that it gave") if is_first() else 1
        if refused_by_parser(error):
            return complain(usage(str(error)), status=2)
        raise
    return 0
