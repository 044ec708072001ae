"""Configurations: those that come with the package, by name, and files, read before the parser sees them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cliptrase.common.errors import InputError, UsageError, one_line, suggestion
from cliptrase.common.io import read_regular

_BASE = "base.yaml"
_MOST_ALIASES = 20  # of a configuration; nested ones multiply, so that a few lines could fill the memory


def shipped() -> dict[str, Path]:
    """Configurations that come with the package, by name."""
    return {path.stem: path for path in sorted(base().parent.glob("*.yaml")) if path != base()}


def base() -> Path:
    """The configuration that all others change."""
    places = (Path(__file__).parents[1] / "configs", Path(__file__).parents[2] / "configs")  # installed, checked out
    return next((place for place in places if (place / _BASE).is_file()), places[0]) / _BASE


def find(config: str) -> Path:
    """The file that `--config` names: a file, or one that comes with the package by its name.

    `sclip`, `sclip.yaml` and `configs/sclip.yaml` name the same one wherever no such file is.

    Raises:
        UsageError: neither; says what there is.
    """
    path = Path(config)
    try:
        if path.is_file() or (path.exists() and not path.is_dir()):
            return path
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {config!r} cannot be looked up ({one_line(error)}); give a file") from error
    names = shipped()
    name = config.removeprefix("configs/").removesuffix(".yaml")
    if name in names:
        return names[name]
    meant = suggestion(name, names)
    what = "is a folder" if path.is_dir() else "is no file"
    raise UsageError(
        f"--config {config!r} {what} and no configuration of that name comes with cliptrase; {meant} a file, or one of "
        f"{', '.join(names)}"
    )


def read(path: Path) -> Mapping[str, Any]:
    """A configuration's values; empty where it holds something else than names and values, which the parser tells.

    Raises:
        InputError: it is no regular file of text, or no YAML.
    """
    try:
        text = read_regular(path).decode()
        aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--config {path} cannot be read as YAML ({one_line(error)}); give a text file") from error
    if aliases > _MOST_ALIASES:
        raise InputError(f"--config {path} holds {aliases} aliases (*name); write their values out")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):  # tags, several documents
        return {}
    return content if isinstance(content, Mapping) else {}
