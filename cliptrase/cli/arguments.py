"""Arguments as people write them, made ready for the parser."""

import re
from collections.abc import Iterator, Sequence

import datamodules
from cliptrase.cli import configs
from cliptrase.common.errors import UsageError

SUBCOMMANDS = ("test", "predict")
_DEMO = "demo"
_DEFAULT_CONFIG = "paper_336"
_DEFAULT_CONFIGS = {"Folder": "whole", "Photos": "photos"}
PUBLISHED = "published"  # what --check takes
_FLAGS = ("--resume", "--explain", "--sweep", "--audit", "--print_config", "--help", "-h")
STRESSES = ("names",)  # of `--stress`
DATA = list(datamodules.DATA_NAMES)
NO_DATA = f"no data: give --data with one of {', '.join(DATA)}, or --config {_DEMO}"

_TEXTS = re.compile(r"--data\.(?:init_args\.)?(words|background|classes|ignore)")
# An item of a list in brackets: in quotation marks, or up to the next comma.
_ITEM = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^,]*?)\s*(?:,|$)""", re.DOTALL)


def options(words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Options and their values, None where one has none; a word that stands alone comes with None, too."""
    place = 0
    while place < len(words):
        option, equals, value = words[place].partition("=") if words[place].startswith("-") else (words[place], "", "")
        place += 1
        if equals:
            yield option, value
        elif _takes_next(option) and place < len(words) and (words[place][:2] != "--" or _TEXTS.fullmatch(option)):
            yield option, words[place]
            place += 1
        else:
            yield option, None


def _takes_next(option: str) -> bool:
    return option.startswith("-") and option not in _FLAGS


def with_defaults(arguments: Sequence[str]) -> list[str]:
    """Adds the default configuration where none is given, and brings options into the order that the parser needs.

    Configurations come first, then the data set's class, then its options: so users may write them in any order.

    Raises:
        UsageError: a configuration that is not there, or a list in brackets that cannot be told apart.
    """
    command, *words = arguments
    if not any(word.startswith(("--config", "-c", "--data", "--model", "--protocol")) for word in words):
        return [command, "--config", str(configs.find(_DEMO)), *words]
    files, data, others = [], [], []
    for option, value in options(words):
        if option in ("--config", "-c"):
            files += ["--config", str(configs.find(value or ""))]
        elif option in ("--data", "--data.class_path"):
            data += ["--data", class_of(value or "")]
        elif _TEXTS.fullmatch(option):
            others.append(f"{option}={_as_text(option, value or '')}")
        elif option == "--model.compare" and value and not value.strip().startswith("["):
            others.append(f"{option}=[{value}]")
        elif value is None:
            others.append(option)
        else:
            others.append(f"{option}={value}")
    if not files:
        name = data[-1].rpartition(".")[2] if data else ""
        files = ["--config", str(configs.find(_DEFAULT_CONFIGS.get(name, _DEFAULT_CONFIG)))]
    return [command, *files, *data, *others]


def class_of(name: str) -> str:
    """A data set's class as it is written, whatever the case of letters in which it is asked for."""
    by_lower = {known.lower(): known for known in DATA}
    return by_lower.get(name.lower(), name)


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
                raise UsageError(
                    f"{option} {value}: the item {item!r} holds a bracket; put a name that has one in quotation marks"
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
