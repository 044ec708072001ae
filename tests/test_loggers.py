"""Lightning's loggers read back: one run that tells several at once, and what they cannot be asked for."""

import csv
import importlib.util
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from jsonargparse import Namespace
from PIL import Image
from pytorch_lightning.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cliptrase.cli.run_names import named, run_name
from cliptrase.common.errors import InputError
from cliptrase.runs.callbacks.loggers import LogWriter, log_writers, told
from tests.command import QUIET, Run, complaint, run

NAME = "Shapes_cliptrase_embedded"
DEMO = ["--config", "configs/demo.yaml", "--data", "Shapes", "--data.scenes", "3", "--model.compare", "[vanilla]"]


class Logged:
    """A run that told every logger that is installed."""

    def __init__(self, folder: Path, finished: Run, scores: dict[str, float]) -> None:
        self.folder, self.run, self.scores = folder, finished, scores


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("loggers")
    asked: list[dict[str, Any]] = [
        {"class_path": kind, "init_args": {"save_dir": str(folder / place)}}
        for kind, place in (("CSVLogger", "csv"), ("TensorBoardLogger", "tensorboard"))
    ]
    if installed("mlflow"):
        asked.append({"class_path": "MLFlowLogger", "init_args": {"save_dir": str(folder / "mlruns")}})
    if installed("wandb"):
        asked.append({"class_path": "WandbLogger", "init_args": {"save_dir": str(folder), "offline": True}})
    finished = run("test", folder / "out", *DEMO, "--trainer.logger", json.dumps(asked))
    scores = {
        f"{method}/Shapes/{column}": value
        for method, part in finished.results["methods"].items()
        for column, value in part["settings"]["Shapes"]["scores"]["released"].items()
    }
    yield Logged(folder, finished, scores)
    if installed("wandb"):
        import wandb

        wandb.finish()


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def stems(logged: Logged) -> list[str]:
    lines = json.loads((logged.run.folder / "sheets" / "sheets.json").read_text())["sheets"]
    return [line["file"].removesuffix(".png") for line in lines]


def test_the_folder_has_data_method_and_model_in_its_name(logged: Logged) -> None:
    assert logged.run.folder.name.endswith(f"_{NAME}")


def test_csv(logged: Logged) -> None:
    folder = logged.folder / "csv" / NAME / "version_0"
    (line,) = csv.DictReader((folder / "metrics.csv").read_text().splitlines())
    assert {name: float(line[name]) for name in logged.scores} == pytest.approx(logged.scores, abs=0.01)
    parameters = yaml.safe_load((folder / "hparams.yaml").read_text())
    assert (parameters["method"], parameters["compared"], parameters["data"]) == ("cliptrase", "vanilla", "Shapes")
    assert parameters["protocol/eps"] == 0.5
    for name in ("results", "comparison"):
        assert (folder / "tables" / f"{name}.csv").read_text() == (logged.run.folder / f"{name}.csv").read_text()
    for name in stems(logged):
        picture = (folder / "pictures" / f"{name}.png").read_bytes()
        assert picture == (logged.run.folder / "sheets" / f"{name}.png").read_bytes()


def test_tensorboard(logged: Logged) -> None:
    events = EventAccumulator(str(logged.folder / "tensorboard" / NAME / "version_0"), size_guidance={"images": 0})
    events.Reload()
    for name, value in logged.scores.items():
        assert events.Scalars(name)[0].value == pytest.approx(value, abs=0.01)
    assert set(stems(logged)) <= set(events.Tags()["images"])


def test_mlflow(logged: Logged) -> None:
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"file:{logged.folder / 'mlruns'}")
    experiment = client.get_experiment_by_name("cliptrase")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == (NAME, "FINISHED")
    assert found.data.metrics == pytest.approx(logged.scores, abs=0.01)
    assert found.data.params["method"] == "cliptrase"
    artifacts = Path(found.info.artifact_uri.removeprefix("file://"))
    assert (artifacts / "tables" / "results.csv").read_text() == (logged.run.folder / "results.csv").read_text()
    assert (artifacts / "texts" / "scores" / "comparison.md").is_file()
    for name in stems(logged):
        assert (artifacts / "pictures" / f"{name}.png").is_file()


def test_wandb(logged: Logged) -> None:
    pytest.importorskip("wandb")
    import wandb

    assert wandb.run is not None
    assert (wandb.run.name, wandb.run.project, wandb.run.offline) == (NAME, "cliptrase", True)
    assert wandb.run.config["method"] == "cliptrase"
    told_figures = {name: value for name, value in dict(wandb.run.summary).items() if name in logged.scores}
    assert told_figures == pytest.approx(logged.scores, abs=0.01)
    media = Path(wandb.run.dir) / "media"
    (table,) = (media / "table").glob("results_*.json")
    content = json.loads(table.read_text())
    rows = list(csv.reader((logged.run.folder / "results.csv").read_text().splitlines()))
    assert content["columns"] == rows[0]
    place = rows[0].index("mIoU")
    assert [row[place] for row in content["data"]] == [float(row[place]) for row in rows[1:]]
    for name in stems(logged):
        (picture,) = media.glob(f"images/{name}_*.png")
        with Image.open(picture) as sent, Image.open(logged.run.folder / "sheets" / f"{name}.png") as kept:
            assert np.array_equal(sent, kept)


def test_other_processes_write_nothing(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path / "csv"))
    assert log_writers(SimpleNamespace(is_global_zero=False, loggers=[logger])) == []  # type: ignore[arg-type]
    assert len(log_writers(SimpleNamespace(is_global_zero=True, loggers=[logger]))) == 1  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_what_a_logger_raises_is_a_sentence() -> None:
    with (
        pytest.raises(InputError, match=r"^CSVLogger takes no more \(no room\); mend"),
        told(LogWriter(CSVLogger("x"))),
    ):
        raise RuntimeError("no room.")
    with pytest.raises(OSError, match="full"), told(LogWriter(CSVLogger("x"))):
        raise OSError("full")


@pytest.mark.parametrize(
    ("data", "model", "expected"),
    [
        (("VOC20", {}), ("ViT-B-16", "openai", "cliptrase"), "VOC20_cliptrase_ViT-B-16-openai"),
        (("Folder", {"name": "my set"}), ("ViT-B-16", "/w/a b.pt", "gem+p=5"), "my-set_gem+p=5_ViT-B-16-a-b"),
        (("Folder", {"spec": "x/set.yaml"}), ("hf-hub:org/clip", None, "/m/own.py:kv"), "set_own.py-kv_clip"),
        (("Benchmark", {"settings": ["A", "x/b.yaml"]}), ("local-dir:/w/tiny/", None, "gem"), "A-b_gem_tiny"),
        (("Benchmark", {"settings": "mess"}), ("embedded", None, "../.."), "Benchmark_-_embedded"),
    ],
)
def test_names_of_runs(data: tuple[str, dict[str, Any]], model: tuple[str, str | None, str], expected: str) -> None:
    clip, pretrained, method = model
    config = Namespace(
        data=Namespace(class_path=f"datamodules.{data[0]}", init_args=Namespace(**data[1])),
        model=Namespace(clip=clip, pretrained=pretrained, method=method),
    )
    assert run_name(config) == expected


def test_names_that_were_given_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"MLFLOW_ALLOW_FILE_STORE": "false"})
    given = Namespace(class_path="a.MLFlowLogger", init_args=Namespace(run_name="mine", experiment_name="ours"))
    assert named(given, "run") == given
    assert os.environ["MLFLOW_ALLOW_FILE_STORE"] == "false"
    unnamed = Namespace(class_path="a.WandbLogger", init_args=Namespace(name=None, project=None))
    (found,) = named([unnamed], "run")
    assert (found.init_args.name, found.init_args.project) == ("run", "cliptrase")
    assert unnamed.init_args.name is None
    assert named(True, "run") is True
    assert named(None, "run") is None


@pytest.mark.parametrize(
    ("asked", "status", "sentence"),
    [
        (["CSVLogger"], 2, "--trainer.logger CSVLogger needs a folder: give --trainer.logger.save_dir DIR"),
        (["NoLogger"], 2, "--trainer.logger NoLogger is no logger of Lightning; CSVLogger, "),
        (
            ["WandbLogger", "--trainer.logger.ofline", "true"],
            2,
            "--trainer.logger WandbLogger cannot be used: Option 'ofline' is not accepted",
        ),
        (["CometLogger"], 1, "the logger cannot be used (Requirement 'comet-ml"),
    ],
)
def test_loggers_that_cannot_be(
    asked: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    options = [*DEMO, *QUIET, "--trainer.default_root_dir", str(tmp_path), "--trainer.logger", *asked]
    assert complaint(capsys, "test", *options, status=status).startswith(sentence)
