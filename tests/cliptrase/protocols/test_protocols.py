"""The table of protocols, others made of its rows, from files and from modules, and that no code knows their names."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cliptrase.common.errors import InputError
from cliptrase.methods import get_method
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.protocols.table import PROTOCOLS, get_protocol, notes
from cliptrase.vocabulary import LISTS
from datamodules.specs import BENCHMARKS, DATASETS
from tests.published_protocols import VALUES

ROOT = Path(__file__).resolve().parents[3]
NAMES = {*PROTOCOLS, *(row.name for row in PROTOCOLS.values())}
MINE = PROTOCOLS["paper_224"]  # for `package.module:NAME`
OWN = replace(PROTOCOLS["sclip"], name="mine", eps=0.5, base=None)


CHOICES = {
    path.stem: content
    for path in sorted((ROOT / "configs").glob("*.yaml"))
    if isinstance((content := yaml.safe_load(path.read_text())).get("protocol"), str)
}


def test_every_protocol_has_a_configuration() -> None:
    """Also what has values of another's: PEARL and ResCLIP those of NACLIP."""
    assert {config["protocol"] for config in CHOICES.values()} == set(PROTOCOLS)
    others = {name: config["protocol"] for name, config in CHOICES.items() if config["protocol"] != name}
    assert others == {"pearl": "naclip", "resclip": "naclip"}


@pytest.mark.parametrize("name", CHOICES)
def test_configs_name_rows_and_methods(name: str) -> None:
    """A label without further words says that nothing is changed."""
    row, method = CHOICES[name]["protocol"], CHOICES[name]["model"]["method"]
    assert get_protocol(row) is PROTOCOLS[row]
    assert get_protocol(row).label == row.replace("_", " ")
    assert get_method(method).name == method


@pytest.mark.parametrize("key", PROTOCOLS)
def test_a_name_stands_for_all_its_values(key: str) -> None:
    published = PROTOCOLS[key]
    assert get_protocol(published.name, size=published.size) == published
    again = get_protocol(published.values())  # as results and configurations write them
    assert (again, again.label, again.digest) == (published, published.label, published.digest)
    other = get_protocol(key, size=352 if published.size == "own" else published.size + 16)
    assert replace(other, size=published.size) == published  # nothing but the size is another
    assert other.label.startswith(
        f"{published.name} {other.size}, eps {published.eps:g}, min_samples {published.min_samples}, "
    )
    assert get_protocol(other.values()).label == other.label


def test_values_of_names() -> None:
    """Facts of the papers and their configurations, written here once more."""
    sclip, naclip, clearclip = get_protocol("sclip"), get_protocol("naclip"), get_protocol("clearclip")
    assert (sclip.size, sclip.window, sclip.stride, sclip.logit_scale, sclip.background_threshold) == (
        *(336, 224, 112, 40, 0.1),
    )
    assert (get_protocol("paper", size=224).eps, get_protocol("paper", size=224).min_samples) == (0.7, 3)
    assert (get_protocol("paper").size, get_protocol("paper").eps, get_protocol("paper").min_samples) == (336, 1.1, 7)
    assert get_protocol("paper", size=240).eps == 0.7  # of the nearest published size
    assert get_protocol("paper", size=448).eps == 1.1
    assert (clearclip.size, clearclip.window, clearclip.on("Cityscapes").window) == (448, 448, 224)
    assert {name: naclip.on(name).window for name in ("VOC20", "VOC21", "PC60", "COCO171")} == {
        **dict.fromkeys(("VOC20", "VOC21"), "image"),
        **dict.fromkeys(("PC60", "COCO171"), 224),
    }
    for setting in DATASETS:
        values = naclip.on(setting)
        assert (values.logit_scale, values.min_area, values.background_threshold, values.vocabulary) == (
            *(40, 0, 0.1, "sclip"),
        )
        assert values.size == (560 if setting == "Cityscapes" else 336)
    for protocol in (sclip, naclip, clearclip):
        assert (protocol.scoring, protocol.void, protocol.normalisation, protocol.interpolation, protocol.longest) == (
            *("mmseg", "ignored", "mmseg", "opencv", 2048),
        )
    detectron2, paper = get_protocol("detectron2"), get_protocol("paper")
    assert (detectron2.scoring, detectron2.vote, detectron2.templates, detectron2.interpolation) == (
        *("detectron2", "mean", "vild", "bilinear"),
    )
    assert (paper.scoring, paper.vote, paper.templates, paper.interpolation, paper.void) == (
        *("released", "majority", "imagenet", "bicubic", "background"),
    )


@pytest.mark.parametrize("name", VALUES)
def test_values_of_released_configurations(name: str) -> None:
    protocol, sclip = get_protocol(name), get_protocol("sclip")
    assert set(VALUES[name]) == set(BENCHMARKS["sclip"])
    for dataset, values in VALUES[name].items():
        on = protocol.on(dataset)
        assert (on.size, on.window, on.stride) == (values.size, values.window or "image", values.stride)
        assert (on.logit_scale, on.background_threshold, on.min_area) == values[3:], dataset
        paper = get_protocol("paper", size=values.window or values.size)  # regions of windows are those of such crops
        assert (on.eps, on.min_samples, on.vote) == (paper.eps, paper.min_samples, "mean")
    shared = ("view", "longest", "interpolation", "normalisation", "fit", "decision", "templates", "void", "scoring")
    assert all(getattr(protocol, field) == getattr(sclip, field) for field in shared)
    assert protocol.vocabulary == (name if name in LISTS else "sclip")


def test_notes() -> None:
    """Thresholds chosen for one method, regions that no paper measured; nothing where neither is in the run."""
    clearclip = get_protocol("clearclip")
    (sentence,) = notes(clearclip, ["clearclip", "naclip", "vanilla"], ["VOC20", "VOC21", "PC60"])
    assert sentence == (
        "The background thresholds of clearclip (VOC21 0.5, PC60 0.15) were chosen for ClearCLIP, whose author names "
        "0.2 for plain CLIP: they may cost naclip, vanilla points."
    )
    assert notes(clearclip, ["clearclip"], ["VOC21"]) == notes(clearclip, ["naclip"], ["VOC20", "ADE150"]) == []
    changed = replace(clearclip, overrides={"VOC21": {"background_threshold": 0.2}})
    assert notes(changed, ["naclip"], ["VOC21"]) == []
    assert notes(get_protocol("proxyclip"), ["naclip", "proxyclip"], ["VOC21", "PC60", "ADE150"]) == [
        "The background thresholds of proxyclip (VOC21 0.2, PC60 0.15) were chosen for ProxyCLIP, whose configurations "
        "name 0.1 (VOC21, COCOObject) and 0.05 (PC60) for plain CLIP: they may cost naclip points."
    ]
    own = get_protocol("clearclip", name="mine", eps=2)  # its thresholds are ClearCLIP's still
    assert notes(own, ["naclip"], ["VOC21"])
    for name in ("sclip", "naclip"):
        (sentence,) = notes(get_protocol(name), ["naclip", "vanilla+regions", "cliptrase"], ["VOC20"])
        assert sentence == (
            f"No paper has measured regions under {name}: eps and min_samples of vanilla+regions, cliptrase are this "
            "project's."
        )
        assert notes(get_protocol(name), ["naclip", "cliptrase-regions"], ["VOC20", "VOC21"]) == []
    assert notes(get_protocol("paper"), ["cliptrase", "vanilla"], ["VOC21"]) == []


def written(folder: Path, content: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_a_file_changes_a_row(tmp_path: Path) -> None:
    path = written(tmp_path, {"base": "sclip", "name": "mine", "window": 112, "stride": 56})
    mine = get_protocol(str(path))
    assert mine == get_protocol(path) == get_protocol("sclip", name="mine", window=112, stride=56)
    assert (mine.label, mine.name, mine.size) == ("mine", "mine", 336)
    assert mine.digest != get_protocol("sclip", window=112, stride=56).digest
    assert get_protocol(mine.values()) == mine
    assert get_protocol(mine.values()).label == "mine"
    unnamed = written(tmp_path, {"base": "paper", "size": 224, "eps": 0.5})
    assert get_protocol(unnamed).label == "paper 224, eps 0.5"


def test_a_file_may_hold_all(tmp_path: Path) -> None:
    whole = get_protocol("whole").values() | {"name": "mine"}
    assert get_protocol(written(tmp_path, whole)) == replace(get_protocol("whole"), name="mine")
    needed = {name: whole[name] for name in whole if name not in ("version", "stride", "window", "overrides", "void")}
    assert get_protocol(written(tmp_path, needed)) == get_protocol(whole)


def test_a_changed_file_says_so(tmp_path: Path) -> None:
    """Its name then holds what was changed, and comes again of the values that a run writes."""
    path = written(tmp_path, {"base": "paper", "name": "mine"})
    changed = get_protocol(path, eps=0.4, size=224)
    assert changed.name == "mine, size 224, eps 0.4"
    assert get_protocol(changed.values()) == changed
    assert get_protocol(path, eps=1.1) == get_protocol(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"base": "sclp"}, "protocol.base must be one of paper_224, .*, not 'sclp'; did you mean sclip?"),
        ({"base": ["sclip"]}, "protocol.base must be one of .*, not ['sclip']"),
        ({"base": "sclip", "stide": 4}, "protocol has no field 'stide'; did you mean stride?"),
        ({"base": "sclip", "nonsense": 4}, "protocol has no field 'nonsense'; it has base, name, version, view, "),
        ({"base": "sclip", "stride": "x"}, "protocol.stride must be a whole number, not 'x'"),
        ({"base": "sclip", "eps": -1}, "protocol.eps must be greater than 0, not -1"),
        ({"base": "sclip", "view": "whole_imge"}, "not 'whole_imge'; did you mean whole_image?"),
        ({"base": "sclip", "size": None}, "protocol.size must be a whole number or 'own', not None"),
        ({"name": "mine", "size": 3}, "a protocol without protocol.base needs all fields, and has no view, "),
        ({1: 2}, "protocol has no field 1"),
        ("- a\n", "holds no fields"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(content: Any, words: str, tmp_path: Path) -> None:
    """File, field, value and what it may be, in one sentence."""
    path = written(tmp_path, content)
    pattern = re.escape(words).replace(r"\.\*", ".*")
    with pytest.raises(InputError, match=f"{re.escape(str(path))}.*{pattern}") as caught:
        get_protocol(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nonsense", "there is no protocol 'nonsense'; take one of paper_224, paper_336, detectron2, "),
        ("sclp", "there is no protocol 'sclp'; did you mean sclip? Else take one of "),
        ("nowhere.yaml", "protocol nowhere.yaml cannot be read as YAML"),
        (5, "there is no protocol 5"),
        ("tests.cliptrase.protocols.test_protocols:ROOT", "is PosixPath, not an EvaluationProtocol"),
        ("tests.cliptrase.protocols.test_protocols:OWNS", "has no 'OWNS' (did you mean OWN?)"),
        ("tests.nowhere:OWN", "there is no module tests.nowhere"),
    ],
)
def test_what_is_no_protocol(spec: Any, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        get_protocol(spec)


def test_a_module_has_protocols() -> None:
    assert get_protocol("tests.cliptrase.protocols.test_protocols:OWN") is OWN
    assert get_protocol("tests.cliptrase.protocols.test_protocols:OWN", eps=0.6).name == "mine, eps 0.6"
    assert get_protocol({"base": "tests.cliptrase.protocols.test_protocols:OWN", "name": "other"}).eps == 0.5
    assert get_protocol("tests.cliptrase.protocols.test_protocols:MINE").label == "paper 224"


def test_protocols_need_no_torch() -> None:
    code = "import sys, cliptrase.protocols.table; assert not {'torch', 'open_clip', 'PIL'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


TABLE = ROOT / "cliptrase" / "protocols" / "table.py"
CODE = [
    *(path for room in ("cliptrase", "datamodules", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))),
    ROOT / "cli.py",
]


_COMPARES = ("startswith", "endswith", "index", "count")


def comparisons(tree: ast.AST) -> Iterator[ast.AST]:
    """Sides of comparisons and memberships, subjects and values of patterns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            yield from (node.left, *node.comparators)
        elif isinstance(node, ast.Match):
            yield node.subject
        elif isinstance(node, ast.MatchValue):
            yield node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _COMPARES:
            yield from node.args


def keys(tree: ast.AST) -> Iterator[ast.AST]:
    """Keys of tables, and what is looked up in them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            yield node.slice
        elif isinstance(node, ast.Dict):
            yield from (key for key in node.keys if key is not None)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("get", "pop"):
            yield from node.args


def names_of_protocols(path: Path) -> Iterator[str]:
    """Where a file decides by the name of a protocol.

    That is: a text that is a protocol's name, unless a definition of scores has it too (`detectron2`); or the attribute
    `name` of something called a protocol, whatever it is held against. Names that are passed on, such as defaults, and
    those of configurations and methods decide nothing about a protocol. Keys of the data modules' tables are left out:
    class lists and lists of data sets are called by their authors.
    """
    names = NAMES - DEFINITIONS.keys()
    tree = ast.parse(path.read_text())
    sides = [*comparisons(tree), *([] if path.is_relative_to(ROOT / "datamodules") else keys(tree))]
    for part in (part for side in sides for part in ast.walk(side)):
        line = f"{path.relative_to(ROOT)}:{getattr(part, 'lineno', 0)}"
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in names:
            yield f"{line}: {part.value!r}"
        if isinstance(part, ast.Attribute) and part.attr == "name":
            holder = ast.unparse(part.value)
            if re.search(r"protocol$", holder) or (path.name == "protocol.py" and holder in ("self", "p", "other")):
                yield f"{line}: {holder}.name"


@pytest.mark.parametrize("path", [path for path in CODE if path != TABLE], ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_follows_from_a_protocols_name(path: Path) -> None:
    """All that follows from a protocol follows from its fields; its name stands in the table alone."""
    assert not list(names_of_protocols(path))


@pytest.mark.parametrize(
    "code",
    [
        *("protocol.name == x", "x in ('sclip', 'y')", "if 'whole' != x: pass", "{'naclip': 1}", "TABLE['paper']"),
        *("TABLE.get('photos')", "match x:\n    case 'clearclip': pass", "match self.protocol.name:\n    case _: pass"),
        *("x = self.protocol.name in table", "table[run.protocol.name]"),
    ],
)
def test_the_test_of_names_finds_them(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "code.py"
    path.write_text(code)
    assert list(names_of_protocols(path))
