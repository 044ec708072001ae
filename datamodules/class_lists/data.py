"""Class lists in JSON and YAML: lists of names or entries, and mappings of names and numbers."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from cliptrase.common.errors import one_line
from cliptrase.vocabulary import unreadable
from datamodules.class_lists.source import (
    COLOUR_WORDS,
    NAME_WORDS,
    NUMBER,
    NUMBER_WORDS,
    WHOLE_COLOUR_WORDS,
    WHOLE_NUMBER,
    ClassList,
    Source,
    as_head,
    is_another_order,
    numbered,
)
from datamodules.colours import Colour, colours_of

_LIST_KEYS = (*NAME_WORDS, "stuff_classes", "thing_classes", "id2label", "label2id")
_NAME_KEYS = ("name", "class_name", "label_name", "category_name", "title", "label", "class", "category")
_MOST_CHARACTERS = 4 << 20  # of the list itself, without the annotations that a file of COCO's form holds
_BETWEEN = re.compile(r"[\s,:]*")
# JSON is composed by the compiled loader where there is one, since lists of thousands of entries take seconds else.
_JSON_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_data(source: Source, text: str, form: str) -> ClassList:
    """Names of JSON or YAML, whose scalars are text: `on` is a name, not a truth value."""
    try:
        node, form = _compose(source, text, form)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        number = mark.line + 1 if mark is not None else getattr(error, "lineno", 1)
        reason = getattr(error, "problem", None) or getattr(error, "msg", None) or one_line(error)
        source.refuse(number, f"this is no {form} ({reason})", "mend it, or write one class a line")
    if isinstance(node, yaml.SequenceNode):
        return _sequence(source, node, form)
    if isinstance(node, yaml.MappingNode):
        return _mapping(source, node)
    return source.refuse(1, f"this {form} holds no list of names")


def _compose(source: Source, text: str, form: str) -> tuple[yaml.Node | None, str]:
    """The node that lists the names, and which form the text is of."""
    if form != "YAML":
        try:
            document = json.loads(text)
        except ValueError:
            if source.path.suffix.lower() == ".json":
                raise
        else:
            return yaml.compose(_json_list(source, text, document).replace("\t", " "), Loader=_JSON_LOADER), "JSON"
    for number, line in enumerate(text.split("\n"), 1):
        if fault := unreadable(line.replace("\t", " ")):
            source.refuse(number, f"{line.strip()[:40]!r} holds {fault}", "take it out")
    node = yaml.compose(text, Loader=yaml.BaseLoader)
    return _inner(source, node) if isinstance(node, yaml.MappingNode) else node, form


def _json_list(source: Source, text: str, document: Any) -> str:
    """What lists the names in a text of JSON, in its lines: the value of the one key that does, or the whole."""
    start, end = 0, len(text)
    if isinstance(document, dict):
        places = _places(text, document)
        if len(places) > 1:
            key, start, _ = places[1]
            source.refuse(text.count("\n", 0, start) + 1, f"{key!r} is a second list of names", "leave one of them")
        if places:
            _, start, end = places[0]
    if end - start > _MOST_CHARACTERS:
        source.refuse(
            text.count("\n", 0, start) + 1, "this JSON holds no list of names", "give a file of the classes alone"
        )
    return "\n" * text.count("\n", 0, start) + text[start:end]


def _places(text: str, document: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Where the lists and mappings stand whose key says that they hold names."""
    if not any(key.lower() in _LIST_KEYS and isinstance(value, dict | list) for key, value in document.items()):
        return []
    decoder, places = json.JSONDecoder(), []
    place = _skip(text, text.index("{") + 1)
    while text[place] != "}":
        key, place = decoder.raw_decode(text, place)
        start = _skip(text, place)
        value, place = decoder.raw_decode(text, start)
        if key.lower() in _LIST_KEYS and isinstance(value, dict | list):
            places.append((key, start, place))
        place = _skip(text, place)
    return places


def _skip(text: str, place: int) -> int:
    match = _BETWEEN.match(text, place)
    return match.end() if match else place


def _inner(source: Source, node: yaml.MappingNode) -> yaml.Node:
    """The list under a key such as `names`, where there is just one."""
    lists = [
        (key, value)
        for key, value in node.value
        if isinstance(value, yaml.MappingNode | yaml.SequenceNode)
        and isinstance(key, yaml.ScalarNode)
        and key.value.lower() in _LIST_KEYS
    ]
    if len(lists) > 1:
        second = lists[1][0]
        source.refuse(second.start_mark.line + 1, f"{second.value!r} is a second list of names", "leave one of them")
    return lists[0][1] if lists else node


def _scalar(source: Source, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        source.refuse(node.start_mark.line + 1, "here stands no name")
    # JSON writes what lies beyond 16 bits as two halves.
    return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


def _sequence(source: Source, node: yaml.SequenceNode, form: str) -> ClassList:
    if node.value and all(isinstance(item, yaml.MappingNode) for item in node.value):
        return _entries(source, node)
    if source.by_colour and node.value:
        source.refuse(node.value[0].start_mark.line + 1, "here stands no name with a colour")
    names = [_scalar(source, item) for item in node.value]
    for item in node.value:
        if not item.style and (form == "JSON" or NUMBER.fullmatch(item.value)):
            source.refuse(item.start_mark.line + 1, f"{item.value} is no name", "put a name in quotation marks")
    return ClassList(names, [item.start_mark.line + 1 for item in node.value], None)


def _entries(source: Source, node: yaml.SequenceNode) -> ClassList:
    """A list of entries such as {"id": 0, "name": "cat"}."""
    lines = [item.start_mark.line + 1 for item in node.value]
    nodes = [{as_head(_scalar(source, key)): value for key, value in item.value} for item in node.value]
    rows = [
        {key: str(value.value) for key, value in row.items() if isinstance(value, yaml.ScalarNode)} for row in nodes
    ]

    def values(key: str) -> list[str | None]:
        return [row.get(key) for row in rows]

    def is_numeric(key: str) -> bool:
        return all(value is not None and WHOLE_NUMBER.fullmatch(value) for value in values(key))

    name = next((key for key in _NAME_KEYS if all(key in row for row in nodes) and not is_numeric(key)), "")
    if not name:
        lacking = [line for row, line in zip(nodes, lines, strict=True) if not row.keys() & {*_NAME_KEYS}]
        source.refuse((lacking or lines)[0], "this entry has no 'name'")
    names = [_scalar(source, row[name]) for row in nodes]
    if source.by_colour:
        return _coloured_entries(source, nodes, names, lines)
    keys = [key for key in dict.fromkeys(key for row in rows for key in row) if key != name]
    counting = [
        key
        for key in keys
        if (key in NUMBER_WORDS and any(value and WHOLE_NUMBER.fullmatch(value) for value in values(key)))
        or (key in NAME_WORDS and is_numeric(key))
    ]
    if len({tuple(values(key)) for key in counting}) > 1:
        first, second = counting[:2]
        source.refuse(lines[0], f"{first!r} and {second!r} both number the classes", "leave one of them")
    if counting:
        return numbered(source, list(zip(values(counting[0]), names, lines, strict=True)))
    for key in keys:
        if key not in COLOUR_WORDS and is_numeric(key) and is_another_order([row[key] for row in rows]):
            source.refuse(
                lines[0],
                f"{key!r} numbers the entries in another order than they stand in",
                "call it 'id' if these are the labels, or take it away",
            )
    return ClassList(names, lines, None)


def _coloured_entries(
    source: Source, nodes: Sequence[Mapping[str, yaml.Node]], names: list[str], lines: list[int]
) -> ClassList:
    """A list of entries such as {"name": "cat", "color": [255, 0, 0]}."""
    colours = []
    for row, name, line in zip(nodes, names, lines, strict=True):
        key = next((word for word in WHOLE_COLOUR_WORDS if word in row), "")
        if not key:
            source.refuse(line, f"{name!r} has no 'color'")
        colours.append(_colours(source, name, row[key]))
    return ClassList(names, lines, None, colours)


def coloured_mapping(source: Source, node: yaml.MappingNode) -> ClassList:
    """A mapping of names to colours, each one colour or a list of such.

    Raises:
        DataError: naming the line whose value is no colour.
    """
    names = [_scalar(source, key) for key, _ in node.value]
    colours = [_colours(source, name, value) for name, (_, value) in zip(names, node.value, strict=True)]
    return ClassList(names, [key.start_mark.line + 1 for key, _ in node.value], None, colours)


def _colours(source: Source, name: str, node: yaml.Node) -> tuple[Colour, ...]:
    if isinstance(node, yaml.ScalarNode) and not node.value.strip():
        source.refuse(
            node.start_mark.line + 1,
            f"{name!r} has no colour",
            "write [255, 128, 0] or '#ff8000', in quotation marks since # begins a comment",
        )
    try:
        return colours_of(_plain(node))
    except ValueError as error:
        source.refuse(node.start_mark.line + 1, f"{name!r}: {error}", "write [255, 128, 0] or '#ff8000'")


def _plain(node: yaml.Node) -> Any:
    """Text, or lists of such; a mapping as an empty text."""
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _mapping(source: Source, node: yaml.MappingNode) -> ClassList:
    if source.by_colour:
        return coloured_mapping(source, node)
    pairs = [(_scalar(source, key), _scalar(source, value), key.start_mark.line + 1) for key, value in node.value]
    by_number = all(key.isdecimal() for key, *_ in pairs)
    by_name = all(value.isdecimal() for _, value, _ in pairs)
    if by_number == by_name:
        source.refuse(pairs[0][2] if pairs else 1, "names and numbers cannot be told apart in this mapping")
    return numbered(source, [(k, v, line) if by_number else (v, k, line) for k, v, line in pairs])
