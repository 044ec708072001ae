"""What the small commands share: their options, and one place where an error becomes a sentence and an exit status.

`cliptrase` and `datamodules` both use it; it loads the standard library only.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from cliptrase.common.console import complain, stopped
from cliptrase.common.errors import InputError, UsageError, did_you_mean, suggestion, with_options

WIDTH = 80  # columns of every help text


def program() -> str:
    """How the command was called, for help and cures: `python cli.py` or `cliptrase`."""
    return "python cli.py" if Path(sys.argv[0]).name == "cli.py" else "cliptrase"


def unknown_option(option: str, known: Iterable[str], command: str) -> UsageError:
    """The error for an option that a command does not have, with the nearest one that it has."""
    near = did_you_mean(option, known)
    meant = f"did you mean {near}? " if near else ""
    return UsageError(f"{command} has no option {option}; {meant}`{program()} {command} --help` lists its options")


class Parser(argparse.ArgumentParser):
    """A command's options; what is wrong with the words given is raised as `UsageError`.

    Args:
        prog: the command's name, `doctor` or `prepare voc`.
        description: one sentence.
        options: further ones of argparse's.
    """

    def __init__(self, prog: str, description: str, **options: Any) -> None:
        formatter = partial(argparse.HelpFormatter, width=WIDTH, max_help_position=28)
        self.command = prog
        super().__init__(
            prog=f"{program()} {prog}",
            description=description,
            formatter_class=formatter,
            allow_abbrev=False,
            **options,
        )

    def parse_args(  # type: ignore[override]  # argparse tells the kinds of namespace apart
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """As argparse does, but an unknown option is said before all else.

        Raises:
            UsageError: an unknown option, one that is missing, or a value of another kind.
        """
        words = list(sys.argv[1:] if args is None else args)
        words_of_options = words[: words.index("--")] if "--" in words else words
        known = self.options_of(words_of_options)
        if not known.keys() - {"-h", "--help"}:  # the sub-command, which has the options, is missing or unknown
            words_of_options = []
        for word in words_of_options:
            if word.startswith("--") and (option := word.partition("=")[0]) not in known:
                raise unknown_option(option, known, self.command)
        return super().parse_args(words, namespace)

    def options_of(self, words: Sequence[str]) -> dict[str, str]:
        """Parameters by option, `root` by `--root`, those of the sub-commands among `words` included."""
        known: dict[str, str] = {}
        for action in self._actions:
            known |= dict.fromkeys(action.option_strings, action.dest)
            if isinstance(action, argparse._SubParsersAction):
                for word in words:
                    if isinstance(below := action.choices.get(word), Parser):
                        known |= below.options_of(())
        return known

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Names what there is, the nearest first."""
        if action.choices is not None and value not in action.choices:
            option = action.option_strings[-1] if action.option_strings else action.metavar or action.dest
            meant = suggestion(str(value), action.choices)
            self.error(f"{option} {str(value)!r} is not known; {meant} one of {', '.join(map(str, action.choices))}")

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the whole usage."""
        sentence = message.removeprefix("argument ")
        raise UsageError(f"{sentence}; `{self.prog} --help` lists what there is")


def answer(
    parser: Parser,
    work: Callable[[argparse.Namespace], int],
    arguments: Sequence[str] | None = None,
    on_stop: str = "",
) -> int:
    """Runs a command: parses its options and works, with every error that a user can mend as one sentence.

    Args:
        parser: of the command.
        work: gets the options, gives the exit status.
        arguments: after the command's name; the process's own by default.
        on_stop: what is left where a signal stops the command, and how to go on.

    Returns:
        exit status: that of `work`, 1 for input that cannot be used, 2 for wrong usage, 128 and the signal's number
        where a signal stopped it.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return work(parser.parse_args(words))
    except InputError as error:
        parameters = {parameter: option for option, parameter in parser.options_of(words).items()}
        return complain(with_options(str(error), parameters), error.status)
    except KeyboardInterrupt as stop:
        return stopped(stop, on_stop)
    except SystemExit as stop:  # --help
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
