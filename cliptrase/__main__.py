"""The `cliptrase` command, `python -m cliptrase` and `python cli.py`: the command line in a process of its own."""

import sys

from cliptrase.console import complain, run

_OWN = ("cliptrase", "datamodules")


def main() -> int:
    """Loads the command line, which takes seconds, and runs it."""
    try:
        from cliptrase.cli import main as command_line
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing in _OWN:
            raise
        return complain(
            f"the package {missing} is not installed for {sys.executable}; run `uv run python cli.py ...`, which "
            "installs what is needed, or install cliptrase into this Python"
        )
    return command_line()


def console() -> None:
    """Runs the command line and ends the process."""
    sys.exit(run(main, prints="--print_config" in sys.argv))


if __name__ == "__main__":
    console()
