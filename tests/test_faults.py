"""What the machine or Lightning refuses ends in one sentence; faults of the code keep their traceback."""

import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.summary.writer.record_writer import RecordWriter

from cliptrase.cli import main
from cliptrase.cli.complaints import from_machine, mendable, of_other_processes
from cliptrase.cli.evaluation import _import_own_data
from cliptrase.cli.processes import _started_elsewhere
from cliptrase.cli.refusals import note_stand_in
from cliptrase.common import io as files
from cliptrase.common.errors import InputError
from cliptrase.runs.callbacks import writers
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules import VOC20, DataError
from datamodules.dataset import FileDataset
from tests.command import QUIET, complaint
from tests.kit import write_detectron2_tree


@pytest.fixture
def arguments(tmp_path: Path, tiny_clip: Path) -> list[str]:
    """`test` on two pictures."""
    root = write_detectron2_tree(tmp_path / "datasets", VOC20.spec, sizes=((96, 96), (70, 80)))
    chosen = ["test", "--config", "configs/paper_224.yaml", "--protocol.size", "64", *QUIET]
    chosen += ["--data", "VOC20", "--data.root", str(root), "--model.clip", f"local-dir:{tiny_clip}"]
    return [*chosen, "--trainer.default_root_dir", str(tmp_path / "out")]


@pytest.fixture
def complain(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The complaint about further options."""

    def call(*options: str, status: int = 1) -> str:
        sentence = complaint(capsys, *arguments, *options, status=status)
        assert "\x1b" not in sentence
        return sentence

    return call


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["accelerator", "quantum"], "--trainer.accelerator quantum cannot be used here (You selected an invalid"),
        (["accelerator", "tpu"], "--trainer.accelerator tpu cannot be used here ("),
        (["devices", "0"], "--trainer.devices 0 cannot be used here ("),
        (["devices", "-2"], "--trainer.devices -2 cannot be used here ("),
        (["devices", "a"], "--trainer.devices a cannot be used here ("),
        (["num_nodes", "0"], "--trainer.num_nodes 0 cannot be used here ("),
        (["num_nodes", "2"], "--trainer.num_nodes 2 waits for machines that nobody names: start by torchrun or srun"),
        (["limit_test_batches", "-1"], "--trainer.limit_test_batches -1 cannot be used here ("),
        (["limit_test_batches", "1.5"], "--trainer.limit_test_batches 1.5 cannot be used here ("),
        (["strategy", "foo"], "--trainer.strategy foo cannot be used here (You selected an invalid strategy name"),
        (["strategy", "deepspeed"], "--trainer.strategy deepspeed cannot be used here ("),
        (["strategy", "fsdp"], "--trainer.strategy fsdp cannot be used here ("),
        (
            ["strategy", "ddp_spawn"],
            "--trainer.strategy ddp_spawn is of no use here: nothing is trained",
        ),
        (["barebones", "true"], "--trainer.barebones True cannot be used here ("),
        (["profiler", "x"], "--trainer.profiler x cannot be used here ("),
        (["precision", "64-true"], "take one of 32-true, int8x3, bf16-mixed, 16-mixed"),
        (["max_time", "x"], "--trainer.max_time x cannot be used here ("),
        (["fast_dev_run", "-1"], "--trainer.fast_dev_run -1 cannot be used here ("),
        (["overfit_batches", "-1"], "--trainer.overfit_batches -1 cannot be used here ("),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_what_the_trainer_refuses(complain: Callable[..., str], options: list[str], expected: str) -> None:
    name, value = options
    assert expected in complain(f"--trainer.{name}", value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has a GPU")
@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_no_gpu(complain: Callable[..., str], accelerator: str) -> None:
    assert f"--trainer.accelerator {accelerator} cannot be used here (" in complain(
        "--trainer.accelerator", accelerator
    )


@pytest.mark.parametrize("seed", ["-1", "4294967296"])
def test_seeds(complain: Callable[..., str], seed: str) -> None:
    assert complain("--seed_everything", seed).startswith(f"--seed_everything cannot be used: {seed} is not in bounds")


def test_a_logger_whose_library_is_missing(complain: Callable[..., str]) -> None:
    assert "neptune" in complain("--trainer.logger", "NeptuneLogger", status=2).lower()


def test_a_job_of_slurm(complain: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NTASKS": "2", "JOB_NAME": "job", "JOB_ID": "1", "PROCID": "0", "LOCALID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert complain().endswith("start by srun, or set SLURM_JOB_NAME=interactive")


@pytest.mark.parametrize(("devices", "nodes"), [("1", "1"), ("4", "2")])
def test_another_number_of_processes_than_srun_started(
    devices: str, nodes: str, complain: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would score everything by itself, or wait for processes that nobody starts."""
    job = {"JOB_NAME": "job", "JOB_ID": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for name, value in (job | {"NTASKS": "2", "NTASKS_PER_NODE": "1", "NNODES": "2"}).items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert complain("--trainer.devices", devices, "--trainer.num_nodes", nodes) == (
        f"srun started 2 processes on 2 nodes, and --trainer.num_nodes {nodes} with --trainer.devices {devices} makes "
        f"{int(nodes) * int(devices)}; let both say the same, one process a device"
    )


def test_what_torchrun_started() -> None:
    told = {"TORCHELASTIC_RUN_ID": "none", "GROUP_WORLD_SIZE": "2", "WORLD_SIZE": "8", "SLURM_NTASKS": "1"}
    assert _started_elsewhere(told) == ("torchrun", 2, 8)
    assert _started_elsewhere({"WORLD_SIZE": "8"}) is None
    assert _started_elsewhere({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "8"}) is None  # handed down by another's job


def test_the_cure_of_slurm(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NTASKS": "2", "JOB_NAME": "interactive", "JOB_ID": "1", "PROCID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert main(arguments) == 0


@pytest.mark.parametrize("place", ["/proc/none", "/dev/null/out", "{file}"])
def test_an_output_folder_that_cannot_be_made(complain: Callable[..., str], place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in its place")
    folder = place.format(file=tmp_path / "file")
    sentence = complain("--trainer.default_root_dir", folder)
    assert sentence.startswith(f"no folder for this run can be made in {folder!r} (")
    assert sentence.endswith("name another place by --trainer.default_root_dir")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("config.yaml", errno.ENOSPC),
        ("VOC20.npz", errno.EDQUOT),
        ("results.json", errno.EFBIG),
        ("results.csv", errno.EIO),
        ("report.html", errno.ENOSPC),
    ],
)
def test_a_disk_that_is_full(
    complain: Callable[..., str], name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def full(source: str, target: Path) -> None:
        if Path(target).name == name:
            raise OSError(number, os.strerror(number))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", full)
    sentence = complain()
    (folder,) = (tmp_path / "out").iterdir()
    (path,) = {folder / name, folder / "confusion" / name} & {Path(word) for word in sentence.split()}
    assert sentence.startswith(f"{path} cannot be written ({os.strerror(number)}); make room")
    assert (folder / "results.json").exists() == (name in ("results.csv", "report.html"))
    assert not list(folder.rglob(f".{name}*"))


@pytest.mark.parametrize("room", [0, 4])
def test_tensorboard_on_a_full_disk(
    room: int, complain: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writing thread fails, and prints no traceback of its own."""
    write, records = RecordWriter.write, iter(range(10**6))

    def full(*arguments: Any) -> None:
        if next(records) >= room:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(*arguments)

    monkeypatch.setattr(RecordWriter, "write", full)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)  # as in a process of its own
    assert complain().startswith("TensorBoard cannot write its files (No space left on device); make room")
    # It is told before there is work to lose, or when the results are written.
    assert bool(list(tmp_path.glob("out/*/results.json"))) == (room > 0)


def test_sheets_on_a_full_disk(complain: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are written all the same."""
    replace = os.replace

    def full(source: str, target: Path) -> None:
        if Path(target).suffix == ".png":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", full)
    sheets = "[{class_path: cliptrase.runs.callbacks.TensorBoardMasks, init_args: {pictures: 1}}]"
    sentence = complain("--trainer.callbacks", sheets)
    assert sentence.startswith("sheets are missing: ")
    assert sentence.endswith("What was written before is kept; figures and masks are whole")
    (results,) = tmp_path.glob("out/*/results.json")
    assert json.loads(results.read_text())["provenance"]["unfinished"] == []
    assert (results.parent / "report.html").exists()


def raising(error: BaseException) -> Callable[..., Any]:
    def forward(*_: Any, **__: Any) -> Any:
        raise error

    return forward


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes. Error code 12"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
    ids=["python", "cpu", "cpu 2", "cuda"],
)
def test_memory(complain: Callable[..., str], error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Segmenter, "forward", raising(error))
    assert complain().startswith("there is not enough memory: give a smaller --data.batch_size, fewer")


def test_a_fault_of_the_code_is_a_traceback(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it happens while an error of the user's is dealt with."""

    def page(*_: Any) -> str:
        try:
            raise InputError("the user's")
        except InputError:
            return None + 1  # type: ignore[operator,no-any-return]

    monkeypatch.setattr(writers, "page", page)
    with pytest.raises(TypeError, match="unsupported operand"):
        main(arguments)
    monkeypatch.setattr(Segmenter, "forward", raising(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        main(arguments)


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize(
    "sentence", ["x.png cannot be read (DecoderError: broken) Error: y; take another", "two\nlines, \x1b[31mred\x1b[0m"]
)
def test_a_sentence_comes_whole_out_of_a_worker(
    complain: Callable[..., str], workers: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileDataset, "read", raising(DataError(sentence)))
    expected = sentence.replace("\n", " ").replace("\x1b[31m", "").replace("\x1b[0m", "")
    assert complain("--data.num_workers", workers) == expected


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_data_worker_that_is_killed(
    complain: Callable[..., str], signum: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileDataset, "read", lambda *_: os.kill(os.getpid(), signum))
    assert complain("--data.num_workers", "1").startswith("a data worker was killed, perhaps for want of memory; give")


def test_memory_in_a_worker(complain: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileDataset, "read", raising(MemoryError("1 TiB")))
    assert complain("--data.num_workers", "1").startswith("there is not enough memory: ")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            RuntimeError("unable to write to file </torch_1_2>: No space left on device (28)"),
            "shared memory (/dev/shm)",
        ),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible"), "shared memory"),
        (RuntimeError("received 0 items of ancdata"), "too many files are open"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (RuntimeError("odd"), ""),
        (OSError(errno.ENOSPC, "No space left on device"), ""),
    ],
)
def test_what_the_machine_lacks(error: Exception, expected: str) -> None:
    assert expected in from_machine(error)
    assert bool(from_machine(error)) == bool(expected)


def test_only_what_is_raised_from_the_users_error_is_the_users() -> None:
    users, ours = InputError("the user's"), TypeError("ours")
    ours.__context__ = users
    assert mendable(ours) == ""
    ours.__cause__ = users
    assert mendable(ours) == "the user's"


def test_the_end_of_another_process() -> None:
    gone = RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1")
    assert of_other_processes(gone)
    assert not of_other_processes(RuntimeError("shapes differ"))


@pytest.mark.parametrize("command", ["test", "predict"])
def test_ctrl_c(
    command: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning takes an interrupt away; here one comes in the second batch."""
    forward, calls = Segmenter.forward, iter(range(9))

    def interrupted(self: Segmenter, *rest: Any, **named: Any) -> Any:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return forward(self, *rest, **named)

    monkeypatch.setattr(Segmenter, "forward", interrupted)
    before = signal.getsignal(signal.SIGINT)
    try:
        sentence = complaint(capsys, command, *arguments[1:], "--data.batch_size", "1", status=130)
    finally:
        signal.signal(signal.SIGINT, before)  # which Lightning ignores from then on
    if command == "test":
        assert sentence == "interrupted: nothing was finished yet; start again by the same command"
    else:
        assert sentence.startswith("interrupted: finished masks are in ")


def test_an_interrupt_before_anything(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliptrase.cli.evaluate.EvaluationCLI", raising(KeyboardInterrupt()))
    assert complaint(capsys, "test", status=130) == "interrupted: nothing was computed yet"


def test_a_share_of_the_batches_that_is_none(complain: Callable[..., str]) -> None:
    sentence = complain("--data.batch_size", "1", "--trainer.limit_test_batches", "0.1")
    assert sentence.startswith("--trainer options cannot be used here (You requested to check 0.1")


def test_words_that_the_embedded_model_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    spec = replace(VOC20.spec, vocabulary=Vocabulary(single_names(["sky", "cat", "water", "dog"])))
    note_stand_in("embedded", [spec])
    told = capsys.readouterr().err
    assert told.startswith(
        "note: the embedded model is a stand-in that does not know cat, dog, and where it finds that means nothing; "
        "it knows 16 words (grass, "
    )
    assert told.endswith("); --model.clip ViT-B-16 knows others\n")
    note_stand_in("ViT-B-16", [spec])
    note_stand_in("embedded", [replace(spec, vocabulary=Vocabulary(single_names(["sky"])))])
    assert capsys.readouterr().err == ""


def test_a_data_set_of_ones_own_is_found_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the installed command Python does not look there."""
    (tmp_path / "own_rooms.py").write_text("HERE = True\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    _import_own_data(["test", "--data", "..x", "--data", "nowhere.Rooms", "--data", "own_rooms.Rooms"])
    assert sys.modules.pop("own_rooms").HERE
    assert sys.path == before
