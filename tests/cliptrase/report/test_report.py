"""The report: figures, escaping, no network, side by side, and the command."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cliptrase.cli.report import main
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.load import LoadedRun, read_run
from cliptrase.report.markup import Html, element, joined
from cliptrase.report.page import page
from tests.command import run
from tests.results_documents import class_row, class_rows, columns, run_document, setting_entry

NASTY = '<script>alert("1")</script>'


def result(value: float, names: list[str], published: float | None = None) -> dict[str, Any]:
    return setting_entry(
        value,
        scores={definition: columns(value + 10 * number, step=1) for number, definition in enumerate(DEFINITIONS)},
        published=None if published is None else columns(published, step=1),
        published_comparable=published is not None,
        per_class=class_rows(names),
    )


def document(value: float = 40.25, protocol: str = "paper 336", setting: str = "VOC20") -> dict[str, Any]:
    return run_document(
        {
            "cliptrase": {setting: result(value, ["cat", NASTY], published=value + 0.5)},
            "vanilla": {setting: result(value / 2, ["cat", NASTY])},
        },
        {"protocol": {"label": protocol}, "command": f"cli.py test --data {NASTY}", "commit": None},
    )


class Cells(HTMLParser):
    """Rows of the first table as texts, and every attribute that names an address."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and "table" in self.tags and self.rows[-1]:
            self.rows[-1][-1] += data


def parsed(html: str) -> Cells:
    cells = Cells()
    cells.feed(html[: html.index("</table>")])
    rows, cells.rows = cells.rows, []
    cells.feed(html[html.index("</table>") :])
    cells.rows = rows
    return cells


def test_figures_stand_beside_the_published_ones() -> None:
    rows = parsed(page([LoadedRun("run", document())])).rows
    ours = ["7", *(f"{40.25 + number:.2f}-0.50" for number in range(4))]
    published = [f"{40.75 + number:.2f}" for number in range(4)]
    assert ["cliptrase", *ours, *published, "53.25", "63.25"] in rows  # of the other definitions mIoU alone
    assert rows[0] == ["", "protocol paper 336"]
    (vanilla,) = [row for row in rows if row[0] == "vanilla"]
    assert vanilla[2] == "20.12"
    assert vanilla[6:10] == ["-"] * 4


def test_nothing_of_the_user_becomes_markup() -> None:
    html = page([LoadedRun(NASTY, document(protocol=NASTY, setting=NASTY))])
    assert "script" not in parsed(html).tags
    assert "&lt;script&gt;" in html


def test_the_page_fetches_nothing() -> None:
    sheet = {"setting": "VOC20", "kind": "first", "stem": NASTY, "mIoU": None, "picture": b"png"}
    html = page([LoadedRun("run", document(), [sheet])])
    assert parsed(html).addresses == ["data:image/png;base64,cG5n"]
    assert not re.search(r"url\(|@import|https?://", html)
    assert "default-src 'none'" in html.replace("&#x27;", "'")
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_every_class_has_its_bar() -> None:
    html = page([LoadedRun("run", document())])
    assert html.count('class="value"') == 2
    assert "width:10.00%" in html
    assert html.count('class="mark"') == 2


def test_several_runs_have_columns_of_their_own() -> None:
    runs = [
        LoadedRun("a", document(40)),
        LoadedRun("b", document(50, "paper 224")),
        LoadedRun("c", document(60, setting="PC59")),
    ]
    html = page(runs)
    rows = parsed(html).rows
    assert rows[0][1:] == ["protocol paper 336: a", "protocol paper 224: b", "protocol paper 336: c"]
    first, second = [row for row in rows if row[0] == "cliptrase"]
    assert [first[1 + 11 * number + 1] for number in range(3)] == ["40.00-0.50", "50.00-0.50", ""]
    assert [second[1 + 11 * number + 1] for number in range(3)] == ["", "", "60.00-0.50"]
    assert "Scores of different protocols do not compare." in html


def test_absent_figures_are_dashes() -> None:
    empty = document()
    for part in (empty["settings"], empty["methods"]["cliptrase"]["settings"]):
        part["VOC20"]["scores"] = dict.fromkeys(DEFINITIONS, columns(None))
        part["VOC20"]["per_class"] = [class_row(0, "cat", 0, None, accuracy=None)]
    (row,) = [row for row in parsed(page([LoadedRun("run", empty)])).rows if row[0] == "cliptrase"]
    assert row[2:6] == ["-"] * 4


def write(folder: Path, content: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(content))
    return folder / "results.json"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = write(tmp_path / "one", document()), write(tmp_path / "two", document(30))
    assert main([str(one)]) == 0
    assert (one.parent / "report.html").read_text() == page([read_run(one.parent)])
    monkeypatch.chdir(tmp_path)
    assert main([str(one), str(two.parent)]) == 0
    assert main([str(one), str(two), "--out", "sub/both.html"]) == 0
    assert Path("comparison.html").read_text() == Path("sub/both.html").read_text()
    assert capsys.readouterr().out.splitlines()[-1] == "report: sub/both.html"


@pytest.mark.parametrize(
    "content", [None, [], {}, {"settings": {"a": 1}, "methods": {"b": 2}}, {**document(), "methods": {"x": {}}}]
)
def test_files_that_are_no_results(content: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.json" if content is None else write(tmp_path, content)
    assert main([str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert str(path) in line
    assert not (tmp_path / "report.html").exists()


def test_a_run_writes_what_the_command_makes(tmp_path: Path) -> None:
    sheets = "[{class_path: cliptrase.runs.callbacks.TensorBoardMasks, init_args: {pictures: 2, worst: 1}}]"
    demo = ["--config", "configs/demo.yaml", "--data", "Shapes", "--data.scenes", "5"]
    finished = run("test", tmp_path / "out", *demo, "--trainer.callbacks", sheets)
    html = (finished.folder / "report.html").read_text()
    assert html == page([read_run(finished.folder)])
    stems = {sheet["stem"] for sheet in read_run(finished.folder).sheets}
    assert html.count("data:image/png;base64,") == len(stems)  # one that is also among the worst is shown once
    assert f"{finished.results['settings']['Shapes']['scores']['released']['mIoU']:.2f}" in html
    assert (finished.results["provenance"]["commit"] or "-") in html


def test_markup_escapes() -> None:
    assert (
        element("p", "<b>", element("i", "&"), class_='"', title=None) == '<p class="&quot;">&lt;b&gt;<i>&amp;</i></p>'
    )
    assert element("img", alt="x") == '<img alt="x">'
    assert joined(Html("<b>"), "<b>") == "<b>&lt;b&gt;"


def test_the_page_replaces_nothing_that_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished = run("test", tmp_path / "out", "--config", "configs/demo.yaml", "--data.scenes", "2")
    results = finished.folder / "results.json"
    before = results.read_bytes()
    for given in (finished.folder, results):
        assert main([str(given), "--out", str(results)]) == 1
        assert "would replace what is read" in capsys.readouterr().err
    os.mkfifo(tmp_path / "pipe")
    assert main([str(results), "--out", str(tmp_path / "pipe")]) == 1
    assert "a folder, device or pipe has this name" in capsys.readouterr().err
    assert results.read_bytes() == before
