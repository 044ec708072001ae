"""The protocol of `test` and `predict`: a name, a file or a module, and single values, wherever they are given."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from cliptrase.cli import configs
from cliptrase.common.errors import InputError
from cliptrase.protocols.protocol import FIELDS, require_field
from cliptrase.protocols.table import DEFAULT, get_protocol

_OPTION = "--protocol"
_CONFIG = ("--config", "-c")


def with_protocol(arguments: Sequence[str]) -> list[str]:
    """Replaces all that arguments and their configurations say of the protocol by one option with every value.

    `--protocol` counts before configurations, a later configuration before an earlier one, of which it may change
    single values, and `--protocol.FIELD` before all. The parser then has nothing to merge.

    Args:
        arguments: a command's name and its words, options and values in one word or two.

    Raises:
        InputError: there is no such protocol, field or value.
    """
    if {"-h", "--help"} & set(arguments):
        return list(arguments)
    spec: Any = None
    changes: dict[str, Any] = {}
    others: list[str] = []
    files: list[str] = []
    words = iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if option == _OPTION:
            spec = value if equals else next(words, "")
        elif option.startswith(f"{_OPTION}."):
            name = option.removeprefix(f"{_OPTION}.")
            require_field(name)
            changes[name] = _value(value if equals else next(words, ""))
        elif option in _CONFIG:
            files.append(value if equals else next(words, ""))
            others += ["--config", files[-1]]
        else:
            others.append(word)
    if spec is None:
        for config in files:
            spec = _of_config(config, spec)
    protocol = get_protocol(**changes) if spec is None else get_protocol(spec, **changes)
    return [*others, f"{_OPTION}={json.dumps(protocol.values())}"]


def parsed(value: Any) -> Any:
    """The protocol that `with_protocol` wrote; what configurations say was read there and is left as it is."""
    return get_protocol(json.loads(value)) if isinstance(value, str) and value.startswith("{") else value


def _value(text: str) -> Any:
    """What a word of the command line means: a number, true or false, a table; else the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _of_config(config: str, before: Any) -> Any:
    """What a configuration says of the protocol, or what was said before where it says nothing.

    Raises:
        InputError: what it says cannot be.
    """
    content = configs.read(Path(config)) if Path(config).is_file() else {}
    if content.get("protocol") is None:
        return before
    said = content["protocol"]
    try:
        if isinstance(said, Mapping) and "base" not in said and said.keys() < FIELDS.keys():
            return get_protocol(DEFAULT if before is None else before, **said)
        return get_protocol(said)
    except InputError as error:
        raise InputError(f"--config {config}: {error}") from error
