"""Result files: numbers that JSON knows, tables that agree with them, files that are whole or not there."""

import csv
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import torch

from cliptrase.common.io import write_bytes, write_json, write_text
from cliptrase.common.sheets import Cell, Column, Sheet, print_sheets
from cliptrase.evaluation.document import SCHEMA, results_document
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.evaluation.intervals import Difference, Estimate, Interval
from cliptrase.evaluation.records import Average, ResultKey, SettingResult
from cliptrase.metrics import Scores, margins, scores
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.csv_tables import results_csv
from cliptrase.report.terminal import score_sheet
from tests.sheets import printed

CONFUSION = torch.tensor([[6, 2, 0], [1, 1, 0], [0, 0, 0]])  # the last class is neither there nor predicted
KEY = ResultKey("paper 336, eps 1", "0123456789abcdef", "fedcba9876543210", "PASCAL in Detail")
PUBLISHED = (89.68, 91.4, 82.49, 80.95)


def result(name: str = "VOC20", confusion: torch.Tensor = CONFUSION, published: bool = False) -> SettingResult:
    return SettingResult.from_confusion(
        name, KEY, ("cat", "dog, wolf", "кот"), confusion, 4, PUBLISHED if published else None
    )


def entry(result: SettingResult) -> dict[str, Any]:
    """The result as `results.json` holds it."""
    document = results_document({"cliptrase": [result]}, {}, {})
    return dict(document["settings"][result.name])


def strict(text: str) -> object:
    """JSON as other languages read it: without NaN and infinities."""

    def refuse(constant: str) -> object:
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def test_figures_of_a_setting() -> None:
    document = entry(result(published=True))
    assert document["images"] == 4
    assert {key: document[key] for key in ResultKey._fields} == KEY._asdict()
    by_definition = document["scores"]
    assert list(by_definition) == list(DEFINITIONS)
    assert by_definition["released"]["pAcc"] == 70.0
    assert by_definition["detectron2"]["mAcc"] == 62.5  # (6/8 + 1/2) / 2
    assert by_definition["detectron2"]["mIoU"] == round(100 * (6 / 9 + 1 / 4) / 2, 2)
    assert by_definition["mmseg"] == by_definition["detectron2"]  # nothing absent is predicted
    assert document["intervals"] is None
    assert document["published"] == dict(zip(COLUMNS, PUBLISHED, strict=True))
    assert [entry["name"] for entry in document["per_class"]] == ["cat", "dog, wolf", "кот"]
    assert [entry["pixels"] for entry in document["per_class"]] == [8, 2, 0]
    absent = document["per_class"][2]["scores"]
    assert absent["released"] == {"accuracy": 0, "IoU": 0}
    assert absent["detectron2"] == absent["mmseg"] == {"accuracy": None, "IoU": None}


def test_the_headline_is_the_main_methods() -> None:
    """Of the one setting by the protocol's definition, or its mean over several, null where there is none."""
    estimate = Estimate(Interval(12.345, 67.891), None)
    one = SettingResult.from_confusion("VOC20", KEY, "abc", CONFUSION, 4, definition="mmseg", estimate=estimate)
    other = SettingResult.from_confusion("PC59", KEY, "abc", CONFUSION, 4, definition="mmseg")
    single = results_document({"m": [one], "n": [other]}, {}, {})
    mean = single["settings"]["VOC20"]["scores"]["mmseg"]["mIoU"]
    assert single["headline"] == {"definition": "mmseg", "mIoU": mean, "interval": [12.35, 67.89]}
    several = {"m": [one, other], "n": [other, one]}
    average = Average(["VOC20", "PC59"], 33.333, Estimate(Interval(1.0, 2.0), None))
    headline = results_document(several, {"m": average, "n": None}, {})["headline"]
    assert headline == {"definition": "mmseg", "mIoU": 33.33, "interval": [1.0, 2.0]}
    none = results_document(several, {"m": None, "n": average}, {})["headline"]
    assert none == {"definition": "mmseg", "mIoU": None, "interval": None}


@pytest.mark.parametrize("confusion", [CONFUSION, torch.zeros(3, 3, dtype=torch.int64)], ids=["scored", "nothing"])
def test_json_holds_no_nan(confusion: torch.Tensor, tmp_path: Path) -> None:
    results = {"cliptrase": [result("Käse", confusion)], "vanilla": [result("Käse")]}
    document = results_document(results, {}, {"a": [None]})
    write_json(tmp_path / "results.json", document)
    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    assert strict(text) == document
    assert "кот" in text  # readable, not escaped
    assert text.endswith("}\n")
    assert document["settings"] == document["methods"]["cliptrase"]["settings"]
    assert document["provenance"] == {"a": [None]}
    if not confusion.any():
        assert set(document["settings"]["Käse"]["scores"]["mmseg"].values()) == {None}


def test_no_method_gives_an_empty_document() -> None:
    headline = {"definition": None, "mIoU": None, "interval": None}
    empty = {"schema": SCHEMA, "headline": headline, "settings": {}, "methods": {}, "studies": {}, "provenance": {}}
    assert results_document({}, {}, {}) == empty


def test_csv_agrees_with_json() -> None:
    results = {"cliptrase": [result(published=True), result("PC59")], "vanilla": [result()]}
    rows = list(csv.DictReader(io.StringIO(results_csv(results_document(results, {}, {})))))
    assert [(row["method"], row["setting"], row["definition"]) for row in rows] == [
        *(("cliptrase", "VOC20", kind) for kind in ("released", "detectron2", "mmseg", "published")),
        *(("cliptrase", "PC59", kind) for kind in ("released", "detectron2", "mmseg")),
        *(("vanilla", "VOC20", kind) for kind in ("released", "detectron2", "mmseg")),
    ]
    assert {tuple(row[name] for name in KEY._fields) for row in rows} == {KEY}
    assert [row["images"] for row in rows[:4]] == ["4", "4", "4", ""]
    document = entry(results["cliptrase"][0])
    for row, expected in zip(rows, [*document["scores"].values(), document["published"]], strict=False):
        assert {column: float(row[column]) for column in COLUMNS} == expected
    empty = list(
        csv.DictReader(io.StringIO(results_csv(results_document({"m": [result(confusion=CONFUSION * 0)]}, {}, {}))))
    )
    assert [row["mIoU"] for row in empty] == ["", "", ""]


def shown(results: dict[str, list[SettingResult]]) -> str:
    return printed(score_sheet(results, "paper 336"), width=None)


def test_table() -> None:
    plain = shown({"cliptrase": [result()], "vanilla": [result("PC59")]})
    assert "protocol paper 336" in plain
    assert "published" not in plain
    assert all(word in plain for word in ("cliptrase", "vanilla", "VOC20", "PC59", "70.00"))
    beside = shown({"cliptrase": [result(published=True)], "vanilla": [result()]})
    assert "published" in beside
    assert "80.95" in beside


def test_the_protocols_own_definition_comes_first() -> None:
    """Class 2 is predicted but absent: mmseg's mean is over three classes, the others' over two."""
    confusion = torch.tensor([[6, 1, 1], [1, 1, 0], [0, 0, 0]])
    estimate = Estimate(Interval(12.345, 67.891), Difference(-1.5, Interval(-2.0, 3.25)))
    nan = float("nan")
    own = SettingResult.from_confusion(
        "VOC20", KEY, ("a", "b", "c"), confusion, 4, (nan, nan, nan, 81.54), "mmseg", estimate, "a source"
    )
    mean = round(100 * (6 / 9 + 1 / 3) / 3, 2)
    document = entry(own)
    assert (document["definition"], document["scores"]["mmseg"]["mIoU"]) == ("mmseg", mean)
    for definition in DEFINITIONS:  # whatever the protocol
        assert document["scores"][definition] == scores(*margins(confusion), definition).rounded()
    assert document["published"] == {"pAcc": None, "mAcc": None, "fwIoU": None, "mIoU": 81.54}
    assert document["published_source"] == "a source"
    assert document["intervals"]["mIoU"] == [12.35, 67.89]
    assert document["intervals"]["difference_to_first"] == {"mIoU": -1.5, "interval": [-2.0, 3.25]}
    rows = list(csv.DictReader(io.StringIO(results_csv(results_document({"m": [own]}, {}, {})))))
    assert [row["definition"] for row in rows] == ["mmseg", "released", "detectron2", "published"]
    assert float(rows[0]["mIoU"]) == mean
    text = shown({"m": [own]})
    assert "mmseg definitions" in text
    assert "12.35 to 67.89" in text
    assert text.index(f"{mean:.2f}") < text.index("81.54")
    assert text.count("published") == 1  # only the column that has a figure


def test_a_table_in_a_file_is_not_wrapped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_sheets(score_sheet({"a-method-of-a-long-name": [result(published=True)]}, "paper 336"))
    assert any("a-method-of-a-long-name" in line and "80.95" in line for line in capsys.readouterr().out.splitlines())
    heads = [Column(f"a column of its own, number {number}") for number in range(20)]
    print_sheets(Sheet("", heads, [[Cell("")] * 20]))
    assert any("number 0 " in line and "number 19 " in line for line in capsys.readouterr().out.splitlines())


def test_scores_round_to_two_decimals() -> None:
    assert Scores(1.005, 2.0, 33.333, float("nan")).rounded() == {
        "pAcc": 1.0,
        "mAcc": 2.0,
        "fwIoU": 33.33,
        "mIoU": None,
    }


def test_files_are_written_with_their_folders_and_usual_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "text.txt"
    for umask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(umask)
        try:
            write_text(path, "кот\n")
            assert os.umask(umask) == umask
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == "кот\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.json"
    write_bytes(path, b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(error)):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "text.txt", "\udcff")
    with pytest.raises(TypeError):
        write_bytes(tmp_path / "bytes", None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        write_json(tmp_path / "json", {"a": object()})
    assert not list(tmp_path.iterdir())
