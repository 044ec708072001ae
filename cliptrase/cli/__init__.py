"""The command line: what a command does, and errors in one sentence."""

import sys
from collections.abc import Sequence

from jsonargparse import ArgumentError

from cliptrase.cli.arguments import with_defaults
from cliptrase.cli.complaints import complain, mendable, quiet_libraries, usage
from cliptrase.cli.evaluate import EvaluationCLI

_UNTRAINED = ("fit", "validate")


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        args: arguments after the program's name; the process's own by default.

    Returns:
        exit status: 0 where everything asked was done, 1 for input that cannot be used, 2 for wrong usage.
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
    except KeyboardInterrupt:
        return complain("interrupted before anything was computed")
    except SystemExit as stop:  # --help and --print_config
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if sentence := mendable(error):
            return complain(sentence)
        if "Connection closed by peer" in str(error):
            return complain("another process of this run stopped, for the reason that it gave")
        raise
    return 0


def console() -> None:
    """The `cliptrase` command."""
    sys.exit(main())
