"""Several processes give what one gives, bit for bit, and count every picture once."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliptrase.runs.folder import UNENDED
from datamodules import PC59, PC459, VOC20
from tests.kit import write_detectron2_tree

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.ddp


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> list[str]:
    """Settings of eight pictures, five and one: uneven, and fewer than processes."""
    root = tmp_path_factory.mktemp("datasets")
    for seed, (module, count) in enumerate(((VOC20, 8), (PC59, 5), (PC459, 1))):
        write_detectron2_tree(root, module.spec, sizes=((96, 96), (80, 100), (70, 70), (99, 64)) * 2, seed=10 * seed)
        for path in (root / module.spec.folder).rglob("scene_*"):
            if int(path.stem.removeprefix("scene_")) >= count:
                path.unlink()
    chosen = ["--config", "configs/paper_224.yaml", "--protocol.size", "64", "--model.compare", "[vanilla+regions]"]
    sheets = (
        "[{class_path: cliptrase.runs.callbacks.TensorBoardMasks, "
        "init_args: {pictures: 3, worst: 2, names: [scene_4]}}]"
    )
    chosen += ["--trainer.callbacks", sheets]
    data = ["--data", "Benchmark", "--data.settings", "[VOC20, PC59, PC459]", "--data.root", str(root)]
    return [*chosen, *data, "--data.batch_size", "2", "--model.clip", f"local-dir:{tiny_clip}"]


def start(
    out: Path, *arguments: str, launcher: tuple[str, ...] = (sys.executable,), **environment: str
) -> tuple[Path, str]:
    """Runs the command line in a process group of its own: one that hangs is killed whole."""
    command = [*launcher, "cli.py", *arguments, "--trainer.default_root_dir", str(out), "--data.num_workers", "0"]
    command += ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | environment,
    )
    try:
        printed, _ = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert process.returncode == 0, printed
    (folder,) = out.iterdir()
    return folder, printed


def ddp(processes: int) -> list[str]:
    return ["--trainer.devices", str(processes), "--trainer.strategy", "ddp"]


def figures(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "results.json").read_text())
    return {"settings": document["settings"], "methods": document["methods"]}


def counts(folder: Path) -> dict[str, dict[str, Any]]:
    """What `confusion/` holds by setting: of each picture too, in a fixed order."""
    found = {}
    for path in sorted((folder / "confusion").iterdir()):
        with np.load(path) as stored:
            found[path.stem] = {key: (stored[key].dtype, stored[key].tolist()) for key in stored.files}
    return found


def sheets(folder: Path) -> dict[str, bytes]:
    """Everything under `sheets/`, the index too."""
    root = folder / "sheets"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def one(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of `test` and `predict` with one process."""
    out = tmp_path_factory.mktemp("one")
    return start(out / "test", "test", *options)[0], start(out / "predict", "predict", *options)[0]


def test_every_picture_is_counted_once(one: tuple[Path, Path]) -> None:
    results = figures(one[0])["settings"]
    assert [result["images"] for result in results.values()] == [8, 5, 1]
    assert [len(kept["stems"][1]) for kept in counts(one[0]).values()] == [1, 5, 8]  # PC459, PC59, VOC20
    assert [result["intervals"] is None for result in results.values()] == [False, False, True]


@pytest.mark.parametrize("processes", [2, 3])
def test_scores_of_several_processes_are_those_of_one(
    processes: int, one: tuple[Path, Path], options: list[str], tmp_path: Path
) -> None:
    folder, printed = start(tmp_path / "out", "test", *options, *ddp(processes))
    assert figures(folder) == figures(one[0])
    assert counts(folder) == counts(one[0])
    assert sheets(folder) == sheets(one[0])
    assert (folder / "results.csv").read_bytes() == (one[0] / "results.csv").read_bytes()
    assert json.loads((folder / "results.json").read_text())["provenance"]["processes"] == processes
    assert printed.count("results: ") == 1  # only the first process prints


@pytest.mark.parametrize("processes", [2, 3])
def test_masks_of_several_processes_are_those_of_one(
    processes: int, one: tuple[Path, Path], options: list[str], tmp_path: Path
) -> None:
    folder, _ = start(tmp_path / "out", "predict", *options, *ddp(processes))
    masks = {path.relative_to(one[1]): path.read_bytes() for path in (one[1] / "masks").rglob("*.png")}
    assert {path.relative_to(folder): path.read_bytes() for path in (folder / "masks").rglob("*.png")} == masks
    assert len(masks) == 14
    assert sheets(folder) == sheets(one[1])
    lines = json.loads((folder / "sheets" / "sheets.json").read_text())["sheets"]
    first, named = [f"scene_{number}" for number in range(3)], "scene_4"
    chosen = [*((name, stem) for name in ("VOC20", "PC59") for stem in [*first, named]), ("PC459", "scene_0")]
    assert [(line["setting"], line["stem"]) for line in lines] == chosen


def test_a_run_killed_after_its_last_data_set_is_completed(
    one: tuple[Path, Path], options: list[str], tmp_path: Path
) -> None:
    """The report and some of the sheets are missing: two processes write them, and compute no more than those."""
    folder, _ = start(tmp_path / "out", "test", *options, *ddp(2))
    before = sheets(folder), json.loads((folder / "results.json").read_text())
    (folder / "report.html").unlink()
    shutil.rmtree(folder / "sheets" / "VOC20 worst")
    (folder / "sheets" / "PC59" / "scene_4.png").write_bytes(b"half")
    (folder / UNENDED).touch()
    again, printed = start(tmp_path / "out", "test", *options, *ddp(2), "--resume")
    assert again == folder
    assert f"resumed: {folder} holds VOC20, PC59, PC459" in printed
    assert (folder / "report.html").is_file()
    assert not (folder / UNENDED).exists()
    assert sheets(folder) == before[0] == sheets(one[0])
    document = json.loads((folder / "results.json").read_text())
    assert {key for key in document if document[key] != before[1][key]} <= {"provenance"}
    made, earlier = document["provenance"], before[1]["provenance"]
    assert {key for key in made if made[key] != earlier[key]} <= {"date", "command"}


def test_torchrun(one: tuple[Path, Path], options: list[str], tmp_path: Path) -> None:
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    folder, _ = start(tmp_path / "out", "test", *options, *ddp(2), launcher=launcher)
    assert figures(folder) == figures(one[0])


def of_torchrun(rank: int, port: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Launcher and environment of a node as torchrun starts it."""
    place = ("--nnodes", "2", "--node-rank", str(rank), "--master-addr", "127.0.0.1", "--master-port", port)
    return (sys.executable, "-m", "torch.distributed.run", *place, "--nproc-per-node", "1"), {}


def of_slurm(rank: int, port: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The same as srun starts it, as far as a process can tell."""
    job = {"JOB_ID": "4711", "JOB_NAME": "table", "NODELIST": "127.0.0.1", "LOCALID": "0"}
    counted = {"NTASKS": "2", "NTASKS_PER_NODE": "1", "NNODES": "2", "PROCID": str(rank), "NODEID": str(rank)}
    return (sys.executable,), {f"SLURM_{name}": value for name, value in (job | counted).items()} | {
        "MASTER_PORT": port
    }


@pytest.mark.parametrize("node", [of_torchrun, of_slurm])
def test_two_nodes(
    node: Callable[[int, str], tuple[tuple[str, ...], dict[str, str]]],
    one: tuple[Path, Path],
    options: list[str],
    tmp_path: Path,
) -> None:
    """Two nodes of one process each, over the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    words = ["test", *options, "--trainer.num_nodes", "2", "--trainer.devices", "1"]

    def begin(rank: int) -> tuple[Path, str]:
        launcher, environment = node(rank, port)
        return start(tmp_path / "out", *words, launcher=launcher, **environment)

    with ThreadPoolExecutor(2) as pool:
        (folder, printed), (same, silent) = pool.map(begin, range(2))
    assert folder == same
    assert "results: " in printed
    assert "results: " not in silent
    assert figures(folder) == figures(one[0])
    assert counts(folder) == counts(one[0])
    assert sheets(folder) == sheets(one[0])
    assert json.loads((folder / "results.json").read_text())["provenance"]["processes"] == 2


def launch(out: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts a run of two processes in a group of their own."""
    command = [sys.executable, "cli.py", "test", *arguments, *ddp(2), "--trainer.default_root_dir", str(out)]
    command += ["--data.num_workers", "0", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and complaints of a run, all of whose processes end."""
    try:
        _, complaints = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    until = time.monotonic() + 10
    while alive(process.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(process.pid)
    return process.returncode, complaints


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def said(complaints: str) -> list[str]:
    """Lines of the error stream, but for the notes on the data."""
    return [line for line in complaints.splitlines() if not line.startswith("note: ")]


def others_of(process: subprocess.Popen[str]) -> list[int]:
    """Processes that a process started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in children.read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the processes")
@pytest.mark.parametrize(
    ("first", "signum", "status", "sentence"),
    [
        (False, signal.SIGKILL, 1, "error: process 1 of this run was killed by SIGKILL, perhaps for want of memory: "),
        (False, signal.SIGTERM, 143, "error: stopped by SIGTERM: finished settings are in "),
        (True, signal.SIGTERM, 143, "error: stopped by SIGTERM: finished settings are in "),
    ],
    ids=["another killed", "another stopped", "the first stopped"],
)
def test_a_process_that_ends_ends_the_run(
    first: bool, signum: int, status: int, sentence: str, options: list[str], tmp_path: Path
) -> None:
    root = tmp_path / "datasets"
    write_detectron2_tree(root, VOC20.spec, sizes=((96, 96),) * 2)
    write_detectron2_tree(root, PC59.spec, sizes=((96, 96),) * 400)  # long enough to be caught at it
    more = ["--data.settings", "[VOC20, PC59]", "--data.root", str(root), "--data.batch_size", "1"]
    process = launch(tmp_path / "out", *options, *more)
    until = time.monotonic() + 120
    while not list(tmp_path.glob("out/*/results.json")):
        assert time.monotonic() < until
        time.sleep(0.05)
    (other,) = others_of(process)
    os.kill(process.pid if first else other, signum)
    found, complaints = ended(process)
    (complaint,) = said(complaints)
    assert complaint.startswith(sentence)
    assert "the same command with --resume goes on" in complaint
    assert found == status


def test_an_error_of_one_process_ends_the_run(options: list[str], tmp_path: Path) -> None:
    """The second process reads a picture that breaks off."""
    root = tmp_path / "datasets"
    write_detectron2_tree(root, VOC20.spec, sizes=((96, 96),) * 2)
    picture = root / VOC20.spec.folder / VOC20.spec.images[0] / "scene_1.png"
    picture.write_bytes(picture.read_bytes()[:-400])
    found, complaints = ended(
        launch(tmp_path / "out", *options, "--data.settings", "[VOC20]", "--data.root", str(root))
    )
    assert found == 1
    first, *others = said(complaints)
    assert first.startswith(f"error: {picture} cannot be read as a picture")
    assert others == ["error: another process of this run stopped, for the reason that it gave"]
