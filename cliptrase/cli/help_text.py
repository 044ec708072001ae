"""Help of `test` and `predict`, short: options of data sets, models and protocols, with their defaults."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from cliptrase.cli import early, sources
from cliptrase.cli.arguments import DATA, class_of, options
from cliptrase.common.errors import UsageError, suggestion
from cliptrase.common.options import WIDTH, program
from datamodules.specs import DATASETS

_COLUMN = 30  # where an option's description begins
_SUMMARIES = {
    "test": "Scores methods on data sets: a table, and a folder of files under outputs/.",
    "predict": "Writes a mask for every image.",
}
_OWN_DATA = {"test": "Folder", "predict": "Photos"}


def asked(command: str, words: Sequence[str]) -> str:
    """The help text that the words ask for; empty where they ask for none, or for the parser's own.

    Raises:
        UsageError: help on a data set that does not exist.
    """
    if {"-h", "--help"} & set(words):
        return _command(command)
    for option, value in options(words):
        if option == "--data.help":
            name = value or next((typed for known, typed in options(words) if known == "--data"), None) or ""
            return _data(command, class_of(name.removeprefix("datamodules.")))
        if option.startswith("--help") and not asked_in_full(words):
            raise UsageError(f"{option}={value} is no help; --help is short, --help=all has every option")
    return ""


def asked_in_full(words: Sequence[str]) -> bool:
    """Whether the words ask for help that only the parser has."""
    return "--help=all" in words or any(
        option.endswith(".help") and option != "--data.help" for option, _ in options(words)
    )


def _command(command: str) -> str:
    own = _OWN_DATA[command]
    parts = [
        f"Usage: {program()} {command} [--config NAME] --data NAME [--OPTION VALUE ...]",
        "",
        _SUMMARIES[command],
        *textwrap.wrap("Without options it runs the demo, which needs neither data nor network.", WIDTH),
        "",
        *_option(
            "--config NAME|FILE",
            "a configuration that comes with cliptrase, or a file; may be repeated, later "
            f"ones change earlier ones (paper_336; whole for Folder, photos for Photos). `{program()} list "
            "configs` shows them",
        ),
        *_option(
            "--protocol NAME|FILE",
            f"how images are shown and scored; `{program()} list protocols`. Single values: --protocol.size 448",
        ),
        *_option("--data NAME", f"{', '.join(DATA)}"),
    ]
    parts += [
        "",
        "Data sets:",
        *_options("data", early.parameters(early.PUBLISHED), ("root", "layout", "batch_size", "num_workers")),
    ]
    parts += ["", f"{own}, your own images (`{program()} {command} --data.help {own}` has all):"]
    shown = ("images", "labels", "classes") if own == "Folder" else ("images", "words", "background")
    parts += _options("data", early.parameters(own), shown)
    parts += ["", "Models and methods:", *_options("model", early.parameters("model"))]
    parts += [
        "",
        "Runs:",
        *(_option("--explain", "split what is lost of mIoU by cause") if command == "test" else ()),
        *(_option("--audit", "run each method without each of its parts, too") if command == "test" else ()),
        *(_option("--stress names", "score other names and absent ones in the same pass") if command == "test" else ()),
        *(_option("--sweep", "score other constants of the protocol, too") if command == "test" else ()),
        *(_option("--check published", "status 1 unless published scores come out") if command == "test" else ()),
        *_option("--resume", "go on with the newest unfinished run of these inputs"),
        *_option("--print_config", "print the configuration instead of running"),
        *_option(
            "--trainer.OPTION VALUE",
            "Lightning's own, such as --trainer.devices 2, --trainer.precision "
            "auto, --trainer.limit_test_batches 10, --trainer.default_root_dir DIR",
        ),
        "",
        f"`{program()} {command} --help=all` lists every option.",
    ]
    return "\n".join(parts)


def _data(command: str, name: str) -> str:
    if name not in DATA:
        meant = suggestion(name, DATA)
        raise UsageError(f"--data.help {name} is not a data set; {meant} one of {', '.join(DATA)}")
    places = sources.definitions(early.DATA_MODULES)
    about = DATASETS[name].description if name in DATASETS else sources.summary(places[name], name)
    lines = [f"Usage: {program()} {command} --data {name} [--data.OPTION VALUE ...]", ""]
    if about:
        lines += [*textwrap.wrap(about, WIDTH), ""]
    return "\n".join([*lines, *_options("data", early.parameters(name))])


def _options(section: str, known: Mapping[str, sources.Parameter], names: Iterable[str] = ()) -> list[str]:
    """Lines for the parameters of a section, all of them where no `names` are wanted."""
    lines = []
    for one in known.values():
        if one.name in names or not names:
            default = one.default.removeprefix("Path(").removesuffix(")").strip("'\"")
            usual = f" ({default})" if default not in ("", "None") else ""
            about = one.about if not names and section == "data" else one.about.partition(". ")[0]
            lines += _option(f"--{section}.{one.name}", f"{about.partition('; see `')[0].rstrip('.')}{usual}")
    return lines


def _option(name: str, about: str) -> list[str]:
    indent = " " * _COLUMN
    wrapped = textwrap.wrap(about, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False) or [
        indent
    ]
    head = f"  {name}"
    return [head.ljust(_COLUMN) + wrapped[0].lstrip(), *wrapped[1:]] if len(head) < _COLUMN - 1 else [head, *wrapped]
