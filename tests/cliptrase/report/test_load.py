"""Run folders of other people: documents of any shape end in a sentence or a page, and only sheets are shown."""

import base64
import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cliptrase.cli.report import main
from cliptrase.common.errors import InputError
from cliptrase.drawing.canvas import png_bytes
from cliptrase.evaluation.study_table import Column, StudyTable
from cliptrase.report.load import read_run
from cliptrase.report.page import page
from tests.results_documents import class_row, columns, run_document, setting_entry

NASTY = '<script>alert("1")</script>'
PNG = png_bytes(np.zeros((4, 4, 3), np.uint8))


def result(value: float, first: bool) -> dict[str, Any]:
    """What a run writes of a setting, its names those of an attacker."""
    difference = {"mIoU": -1.5, "interval": [-3.0, 0.5]}
    return setting_entry(
        value,
        images_available=8,
        images_expected=[5000],
        cut="first batch only",
        protocol="sclip",
        vocabulary_hash=NASTY,
        definition="mmseg",
        intervals={"level": 0.95, "mIoU": [1.0, 50.0], "difference_to_first": None if first else difference},
        published=columns(None) | {"mIoU": 30.0},
        published_source=NASTY,
        remarks=[NASTY],
        rare_classes=2,
        simulated_coverage=[95, 97],
        per_class=[class_row(label, f"{NASTY}{label}", 9, None if label else 40.0) for label in range(3)],
    )


def document() -> dict[str, Any]:
    methods = {
        name: {setting: result(20.0 + number, not number) for setting in (NASTY, "VOC21")}
        for number, name in enumerate(("clearclip", NASTY))
    }
    average = {"settings": [NASTY, "VOC21"], "mIoU": 20.0, "intervals": None}
    heads = [Column(NASTY), Column("part"), Column("points", "score"), Column("interval", "difference_interval")]
    rows = [[NASTY, NASTY, 60.0, None], [NASTY, "rest", 40.0, [-1.0, 41.5]]]
    split = StudyTable(NASTY, heads, rows, [NASTY], "stacked")
    return run_document(
        methods,
        {
            "protocol": {
                "label": NASTY,
                "hash": "0",
                "name": "clearclip",
                "overrides": {"VOC21": {"background_threshold": 1}},
            },
            "model": {
                "clip": "embedded",
                "pretrained": None,
                "guest": {"name": NASTY, "architecture": NASTY, "weights_hash": NASTY},
            },
            "images_per_second_by_method": {NASTY: 1.5, "clearclip": None},
            "date": "2026-11-25",
            "peak_memory_mib": 100,
            "command": NASTY,
            "limits": None,
            "unfinished": [],
        },
        dict.fromkeys(methods, average),
    ) | {"studies": {NASTY: {"tables": [split.document()]}}}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all that a document holds."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from places(part, (*path, key))


PLACES = list(places(document()))
NESTED: Any = 1
for _ in range(60):
    NESTED = [NESTED]
VALUES: list[Any] = [
    *(
        None,
        True,
        "",
        NASTY,
        "\ud800",
        [],
        [[]],
        {},
        {"a": {}},
        -1,
        0,
        0.5,
        101,
        1e300,
        10**40,
        float("nan"),
        float("inf"),
    ),
    *([None, None], [1, 2], ["a"] * 200, {"mIoU": "x"}, list(range(5000)), "x" * 2_000_000, NESTED),
]


def write(folder: Path, content: Any, sheets: Any = None) -> Path:
    (folder / "sheets").mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(content))
    if sheets is not None:
        (folder / "sheets" / "sheets.json").write_text(json.dumps(sheets))
    return folder


def is_sentence_or_page(folder: Path) -> None:
    try:
        found = page([read_run(folder)])
    except InputError as error:
        found = f"{error}"
    assert found.startswith("<!doctype html>") or (str(folder) in found and "\n" not in found)
    assert not found.startswith("<!doctype") or found.count("<script") == 1  # the page's own
    found.encode()


def changed(content: Any, path: tuple[Any, ...], value: Any, drop: bool) -> Any:
    content = copy.deepcopy(content)
    at = content
    for key in path[:-1]:
        at = at[key]
    if drop:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return content


def test_the_document_itself_makes_a_page(tmp_path: Path) -> None:
    html = page([read_run(write(tmp_path, document()))])
    assert html.count("&lt;script&gt;") > 20
    assert html.count("<script") == 1  # its own


@pytest.mark.parametrize("path", sorted({tuple("*" if isinstance(k, int) else k for k in p) for p in PLACES}, key=str))
def test_no_place_of_a_document_may_be_left_out_or_be_another_thing(path: tuple[Any, ...], tmp_path: Path) -> None:
    """Each place once left out, and filled with some values of other kinds; another choice for each place."""
    real = next(p for p in PLACES if tuple("*" if isinstance(k, int) else k for k in p) == path)
    chosen = random.Random(str(path)).sample(VALUES, 6)
    is_sentence_or_page(write(tmp_path, changed(document(), real, None, drop=True)))
    for value in (None, "x", [], *chosen):
        is_sentence_or_page(write(tmp_path, changed(document(), real, value, drop=False)))


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(VALUES), st.booleans()), min_size=1, max_size=3))
def test_documents_tampered_at_several_places(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[tuple[Any, ...], Any, bool]]
) -> None:
    content: Any = document()
    for path, value, drop in changes:
        try:
            content = changed(content, path, value, drop)
        except (KeyError, TypeError, IndexError):
            continue  # an earlier change took the place away
    is_sentence_or_page(write(tmp_path_factory.getbasetemp() / "tampered", content))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("methods", "clearclip", "settings", "VOC21", "scores", "mmseg", "mIoU"), float("nan"), "NaN"),
        (("methods", "clearclip", "settings", "VOC21", "scores", "mmseg", "mIoU"), 1e9, "no score from 0 to 100"),
        (("methods", "clearclip", "settings", "VOC21", "images"), -1, "images of clearclip VOC21"),
        (("methods", "clearclip", "settings", "VOC21", "per_class"), [], "other classes"),
        (("methods", "clearclip", "settings"), {}, "other settings"),
        (("provenance", "command"), "\ud800", "no Unicode"),
        (("provenance", "command"), NESTED, "nested too deeply"),
        (("provenance", "model"), [1], "model"),
        (("settings", "VOC21"), 1, "no table of scores"),
        (("schema",), 1, r"results\.json is a results\.json of schema 1, and this version reads schema 2; run again$"),
        (("schema",), "2", "it names no schema"),
        (("headline", "definition"), "nonsense", "definition of the headline is none of released, detectron2, mmseg"),
        (("headline",), None, "no table 'headline'"),
        (("studies", NASTY, "tables", 0, "chart"), "pie", "has a chart that is none of stacked"),
        (("provenance",), None, "no table 'provenance'"),
        (("settings", "VOC21", "scores", "released"), None, "no table 'released'"),
    ],
)
def test_the_sentence_says_what_is_wrong(path: tuple[Any, ...], value: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_run(write(tmp_path, changed(document(), path, value, drop=False)))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[" * 100_000, b'{"a": 1e999}', b"1" * 5000, b"null", b'"x"', b"[]", b"\0" * 99]
)
def test_bytes_that_are_no_document(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results.json").write_bytes(content)
    assert main([str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'results.json'} is not the results.json of a run: ")


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "loop", "huge"])
def test_what_is_no_regular_file_is_not_waited_for(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.json"
    if kind == "FIFO":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    elif kind == "folder":
        file.mkdir()
    elif kind == "loop":
        file.symlink_to(file)
    else:
        with file.open("wb") as sparse:
            sparse.truncate(1 << 40)
    assert main([str(file if kind != "folder" else tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert str(file) in line
    assert not (tmp_path / "report.html").exists()


def sheet(file: Any) -> dict[str, Any]:
    return {"setting": "VOC21", "kind": "first", "stem": "x", "mIoU": 1.0, "file": file}


def test_a_sheet_of_the_run_is_shown(tmp_path: Path) -> None:
    write(tmp_path, document(), {"sheets": [sheet("VOC21/x.png")]})
    (tmp_path / "sheets" / "VOC21").mkdir()
    (tmp_path / "sheets" / "VOC21" / "x.png").write_bytes(PNG)
    assert base64.b64encode(PNG).decode() in page([read_run(tmp_path)])


@pytest.mark.parametrize(
    "file",
    [
        *(
            "secret",
            "../../secret.png",
            "../../secret",
            "link.png",
            "folder/secret.png",
            "absent.png",
            ".",
            "",
            "\0",
            3,
            None,
        ),
        *(
            "text.png",
            "cut.png",
            "pipe.png",
            "zero.png",
            "huge.png",
            "wide.png",
            "x" * 3000,
            "loop.png",
            "run/secret.png",
        ),
        *("picture.jpg", "\ud800"),
    ],
)
def test_only_pictures_of_the_runs_own_sheets_are_shown(
    file: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    run, outside = tmp_path / "run", tmp_path / "outside"
    outside.mkdir()
    for secret in (tmp_path / "secret.png", outside / "secret.png", run / "secret.png", tmp_path / "secret"):
        secret.parent.mkdir(exist_ok=True)
        secret.write_bytes(PNG)
    name = str(tmp_path / "secret.png") if file == "secret" else file
    write(run, document(), {"sheets": [sheet(name), sheet("good.png")]})
    sheets = run / "sheets"
    (sheets / "good.png").write_bytes(other := png_bytes(np.ones((3, 3, 3), np.uint8)))
    (sheets / "link.png").symlink_to(outside / "secret.png")
    (sheets / "folder").symlink_to(outside)
    (sheets / "run").symlink_to(run)
    (sheets / "loop.png").symlink_to(sheets / "loop.png")
    (sheets / "text.png").write_text("root:x:0:0")
    (sheets / "cut.png").write_bytes(PNG[:40])
    os.mkfifo(sheets / "pipe.png")
    (sheets / "zero.png").symlink_to("/dev/zero")
    with (sheets / "huge.png").open("wb") as sparse:
        sparse.write(PNG)
        sparse.truncate(1 << 32)
    (sheets / "wide.png").write_bytes(png_bytes(np.zeros((1, 30_000, 3), np.uint8)))
    Image.new("RGB", (3, 3)).save(sheets / "picture.jpg")
    assert main([str(run)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert str(sheets / "sheets.json") in line
    html = (run / "report.html").read_text()
    assert html.count("data:image/png;base64,") == (file != "\ud800")  # such an index is no document at all
    if file != "\ud800":
        assert base64.b64encode(other).decode() in html


@pytest.mark.parametrize(
    "sheets", [[], {}, {"sheets": 3}, {"sheets": {}}, {"sheets": [3]}, {"sheets": [{}]}, 3, {"sheets": [NESTED]}]
)
def test_an_index_of_another_shape_leaves_the_page(
    sheets: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write(tmp_path, document(), sheets))]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")


@pytest.mark.parametrize("part", ["sheets", "sheets/sheets.json"])
def test_an_index_that_lies_elsewhere_is_not_read(
    part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write(tmp_path / "other", document(), {"sheets": [sheet("x.png")]})
    (other / "sheets" / "x.png").write_bytes(PNG)
    run = tmp_path / "run"
    run.mkdir()
    (run / "results.json").write_text(json.dumps(document()))
    (run / part).parent.mkdir(exist_ok=True)
    (run / part).symlink_to(other / part)
    assert main([str(run)]) == 0
    assert "leads out of" in capsys.readouterr().err
    assert "data:image" not in (run / "report.html").read_text()


def test_many_sheets_are_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliptrase.report.load._ALL_SHEETS", 3 * len(PNG))
    write(tmp_path, document(), {"sheets": [sheet("x.png")] * 9})
    (tmp_path / "sheets" / "x.png").write_bytes(PNG)
    with pytest.warns(UserWarning, match="MiB of sheets"):
        assert len(read_run(tmp_path).sheets) == 3
