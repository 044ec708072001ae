"""A run that is stopped leaves its finished settings, and --resume goes on after them."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cliptrase.cli import main
from cliptrase.runs.folder import UNENDED
from cliptrase.segmenter import Segmenter
from datamodules import ADE150, PC59, VOC20, DataError
from datamodules.dataset import FileDataset, Source
from tests.command import QUIET, complaint, run
from tests.kit import save_labels, write_detectron2_tree

NAMES = ("VOC20", "PC59", "ADE150")


class StoppedError(Exception):
    """Stands for whatever kills a run."""


@pytest.fixture
def options(tmp_path: Path, tiny_clip: Path) -> list[str]:
    root = tmp_path / "datasets"
    for seed, module in enumerate((VOC20, PC59, ADE150)):
        write_detectron2_tree(root, module.spec, sizes=((96, 96), (80, 70)), seed=seed)
    chosen = ["--config", "configs/paper_224.yaml", "--protocol.size", "64", "--model.compare", "[vanilla]"]
    data = ["--data", "Benchmark", "--data.settings", f"[{', '.join(NAMES)}]", "--data.root", str(root)]
    return [*chosen, *data, "--data.batch_size", "1", "--model.clip", f"local-dir:{tiny_clip}"]


def stop_after(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The segmenter stops the run at the next call after `calls`."""
    original, count = Segmenter.forward, iter(range(10**6))

    def forward(self: Segmenter, *arguments: Any, **named: Any) -> Any:
        if next(count) >= calls:
            raise StoppedError
        return original(self, *arguments, **named)

    monkeypatch.setattr(Segmenter, "forward", forward)


def test_a_stopped_run_goes_on_to_the_same_table(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*options, "--trainer.callbacks", "[]"]  # a lost sheet would be computed anew
    whole = run("test", tmp_path / "whole", *options)
    arguments = ["test", *options, *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    with pytest.MonkeyPatch.context() as patch:
        stop_after(5, patch)  # in the last setting
        with pytest.raises(StoppedError):
            main(arguments)
    (folder,) = (tmp_path / "out").iterdir()
    kept = json.loads((folder / "results.json").read_text())
    assert list(kept["settings"]) == ["VOC20", "PC59"]
    assert kept["provenance"]["unfinished"] == ["ADE150"]
    assert kept["settings"] == {name: whole.results["settings"][name] for name in ("VOC20", "PC59")}
    with pytest.MonkeyPatch.context() as patch:
        stop_after(2, patch)  # nothing but the last setting's two pictures is computed
        assert main([*arguments, "--resume"]) == 0
    assert f"resumed: {folder} holds VOC20, PC59" in capsys.readouterr().out
    assert list((tmp_path / "out").iterdir()) == [folder]
    resumed = json.loads((folder / "results.json").read_text())
    assert resumed["settings"] == whole.results["settings"]
    assert resumed["methods"] == whole.results["methods"]
    assert resumed["provenance"]["unfinished"] == []
    assert resumed["methods"]["vanilla"]["settings"]["VOC20"]["intervals"]["difference_to_first"] is not None
    for name in NAMES:
        with (
            np.load(folder / "confusion" / f"{name}.npz") as kept,
            np.load(whole.folder / "confusion" / f"{name}.npz") as expected,
        ):
            assert kept.files == expected.files
            assert all(np.array_equal(kept[key], expected[key]) for key in kept.files)
    assert (folder / "results.csv").read_bytes() == (whole.folder / "results.csv").read_bytes()


def stop(arguments: list[str], calls: int) -> Path:
    """Runs a command that stops at the next picture after `calls`, and gives its folder."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(calls, patch)
        with pytest.raises(StoppedError):
            main(arguments)
    out = Path(arguments[arguments.index("--trainer.default_root_dir") + 1])
    return max(out.iterdir())


@pytest.fixture
def plain(options: list[str], tmp_path: Path) -> list[str]:
    """The same without sheets and charts, which take most of the time."""
    less = ["--trainer.callbacks", "[]", "--trainer.logger", "false", *QUIET]
    return ["test", *options, *less, "--trainer.default_root_dir", str(tmp_path / "out")]


def test_other_inputs_start_anew_and_what_differs_is_said(
    plain: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Label maps replaced by others of equal size and time, and a try that was limited to fewer pictures."""
    stopped = stop([*plain, "--trainer.limit_test_batches", "1"], 1)
    (labels,) = (tmp_path / "datasets" / VOC20.spec.folder / VOC20.spec.labels).glob("scene_0.*")
    kept, times = labels.read_bytes(), labels.stat()
    with Image.open(labels) as picture:
        save_labels(labels, np.full_like(np.array(picture), 5))
    labels.write_bytes(labels.read_bytes().ljust(len(kept), b"\0"))
    os.utime(labels, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert labels.stat().st_size == len(kept)
    assert main([*plain, "--resume", "--protocol.eps", "0.5"]) == 0
    told = f"the newest unfinished run {stopped} differs in: protocol, limit_test_batches, data of VOC20; a new one"
    assert f"nothing to resume: {told} starts" in capsys.readouterr().out
    assert main([*plain, "--resume", "--data.settings", "[VOC20, PC59]"]) == 0
    assert "differs in: limit_test_batches, data sets, data of VOC20;" in capsys.readouterr().out
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_finished_setting_is_kept_before_the_next_ones_first_picture_is_read(
    plain: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    read = FileDataset.read

    def fail(self: FileDataset, index: int) -> Source:
        if self.spec.name == "PC59":
            raise DataError("the disk went away")
        return read(self, index)

    monkeypatch.setattr(FileDataset, "read", fail)
    assert complaint(capsys, *plain) == "the disk went away"
    (folder,) = (tmp_path / "out").iterdir()
    document = json.loads((folder / "results.json").read_text())
    assert list(document["settings"]) == ["VOC20"]
    assert document["provenance"]["unfinished"] == ["PC59", "ADE150"]
    assert (folder / "confusion" / "VOC20.npz").is_file()


def test_printing_decides_on_no_file_and_a_run_that_ended_is_not_resumed(
    plain: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed(*_: Any) -> None:
        raise BrokenPipeError

    with monkeypatch.context() as patch, contextlib.suppress(BrokenPipeError):
        patch.setattr("cliptrase.runs.printing.print_sheets", closed)
        main(plain)
    (folder,) = (tmp_path / "out").iterdir()
    assert (folder / "report.html").is_file()
    assert not (folder / UNENDED).exists()
    assert main([*plain, "--resume"]) == 0
    told = f"nothing to resume: no unfinished run is under {tmp_path / 'out'}; a new one starts"
    assert told in capsys.readouterr().out
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_an_ended_run_is_completed_without_computing_anything(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after its last setting: report, sheets and charts are missing."""
    sheets = "[{class_path: cliptrase.runs.callbacks.TensorBoardMasks, init_args: {pictures: 1, worst: 1}}]"
    arguments = ["test", *options, *QUIET, "--trainer.callbacks", sheets]
    arguments += ["--trainer.default_root_dir", str(tmp_path / "out")]
    assert main(arguments) == 0
    (folder,) = (tmp_path / "out").iterdir()
    whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    events = next(path for path in whole if path.name.startswith("events"))
    lost = [events, folder / "report.html", folder / "comparison.md", folder / "sheets" / "VOC20 worst"]
    for path in lost:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / UNENDED).touch()
    half = folder / "sheets" / ".sheets.json.abcd1234.part"
    half.touch()
    looked = []
    original = Segmenter.forward

    def forward(self: Segmenter, *given: Any, **named: Any) -> Any:
        looked.append(given)
        return original(self, *given, **named)

    monkeypatch.setattr(Segmenter, "forward", forward)
    capsys.readouterr()
    time.sleep(1)  # a run's date is told in whole seconds, and shall be another
    assert main([*arguments, "--resume"]) == 0
    assert f"resumed: {folder} holds VOC20, PC59, ADE150" in capsys.readouterr().out
    assert list((tmp_path / "out").iterdir()) == [folder]
    assert len(looked) == 1  # the picture of the sheet that was lost
    found = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (again,) = found.keys() - whole.keys()
    assert again.name.startswith("events")
    assert whole.keys() - found.keys() == {events}
    unequal = {path.name for path in whole.keys() & found.keys() if whole[path] != found[path]}
    assert unequal <= {"results.json", "report.html"}  # date and command
    one, other = (json.loads(files[folder / "results.json"]) for files in (whole, found))
    assert {key for key in one if one[key] != other[key]} == {"provenance"}
    made, before = other["provenance"], one["provenance"]
    assert {key for key in made if made[key] != before[key]} <= {"date", "command"}
    accumulated = EventAccumulator(str(folder))
    accumulated.Reload()
    assert "confusion/VOC20" in accumulated.Tags()["images"]


def test_a_folder_that_another_process_writes_is_passed_over(
    plain: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = stop(plain, 3)
    newer = older.with_name(f"{older.name}-2")
    shutil.copytree(older, newer)
    hold = f"import fcntl, sys; f = open({str(newer / UNENDED)!r}, 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); "
    with subprocess.Popen(
        [sys.executable, "-c", hold + "print('held', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.warns(UserWarning, match=f"{newer} is passed over: it is being written by another process"):
            assert main([*plain, "--resume"]) == 0
        process.communicate()
    assert f"resumed: {older} holds VOC20" in capsys.readouterr().out
    assert json.loads((older / "results.json").read_text())["provenance"]["unfinished"] == []
    assert json.loads((newer / "results.json").read_text())["provenance"]["unfinished"] == ["PC59", "ADE150"]


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "other": lambda path: path.write_bytes(b'{"provenance": {"counts": [1], "identity": 3}}'),
    "gone": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "half a number": lambda path: path.write_bytes(path.read_bytes()[:-40] + b"\xff" * 40),
}


@pytest.fixture(scope="module")
def stopped_run(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> tuple[list[str], Path, Path]:
    """The command, a run that stopped in its last setting, and one that did not."""
    place = tmp_path_factory.mktemp("damage")
    for seed, module in enumerate((VOC20, PC59, ADE150)):
        write_detectron2_tree(place / "datasets", module.spec, sizes=((64, 64),), seed=seed)
    chosen = ["test", "--config", "configs/paper_224.yaml", "--protocol.size", "64"]
    data = ["--data", "Benchmark", "--data.settings", f"[{', '.join(NAMES)}]", "--data.root", str(place / "datasets")]
    less = ["--model.clip", f"local-dir:{tiny_clip}", "--trainer.callbacks", "[]", "--trainer.logger", "false", *QUIET]
    command = [*chosen, *data, *less]
    assert main([*command, "--trainer.default_root_dir", str(place / "whole")]) == 0
    stopped = stop([*command, "--trainer.default_root_dir", str(place / "out")], 2)
    return command, stopped, next((place / "whole").iterdir())


@settings(max_examples=8)
@given(
    damage=st.dictionaries(
        st.sampled_from(
            ["results.json", "results.csv", "config.yaml", UNENDED, "confusion/VOC20.npz", "confusion/PC59.npz"]
        ),
        st.sampled_from(list(DAMAGES)),
        max_size=3,
    )
)
@example(damage={"confusion/VOC20.npz": "half a number"})
@example(damage={"results.json": "a pipe"})
def test_a_damaged_run_is_resumed_or_passed_over(
    stopped_run: tuple[list[str], Path, Path], tmp_path_factory: pytest.TempPathFactory, damage: dict[str, str]
) -> None:
    """Whatever happened to an interrupted run's files: the figures are those of an unbroken one."""
    command, stopped, whole = stopped_run
    out = tmp_path_factory.mktemp("damaged")
    shutil.copytree(stopped, out / stopped.name)
    for name, kind in damage.items():
        DAMAGES[kind](out / stopped.name / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert main([*command, "--resume", "--trainer.default_root_dir", str(out)]) == 0
    folders = [path for path in out.iterdir() if not (path / UNENDED).exists() and (path / "report.html").exists()]
    (folder,) = folders
    document, expected = (json.loads((place / "results.json").read_text()) for place in (folder, whole))
    assert document["methods"] == expected["methods"]
    assert document["settings"] == expected["settings"]
    assert document["provenance"]["identity"] == expected["provenance"]["identity"]
    assert (folder / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()
    for name in NAMES:
        with np.load(folder / f"confusion/{name}.npz") as found, np.load(whole / f"confusion/{name}.npz") as right:
            assert all(np.array_equal(found[key], right[key]) for key in right.files)


def test_confusion_matrices_are_kept(options: list[str], tmp_path: Path) -> None:
    finished = run("test", tmp_path / "out", *options)
    with np.load(finished.folder / "confusion" / "VOC20.npz") as stored:
        confusion = stored["cliptrase/confusion"]
        pictures = stored["cliptrase/pictures"]
        assert stored["stems"].tolist() == ["scene_0", "scene_1"]
    assert pictures.dtype == np.int32
    margins = [confusion.diagonal(), confusion.sum(1), confusion.sum(0)]
    assert np.array_equal(pictures.sum(0), margins)
    right, total = int(confusion.diagonal().sum()), int(confusion.sum())
    assert finished.results["settings"]["VOC20"]["scores"]["released"]["pAcc"] == round(100 * right / total, 2)


@pytest.mark.parametrize(("signum", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "stopped by SIGTERM")])
def test_a_signal_leaves_what_there_is(signum: int, word: str, options: list[str], tmp_path: Path) -> None:
    root = tmp_path / "datasets"
    write_detectron2_tree(root, ADE150.spec, sizes=((96, 96),) * 400, seed=5)  # long enough to be caught at it
    arguments = ["test", *options, *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    process = subprocess.Popen(
        [sys.executable, "cli.py", *arguments],
        cwd=Path(__file__).resolve().parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while not any(",PC59," in path.read_text() for path in tmp_path.glob("out/*/results.csv")):
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(process.pid, signum)
    _, complaints = process.communicate(timeout=60)
    (folder,) = (tmp_path / "out").iterdir()
    assert process.returncode == 128 + signum
    sentence = f"{word}: finished settings are in {folder}; the same command with --resume goes on"
    assert [line for line in complaints.splitlines() if not line.startswith("note: ")] == [f"error: {sentence}"]
    assert list(json.loads((folder / "results.json").read_text())["settings"]) == ["VOC20", "PC59"]


@pytest.fixture(scope="module")
def within(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> tuple[list[str], Path]:
    """A command of two data sets with a study and sheets, and the folder of an unbroken run of it."""
    place = tmp_path_factory.mktemp("within")
    for seed, module in enumerate((VOC20, PC59)):
        write_detectron2_tree(place / "datasets", module.spec, sizes=((96, 96), (80, 70)) * 6, seed=seed)
    labels = place / "datasets" / PC59.spec.folder / PC59.spec.labels
    for number in (0, 5):  # nothing to score there
        (file,) = labels.glob(f"scene_{number}.*")
        with Image.open(file) as picture:
            save_labels(file, np.full_like(np.array(picture), PC59.spec.ignore_label))
    sheets = "[{class_path: cliptrase.runs.callbacks.TensorBoardMasks, init_args: {pictures: 1, worst: 1}}]"
    chosen = ["test", "--config", "configs/paper_224.yaml", "--protocol.size", "64", "--model.compare", "[vanilla]"]
    data = ["--data", "Benchmark", "--data.settings", "[VOC20, PC59]", "--data.root", str(place / "datasets")]
    command = [*chosen, *data, "--data.batch_size", "1", "--model.clip", f"local-dir:{tiny_clip}", "--explain", *QUIET]
    command += ["--trainer.callbacks", sheets]
    assert main([*command, "--trainer.default_root_dir", str(place / "whole")]) == 0
    return command, next((place / "whole").iterdir())


def equal_files(folder: Path, whole: Path) -> None:
    """Figures, counts, tables and sheets of two runs are the same, byte by byte but for archives' own times."""
    document, expected = (json.loads((place / "results.json").read_text()) for place in (folder, whole))
    assert {key for key in expected if document[key] != expected[key]} == {"provenance"}
    names = [str(path.relative_to(whole)) for path in sorted(whole.rglob("*")) if path.is_file()]
    for name in names:
        if name.endswith(".npz"):
            with np.load(folder / name) as found, np.load(whole / name) as right:
                assert sorted(found.files) == sorted(right.files)
                assert all(np.array_equal(found[key], right[key]) for key in right.files), name
        elif (name.endswith(".csv") and name != "comparison.csv") or name.startswith("sheets/"):
            assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (folder / "unfinished").exists()


@pytest.mark.parametrize("after", [1, 5, 14])
def test_a_run_goes_on_within_a_data_set(
    after: int, within: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stopped at the first image, in the first data set and in the second, then once more."""
    command, whole = within
    arguments = [*command, "--trainer.default_root_dir", str(tmp_path / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cliptrase.runs.partial.EVERY", 0)
        for number, goes_on in enumerate(([], ["--resume"])):
            with pytest.MonkeyPatch.context() as stopping:
                stop_after(after if not number else 2, stopping)
                with pytest.raises(StoppedError):
                    main([*arguments, *goes_on])
    capsys.readouterr()
    looked = []
    original = Segmenter.forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Segmenter, "forward", lambda self, *a, **b: looked.append(a) or original(self, *a, **b))
        assert main([*arguments, "--resume"]) == 0
    (folder,) = (tmp_path / "out").iterdir()
    assert f"resumed: {folder} holds " in capsys.readouterr().out
    sheets = 2 if after < 14 else 4  # of data sets that were not seen whole
    assert len(looked) <= 22 - after - 2 + sheets
    equal_files(folder, whole)


def counted_images(out: Path) -> int:
    """How many images the kept files of all processes hold."""
    found = 0
    for path in out.glob("*/unfinished/counts/*.npz"):
        with contextlib.suppress(OSError, ValueError, EOFError), np.load(path) as stored:
            found += len(stored["|numbers"]) + len(stored["|empty"])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="kills a group of processes")
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_run_killed_at_a_random_image_goes_on_with_another_number_of_processes(
    before: int, after: int, within: tuple[list[str], Path], tmp_path: Path
) -> None:
    command, whole = within
    image = random.Random().randint(1, 11)  # of the first data set's twelve
    root = Path(__file__).resolve().parent.parent
    keeps = tmp_path / "keeps_after_every_batch.py"
    keeps.write_text(
        "from cliptrase.runs import partial\npartial.EVERY = 0.0\nif __name__ == '__main__':\n"
        "    from cliptrase.__main__ import console\n    console()\n"
    )
    print(f"killed at image {image}")

    def started(processes: int, *more: str) -> subprocess.Popen[str]:
        program = [sys.executable, str(keeps), *command, *more]
        several = ["--trainer.devices", str(processes), "--trainer.strategy", "ddp" if processes > 1 else "auto"]
        return subprocess.Popen(
            [*program, *several, "--trainer.default_root_dir", str(tmp_path / "out")],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    process = started(before)
    until = time.monotonic() + 120
    while counted_images(tmp_path / "out") < image and not list(tmp_path.glob("out/*/results.json")):
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    printed, complaints = started(after, "--resume").communicate(timeout=180)
    (folder,) = (tmp_path / "out").iterdir()
    assert f"resumed: {folder} holds " in printed, complaints
    equal_files(folder, whole)
