"""The comparison of a run: one row a method, each figure that of `results.json`."""

import csv
import math
import re
from pathlib import Path

import pytest
from pytorch_lightning.strategies import SingleDeviceStrategy

from cliptrase.common.timing import StageTimer
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.formatting import format_interval, format_score
from cliptrase.evaluation.published import published_beside
from cliptrase.protocols.table import get_protocol
from cliptrase.report.csv_tables import comparison_csv
from cliptrase.report.markdown import comparison_markdown
from cliptrase.runs.run import seconds_of_work
from datamodules import PC59, VOC20
from tests.command import Run, run
from tests.kit import write_detectron2_tree
from tests.results_documents import run_document, setting_entry

METHODS = ["cliptrase", "vanilla", "sclip"]
SETTINGS = ["VOC20", "PC59"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("datasets")
    for seed, module in enumerate((VOC20, PC59)):
        write_detectron2_tree(root, module.spec, sizes=((48, 60), (64, 48), (50, 50)), seed=seed)
    return root


@pytest.fixture(scope="module")
def finished(root: Path, tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Under the protocol `sclip`, which knows published figures of one of its three methods."""
    options = ["--config", "configs/sclip.yaml", "--data", "Benchmark", "--data.settings", f"[{', '.join(SETTINGS)}]"]
    options += ["--data.root", str(root), "--model.clip", f"local-dir:{tiny_clip}", "--trainer.callbacks", "[]"]
    methods = ["--model.method", METHODS[0], "--model.compare", f"[{', '.join(METHODS[1:])}]"]
    return run("test", tmp_path_factory.mktemp("run") / "out", *options, *methods)


def test_rows_are_the_results(finished: Run) -> None:
    document = finished.results
    found = Comparison(document)
    assert (found.protocol, found.definition, found.first) == ("sclip", "mmseg", "cliptrase")
    assert [row.method for row in found.rows] == METHODS
    for row in found.rows:
        for name, cell in row.cells.items():
            result = document["methods"][row.method]["settings"][name]
            assert cell.mIoU == result["scores"]["mmseg"]["mIoU"]
            assert cell.interval == result["intervals"]["mIoU"]
            first = document["settings"][name]["scores"]["mmseg"]["mIoU"]
            if row.method == METHODS[0]:
                assert cell.difference is None
            else:
                assert cell.difference == pytest.approx(cell.mIoU - first, abs=0.011)
        values = [cell.mIoU for cell in row.cells.values()]
        assert row.average is not None
        assert row.average.mIoU == pytest.approx(sum(values) / 2, abs=0.011)  # type: ignore[arg-type]
        average = document["methods"][row.method]["average"]
        assert row.average.mIoU == average["mIoU"]
        low, high = row.average.interval or (math.nan, math.nan)
        assert low <= row.average.mIoU <= high
        assert average["settings"] == SETTINGS
        assert bool(row.average.difference_interval) == (row.method != METHODS[0])
        if row.average.difference is not None:
            first_average = document["methods"][METHODS[0]]["average"]["mIoU"]
            assert row.average.difference == pytest.approx(average["mIoU"] - first_average, abs=0.011)
        assert row.images_per_second == document["provenance"]["images_per_second_by_method"][row.method]


def test_files_agree_with_the_document(finished: Run) -> None:
    found = Comparison(finished.results)
    markdown, table = (finished.folder / f"comparison.{kind}" for kind in ("md", "csv"))
    text, lines = markdown.read_text(), list(csv.DictReader(table.read_text().splitlines()))
    assert text == comparison_markdown(found)
    assert table.read_text() == comparison_csv(found)
    columns = (*SETTINGS, "average")
    assert [(line["method"], line["setting"]) for line in lines] == [(m, s) for m in METHODS for s in columns]
    for line in lines:
        part = finished.results["methods"][line["method"]]
        average = line["setting"] == "average"
        result = (
            {**part["average"], "scores": {"mmseg": part["average"]}} if average else part["settings"][line["setting"]]
        )
        assert [float(line["low"]), float(line["high"])] == result["intervals"]["mIoU"]
        beside = published_beside(get_protocol("sclip"), line["method"], line["setting"])
        assert (line["published_mIoU"], line["published_source"]) == (
            (str(beside.mIoU), beside.source) if beside else ("", "")
        )
        assert bool(line["difference"]) == (line["method"] != METHODS[0])
        cell = f"{format_score(result['scores']['mmseg']['mIoU'])} ({format_interval(result['intervals']['mIoU'])})"
        assert re.search(rf"^\| {line['method']} \|.*{re.escape(cell)}", text, re.MULTILINE)
    report = (finished.folder / "report.html").read_text()
    assert f"to {METHODS[0]}</th>" in report
    assert "crosswise" in report


def test_timings_are_provenance_alone(finished: Run) -> None:
    document = finished.results
    made = document["provenance"]
    assert set(made["images_per_second_by_method"]) == set(METHODS)
    assert made["peak_memory_mib"] > 50
    assert "second" not in str(document["methods"])
    assert "peak" not in str(document["methods"])


def test_one_method_is_not_compared(
    root: Path, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And peak memory is the most of any process: another one tells of a tebibyte."""
    monkeypatch.setattr(SingleDeviceStrategy, "reduce", lambda strategy, peak, reduce_op: max(int(peak), 1 << 20))
    options = [
        "--config",
        "configs/paper_224.yaml",
        "--protocol.size",
        "64",
        "--data",
        "VOC20",
        "--data.root",
        str(root),
    ]
    alone = run("test", tmp_path / "out", *options, "--model.clip", f"local-dir:{tiny_clip}")
    assert not list(alone.folder.glob("comparison.*"))
    assert alone.results["provenance"]["peak_memory_mib"] == 1 << 20
    result = alone.results["settings"]["VOC20"]
    assert result["intervals"]["mIoU"][0] <= result["scores"]["released"]["mIoU"] <= result["intervals"]["mIoU"][1]
    assert result["intervals"]["difference_to_first"] is None
    assert "difference</th>" not in (alone.folder / "report.html").read_text()


def test_an_average_is_the_documents() -> None:
    """It is not computed anew: a method without one has none in the tables either."""
    entries = {"x": setting_entry(20.0), "y": setting_entry(30.0)}
    average = {"settings": ["x", "y"], "mIoU": 25.0, "intervals": None}
    comparison = Comparison(run_document(dict.fromkeys(("a", "b"), entries), {}, {"a": average}))
    with_average, without = (row.average for row in comparison.rows)
    assert with_average is not None
    assert (with_average.mIoU, with_average.images, with_average.interval) == (25, None, None)
    assert without is None


def test_seconds_of_a_method_alone() -> None:
    """What serves several counts in full with each, what serves another not at all, and text is kept between runs."""
    timer = StageTimer()
    for stage, methods, seconds in (
        *(("text", [], 100.0), ("data", [], 1.0), ("forward", ["a", "b"], 10.0), ("forward", ["c"], 20.0)),
        *(("clustering", ["a"], 4.0), ("classification", ["a"], 0.5), ("classification", ["b"], 0.75)),
    ):
        timer.add(stage, seconds, methods)
    alone = {method: seconds_of_work(timer.seconds(method)) for method in "abc"}
    assert alone == {"a": 1 + 10 + 4 + 0.5, "b": 1 + 10 + 0.75, "c": 1 + 20}
