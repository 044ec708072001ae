"""Every benchmark runs through and stores what it says."""

import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from open_clip.factory import _MODEL_CONFIGS

from benchmarks import (
    compare,
    dino,
    large_picture,
    measure,
    memory,
    precision,
    record,
    refinements,
    scaling,
    speed,
    startup,
    subjects,
    text,
    weights,
)
from benchmarks import names as naming
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.guest_weights import load_guest
from cliptrase.clip.weights import LoadedClip
from cliptrase.methods import METHODS
from cliptrase.ops import integer_products
from cliptrase.refinements import pamr
from cliptrase.segmenter import Segmenter
from tests.kit import MODEL_CONFIG, tiny_state
from tests.kit.dino import dino as golden_dino

CPU = torch.device("cpu")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_result_says_where_it_comes_from(tmp_path: Path) -> None:
    about = record.facts(CPU, threads=1)
    path = record.store("name", [{"a": 1}, {"a": 2, "b": 0.5}], about, tmp_path / "deep" / "found.csv")
    first, second = rows_of(path)
    assert (first["a"], first["b"], second["a"], second["b"]) == ("1", "", "2", "0.5")
    assert {"date", "command", "commit", "device", "platform", "threads", "versions"} <= set(first)
    assert f"torch={torch.__version__}".split("+")[0] in first["versions"]
    assert record.line({"a": 1, "b": 0.123456, "c": 1234.5}) == "a 1, b 0.123, c 1234"


def test_turns_give_the_median_without_the_first_round(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"one": iter([9.0, 1.0, 3.0, 2.0]), "two": iter([0.0, 5.0, 5.5, 9.0])}
    monkeypatch.setattr(measure, "seconds", lambda work, kind, device: next(taken[work()]))
    found = measure.interleaved({"one": lambda: "one", "two": lambda: "two"}, 3, "cpu", CPU)
    assert found == {"one": 2.0, "two": 5.5}


@pytest.mark.usefixtures("tiny_subject")
def test_speed(tmp_path: Path) -> None:
    options = ["--models", "tiny", "--sizes", "224", "--batch-sizes", "2", "--names", "7", "--rounds", "1"]
    speed.main([*options, "--plain", "1", "--precisions", "fp32", "bf16", "--out", str(tmp_path / "speed.csv")])
    exact, mixed = rows_of(tmp_path / "speed.csv")
    assert exact["plain_differs"] == "0"
    assert sum(float(exact[stage]) for stage in speed.STAGES) <= float(exact["step"])  # one round: the very same step
    assert float(exact["plain/step"]) == pytest.approx(float(exact["plain"]) / float(exact["step"]))
    assert 0 <= float(exact["plain_system"]) <= 1
    assert 0 < float(mixed["agreement"]) <= 1
    assert float(mixed["step/fp32"]) > 0
    assert float(mixed["plain/step"]) == pytest.approx(float(mixed["plain"]) / float(mixed["step"]))
    assert exact["plain/bare"]
    assert not mixed["plain/bare"]


@pytest.mark.usefixtures("tiny_subject")
def test_speed_of_windows(tmp_path: Path) -> None:
    options = ["--models", "tiny", "--batch-sizes", "2", "--names", "7", "--rounds", "1", "--out"]
    speed.main(["--windows", *options, str(tmp_path / "windows.csv")])
    (row,) = rows_of(tmp_path / "windows.csv")
    assert (row["size"], float(row["windows"])) == ("336", 6)
    assert float(row["step/bare"]) == pytest.approx(float(row["step"]) / float(row["bare"]))
    assert float(row["forward"]) > 0


@pytest.mark.usefixtures("tiny_subject")
def test_memory_is_of_this_process() -> None:
    peak = memory.peak_mib("tiny", 224, 1, "vanilla", 5, CPU)
    assert 50 < peak < 1e5  # Python with torch takes some 200


@pytest.mark.usefixtures("tiny_subject")
def test_refinements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are made anew in each round, and each peak is of a process of its own."""
    made = []
    monkeypatch.setattr(refinements, "SIZE", (30, 40))
    monkeypatch.setattr(refinements, "in_own_process", lambda options, method, count: 100.0 + count)
    affinities = pamr.affinities
    monkeypatch.setattr(pamr, "affinities", lambda *given: made.append(1) or affinities(*given))
    options = ["--size", "48", "--names", "3", "5", "--rounds", "2", "--device", "cpu"]
    refinements.main([*options, "--out", str(tmp_path / "refinements.csv")])
    rows = rows_of(tmp_path / "refinements.csv")
    assert [(row["names"], row["method"]) for row in rows] == [
        (names, method) for names in ("3", "5") for method in refinements.METHODS
    ]
    assert len(made) == 2 * 2 * (2 + 1)  # numbers of names, methods, rounds and one to warm up
    for row in rows:
        assert float(row["naming/forward"]) == pytest.approx(float(row["naming"]) / float(row["forward"]))
        assert float(row["more_mib"]) == (2 if row["names"] == "5" else 0)


@pytest.mark.usefixtures("tiny_subject")
def test_memory_of_a_refinement(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--size", "48", "--names", "3", "--device", "cpu", "--one", "naclip+pamr+tlp"]
    refinements.main(options)
    assert 50 < float(capsys.readouterr().out) < 1e5


def test_memory_of_each_case_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is asked with everything that was asked of the whole."""
    asked: list[list[str]] = []
    run = subprocess.run

    def answer(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if command[0] != sys.executable:  # git is asked for the commit, uname once a process for the processor
            return run(command, **options)
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, f"some warning\n{1000.5 + len(asked)}\n", "")

    monkeypatch.setattr(subprocess, "run", answer)
    options = ["--model", "ViT-B-32", "--size", "64", "--batch", "3", "--threads", "1", "--device", "cpu"]
    memory.main([*options, "--names", "3", "70", "--methods", "gem", "--out", str(tmp_path / "memory.csv")])
    first, second = rows_of(tmp_path / "memory.csv")
    assert (first["names"], first["peak_mib"], first["more_mib"]) == ("3", "1001.5", "0.0")
    assert (second["names"], second["peak_mib"], second["more_mib"]) == ("70", "1002.5", "1.0")
    for command, names in zip(asked, ("3", "70"), strict=True):
        given = dict(zip(command[3::2], command[4::2], strict=True))
        assert given == dict(zip(options[::2], options[1::2], strict=True)) | {"--one": names, "--methods": "gem"}


def test_memory_that_cannot_be_measured_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "out of memory")
    monkeypatch.setattr(subprocess, "run", lambda command, **options: failed)
    with pytest.raises(SystemExit, match="out of memory"):
        memory.main(["--names", "3", "--out", str(tmp_path / "memory.csv")])


@pytest.mark.usefixtures("tiny_subject")
def test_names(tmp_path: Path) -> None:
    options = ["--model", "tiny", "--batch", "1", "--names", "4", "--vocabularies", "7", "--rounds", "1"]
    naming.main([*options, "--device", "cpu", "--out", str(tmp_path / "names.csv")])
    (row,) = rows_of(tmp_path / "names.csv")
    assert row["vocabularies"] == "7"
    assert float(row["all/one"]) == pytest.approx(float(row["all"]) / float(row["one"]))


def test_as_many_vocabularies_are_counted_as_are_said(tiny_subject: LoadedClip) -> None:
    """The run's own, 10, 50 and 200 more, draws, and one of present names."""
    segmenter = Segmenter(tiny_subject, methods=["vanilla"])
    own = subjects.classifier(9, 64, CPU)
    study = naming.prepared(segmenter, own, 7)
    variants = [name for name in study.choices if name] + ["present"]
    assert len(variants) + 1 == 7
    assert len({tuple(choice.columns.tolist()) for choice in study.choices.values()}) == len(study.choices)


def test_text(tiny_subject: LoadedClip) -> None:
    names, templates = ["cat", "a long name of many words", "dog"], ["a photo of a {}.", "{}"]
    row = text.compare(tiny_subject.model, tiny_subject.tokenizer, names, templates, rounds=1)
    assert row["prompts"] == 6
    assert row["ratio"] == pytest.approx(row["ms_a_prompt_untrimmed"] / row["ms_a_prompt"])
    assert 0 <= row["largest_difference"] < 1e-5


def test_a_cached_start_encodes_nothing(
    tiny_subject: LoadedClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cliptrase.inference.batches.encode_names", None)
    assert text.cached_start(Segmenter(tiny_subject, cache_dir=tmp_path), ["cat", "dog"]) > 0


def test_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row for each precision and each stage alone; integers move less than all blocks in bfloat16."""
    monkeypatch.setattr(integer_products, "usable", lambda device: True)
    options = ["--models", "kit", "embedded", "--sizes", "224", "--pictures", "2", "--methods", "vanilla", "cliptrase"]
    precision.main([*options, "--stages", "--out", str(tmp_path / "precision.csv")])
    rows = rows_of(tmp_path / "precision.csv")
    kit = {row["rounded"]: float(row["vanilla"]) for row in rows if row["model"] == "kit"}
    assert {"int8x3", "bf16-mixed", "patch embedding", "block 11", "attention", "correlation", "upsampling"} <= set(kit)
    assert max(100 - kit["int8x3"], 0.01) < 100 - kit["all blocks"] < 5
    assert kit["correlation"] == 100  # regions are the other method's
    regions = {row["rounded"]: float(row["cliptrase"]) for row in rows if row["model"] == "embedded"}
    assert regions["correlation"] < 100
    assert all(float(row["least"]) == min(float(row["vanilla"]), float(row["cliptrase"])) for row in rows)
    changes = {row["rounded"]: float(row["mIoU"]) for row in rows if row["model"] == "embedded"}
    assert changes["int8x3"] < 0.05


@pytest.mark.usefixtures("tiny_subject")
def test_compare(tmp_path: Path) -> None:
    methods = [name for name, method in METHODS.items() if not method.load_reading().depth]  # the tiny tower is shallow
    options = ["--sizes", "224", "--batch-sizes", "1", "--names", "5", "--rounds", "1", "--out"]
    compare.main([*options, str(tmp_path / "compare.csv"), "--methods", *methods])
    (row,) = rows_of(tmp_path / "compare.csv")
    assert float(row["sum"]) == pytest.approx(sum(float(row[name]) for name in methods))
    assert float(row["together/sum"]) == pytest.approx(float(row["together"]) / float(row["sum"]))
    half = ["--precision", "bf16-mixed", "--methods", "sclip"]
    compare.main([*options, str(tmp_path / "half.csv"), *half])
    (row,) = rows_of(tmp_path / "half.csv")
    assert float(row["sclip/fp32"]) == pytest.approx(float(row["sclip"]) / float(row["sclip fp32"]))


def test_scaling_reads_what_it_writes(tmp_path: Path) -> None:
    root = scaling.save_pictures(tmp_path / "pictures", 3)
    assert [len(list((root / name).iterdir())) for name in ("image", "gt")] == [3, 3]


def test_a_small_dino(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one of the golden arrays, so that it is the same for everybody."""
    dino.main([str(tmp_path / "deep" / "dino")])
    hashed = load_guest(tmp_path / "deep" / "dino").weights_hash
    assert f"dino: random weights {hashed}, width 96" in capsys.readouterr().out
    assert hashed == GuestTower(golden_dino()).weights_hash


def test_startup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bars hold for one of the commands with a wide margin, also beside other work."""
    monkeypatch.setattr(startup, "COMMANDS", {"--version": (["--version"], 0.6)})
    monkeypatch.setattr(startup, "FIRST_BATCH", 100.0)
    monkeypatch.setattr(startup, "first_batch", lambda rounds: {"words": "first", "begins": 1.0, "ends": 99.0})
    options = ["--rounds", "1", "--out", str(tmp_path / "startup.csv")]
    assert startup.main(options) == 0
    monkeypatch.setattr(startup, "first_batch", lambda rounds: {"words": "first", "begins": 1.0, "ends": 101.0})
    assert startup.main(options) == 1
    library, command, first = rows_of(tmp_path / "startup.csv")
    assert (first["words"], first["ends"]) == ("first", "101.0")
    assert (library["words"], library["ratio"], command["words"]) == ("import torch", "1.0", "--version")
    assert float(command["cpu_ratio"]) < 0.6


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory")
def test_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, whose freed memory serves the copies, so that no MiB can be asked for."""
    monkeypatch.setitem(_MODEL_CONFIGS, "tiny", MODEL_CONFIG)
    monkeypatch.setattr(measure, "result_of_own_process", lambda command: weights.loaded(command[4], Path(command[-1])))
    weights.main(["--model", "tiny", "--rounds", "1", "--out", str(tmp_path / "weights.csv")])
    rows = rows_of(tmp_path / "weights.csv")
    assert [row["form"] for row in rows] == ["safetensors", "pt"]
    for row in rows:
        assert float(row["file_mib"]) == pytest.approx(
            sum(value.nbytes for value in tiny_state().values()) / 2**20, rel=0.01
        )
        assert float(row["peak_mib"]) > 100
        assert float(row["seconds"]) > 0


def test_a_large_picture(tmp_path: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        large_picture,
        "in_own_process",
        lambda picture, method, options: large_picture.predicted(picture, tmp_path / method, method, options),
    )
    options = ["--side", "300", "--bands", "4", "--methods", "sclip", "vanilla", "--device", "cpu"]
    large_picture.main([*options, "--model", f"local-dir:{tiny_clip}", "--out", str(tmp_path / "large.csv")])
    first, second = rows_of(tmp_path / "large.csv")
    assert (first["method"], second["method"], first["windows"]) == ("sclip", "vanilla", "4")
    assert float(first["windows_a_second"]) == pytest.approx(4 / float(first["seconds"]))
    assert float(first["peak_mib"]) > 100
    assert len(list(tmp_path.glob("*/*/masks/Photos/aerial.png"))) == 2
