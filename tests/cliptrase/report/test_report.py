"""The report: figures, escaping, no network, side by side, and the command."""

import base64
import hashlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliptrase.cli.report import main
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.figures import Beside, Paired
from cliptrase.report.load import LoadedRun, read_run
from cliptrase.report.markup import Html, element, joined
from cliptrase.report.page import page
from tests.command import run
from tests.results_documents import class_row, class_rows, columns, run_document, setting_entry

NASTY = '<script>alert("1")</script>'


def result(value: float, names: list[str], protocol: str, published: float | None = None) -> dict[str, Any]:
    return setting_entry(
        value,
        scores={definition: columns(value + 10 * number, step=1) for number, definition in enumerate(DEFINITIONS)},
        published=None if published is None else columns(published, step=1),
        published_comparable=published is not None,
        per_class=class_rows(names),
        protocol=protocol,
    )


def document(value: float = 40.25, protocol: str = "paper 336", setting: str = "VOC20") -> dict[str, Any]:
    return run_document(
        {
            "cliptrase": {setting: result(value, ["cat", NASTY], protocol, published=value + 0.5)},
            "vanilla": {setting: result(value / 2, ["cat", NASTY], protocol)},
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
    assert ["cliptrase", *ours, "53.25", "63.25", *published] in rows  # of the other definitions mIoU alone
    assert rows[0] == ["", "", "released definitions", "detectron2", "mmseg", "published (ViT-B/16)"]
    (vanilla,) = [row for row in rows if row[0] == "vanilla"]
    assert vanilla[2] == "20.12"
    assert vanilla[8:12] == [""] * 4


def test_definitions_that_agree_are_one_column() -> None:
    alike = run_document({"a": {"VOC20": setting_entry(40.0)}, "b": {"VOC20": setting_entry(30.0)}})
    html = page([LoadedRun("run", alike)])
    assert ["a", "7", *["40.00"] * 4] in parsed(html).rows
    assert "mIoU by detectron2 and mmseg definitions is the same as by released in every row." in html


def intervals(low: float, high: float, difference: list[float] | None = None) -> dict[str, Any]:
    told = None if difference is None else {"mIoU": sum(difference) / 2, "interval": difference}
    return {"level": 0.95, "mIoU": [low, high], "difference_to_first": told}


def test_the_best_is_bold_and_what_intervals_do_not_tell_from_it_is_marked() -> None:
    entries = {
        "first": setting_entry(50.0, intervals=intervals(45, 55)),
        "best": setting_entry(52.0, intervals=intervals(47, 57, [0.5, 3.5])),  # apart by the paired difference
        "near": setting_entry(46.0, intervals=intervals(42, 50, [-6, -2])),  # own intervals overlap
        "far": setting_entry(30.0, intervals=intervals(25, 35, [-25, -15])),
    }
    html = page([LoadedRun("run", run_document({name: {"VOC20": entry} for name, entry in entries.items()}))])
    rows = {row[0]: row for row in parsed(html).rows}
    assert "<strong>52.00</strong>" in html
    assert "<strong>50.00</strong>" not in html
    assert [name for name in entries if "≈" in rows[name][5]] == ["near"]
    assert rows["best"][6] == "+2.00+0.50 to +3.50"


def test_nothing_of_the_user_becomes_markup() -> None:
    html = page([LoadedRun(NASTY, document(protocol=NASTY, setting=NASTY))])
    assert parsed(html).tags.count("script") == 1  # the page's own
    assert "&lt;script&gt;" in html


def test_no_other_script_may_run() -> None:
    html = page([LoadedRun("run", document())])
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html.replace("&#x27;", "'")
    assert "unsafe-inline" not in re.findall('script-src[^;"]*', html)[0]


def test_the_title_says_data_method_and_model() -> None:
    made = document()
    made["provenance"]["model"] = {"clip": "ViT-B-16", "pretrained": "openai", "guest": None}
    title = "cliptrase and vanilla on VOC20, CLIP ViT-B-16 openai"
    html = page([LoadedRun("run", made)])
    assert f"<title>{title}</title>" in html
    assert f"<h1>{title}</h1>" in html
    assert "<h1>cliptrase and vanilla on VOC20 (2 runs)</h1>" in page([LoadedRun(name, document()) for name in "ab"])


def test_the_page_fetches_nothing() -> None:
    sheet = {"setting": "VOC20", "kind": "first", "stem": NASTY, "mIoU": None, "picture": b"png"}
    html = page([LoadedRun("run", document(), [sheet])])
    assert parsed(html).addresses == ["data:image/png;base64,cG5n"]
    assert not re.search(r"url\(|@import|https?://", html)
    assert "default-src 'none'" in html.replace("&#x27;", "'")
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html


def test_every_class_has_its_values_by_every_method() -> None:
    made = document()
    made["methods"]["vanilla"]["settings"]["VOC20"]["per_class"][1]["scores"]["released"]["IoU"] = 70.0
    html = page([LoadedRun("run", made)])
    table = "<table " + html[html.index('class="sortable classes"') :]
    rows = parsed(table[: table.index("</table>") + 8]).rows
    assert rows == [
        ["class", "% of pixels", "cliptrase", "vanilla"],
        [NASTY, "44.44", "10.00", "70.00"],
        ["cat", "55.56", "0.00", "0.00"],
    ]
    assert "<strong>70.00</strong>" in table
    assert "--v:70.00%" in table


def test_what_is_taken_for_what() -> None:
    matrices = {"cliptrase": np.array([[1, 4], [0, 4]]), "vanilla": np.array([[4, 1], [3, 1]])}
    html = page([LoadedRun("run", document(), confusions={"VOC20": matrices})])
    table = "<table " + html[html.index('class="sortable confused"') :]
    rows = parsed(table[: table.index("</table>") + 8]).rows
    assert rows == [
        ["truth", "predicted as", "cliptrase", "vanilla"],
        ["cat", NASTY, "80.0", "20.0"],
        [NASTY, "cat", "0.0", "75.0"],
    ]
    assert "<strong>20.0</strong>" in table
    assert html.count('class="matrix"') == 2
    assert html.count('data-method="vanilla"') == 1


def test_runs_of_one_protocol_stand_in_one_table_with_their_paired_differences() -> None:
    runs = [
        LoadedRun("a", document(40)),
        LoadedRun("b", document(50)),
        LoadedRun("c", document(50, "paper 224")),
        LoadedRun("d", document(60, setting="PC59")),
    ]
    pairs = {
        (1, "VOC20", "cliptrase"): [Paired(10.0, [8.0, 12.0], "A cliptrase")],
        (1, "VOC20", "vanilla"): [Paired(-15, [-16, -14], "A cliptrase"), Paired(5, [1, 9], "A vanilla", twin=True)],
    }
    html = page(runs, Beside(pairs, ["A and C are not paired on VOC20: protocols differ."]))
    rows = parsed(html).rows
    assert [row[0] for row in rows] == [
        *("", "method", "VOC20", "A cliptrase", "A vanilla", "B cliptrase", "B vanilla", "PC59"),
        *("D cliptrase", "D vanilla"),
    ]
    assert rows[5][6:8] == ["+10.00+8.00 to +12.00", ""]
    assert rows[6][6:8] == ["-15.00-16.00 to -14.00", "+5.00+1.00 to +9.00"]
    assert rows[1][6:8] == ["to A cliptrase", "to the same method of A"]
    assert "A and C are not paired on VOC20: protocols differ." in html
    assert html.count("percent, protocol paper 224") == 1  # a table of its own


def test_runs_that_are_not_paired_have_no_common_best() -> None:
    html = page([LoadedRun("a", document(40)), LoadedRun("b", document(50))])
    rows = parsed(html).rows
    assert [row[0] for row in rows[2:]] == ["VOC20", "A cliptrase", "A vanilla", "VOC20, B", "B cliptrase", "B vanilla"]
    assert "<strong>40.00</strong>" in html
    assert "<strong>50.00</strong>" in html


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
    panels = [
        sheet["panels"] for sheet in {sheet["stem"]: sheet for sheet in read_run(finished.folder).sheets}.values()
    ]
    assert len(panels) == len(stems)  # one that is also among the worst is shown once
    assert html.count("data:image/png;base64,") == sum(map(len, panels))
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
