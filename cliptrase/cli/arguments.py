"""Arguments as people write them, made ready for the parser."""

import re
from pathlib import Path

import yaml
from jsonargparse import ArgumentError

import datamodules
from cliptrase.errors import InputError, one_line
from cliptrase.io import read_regular

SUBCOMMANDS = ("test", "predict")
_MOST_ALIASES = 20  # of a configuration; nested ones multiply, so that a few lines could fill the memory
_DEMO = "configs/demo.yaml"
_DEFAULT_CONFIG = "configs/paper_336.yaml"
_DEFAULT_CONFIGS = {"Folder": "configs/whole.yaml", "Photos": "configs/photos.yaml"}
DATA = [name for name in datamodules.__all__ if name not in ("DataError", "Geometry", "SegmentationDataModule")]
NO_DATA = f"no data: give --data with one of {', '.join(DATA)}, or --config {_DEMO}"

_TEXTS = re.compile(r"--data\.(?:init_args\.)?(words|background|classes)")
# An item of a list in brackets: in quotation marks, or up to the next comma.
_ITEM = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,]*?)\s*(?:,|$)""", re.DOTALL)


def with_defaults(arguments: list[str]) -> list[str]:
    """Adds the default configuration where none is given, and brings options into the order that the parser needs.

    Configurations come first, then the data set's class, then its options: so users may write them in any order.
    """
    if not arguments or arguments[0] not in SUBCOMMANDS or {"-h", "--help"} & set(arguments):
        return arguments
    if not any(argument.startswith(("--config", "-c", "--data", "--model")) for argument in arguments):
        return [arguments[0], "--config", _shipped(_DEMO), *arguments[1:]]
    configs, data, others = [], [], []
    rest = iter(arguments[1:])
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option in ("--config", "-c"):
            configs += ["--config", _readable(_shipped(value if equals else next(rest, "")))]
        elif option == "--data":
            data += ["--data", value if equals else next(rest, "")]
        elif _TEXTS.fullmatch(option):
            others.append(f"{option}={_as_text(option, value if equals else next(rest, ''))}")
        else:
            others.append(argument)
    if not configs:
        if not data:
            raise ArgumentError(None, NO_DATA)
        configs = ["--config", _shipped(_DEFAULT_CONFIGS.get(data[-1].rpartition(".")[2], _DEFAULT_CONFIG))]
    return [arguments[0], *configs, *data, *others]


def _as_text(option: str, value: str) -> str:
    """Words and names, which are text whatever YAML would make of them, as the parser's list of text.

    `on`, `null`, `cat: tabby` and `# 1 pencil` arrive as they are typed. Brackets hold a list.
    """
    inner = value.strip()
    if inner.startswith("[") and inner.endswith("]"):
        items = [match[1] for match in _ITEM.finditer(inner[1:-1]) if match[0]]
        for place, item in enumerate(items):
            if item[:1] in ("'", '"') and item[:1] == item[-1:] and len(item) > 1:
                items[place] = re.sub(r"\\(['\"\\])", r"\1", item[1:-1])
            elif re.search(r"[\[\]{}]", item):
                raise ArgumentError(
                    None,
                    f"{option} {value}: the item {item!r} holds a bracket; put a name that has one in quotation marks",
                )
        return f"[{', '.join(map(_double_quoted, items))}]"
    return value if option.endswith("classes") else f"[{_double_quoted(value)}]"


def _double_quoted(text: str) -> str:
    """The text as a scalar of YAML in double quotes, all but plain characters escaped."""
    plain = (
        f"\\{character}" if character in '"\\' else character if character.isprintable() else f"\\U{ord(character):08x}"
        for character in re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)  # bytes that are no text
    )
    return f'"{"".join(plain)}"'


def _readable(path: str) -> str:
    """The path of a configuration, once it is sure that the parser can read it to its end.

    Raises:
        InputError: it is no regular file of text, or no YAML.
    """
    try:
        if not Path(path).exists():
            return path  # the parser says so
        events = yaml.parse(read_regular(Path(path)).decode(), yaml.SafeLoader)
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in events)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--config {path} cannot be read as YAML ({one_line(error)}); give a text file") from error
    if aliases > _MOST_ALIASES:
        raise InputError(f"--config {path} holds {aliases} aliases (*name); write their values out")
    return path


def _shipped(path: str) -> str:
    """A path `configs/NAME.yaml` as it lies beside the package, where the working folder has none."""
    if path.startswith("configs/") and not Path(path).exists():
        for place in (Path(__file__).parents[2], Path(__file__).parents[1]):
            if (place / path).is_file():
                return str(place / path)
    return path
