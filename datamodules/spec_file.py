"""A data set of one's own, from options or from one YAML file, as a `DatasetSpec`.

A YAML file holds any of the fields of `FolderOptions`:

    name: Rooms
    images: images/val
    labels: labels/val
    classes: [wall, [sofa, couch], lamp]

Its relative paths start from the file's own folder, so that data and description move together.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from cliptrase.common.errors import did_you_mean, one_line, with_options
from datamodules.class_lists.data import coloured_mapping
from datamodules.class_lists.source import Source
from datamodules.errors import DataError
from datamodules.folder_spec import FolderOptions
from datamodules.own_colours import rows_of
from datamodules.spec import DatasetSpec

ENDINGS = frozenset({".yaml", ".yml"})
_MOST_BYTES = 16 << 20
_PLACES = ("images", "labels", "list", "classes", "colors")


def read_options(path: Path, root: Path | None = None) -> FolderOptions:
    """Options of a YAML file.

    Args:
        path: of the file.
        root: folder that its relative paths start from; by default the file's own.

    Raises:
        DataError: the file cannot be read, or holds a field that is not known or a value of another kind.
    """
    path = Path(path).expanduser()
    entries = _entries(path)
    known = [row.name for row in fields(FolderOptions)]
    values: dict[str, Any] = {}
    for key, (node, line) in entries.items():
        if key not in known:
            near = did_you_mean(key, known)
            meant = f"did you mean {near}?" if near else f"take some of {', '.join(known)}"
            raise DataError(f"{path}, line {line}: {key!r} is no field of a data set; {meant}")
        values[key] = _value(path, key, node, f"{path}, line {line}: {key}")
    base = path.absolute().parent if root is None else root
    for key in _PLACES:
        if isinstance(place := values.get(key, getattr(FolderOptions, key)), Path):
            values[key] = base / place
    try:
        return FolderOptions(**values)
    except DataError as error:
        raise _of_file(path, error) from error


def read_spec(path: Path) -> DatasetSpec:
    """The data set of a YAML file, to be scored.

    Raises:
        DataError: the file cannot be read or describes none.
    """
    options = read_options(path)
    try:
        spec = options.spec()
        options.require_ignore_label(spec)
    except DataError as error:
        raise _of_file(path, error) from error
    return spec


def read_specs(paths: Iterable[Path]) -> list[DatasetSpec]:
    """The data sets of several YAML files.

    Raises:
        DataError: one cannot be read or describes none, or two have one name.
    """
    named = {str(path): read_spec(path) for path in paths}
    require_names(named)
    return [*named.values()]


def require_names(specs: Mapping[str, DatasetSpec]) -> None:
    """Asks that data sets which stand in one table have different names, also to those who overlook capitals.

    Args:
        specs: by what the user wrote for them.

    Raises:
        DataError: two have one name.
    """
    seen: dict[str, str] = {}
    for given, spec in specs.items():
        other = seen.setdefault(spec.name.casefold(), given)
        if other != given:
            raise DataError(f"{other} and {given} are both called {spec.name}; write a name of its own in each file")


def _of_file(path: Path, error: DataError) -> DataError:
    """The error of a file's fields, which are no options."""
    sentence = with_options(str(error), {row.name: row.name for row in fields(FolderOptions)})
    return DataError(sentence if str(path) in sentence else f"{path}: {sentence}")


def _entries(path: Path) -> dict[str, tuple[yaml.Node, int]]:
    """Values of a YAML file by field, and the line of each."""
    try:
        if not path.is_file():
            raise DataError(f"{path} is no file; give a YAML file with the fields of a data set")
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} is larger than {_MOST_BYTES >> 20} MiB: no description of a data set")
        node = yaml.compose(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read as YAML ({one_line(error)}); give a text file") from error
    if not isinstance(node, yaml.MappingNode):
        raise DataError(f"{path} holds no fields; write lines like 'images: images/val'")
    entries: dict[str, tuple[yaml.Node, int]] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = str(key.value)
        if name in entries:
            raise DataError(f"{path}, line {line}: {name} stands in line {entries[name][1]} already; take one away")
        entries[name] = (value, line)
    return entries


def _value(path: Path, key: str, node: yaml.Node, where: str) -> Any:
    """A field's value, as what the field is; text is text whatever YAML makes of it."""
    if key in ("classes", "background", "ignore") and isinstance(node, yaml.SequenceNode):
        return [_item(item, where, nested=key == "classes") for item in node.value]
    if key == "colors" and isinstance(node, yaml.MappingNode):
        source = Source(path, "`colors` of", synonyms=False, by_colour=True)
        return rows_of(coloured_mapping(source, node), f"`colors` of {str(path)!r}")
    text = _text(node, where)
    if key in ("background_index", "ignore_label", "label_offset", "max_pixels"):
        if not re.fullmatch(r"[+-]?\d{1,12}", text):
            raise DataError(f"{where} must be a whole number, not {text!r}")
        return int(text)
    if key == "synonyms":
        if text.lower() not in ("true", "false"):
            raise DataError(f"{where} must be true or false, not {text!r}")
        return text.lower() == "true"
    return Path(text).expanduser() if key in _PLACES else text


def _item(node: yaml.Node, where: str, nested: bool) -> str | list[str]:
    if nested and isinstance(node, yaml.SequenceNode):
        return [_text(item, where) for item in node.value]
    return _text(node, where)


def _text(node: yaml.Node, where: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise DataError(f"{where} holds several values where one was expected")
    if not node.value.strip() and node.style is None:
        raise DataError(f"{where} has no value; give one or take the line away")
    return str(node.value)
