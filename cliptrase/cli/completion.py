"""`completion bash`: a script by which a shell completes commands, options and names; it runs nothing of this package.

shtab writes it (the extra `completion`) from the commands' own options. Those of `test` and `predict` are read from the
sources of the classes that take them, so that no torch is loaded.
"""

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

from cliptrase.cli import configs, early, model_options
from cliptrase.cli.arguments import DATA, PUBLISHED, STRESSES, SUBCOMMANDS
from cliptrase.clip import towers
from cliptrase.common.errors import InputError
from cliptrase.common.options import Parser, answer
from cliptrase.methods import METHODS, SWITCHES
from cliptrase.protocols.protocol import FIELDS
from cliptrase.protocols.table import PROTOCOLS
from cliptrase.protocols.values import Choice, Flag
from datamodules.spec import AUTO, LAYOUTS
from datamodules.specs import BENCHMARKS

SHELLS = ("bash", "zsh")
PRECISIONS = ("auto", "32-true", "int8x3", "bf16-mixed", "16-mixed")
_PROGRAM = "cliptrase"
_FILE = {"bash": "_shtab_compgen_files", "zsh": "_files"}
_FOLDER = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/"}
_METHODS = {"bash": "_cliptrase_methods", "zsh": "_cliptrase_methods"}
# Names besides files, of which shtab itself completes either.
_NAMES_OR_FILES = {
    "bash": """\
%(function)s() {
  compgen -W "%(names)s" -- "$1"
  compgen -f -- "$1"
}
""",
    "zsh": """\
%(function)s() {
  _alternative 'names:name:(%(names)s)' 'files:file:_files'
}
""",
}
# Names of methods stand one after another, `naclip,resclip+regions`: the last part is completed.
_FUNCTIONS = {
    "bash": """\
_cliptrase_methods() {
  local last="${1##*[,+]}" words="%(methods)s"
  case "$1" in *+*) [[ "${1##*,}" == *+* ]] && words="%(switches)s" ;; esac
  compgen -P "${1%%"$last"}" -W "$words" -- "$last"
}
""",
    "zsh": """\
_cliptrase_methods() {
  compset -P '*,'
  if compset -P '*+'; then compadd -- %(switches)s; else compadd -- %(methods)s; fi
}
""",
}


class _Option(NamedTuple):
    """What can follow an option: names, files, both, nothing (a switch), or what nobody can know."""

    about: str = ""
    names: Sequence[str] = ()
    files: Mapping[str, str] | None = None
    switch: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the script.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status; see `cliptrase.common.options.answer`.
    """
    return answer(parser(), _print, arguments)


def parser() -> Parser:
    """The command's options."""
    own = Parser(
        "completion",
        "Prints a script by which bash or zsh completes commands, options and names. For bash put this line into "
        "~/.bashrc: source <(cliptrase completion bash). For zsh write it to a file _cliptrase in a folder of $fpath.",
    )
    own.add_argument("shell", choices=SHELLS, metavar="SHELL", help=" or ".join(SHELLS))
    return own


def _print(options: argparse.Namespace) -> int:
    print(script(options.shell), end="")
    return 0


def script(shell: str) -> str:
    """The script of a shell.

    Args:
        shell: one of `SHELLS`.

    Raises:
        InputError: shtab is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise InputError("completion needs shtab; `pip install 'cliptrase[completion]'` brings it") from error
    whole = _whole()
    text: str = shtab.complete(whole, shell, preamble=_functions(whole, shell))
    return text


def _functions(whole: argparse.ArgumentParser, shell: str) -> str:
    """What the script completes by functions of its own."""
    switches = [name.removeprefix("+") for name in SWITCHES if name.startswith("+")]
    parts = [_FUNCTIONS[shell] % {"methods": " ".join(METHODS), "switches": " ".join(switches)}]
    commands = next(action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    both = {
        function: action.choices
        for one in commands.choices.values()
        for action in one._actions
        if action.choices and (function := getattr(action, "complete", {}).get(shell))
    }
    parts += [_NAMES_OR_FILES[shell] % {"function": name, "names": " ".join(names)} for name, names in both.items()]
    return "".join(parts)


def _whole() -> argparse.ArgumentParser:
    """All commands with their options, as shtab reads them."""
    from cliptrase.cli import COMMANDS

    whole = argparse.ArgumentParser(_PROGRAM, description="Training-free open-vocabulary segmentation, evaluated.")
    whole.add_argument("--version", action="store_true", help="print the version")
    commands = whole.add_subparsers()
    for name, command in COMMANDS.items():
        if name in SUBCOMMANDS:
            one = commands.add_parser(name, help=command.summary)
            for option, what in _of_runs(name):
                _add(one, option, what)
        else:
            own = import_module(command.module).parser()
            _complete_files(own)
            commands.add_parser(name, help=command.summary, parents=[own], add_help=False)
    return whole


def _add(one: argparse.ArgumentParser, option: str, what: _Option) -> None:
    about = what.about.replace("%", "%%")
    if what.switch:
        one.add_argument(option, action="store_true", help=about)
        return
    action = one.add_argument(option, help=about, choices=list(what.names) or None)
    if what.files:
        function = f"_cliptrase_files_{re.sub('[^a-z]', '_', option.removeprefix('--'))}"
        action.complete = dict.fromkeys(SHELLS, function) if what.names else what.files  # type: ignore[attr-defined]  # shtab reads it


def _complete_files(own: argparse.ArgumentParser) -> None:
    """Of small commands, whose options say by `metavar` that they take files."""
    for action in own._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _complete_files(below)
        elif action.metavar in ("FILE", "RUN", "PICTURE"):
            action.complete = _FILE  # type: ignore[attr-defined]  # shtab reads it
        elif action.metavar == "DIR":
            action.complete = _FOLDER  # type: ignore[attr-defined]


def _of_runs(command: str) -> Iterator[tuple[str, _Option]]:
    """Options of `test` and `predict`."""
    yield "--config", _Option("a shipped configuration or a file", list(configs.shipped()), _FILE)
    yield "--data", _Option("data set", DATA)
    yield "--protocol", _Option("how images are shown and scored", list(PROTOCOLS), _FILE)
    yield "--resume", _Option("go on with the newest unfinished run of these inputs", switch=True)
    yield "--print_config", _Option("print the configuration instead of running", switch=True)
    if command == "test":
        yield "--explain", _Option("split what is lost of mIoU by cause", switch=True)
        yield "--audit", _Option("run each method without each of its parts, too", switch=True)
        yield "--sweep", _Option("score other constants of the protocol, too", switch=True)
        yield "--stress", _Option("score other names and absent ones in the same pass", STRESSES)
        yield "--check", _Option("status 1 unless published scores come out", (PUBLISHED,))
    seen: set[str] = set()
    for section, places in (("data", DATA), ("model", ("model",)), ("trainer", ("trainer",))):
        for place in places:
            for name, one in early.parameters(place).items():
                if (option := f"--{section}.{name}") not in seen:
                    seen.add(option)
                    yield option, _values(option, one.kind, one.about.partition(". ")[0])
    for name, kind in FIELDS.items():
        words = kind.words if isinstance(kind, Choice) else ("true", "false") if isinstance(kind, Flag) else ()
        yield f"--protocol.{name}", _Option(names=tuple(words))


def _values(option: str, kind: str, about: str) -> _Option:
    """What follows an option, by its name or by the type of its parameter."""
    names = _names().get(option, ())
    if option in ("--model.method", "--model.compare"):
        return _Option(about, (), _METHODS)
    if "bool" in kind and "int" not in kind:
        names = ("true", "false")
    files = None
    if "Path" in kind or "_PATH" in kind or option in ("--data.images", "--model.pretrained", "--model.guest"):
        files = _FOLDER if option.endswith(("root", "_dir", ".labels")) else _FILE
    return _Option(about, names, files)


def _names() -> Mapping[str, Sequence[str]]:
    """Names that options take, by option."""
    return {
        "--data.layout": (AUTO, *LAYOUTS),
        "--data.settings": tuple(BENCHMARKS),
        "--data.stretch": ("none", "minmax"),
        "--model.activation": model_options.ACTIVATIONS,
        "--model.clip": ("embedded", *filter(_usable, towers.names())),
        "--model.pretrained": ("openai",),
        "--trainer.accelerator": ("auto", "cpu", "gpu"),
        "--trainer.precision": PRECISIONS,
        "--trainer.strategy": ("auto", "ddp"),
    }


def _usable(name: str) -> bool:
    try:
        towers.refuse_tower(towers.read_architecture(name)["vision_cfg"], name)
    except InputError:
        return False
    return True
