"""Whatever is forged in a run's folder is found, with one sentence; what nobody forged is accepted."""

import copy
import csv
import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliptrase.cli import main
from cliptrase.cli.known import known_data
from cliptrase.common.errors import InputError
from cliptrase.evidence.verification import Verification, verify_run
from cliptrase.protocols.table import get_protocol
from cliptrase.vocabulary import Vocabulary
from datamodules.specs import BENCHMARKS, DATASETS
from tests.command import run
from tests.evidence_runs import change_document, write_run, write_tables

COUNTS = "confusion/VOC20.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", names=("VOC20", "PC59"))


def verified(folder: Path) -> Verification:
    return verify_run(folder, known_data())


def sentences(folder: Path) -> list[str]:
    return [finding.sentence for finding in verified(folder).findings]


def forge_counts(folder: Path, change: Callable[[dict[str, Any]], None], with_hash: bool) -> None:
    """Changes arrays of a file of counts, and the hash that tells of it where the forger knows that much."""
    with np.load(folder / COUNTS) as stored:
        arrays = dict(stored)
    change(arrays)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    (folder / COUNTS).write_bytes(buffer.getvalue())
    if with_hash:
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        change_document(folder, lambda document: document["provenance"]["counts"].update(VOC20=digest))


def one_pixel_more(arrays: dict[str, Any]) -> None:
    """A pixel of gem that was wrong becomes right, in every sum."""
    confusion, pictures = arrays["gem/confusion"], arrays["gem/pictures"]
    # Of some picture and classes: truth stays, the pixel leaves the wrong class's column.
    picture, true = next(
        (number, label)
        for number, (hits, truth, _) in enumerate(pictures)
        for label in range(len(hits))
        if hits[label] < truth[label]
    )
    wrong = next(
        label
        for label in range(confusion.shape[0])
        if label != true and confusion[true, label] and pictures[picture, 2, label] > pictures[picture, 0, label]
    )
    confusion[true, wrong] -= 1
    confusion[true, true] += 1
    pictures[picture, 0, true] += 1
    pictures[picture, 2, true] += 1
    pictures[picture, 2, wrong] -= 1


# -------------------------------------------------------------------------------------------------- what nobody forged


def test_a_run_that_nobody_touched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(folder)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("verified: run: ")
    assert "of 2 methods follow from the counts of 24 pictures (VOC20, PC59)" in line
    assert "results.csv, comparison.csv agree" in line
    assert "Not checked, for counts do not show it: whether the predictions were made as stated" in line


@pytest.mark.parametrize(
    "protocol", [get_protocol("sclip"), get_protocol("paper", size=224, eps=0.5), get_protocol("naclip", name="mine")]
)
def test_runs_of_other_protocols(protocol: Any, tmp_path: Path) -> None:
    """Names, background and label of the protocol are told right; VOC21 has a background label and an edition."""
    folder = write_run(tmp_path / "run", ("gem", "vanilla", "naclip"), ("VOC21", "PC60", "ADE150"), protocol)
    assert sentences(folder) == []


def test_a_benchmark_by_domain(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ("gem", "vanilla"), BENCHMARKS["mess"][:6])
    assert (folder / "benchmarks.csv").is_file()
    assert sentences(folder) == []
    change_document(
        folder,
        lambda document: document["methods"]["vanilla"]["benchmarks"]["MESS"]["mean"]["scores"]["mmseg"].update(mIoU=9),
    )
    write_tables(folder)
    (sentence,) = sentences(folder)
    assert sentence.startswith("results.json: mean mmseg mIoU of MESS of vanilla is 9, and the counts give ")


def test_a_real_run_and_what_it_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `write_run` says of itself here is what a run says of itself."""
    options = ("--config", "demo", "--data.scenes", "3", "--model.compare", "vanilla", "--explain", "--sweep")
    made = run("test", tmp_path / "out", *options)
    capsys.readouterr()
    assert main(["verify", str(made.folder / "results.json")]) == 0
    out = capsys.readouterr().out
    tables = [f"studies/{name}.csv" for name in ("explain", "explain_2", "explain_3", "boundary", "sweep")]
    assert ", ".join(["config.yaml, results.csv, comparison.csv", *tables]) in out
    assert "the tables of explain, boundary, sweep follow from their counts" in out
    studies_are_checked(made.folder)
    config = made.folder / "config.yaml"
    text = config.read_text()
    for old, new, sentence in (
        ("size: 224", "size: 448", "config.yaml: protocol.size is 448, and results.json says 224"),
        (
            "- vanilla",
            "- gem",
            "config.yaml: its list of methods is cliptrase, gem, and results.json has cliptrase, vanilla",
        ),
        ("clip: embedded", "clip: ViT-B-16", "config.yaml: model.clip is ViT-B-16, and results.json says embedded"),
    ):
        config.write_text(text.replace(old, new))
        assert sentences(made.folder) == [sentence]
    config.write_text("a: &a 1\nb: [" + ", ".join(["*a"] * 30) + "]")
    assert sentences(made.folder)[0].startswith("config.yaml: its content is of no use (it holds too many aliases)")


def studies_are_checked(folder: Path) -> None:
    """A figure of a study, its counts, its values, and a method whose code is not run here."""
    before = (folder / "results.json").read_text()
    rows = json.loads(before)["studies"]["sweep"]["tables"][0]["rows"]
    change_document(folder, lambda d: d["studies"]["sweep"]["tables"][0]["rows"][1].__setitem__(3, 99.0))
    one, table = sentences(folder)
    assert one == (
        f"results.json: mIoU of Shapes cliptrase frozen in study sweep is 99.0, and the counts give {rows[1][3]}"
    )
    assert table.startswith("studies/sweep.csv: mIoU of ")
    (folder / "results.json").write_text(before)
    counts = folder / "studies" / "explain" / "Shapes.npz"
    kept = counts.read_bytes()
    counts.write_bytes(kept[:-1] + b"x")
    (sentence,) = sentences(folder)
    assert sentence.startswith("studies/explain/Shapes.npz: its SHA-256 is ")
    counts.write_bytes(kept)
    change_document(folder, lambda d: d["provenance"]["studies"].update(sweep="sweep: other values"))
    (sentence,) = sentences(folder)
    assert sentence.startswith("results.json: provenance.identity.run.study sweep is sweep: ")
    change_document(folder, lambda d: d["provenance"]["identity"]["run"].update({"study sweep": "sweep: other values"}))
    assert "whether the tables of sweep follow from their counts" in verified(folder).verdict
    (folder / "results.json").write_text(before)
    # A study that this version can make anew is not passed over for want of a hash.
    change_document(folder, lambda d: d["provenance"]["study_counts"]["Shapes"].pop("sweep"))
    assert sentences(folder) == [
        "results.json: provenance.study_counts.Shapes.sweep is missing, and should be a SHA-256"
    ]
    (folder / "results.json").write_text(before)
    change_document(folder, lambda d: d["studies"].pop("boundary"))
    assert sentences(folder) == [
        "results.json: provenance.studies is explain, boundary, sweep, and `studies` holds explain, sweep"
    ]
    (folder / "results.json").write_text(before)


def test_a_study_with_nothing_to_vary_is_checked(tmp_path: Path) -> None:
    """It has no counts: its table says that nothing acts."""
    options = ("--config", "demo", "--data.scenes", "2", "--model.method", "vanilla", "--model.compare", "[]")
    folder = run("test", tmp_path / "out", *options, "--sweep").folder
    found = verified(folder)
    assert found.verified
    assert "the tables of sweep follow from their counts" in found.checked
    change_document(folder, lambda d: d["studies"]["sweep"]["tables"][0].update(notes=["nothing to see"]))
    (sentence,) = sentences(folder)
    assert sentence.startswith("results.json: notes of study sweep is nothing to see, and the counts give No constant")


def test_names_that_this_version_does_not_know(tmp_path: Path) -> None:
    """Single names are proved by their digest; of synonyms it is said that they are not."""
    single, several = Vocabulary((("moss",), ("rock",))), Vocabulary((("moss", "lichen"), ("rock",)))
    ground = Vocabulary((("moss",), ("rock",)), ("background",), 0)
    specs = [
        replace(DATASETS["VOC20"], name=name, vocabulary=names, vocabularies={}, images_expected={})
        for name, names in (("Plain", single), ("Ground", ground), ("Synonyms", several))
    ]
    found = verified(write_run(tmp_path / "run", ("gem",), specs=specs))
    assert found.verified
    assert "whether Synonyms had these names, which this version does not know" in found.verdict
    change_document(
        tmp_path / "run",
        lambda document: [
            part["settings"]["Plain"]["per_class"][0].update(name="grass")
            for part in (document, document["methods"]["gem"])
        ],
    )
    assert "whether Plain, Synonyms had these names" in verified(tmp_path / "run").verdict


def test_a_run_that_is_not_finished(folder: Path) -> None:
    change_document(folder, lambda document: document["provenance"].update(unfinished=["ADE150"]))
    found = verified(folder)
    assert found.verified
    assert "the scores of ADE150, which the run had not finished" in found.verdict


# ------------------------------------------------------------------------------------------------------ what is forged


def test_a_forged_count(folder: Path) -> None:
    """Sums that were forgotten, the hash that was forgotten, and neither: the figures no longer follow."""
    with np.load(folder / COUNTS) as stored:
        before = dict(stored)

    def again(arrays: dict[str, Any]) -> None:
        arrays.update({name: value.copy() for name, value in before.items()})

    forge_counts(folder, lambda arrays: arrays["gem/pictures"].__setitem__((0, 0, 0), 0), with_hash=True)
    (sentence,) = sentences(folder)
    assert sentence.startswith(f"{COUNTS}: its content is of no use (its pictures do not add up to its sums)")

    def hidden(arrays: dict[str, Any]) -> None:
        again(arrays)
        one_pixel_more(arrays)

    forge_counts(folder, hidden, with_hash=False)
    found = sentences(folder)
    assert found[0].startswith(f"{COUNTS}: its SHA-256 is ")
    forge_counts(folder, hidden, with_hash=True)
    one, mean = sentences(folder)
    told = json.loads((folder / "results.json").read_text())["methods"]["gem"]
    score = told["settings"]["VOC20"]["scores"]["released"]["mIoU"]
    assert one.startswith(f"results.json: released mIoU of gem on VOC20 is {score}, and the counts give ")
    assert "more of its values differ" in one
    assert mean.startswith("results.json: ")
    assert " of the average of gem is " in mean


def test_ground_truth_of_one_method_alone(folder: Path) -> None:
    def change(arrays: dict[str, Any]) -> None:
        confusion, pictures = arrays["gem/confusion"], arrays["gem/pictures"]
        confusion[0, 0] += 1
        pictures[0, :, 0] += 1

    forge_counts(folder, change, with_hash=True)
    sentence, *_ = sentences(folder)
    assert sentence.startswith(f"{COUNTS}: the ground truth is another for each method, and should be one")


Change = Callable[[dict[str, Any]], object]


def voc(document: dict[str, Any], method: str = "gem") -> dict[str, Any]:
    entry: dict[str, Any] = document["methods"][method]["settings"]["VOC20"]
    return entry


FORGED: dict[str, tuple[Change, str]] = {
    "a score": (lambda d: voc(d)["scores"]["mmseg"].update(mIoU=99.5), "mmseg mIoU of gem on VOC20 is 99.5, and the"),
    "a score by a hundredth": (
        lambda d: voc(d)["scores"]["released"].update(pAcc=round(voc(d)["scores"]["released"]["pAcc"] + 0.01, 2)),
        "released pAcc of gem on VOC20 is ",
    ),
    "a class": (
        lambda d: voc(d)["per_class"][3]["scores"]["released"].update(IoU=1.5),
        "class 3 released IoU of gem on VOC20 is 1.5, and the counts give ",
    ),
    "a class's name": (
        lambda d: voc(d)["per_class"][3].update(name="cow"),
        "the run's first method",
    ),
    "an interval": (
        lambda d: voc(d)["intervals"].update(mIoU=[1.0, 2.0]),
        "interval of mIoU of gem on VOC20 is 1.0, and the counts give ",
    ),
    "a difference": (
        lambda d: voc(d)["intervals"]["difference_to_first"].update(mIoU=5.0),
        "interval of difference_to_first mIoU of gem on VOC20 is 5.0, and the counts give ",
    ),
    "an average": (
        lambda d: d["methods"]["gem"]["average"].update(mIoU=77.7),
        "mIoU of the average of gem is 77.7, and the counts give ",
    ),
    "the headline": (lambda d: d["headline"].update(mIoU=88.8), "mIoU of the headline is 88.8, and cliptrase under"),
    "what is repeated": (
        lambda d: d["settings"]["VOC20"]["scores"]["released"].update(mIoU=66.6),
        "released mIoU of VOC20 under `settings` is 66.6, and cliptrase under `methods` has ",
    ),
    "a remark": (
        lambda d: voc(d, "cliptrase").update(remarks=[]),
        "remarks of cliptrase on VOC20 is empty, and this version's data give 12 of 1449 images",
    ),
    "the published score": (
        lambda d: voc(d, "cliptrase")["published"].update(mIoU=20.0),
        "published mIoU of cliptrase on VOC20 is 20.0, and this version has 81.2",
    ),
    "the pictures expected": (
        lambda d: [part["settings"]["VOC20"].update(images_expected=[12]) for part in (d, *d["methods"].values())],
        "images_expected of cliptrase on VOC20 is 12, and this version has 1449",
    ),
    "a value of the protocol": (
        lambda d: d["provenance"]["protocol"].update(eps=0.5),
        "the protocol's hash is ",
    ),
    "a value that cannot be": (
        lambda d: d["provenance"]["protocol"].update(eps="x"),
        "the protocol is of no use (protocol.eps must be",
    ),
    "a value that is missing": (
        lambda d: d["provenance"]["protocol"].pop("eps"),
        "the protocol is of no use (protocol.eps is missing)",
    ),
    "the protocol's hash": (
        lambda d: d["provenance"]["protocol"].update(hash="0" * 16),
        "the protocol's hash is 0000000000000000, and its values give ",
    ),
    "the protocol's label": (
        lambda d: d["provenance"]["protocol"].update(label="paper 224"),
        "the protocol's label is paper 224, and its values give paper 336",
    ),
    "a setting's protocol": (
        lambda d: voc(d).update(protocol_hash="0" * 16),
        "protocol_hash of gem on VOC20 is 0000000000000000, and provenance gives ",
    ),
    "the hash of counts": (
        lambda d: d["provenance"]["counts"].update(VOC20="0" * 64),
        f"{COUNTS}: its SHA-256 is ",
    ),
    "a hash of names": (
        lambda d: d["provenance"]["vocabularies"]["VOC20"].update(hash="0" * 16),
        "provenance.vocabularies.VOC20.hash is 0000000000000000, and settings.VOC20.vocabulary_hash is ",
    ),
    "the edition": (
        lambda d: d["provenance"]["identity"]["settings"]["VOC20"].update(edition="mine"),
        "provenance.identity.settings.VOC20.edition is mine, and settings.VOC20.edition is ",
    ),
    "the weights": (
        lambda d: d["provenance"]["model"].update(weights_hash="0" * 16),
        "provenance.identity.run.weights is 5806e77cd80f8b59, and provenance.model.weights_hash is 0000000000000000",
    ),
    "a version": (
        lambda d: d["provenance"]["versions"].update(torch="9.9"),
        "and provenance.versions has 9.9",
    ),
    "an unfinished one with scores": (
        lambda d: d["provenance"].update(unfinished=["VOC20"]),
        "provenance.unfinished is VOC20, and `settings` has scores, so should be none of them",
    ),
    "a limit": (
        lambda d: d["provenance"].update(limits={"limit_test_batches": 2}),
        "provenance.limits is a table of 1, and `cut` asks for none",
    ),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_is_forged_in_the_results(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, says = FORGED[name]
    change_document(folder, change)
    if name != "a class's name":  # no table can be made of that
        write_tables(folder)
    assert main(["verify", str(folder)]) == 1
    printed = capsys.readouterr()
    lines = (printed.out + printed.err).splitlines()
    assert says in lines[0], lines
    if len(lines) > 1:
        assert (
            lines[-1]
            == f"error: run is not verified: {len(lines) - 1} thing{'s are' if len(lines) > 2 else ' is'} wrong"
        )


def test_most_forgeries_are_one_thing(folder: Path, tmp_path: Path) -> None:
    """One thing wrong is one sentence, whatever repeats it."""
    for name in ("a score", "a class", "an interval", "the headline", "the hash of counts", "a value of the protocol"):
        here = write_run(tmp_path / name)
        change_document(here, FORGED[name][0])
        write_tables(here)
        assert len(sentences(here)) == 1, (name, sentences(here))


@pytest.mark.parametrize("name", ["results.csv", "comparison.csv"])
def test_what_is_forged_in_a_table(name: str, folder: Path) -> None:
    rows = list(csv.reader(io.StringIO((folder / name).read_text())))
    column = rows[0].index("mIoU")
    rows[1][column] = "99.9"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    (folder / name).write_text(text.getvalue())
    (sentence,) = sentences(folder)
    assert sentence.startswith(f"{name}: mIoU of cliptrase on VOC20 in line 2 is 99.9, and results.json gives ")
    (folder / name).write_text("\n".join((folder / name).read_text().splitlines()[:-1]) + "\n")
    (sentence,) = sentences(folder)
    assert sentence.startswith(f"{name}: its number of lines is ")


def test_a_table_that_a_spreadsheet_wrote(folder: Path) -> None:
    """Numbers may be written otherwise."""
    rows = list(csv.reader(io.StringIO((folder / "results.csv").read_text())))
    column = rows[0].index("mIoU")
    for row in rows[1:]:
        row[column] = row[column] and f"{float(row[column]):.6f}"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    (folder / "results.csv").write_text(text.getvalue())
    assert sentences(folder) == []


@pytest.mark.parametrize("how", ["gone", "half", "a link", "a pickle", "another run's"])
def test_files_of_counts_that_are_of_no_use(how: str, folder: Path, tmp_path: Path) -> None:
    path = folder / COUNTS
    content = path.read_bytes()
    path.unlink()
    if how == "half":
        path.write_bytes(content[: len(content) // 2])
    elif how == "a link":
        (tmp_path / "elsewhere.npz").write_bytes(content)
        path.symlink_to(tmp_path / "elsewhere.npz")
    elif how == "a pickle":
        buffer = io.BytesIO()
        np.savez(buffer, stems=np.array([{"a": 1}], dtype=object))
        path.write_bytes(buffer.getvalue())
    elif how == "another run's":
        other = write_run(tmp_path / "other", ("vanilla",))
        path.write_bytes((other / COUNTS).read_bytes())
    found = sentences(folder)
    assert found[-1].startswith(f"{COUNTS}: its content is of no use ("), found
    assert len(found) <= 2  # the hash differs, too


def test_json_for_scripts(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write_run(tmp_path / "other")
    change_document(other, FORGED["a score"][0])
    assert main(["verify", str(folder), str(other), str(tmp_path / "nowhere"), "--json"]) == 1
    one, two, three = json.loads(capsys.readouterr().out)["runs"]
    assert (one["run"], one["verified"], one["wrong"]) == ("run", True, [])
    assert not two["verified"]
    assert {key: two["wrong"][0][key] for key in ("file", "found", "source")} == {
        "file": "results.json",
        "found": 99.5,
        "source": "the counts give",
    }
    assert three["error"].startswith(f"cannot read {tmp_path / 'nowhere'}")


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*place, key))


def test_documents_of_any_form_end_in_a_sentence(tmp_path: Path) -> None:
    """Whatever stands in whatever place: a finding or the user's error, never another one, and never accepted."""
    folder, known, draw = write_run(tmp_path / "run"), known_data(), random.Random(5)
    whole = json.loads((folder / "results.json").read_text())
    of_provenance = [place for place in places(whole) if place[0] == "provenance" and "overrides" not in place]
    free = {"date", "images_per_second_by_method", "peak_memory_mib", "methods", "names", "limits"}
    for place in [*of_provenance, *draw.sample([*places(whole)], 60)]:
        for junk in (None, [], {"a": [1]}, "../x", -1):
            document = copy.deepcopy(whole)
            *way, last = place
            part = document
            for key in way:
                part = part[key]
            if part[last] == junk:
                continue
            part[last] = junk
            (folder / "results.json").write_text(json.dumps(document))
            try:
                found = verify_run(folder, known)
            except InputError:
                continue
            nothing_follows = place[0] == "provenance" and free & set(place)
            assert found.findings or nothing_follows, (place, junk)
