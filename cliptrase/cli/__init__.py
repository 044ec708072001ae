"""The command line: what a command does, and errors in one sentence."""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError

from cliptrase.cli.arguments import with_defaults
from cliptrase.cli.complaints import (
    from_machine,
    mendable,
    of_other_processes,
    quiet_libraries,
    refused_by_parser,
    usage,
)
from cliptrase.cli.evaluate import EvaluationCLI, StoppedRun
from cliptrase.cli.processes import is_first
from cliptrase.console import complain, stopped

_UNTRAINED = ("fit", "validate")


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        args: arguments after the program's name; the process's own by default.

    Returns:
        exit status: 0 where everything asked was done, 1 for input that cannot be used, 2 for wrong usage, 128 and the
        signal's number for a run that a signal stopped.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    if arguments and arguments[0] in _UNTRAINED:
        return complain(f"nothing is trained here, so there is no {arguments[0]!r}: take 'test' or 'predict'", status=2)
    quiet_libraries()
    try:
        EvaluationCLI(with_defaults(arguments))
    except ArgumentError as error:
        if sentence := mendable(error):
            return complain(sentence)
        return complain(usage(str(error)), status=2)
    except StoppedRun as stop:
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
