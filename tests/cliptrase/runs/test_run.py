"""A run's folder, what the run is, and counts read back."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_lightning import Callback, LightningModule, Trainer

from cliptrase import attention
from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.common.errors import InputError
from cliptrase.common.io import FolderLock, remove_half_written, write_bytes
from cliptrase.evaluation import provenance
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.provenance import Start
from cliptrase.methods import METHODS, Method, get_method, get_methods
from cliptrase.protocols.table import get_protocol
from cliptrase.readings import last_block
from cliptrase.runs.callbacks.ending import RunEnding
from cliptrase.runs.callbacks.writers import MaskWriter, ReportWriter, ResultsWriter
from cliptrase.runs.counts_file import counts_path, read_counts, write_counts
from cliptrase.runs.folder import UNENDED, take_run_folder, take_unfinished, tell_begun
from cliptrase.runs.identity import differences, hashed, identity, limit_of, source_of
from cliptrase.runs.module import TrainingFreeSegmentation
from cliptrase.runs.plan import Plan
from cliptrase.runs.run import Run
from datamodules import Shapes
from datamodules.transforms import Geometry


def test_runs_of_one_second_take_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: take_run_folder(tmp_path / "new" / "out", "VOC20"), range(24)))
    assert len({folder for folder, *_ in taken}) == 24
    for folder, lock, _ in taken:
        assert (folder / UNENDED).is_file()
        lock.remove()
        assert list(folder.iterdir()) == []


def test_a_run_that_counted_nothing_is_said_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own: dict[str, Any] = {"run": {"methods": ["cliptrase"]}, "settings": {"VOC20": {}}}
    folder, lock, _ = take_run_folder(tmp_path, "VOC20")
    tell_begun(folder, own, scores=True)
    lock.release()
    assert take_unfinished(tmp_path, own) is None
    told = f"nothing to resume: the unfinished run {folder} has counted nothing yet; a new one starts\n"
    assert capsys.readouterr().out == told
    assert take_unfinished(tmp_path, own | {"run": {}}) is None
    assert "no unfinished run is under" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none"])
def test_a_folder_that_cannot_be_made_is_one_sentence(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / place
    told = (
        rf"^no folder for this run can be made in {root} \([A-Z][a-z ]+\); name another place by --trainer.default_root"
    )
    with pytest.raises(InputError, match=told):
        take_run_folder(root, "VOC20")


def test_a_lock_keeps_other_processes_out_until_its_owner_dies(tmp_path: Path) -> None:
    path = tmp_path / UNENDED
    code = f"from cliptrase.common.io import FolderLock; from pathlib import Path; FolderLock(Path({str(path)!r}))"
    lock = FolderLock(path)
    command = [sys.executable, "-c", code]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert "BlockingIOError" in refused.stderr
    lock.release()
    assert path.exists()
    subprocess.run(command, check=True)  # and ends without letting go
    FolderLock(path).remove()
    assert not path.exists()


def test_what_a_killed_process_had_not_finished_writing_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else does."""
    write_bytes(tmp_path / "deep" / "whole.png", b"whole")
    (tmp_path / ".mine.part").touch()
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda aside, path: None)  # as if killed before
        write_bytes(tmp_path / "deep" / "half.png", b"half")
    assert len(list((tmp_path / "deep").iterdir())) == 2
    remove_half_written(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".mine.part", "deep", "whole.png"]


PICTURES = torch.tensor([[[3, 0], [4, 1], [4, 1]], [[1, 2], [1, 3], [2, 2]]], dtype=torch.int32)
COUNTS = Counts(torch.tensor([[4, 1], [2, 2]]), 2, PICTURES, ["a", "b"])


def test_counts_come_back(tmp_path: Path) -> None:
    told = write_counts(tmp_path, "VOC20", {"vanilla": COUNTS, "gem": COUNTS})
    found = read_counts(tmp_path, "VOC20", ["gem", "vanilla"], 2, told)
    assert list(found) == ["gem", "vanilla"]
    assert torch.equal(found["gem"].confusion, COUNTS.confusion)
    assert torch.equal(found["gem"].pictures, PICTURES)
    assert found["gem"][1::2] == (2, ["a", "b"])
    for methods, labels in ((["sclip"], 2), (["gem"], 3)):
        with pytest.raises(InputError, match=r"confusion/VOC20.npz cannot be used \("):
            read_counts(tmp_path, "VOC20", methods, labels, told)


@pytest.mark.parametrize(
    "changed",
    [
        {"images": 3},
        {"stems": ["a", "a"]},
        {"stems": ["b", "a"]},
        {"stems": ["a", "b", "c"]},
        {"confusion": COUNTS.confusion + 1},
        {"confusion": COUNTS.confusion.int()},
        {"confusion": torch.zeros(2, 3, dtype=torch.int64)},
        {"pictures": PICTURES.long()},
        {"pictures": torch.stack([PICTURES[0], PICTURES[0]])},
        {"pictures": -PICTURES, "confusion": -COUNTS.confusion},
    ],
)
def test_counts_that_do_not_agree_are_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    told = write_counts(tmp_path, "VOC20", {"gem": COUNTS._replace(**changed)})
    with pytest.raises(InputError, match=r"VOC20\.npz cannot be used"):
        read_counts(tmp_path, "VOC20", ["gem"], 2, told)


@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_file_of_counts_is_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "counts"
    told = write_counts(folder, "VOC20", {"gem": COUNTS})
    content = bytearray(counts_path(folder, "VOC20").read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= data.draw(st.integers(1, 255))
    counts_path(folder, "VOC20").write_bytes(content)
    with pytest.raises(InputError, match="cannot be used"):
        read_counts(folder, "VOC20", ["gem"], 2, told)


def sharpened(p: attention.Projections, by: float = 1) -> torch.Tensor:
    return attention.query_key(p) * by


def made(by: float) -> attention.AttentionRule:
    return lambda p: attention.query_key(p) * by


def test_a_method_is_known_by_its_source_and_what_it_carries() -> None:
    rules = [
        *(attention.query_key, attention.value_path, sharpened, made(1), made(2)),
        *(partial(sharpened, by=1), partial(sharpened, by=2)),
    ]
    known = [source_of(Method("mine", "here", last_block(rule))) for rule in rules]
    assert len(set(known)) == len(known)
    assert known == [source_of(Method("mine", "elsewhere", last_block(rule))) for rule in rules]
    assert source_of(Method("mine", "here", last_block(made(1)))) == known[3]
    assert len({source_of(method) for method in METHODS.values()}) == len(METHODS)


def test_a_rule_of_the_users_own_file_is_known_by_the_whole_file(tmp_path: Path) -> None:
    """A helper beside the rule decides too."""
    hashes = []
    for number in ("1", "2", "1"):
        path = tmp_path / "own.py"
        path.write_text(f"def helper(p): return p.value * {number}\ndef rule(p): return helper(p)\n")
        space: dict[str, Any] = {}
        exec(compile(path.read_text(), str(path), "exec"), space)
        hashes.append(source_of(Method("own", "here", last_block(space["rule"]))))
    assert hashes[0] == hashes[2] != hashes[1]


def test_a_refinement_is_known_by_the_whole_file_and_its_place_in_the_order(tmp_path: Path) -> None:
    """Also behind `each_part`, which is of another file."""
    hashes = []
    for number in ("1", "2", "1"):
        path = tmp_path / "own.py"
        path.write_text(
            "from cliptrase.refinements.maps import each_part\n"
            f"def helper(maps): return maps * {number}\n@each_part\ndef refine(maps, guide): return helper(maps)\n"
        )
        space: dict[str, Any] = {}
        exec(compile(path.read_text(), str(path), "exec"), space)
        hashes.append(source_of(replace(METHODS["sclip"], name="own", refine=(space["refine"],))))
    assert hashes[0] == hashes[2] != hashes[1]
    specs = ("cliptrase", "cliptrase+pamr", "cliptrase+tlp", "cliptrase+pamr+tlp", "cliptrase+tlp+tlp_grid=9")
    known = [source_of(replace(get_method(spec), name="one")) for spec in specs]
    places = get_method("cliptrase+pamr+tlp").refine
    known.append(source_of(replace(get_method("cliptrase+pamr+tlp"), name="one", refine=places[::-1])))
    assert len(set(known)) == len(known)


def test_differences_are_named() -> None:
    one = {"run": {"protocol": "a", "commit": "b"}, "settings": {"VOC20": {"data": "c"}, "PC59": {"data": "d"}}}
    assert differences(one, json.loads(json.dumps(one))) == []
    other = {"run": {"protocol": "a", "weights": "b"}, "settings": {"VOC20": {"data": "e"}, "PC60": {"data": "d"}}}
    assert differences(one, other) == ["commit", "weights", "data sets", "data of VOC20"]
    for spoilt in (None, [], "", 3, {"run": 1}, {"run": {}, "settings": 2}, {"run": {}, "settings": {"VOC20": 1}}):
        assert differences(spoilt, one)


def shapes(scenes: int = 2) -> Shapes:
    return Shapes(scenes, num_workers=0, geometry=Geometry("centre_crop", 224))


def plan(
    data: Shapes | None = None, methods: Sequence[str] = ("cliptrase",), clip: LoadedClip | None = None, **options: Any
) -> Plan:
    data = data or shapes()
    data.setup("test")
    protocol = options.pop("protocol", PROTOCOL)
    return Plan(protocol, get_methods(list(methods)), clip or load_clip("embedded"), data, **options)


def identity_of(*data: Shapes, **options: Any) -> dict[str, Any]:
    return identity(plan(*data, **options), START)


START = Start.of_this_process()
PROTOCOL = get_protocol(size=224, eps=0.5, min_samples=3)


def test_whatever_decides_a_figure_is_named() -> None:
    base = identity_of()
    assert differences(base, identity_of()) == []
    changes = {
        "protocol": identity_of(protocol=get_protocol(size=224, eps=0.6, min_samples=3)),
        "methods": identity_of(methods=["cliptrase", "vanilla"]),
        "activation": identity_of(clip=load_clip("embedded", activation="gelu")),
        "precision": identity_of(precision="bf16-mixed"),
        "limit_test_batches": identity_of(limit=1),
        "device": identity_of(device=torch.device("cuda")),
        "data of Shapes": identity_of(shapes(3)),
        "geometry of Shapes": identity_of(Shapes(2, num_workers=0, geometry=Geometry("centre_crop", 112))),
    }
    for named, found in changes.items():
        assert ", ".join(differences(base, found)) in (named, f"{named}, model configuration")


def test_a_limit_counts_with_the_pictures_of_a_batch() -> None:
    def limit(value: Any, batch_size: int, **options: Any) -> str:
        trainer = Trainer(logger=False, accelerator="cpu", limit_test_batches=value, **options)
        data = Shapes(2, batch_size=batch_size, geometry=Geometry("centre_crop", 224))
        return limit_of(plan(data, limit=trainer.limit_test_batches))

    assert limit(None, 2, fast_dev_run=True) == limit(1, 2)
    assert limit(None, 2) == limit(1.0, 4) == "all"
    assert len({"all", limit(1, 2), limit(1, 4), limit(0.5, 2), limit(2, 2)}) == 5


def test_sources_are_those_of_the_packages_and_of_ones_own_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = provenance.sources()
    assert before == provenance.sources()
    (tmp_path / "own_module_of_a_test.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_module_of_a_test  # type: ignore[import-not-found]  # noqa: F401

    with_one = provenance.sources()
    (tmp_path / "own_module_of_a_test.py").write_text("x = 2\n")
    assert len({before, with_one, provenance.sources()}) == 3
    del sys.modules["own_module_of_a_test"]
    assert provenance.sources() == before


def test_the_commit_is_the_one_that_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is checked out while the run goes on."""
    commits = iter(["at the start", "checked out since"])
    monkeypatch.setattr(provenance, "commit", lambda: next(commits, "later still"))
    module = TrainingFreeSegmentation("embedded", protocol=PROTOCOL, run=Run(tmp_path))
    trainer(RunEnding(), ResultsWriter()).test(module, datamodule=shapes(1), verbose=False)
    (folder,) = tmp_path.iterdir()
    made = json.loads((folder / "results.json").read_text())["provenance"]
    assert made["commit"] == made["identity"]["run"]["commit"] == "at the start"
    assert made["counts"].keys() == {"Shapes"}
    assert hashed(1, "a") != hashed("1", "a")


def test_nothing_to_score_is_said(tmp_path: Path) -> None:
    module = TrainingFreeSegmentation("embedded", protocol=PROTOCOL, run=Run(tmp_path))
    with pytest.raises(InputError, match=r"--trainer\.limit_test_batches 0 leaves nothing to score"):
        trainer(RunEnding(), limit_test_batches=0).test(module, datamodule=shapes(), verbose=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_node_does_not_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process says it and leaves nothing behind; one that does not see the folder says whose word counts."""
    monkeypatch.setattr("cliptrase.runs.folder._PATIENCE", 0.1)
    told: list[Any] = []

    def seen(rows: list[Any]) -> list[Any]:
        told.extend(rows)
        return [*rows, ("other", False)]

    def opened(first: bool, folder: Any = None) -> None:
        run = Run(tmp_path)
        run.begin(PROTOCOL, get_methods(["cliptrase"]))
        run.open(plan(), first, lambda words: words if first else (folder, *words[1:]), seen)

    told_by_the_first = (
        rf"^the folder of this run, {tmp_path}/\S+, is not seen by 1 of its processes \(on other\); name one"
    )
    with pytest.raises(InputError, match=told_by_the_first):
        opened(first=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"^the first process of this run stopped, for the reason that it gave$"):
        opened(False, tmp_path / "elsewhere")
    assert [sees for _, sees in told] == [True, False]


def test_without_a_run_results_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module under any Trainer makes a run of its own, anew for each test, and reads the weights once."""
    monkeypatch.chdir(tmp_path)
    loaded = []
    monkeypatch.setattr(
        "cliptrase.runs.module.load_clip",
        lambda *asked: loaded.append(asked) or load_clip(*asked),  # type: ignore[func-returns-value]
    )
    module = TrainingFreeSegmentation("embedded", method="vanilla", protocol=PROTOCOL)
    assert loaded == []
    for scenes in (2, 3):
        trainer(ResultsWriter(), ReportWriter()).test(module, datamodule=shapes(scenes), verbose=False)
        assert module.run.document["settings"]["Shapes"]["images"] == scenes
        assert module.run.document is module.run.document
        assert module.run.unfinished == []
    module.configure_model()
    assert len(loaded) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_tells_when_it_is_asked_too_early() -> None:
    with pytest.raises(RuntimeError, match="the run is not open"):
        _ = TrainingFreeSegmentation("embedded").run.settings


def test_callbacks_of_runs_need_a_module_of_theirs() -> None:
    with pytest.raises(TypeError, match="needs a TrainingFreeSegmentation, not LightningModule"):
        MaskWriter().on_predict_end(trainer(), LightningModule())


def trainer(*callbacks: Callback, **options: Any) -> Trainer:
    return Trainer(callbacks=list(callbacks), logger=False, accelerator="cpu", enable_progress_bar=False, **options)


def test_stems_of_counts_are_text(tmp_path: Path) -> None:
    names = ["z 猫", "ä/1"]
    told = write_counts(tmp_path, "a", {"gem": COUNTS._replace(stems=names)})
    assert read_counts(tmp_path, "a", ["gem"], 2, told)["gem"].stems == names
    with np.load(counts_path(tmp_path, "a")) as stored:
        assert stored["stems"].dtype.kind == "U"
