"""Studies through the command line: one process or several, unbroken or resumed, the same figures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliptrase.cli import main
from cliptrase.runs.folder import UNENDED
from datamodules import PC59, VOC20, VOC21
from tests.command import QUIET, complaint, run
from tests.kit import write_detectron2_tree
from tests.test_ddp import ddp, start


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> list[str]:
    root = tmp_path_factory.mktemp("datasets")
    for seed, module in enumerate((VOC20, PC59, VOC21)):
        write_detectron2_tree(root, module.spec, sizes=((96, 96), (80, 70), (60, 90)), seed=seed)
    chosen = ["--config", "configs/paper_224.yaml", "--protocol.size", "64", "--model.compare", "[vanilla]"]
    data = ["--data", "Benchmark", "--data.settings", "[VOC20, PC59]", "--data.root", str(root)]
    chosen += ["--protocol.templates", "vild", "--explain", "--sweep", "--stress", "names"]
    return [*chosen, *data, "--data.batch_size", "2", "--model.clip", f"local-dir:{tiny_clip}"]


def tables(folder: Path) -> object:
    return json.loads((folder / "results.json").read_text())["studies"]


def test_several_processes_count_what_one_does(studied: list[str], tmp_path: Path) -> None:
    one = run("test", tmp_path / "one", *studied).folder
    two, _ = start(tmp_path / "two", "test", *studied, *ddp(2))
    assert tables(two) == tables(one)
    counted = [f"{study}/{name}.npz" for study in ("explain", "boundary", "names") for name in ("VOC20", "PC59")]
    for path in counted:
        with np.load(one / "studies" / path) as mine, np.load(two / "studies" / path) as theirs:
            assert all((mine[key] == theirs[key]).all() for key in mine.files)
    names = ("names.csv", "names_2.csv", "names_3.csv", "names_4.csv")
    for table in ("explain.csv", "explain_2.csv", "explain_3.csv", "boundary.csv", *names):
        assert (one / "studies" / table).read_text() == (two / "studies" / table).read_text()


def test_parts_of_a_run_are_all_of_it(studied: list[str], tmp_path: Path) -> None:
    """Under windows with a background's threshold there are all of them; the report draws a bar a method."""
    at = studied.index("configs/paper_224.yaml")
    windowed = ["configs/sclip.yaml", "--protocol.window", "64", "--protocol.stride", "32"]
    windowed += ["--protocol.void", "background", "--model.method", "cliptrase"]
    options = [*studied[:at], *windowed, *studied[at + 1 :], "--data.settings", "[VOC21]", "--audit"]
    folder = run("test", tmp_path, *options).folder
    results = json.loads((folder / "results.json").read_text())
    methods = ["cliptrase", "vanilla", "cliptrase-regions", "cliptrase-denoise"]
    assert list(results["methods"]) == methods
    split, alone, _ = results["studies"]["explain"]["tables"]
    causes = ["patch grid", "boundaries", "window seams", "names", "grouping", "threshold"]
    assert [row[2] for row in split["rows"]] == len(methods) * ["mIoU", *causes, "what is left"]
    assert [row[2] for row in alone["rows"]] == len(methods) * causes
    for method in methods:
        assert sum(row[3] for row in split["rows"] if row[1] == method) == pytest.approx(100, abs=0.05)
    report = (folder / "report.html").read_text()
    assert report.count('class="stack" role="img" aria-label="VOC21, ') == len(methods)
    (audit,) = results["studies"]["audit"]["tables"]
    assert [tuple(row[1:3]) for row in audit["rows"]] == [
        ("cliptrase", "regions"),
        ("cliptrase", "denoise"),
        ("cliptrase-denoise", "regions"),
    ]
    entries = {method: found["settings"]["VOC21"] for method, found in results["methods"].items()}
    told = {method: entry["scores"]["mmseg"]["mIoU"] for method, entry in entries.items()}
    assert audit["rows"][1][4] == told["cliptrase-denoise"]
    assert audit["rows"][0][5] == pytest.approx(told["cliptrase-regions"] - told["cliptrase"], abs=0.011)


def test_what_an_interrupted_run_counted_is_taken_up(
    studied: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = run("test", tmp_path / "out", *studied)
    before = tables(whole.folder)
    (whole.folder / UNENDED).touch()
    options = ["test", *studied, *QUIET, "--trainer.default_root_dir", str(tmp_path / "out"), "--resume"]
    assert main(options) == 0
    assert f"resumed: {whole.folder} holds VOC20, PC59" in capsys.readouterr().out
    assert tables(whole.folder) == before
    # Counts of a study that are gone make the data set be scored again.
    (whole.folder / UNENDED).touch()
    (whole.folder / "studies" / "explain" / "VOC20.npz").unlink()
    with pytest.warns(UserWarning, match="VOC20 is scored again"):
        assert main(options) == 0
    assert tables(whole.folder) == before


def test_an_audit_needs_parts(studied: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, "test", *studied, "--audit", "--model.method", "gem")
    assert said.startswith("--audit leaves out parts of methods, and there are none in gem, vanilla; take a method")


def test_predict_has_no_truth(studied: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "predict", *studied) == "--explain needs label maps to score; it goes with 'test'"


@pytest.mark.filterwarnings("ignore:.*value 255 covers most")
def test_nothing_scored_leaves_no_empty_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, values in (("image", np.zeros((32, 64, 3), np.uint8)), ("gt", np.full((32, 64), 255, np.uint8))):
        (tmp_path / kind).mkdir()
        if kind == "gt":
            values[:, :4] = [0, 0, 1, 1]  # which a crop of the middle does not see
        Image.fromarray(values).save(tmp_path / kind / "a.png")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    data = ["--data", "Folder", "--data.root", str(tmp_path)]
    data += ["--data.classes", str(tmp_path / "classes.txt"), "--model.clip", "embedded", "--protocol", "paper_224"]
    out = ["--explain", "--audit", *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    assert main(["test", *data, *out]) == 1
    told = capsys.readouterr()
    assert "no picture was scored" in told.err
    assert "error budget" not in told.out
    (folder,) = (tmp_path / "out").iterdir()
    assert tables(folder) == {}
    assert not list(folder.glob("studies/*.csv"))
    assert main(["verify", str(folder)]) == 0
