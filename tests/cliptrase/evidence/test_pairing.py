"""Runs of different places: what was counted on equal data is paired by the run's own intervals, the rest never."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cliptrase.cli import main
from cliptrase.cli.known import known_data
from cliptrase.common.errors import InputError
from cliptrase.evaluation.counts import Counts
from cliptrase.evidence.pairing import AVERAGE, Pairing, pair_runs
from cliptrase.evidence.verification import verify_run
from cliptrase.protocols.table import get_protocol
from datamodules.specs import DATASETS
from tests.command import complaint
from tests.evidence_runs import change_document, drawn_counts, write_run, write_tables


def paired(*folders: Path) -> Pairing:
    known = known_data()
    return pair_runs([verify_run(folder, known) for folder in folders])


def test_a_method_that_reproduces(tmp_path: Path) -> None:
    """Equal counts: no difference, and every picture is equal; the other method beside the first run's main one."""
    mine = write_run(tmp_path / "mine", ("cliptrase", "gem"))
    theirs = write_run(
        tmp_path / "theirs",
        ("gem", "cliptrase"),
        counts=lambda _, method: drawn_counts(20, 12, 1, 2 + ("cliptrase", "gem").index(method)),
    )
    found = paired(mine, theirs)
    same = {pair.one.method: pair for pair in found.pairs if pair.same_method}
    assert same.keys() == {"cliptrase", "gem"}
    for pair in same.values():
        assert (pair.difference.value, *pair.difference.interval) == (0, 0, 0)
        assert (pair.equal, pair.pictures) == (12, 12)
    (other,) = (pair for pair in found.pairs if not pair.same_method)
    assert (other.one.method, other.other.method) == ("cliptrase", "gem")
    assert found.unpaired == []


def test_differences_are_those_of_one_run(tmp_path: Path) -> None:
    """The same counts in one run and in two: value, interval and average agree to the last digit."""
    together = write_run(tmp_path / "together", ("cliptrase", "gem"), ("VOC20", "PC59"))
    document = json.loads((together / "results.json").read_text())["methods"]["gem"]
    mine = write_run(tmp_path / "mine", ("cliptrase",), ("VOC20", "PC59"))
    theirs = write_run(tmp_path / "theirs", ("gem",), ("VOC20", "PC59"), predictions=3)
    pairs = paired(mine, theirs).pairs
    assert [pair.setting for pair in pairs] == ["VOC20", "PC59", AVERAGE]
    for pair in pairs:
        part = document["average"] if pair.setting == AVERAGE else document["settings"][pair.setting]
        expected = part["intervals"]["difference_to_first"]
        assert round(pair.difference.value, 2) == expected["mIoU"] != 0
        assert [round(bound, 2) for bound in pair.difference.interval] == expected["interval"]
        assert pair.other.interval == part["intervals"]["mIoU"]


def other_stems(counts: Counts) -> Counts:
    return counts._replace(stems=[f"q{stem}" for stem in counts.stems])


def other_truth(counts: Counts) -> Counts:
    """One pixel of one picture is of another class, which is predicted right."""
    confusion, pictures = counts.confusion.clone(), counts.pictures.clone()
    confusion[0, 0] -= 1
    confusion[1, 1] += 1
    picture = int((pictures[:, 0, 0] > 0).int().argmax())
    pictures[picture, :, 0] -= 1
    pictures[picture, :, 1] += 1
    return counts._replace(confusion=confusion, pictures=pictures)


def changed(change: Callable[[Counts], Counts]) -> dict[str, Any]:
    return {"counts": lambda name, method: change(drawn_counts(20, 12, 1, 2))}


VOC21 = DATASETS["VOC21"]
UNEQUAL: dict[str, tuple[dict[str, Any], str]] = {
    "protocols": (
        {"protocol": get_protocol("paper", size=336, eps=0.6)},
        "protocols paper 336 and paper 336, eps 0.6 differ in eps",
    ),
    "names": (
        {
            "specs": [
                replace(
                    DATASETS["VOC20"],
                    vocabulary=replace(
                        DATASETS["VOC20"].vocabulary, classes=(*DATASETS["VOC20"].vocabulary.classes[:-1], ("screen",))
                    ),
                )
            ]
        },
        "the names differ, their digests are ",
    ),
    "editions": (
        {"specs": [replace(DATASETS["VOC20"], edition="SegmentationClass")]},
        "the labels are of two editions, unknown and SegmentationClass",
    ),
    "fewer pictures": ({"pictures": 10}, "the pictures differ, 12 and 10 of which 10 are in both"),
    "other pictures": (changed(other_stems), "the pictures differ, 12 and 12 of which 0 are in both"),
    "the truth of all": ({"truth": 5}, "the ground truth differs on 12 of 12 pictures, p000 is the first"),
    "one pixel of truth": (changed(other_truth), "the ground truth differs on 1 of 12 pictures, p0"),
}


@pytest.mark.parametrize("name", UNEQUAL)
def test_what_is_not_equal_is_not_paired(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, reason = UNEQUAL[name]
    mine, theirs = write_run(tmp_path / "mine", ("gem",)), write_run(tmp_path / "theirs", ("gem",), **options)
    assert main(["compare", str(mine), str(theirs)]) == 1
    printed = capsys.readouterr()
    assert f"A and B are not paired on VOC20: {reason}" in printed.out
    assert printed.err.startswith("error: nothing was counted on equal data; A and B are not paired on VOC20: ")
    assert "difference" not in printed.out
    assert "Not paired: mIoU, percent" in printed.out  # side by side all the same


def test_one_data_set_that_is_not_equal_leaves_the_others(tmp_path: Path) -> None:
    mine = write_run(tmp_path / "mine", ("gem",), ("VOC20", "PC59", "ADE150"))
    theirs = write_run(
        tmp_path / "theirs",
        ("gem",),
        ("PC59", "VOC20", "COCO80"),
        counts=lambda name, _: drawn_counts(DATASETS[name].vocabulary.num_labels, 12, 9 if name == "VOC20" else 1, 5),
    )
    found = paired(mine, theirs)
    assert [pair.setting for pair in found.pairs] == ["PC59"]  # no average of one
    assert [(one.setting, one.run) for one in found.unpaired] == [("VOC20", "B")]
    assert found.differing == {"B": ["data sets", "edition of ADE150"]} or "data sets" in found.differing["B"]


def test_a_forged_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A figure, a hash, a protocol: one sentence, and no difference."""
    mine, theirs = write_run(tmp_path / "mine"), write_run(tmp_path / "theirs")
    for change, says in (
        (
            lambda d: d["methods"]["gem"]["settings"]["VOC20"]["scores"]["released"].update(mIoU=99),
            "mIoU of gem on VOC",
        ),
        (lambda d: d["provenance"]["counts"].update(VOC20="0" * 64), "its SHA-256 is "),
        (lambda d: d["provenance"]["protocol"].update(size=224), "the protocol's hash is "),
        (lambda d: d["settings"]["VOC20"].update(protocol_hash="0" * 16), "protocol_hash of VOC20 under `settings` is"),
    ):
        text = (theirs / "results.json").read_text()
        change_document(theirs, change)
        write_tables(theirs)
        sentence = complaint(capsys, "compare", str(mine), str(theirs))
        assert sentence.startswith("theirs is not verified: 1 thing is wrong (")
        assert says in sentence
        (theirs / "results.json").write_text(text)
        write_tables(theirs)
    assert main(["compare", str(mine), str(theirs)]) == 0


def test_another_versions_published_figures_hinder_nobody(tmp_path: Path) -> None:
    """Counts, scores and hashes are what they were; `verify` says what differs all the same."""
    mine, theirs = write_run(tmp_path / "mine"), write_run(tmp_path / "theirs")

    def older(document: dict[str, Any]) -> None:
        for part in (document, document["methods"]["cliptrase"]):
            part["settings"]["VOC20"]["published"].update(mIoU=81.0)

    change_document(theirs, older)
    write_tables(theirs)
    (finding,) = verify_run(theirs, known_data()).findings
    assert finding.of_version
    assert len(paired(mine, theirs).pairs) == 3
    # A score that was forged with it is found all the same.
    change_document(
        theirs, lambda d: d["methods"]["cliptrase"]["settings"]["VOC20"]["scores"]["mmseg"].update(pAcc=1.5)
    )
    write_tables(theirs)
    with pytest.raises(InputError, match=r"mmseg pAcc of cliptrase on VOC20 is 1.5, and the counts give"):
        paired(mine, theirs)


def test_the_tables_fit_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COLUMNS", "80"), ("TTY_COMPATIBLE", "1"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    runs = [
        write_run(tmp_path / name, methods, ("VOC20", "COCO171"))
        for name, methods in (("mine", ("cliptrase", "gem")), ("theirs", ("gem", "resclip-sfr+frozen", "cliptrase")))
    ]
    assert main(["compare", *map(str, runs)]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 80 for line in out.splitlines() if not line.startswith(("A", "B")))
    for words in ("The same method in both runs", "Beside cliptrase of A", "equal", "resclip-sfr+frozen", "average"):
        assert words in out
    assert out.startswith("A: mine, ViT-B-16 openai (weights 5806e77cd80f8b59), protocol paper 336\n")
    assert "A and B differ in: methods." in out


def test_json_and_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        str(write_run(tmp_path / "a", ("gem",), ("VOC20", "PC59"))),
        str(write_run(tmp_path / "b", ("gem",), ("VOC20",), predictions=7)),
        str(write_run(tmp_path / "c", ("gem",), ("VOC20",), truth=3)),
    ]
    assert main(["compare", *runs, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (pair,), (left,) = document["pairs"], document["unpaired"]
    assert (pair["setting"], pair["one"]["run"], pair["other"]["run"]) == ("VOC20", "A", "B")
    assert round(pair["other"]["mIoU"] - pair["one"]["mIoU"], 2) == pytest.approx(pair["difference"], abs=0.011)
    assert (left["run"], left["setting"]) == ("C", "VOC20")
    assert main(["compare", *runs, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["other_run"], row["reason"] != "") for row in rows] == [("B", False), ("C", True)]
    assert float(rows[0]["difference"]) == pair["difference"]
    assert None not in rows[0].values()


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = str(write_run(tmp_path / "mine", ("gem",)))
    assert complaint(capsys, "compare", mine, status=2).startswith("compare needs two runs or more")
    assert "take one" in complaint(capsys, "compare", mine, mine, "--json", "--csv", status=2)
    assert complaint(capsys, "compare", *[mine] * 27, status=2) == "compare takes at most 26 runs, not 27"
    other = str(write_run(tmp_path / "other", ("gem",), ("PC59",)))
    assert complaint(capsys, "compare", mine, other).startswith("the runs have no data set in common")
    with pytest.raises(InputError, match="cannot read"):
        paired(tmp_path / "nowhere", tmp_path / "mine")


def test_a_single_picture_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(write_run(tmp_path / name, ("gem",), pictures=1)) for name in "ab"]
    assert "fewer than two pictures" in complaint(capsys, "compare", *runs)
