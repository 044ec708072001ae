"""`docs/results_json.md` names every field of a run's `results.json`, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cliptrase.protocols.definitions import DEFINITIONS
from tests.command import run

PAGE = Path(__file__).resolve().parent.parent / "docs" / "results_json.md"
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|([^|]*)\| ([^|]+) \|$", re.MULTILINE)
KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "any": (object,),
}


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The demo on few scenes: four methods, so that there are differences, and a study."""
    out = tmp_path_factory.mktemp("demo") / "out"
    return run("test", out, "--config", "configs/demo.yaml", "--data.scenes", "3", "--explain").results


def fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field with its value; `[]` for elements of a list."""
    if isinstance(value, dict):
        for key, part in value.items():
            below = f"{path}.{key}" if path else key
            yield below, part
            yield from fields(part, below)
    elif isinstance(value, list):
        for part in value:
            yield from fields(part, f"{path}[]")


def pattern(field: str, document: dict[str, Any]) -> re.Pattern[str]:
    """What a documented field matches."""
    names = {
        "NAME": document["settings"],
        "METHOD": document["methods"],
        "DEFINITION": DEFINITIONS,
        "STUDY": document["studies"],
    }
    text = re.escape(field).replace(r"\*", ".+")
    for placeholder, keys in names.items():
        text = text.replace(placeholder, f"(?:{'|'.join(map(re.escape, keys))})")
    return re.compile(text)


def is_kind(value: Any, words: str) -> bool:
    """Whether a value is of a documented type: `list of 2 numbers, or null`."""
    names = [choice.split()[0] for choice in re.split(r",? or ", words.removesuffix(", optional"))]
    if isinstance(value, bool):
        return not {"boolean", "any"}.isdisjoint(names)
    return any(isinstance(value, KINDS[name]) for name in names)


def test_every_field_is_described_and_every_described_field_occurs(document: dict[str, Any]) -> None:
    described = {field: words.strip() for field, words, _, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    assert len(described) > 80
    patterns = {field: pattern(field, document) for field in described}
    seen = set()
    for path, value in fields(document):
        place = re.sub(r"^methods\.[^.]+\.(settings\..+)$", r"\1", path)  # the same form
        matching = [field for field in described if patterns[field].fullmatch(place)]
        exact = [field for field in matching if "*" not in field] or matching
        assert exact, f"{path} is not described"
        for field in exact:
            assert is_kind(value, described[field]), f"{path} is no {described[field]}: {value!r}"
        seen.update(matching)
    assert {field for field, words in described.items() if "optional" not in words} <= seen


def test_a_list_says_how_long_it_is(document: dict[str, Any]) -> None:
    for method in document["methods"].values():
        for entry in method["settings"].values():
            assert len(entry["intervals"]["mIoU"]) == 2
            assert set(entry["scores"]) == set(DEFINITIONS)
            assert all(set(row["scores"]) == set(DEFINITIONS) for row in entry["per_class"])


def test_the_methods_of_a_run_repeat_its_main_one(document: dict[str, Any]) -> None:
    main = next(iter(document["methods"]))
    assert document["settings"] == document["methods"][main]["settings"]
    assert document["headline"]["mIoU"] == document["settings"]["Shapes"]["scores"]["released"]["mIoU"]
