"""The `cliptrase` command, `python -m cliptrase` and `python cli.py`: the command line in a process of its own."""

import sys

from cliptrase.cli import main as command_line
from cliptrase.common.console import complain, run

_OWN = ("cliptrase", "datamodules")
_PRINTING = ("--print_config", "--help", "-h", "--version")  # standard output is then what was asked for


def main() -> int:
    """Runs the command, and says which package is missing where one is."""
    try:
        return command_line()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing in _OWN:
            raise
        return complain(
            f"the package {missing} is not installed for {sys.executable}; run `uv run python cli.py ...`, which "
            "installs what is needed, or install cliptrase into this Python"
        )


def console() -> None:
    """Runs the command line and ends the process."""
    prints = sys.argv[1:2] in ([], ["compare"], ["doctor"], ["list"], ["verify"]) or any(
        word in sys.argv for word in _PRINTING
    )
    sys.exit(run(main, prints))


if __name__ == "__main__":
    console()
