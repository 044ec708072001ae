"""`--data.spec`: a data set of one's own in one YAML file, for `Folder`, `Benchmark` and the doctor."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import Benchmark, DataError, Folder
from datamodules.doctor.command import main as doctor
from datamodules.spec_file import read_options, read_spec
from tests.command import run

GOOD = """
name: Rooms
images: pictures
labels: maps
label_end: _mask
classes: [on, [sofa, couch], "3"]
background: [wall, floor]
background_index: 0
ignore_label: 9
label_offset: 1
"""

CLASS = """
from pathlib import Path

from cliptrase.vocabulary import Vocabulary, single_names
from datamodules import DatasetSpec, SpecDataModule
from datamodules.spec import names_in

HERE = Path(__file__).parent


class MyRooms(SpecDataModule):
    spec = DatasetSpec(
        name="MyRooms",
        folder=HERE.name,
        images=("pictures",),
        labels="maps",
        label_suffix="_mask",
        label_offset=1,
        ignore_label=9,
        vocabulary=Vocabulary(single_names(names_in(HERE / "names.txt"))),
    )
"""


def write(path: Path, text: str = GOOD) -> Path:
    """A data set of three images, and its YAML file."""
    for name in ("pictures", "maps"):
        (path / name).mkdir(exist_ok=True)
    for number, stem in enumerate("abc"):
        Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(path / "pictures" / f"{stem}.jpg")
        labels = np.repeat(np.array([1, 2, 3, 9], np.uint8), 16).reshape(8, 8)
        Image.fromarray(labels).save(path / "maps" / f"{stem}_mask.png")
    (path / "rooms.yaml").write_text(text)
    return path / "rooms.yaml"


def test_a_folder_reads_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths start from the file's folder, wherever the program was started; text is text."""
    path = write(tmp_path)
    monkeypatch.chdir("/")
    folder = Folder(spec=path, num_workers=0)
    spec = folder.spec
    assert spec.name == "Rooms"
    assert spec.vocabulary.classes == (("on",), ("sofa", "couch"), ("3",))
    assert (spec.vocabulary.background, spec.vocabulary.background_index) == (("wall", "floor"), 0)
    assert (spec.ignore_label, spec.label_offset, spec.label_suffix) == (9, 1, "_mask")
    assert [pair.stem for pair in folder.pairs(spec, with_labels=True)] == ["a", "b", "c"]
    folder.setup("test")
    assert folder.datasets[0].spec.name == "Rooms"
    assert list(folder.digests()) == ["Rooms"]


def test_what_is_given_beside_it_replaces_it(tmp_path: Path) -> None:
    path = write(tmp_path)
    folder = Folder(spec=path, name="Others", ignore_label=255, classes=["a", "b", "c"], label_end="_mask")
    assert (folder.spec.name, folder.spec.ignore_label, folder.spec.label_offset) == ("Others", 255, 1)
    assert folder.spec.vocabulary.classes == (("a",), ("b",), ("c",))
    elsewhere = Folder(spec=path, root=tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"no folder {tmp_path}/elsewhere/pictures; name another place by `images`"):
        elsewhere.pairs(elsewhere.spec, with_labels=False)


def test_only_what_a_list_names(tmp_path: Path) -> None:
    path = write(tmp_path, f"{GOOD}list: val.txt\n")
    (tmp_path / "pictures" / "a.jpg").unlink()  # neither listed nor whole
    (tmp_path / "val.txt").write_text("c.jpg\nb\n")
    folder = Folder(spec=path)
    assert [pair.stem for pair in folder.pairs(folder.spec, with_labels=True)] == ["b", "c"]
    assert doctor(["--spec", str(path), "--workers", "1"]) == 0
    for content, sentence in (
        ("b\nx\ny\n", "2 of 3 names of `list` .* have no image in .*pictures, the first is x"),
        ("b\nb\n", "names b twice"),
        ("\n", "names no image"),
    ):
        (tmp_path / "val.txt").write_text(content)
        with pytest.raises(DataError, match=sentence):
            folder.pairs(folder.spec, with_labels=True)
    (tmp_path / "val.txt").unlink()
    with pytest.raises(DataError, match=r"`list` .* cannot be read"):
        folder.pairs(folder.spec, with_labels=True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no fields"),
        ("- a\n", "holds no fields"),
        ("name: [\n", "cannot be read as YAML"),
        ("label_ofset: 1\n", "line 1: 'label_ofset' is no field of a data set; did you mean label_offset?"),
        ("colour: red\n", "'colour' is no field of a data set; did you mean colors?"),
        ("shade: red\n", "'shade' is no field of a data set; take some of name, images"),
        ("name: a\nname: b\n", "line 2: name stands in line 1 already"),
        ("label_offset: one\n", "line 1: label_offset must be a whole number, not 'one'"),
        ("label_offset: 1.5\n", "must be a whole number, not '1.5'"),
        ("label_offset: -1\n", "rooms.yaml: label_offset -1 is not in 0..65535"),
        ("synonyms: maybe\n", "synonyms must be true or false, not 'maybe'"),
        ("images: [a, b]\n", "images holds several values where one was expected"),
        ("images:\n", "images has no value"),
        ("name: a/b\n", "name 'a/b' is no name for a data set"),
        ("name: VOC20\n", "name VOC20 is a published data set's; give yours another one"),
        ("name: voc20\n", "name voc20 is a published data set's; give yours another one"),
        ("name: average\n", "name average is what tables call the mean of data sets"),
        ("images: pictures\n", "Folder needs classes"),
        ("classes: [a, a]\n", "class names must differ"),
        ("classes: [a, []]\n", "item 2 is empty"),
        ("classes: nowhere.txt\n", "is not a text file that can be read"),
        ("classes: [a, b]\nbackground_index: 5\n", "background_index 5 is not among the labels 0..2"),
    ],
)
def test_fields_that_cannot_be(text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, text)
    assert doctor(["--spec", str(path), "--workers", "1"]) == 1
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.yaml is no file"):
        read_options(tmp_path / "none.yaml")


def test_synonyms_of_a_list(tmp_path: Path) -> None:
    path = write(tmp_path, 'classes: ["cat, kitten", dog; puppy]\nsynonyms: true\n')
    assert read_spec(path).vocabulary.classes == (("cat", "kitten"), ("dog", "puppy"))
    (tmp_path / "classes.txt").write_text("cat, kitten\ndog; puppy\n")
    assert Folder(tmp_path / "classes.txt", synonyms=True).spec.vocabulary.classes == (
        ("cat", "kitten"),
        ("dog", "puppy"),
    )
    assert Folder(["cat, kitten"]).spec.vocabulary.classes == (("cat, kitten",),)


def test_a_value_that_is_not_scored_must_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "classes: [" + ", ".join(f"thing {number}" for number in range(300)) + "]\n")
    with pytest.raises(DataError, match="names 300 classes, so that 255 is the label of 'thing 255'"):
        read_spec(path)


def test_the_doctor_looks_at_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    assert doctor(["--spec", str(path), "--json", "--workers", "1"]) == 0
    report = json.loads(capsys.readouterr().out)
    rooms = report["settings"]["Rooms"]
    assert (rooms["state"], rooms["pictures"], rooms["label_maps"], rooms["expected"]) == ("good", 3, 3, [])
    assert rooms["classes_never_seen"] == ["3"]
    assert rooms["looked"] == [str(tmp_path / "pictures"), str(tmp_path / "maps")]
    (tmp_path / "maps" / "c_mask.png").unlink()
    assert doctor(["--spec", str(path), "--workers", "1"]) == 1
    assert "1 pictures have no label map of their name: c.jpg" in capsys.readouterr().out
    assert doctor(["--spec", str(path), "--setting", "VOC20", "--workers", "1"]) == 2
    assert doctor(["--workers", "1"]) == 2


def test_images_and_label_maps_of_one_folder(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("labels: maps", "labels: pictures"))
    for file in (tmp_path / "maps").iterdir():
        file.rename(tmp_path / "pictures" / file.name)
    folder = Folder(spec=path)
    assert [pair.stem for pair in folder.pairs(folder.spec, with_labels=True)] == ["a", "b", "c"]
    assert doctor(["--spec", str(path), "--workers", "1"]) == 0


def test_a_benchmark_takes_several(tmp_path: Path) -> None:
    first = write(tmp_path)
    second = tmp_path / "others.yaml"
    second.write_text(GOOD.replace("Rooms", "Others"))
    benchmark = Benchmark([str(first), str(second)], root=tmp_path / "nowhere", num_workers=0)
    assert [spec.name for spec in benchmark.settings] == ["Rooms", "Others"]
    benchmark.setup("test")
    assert [len(dataset) for dataset in benchmark.datasets] == [3, 3]
    second.write_text(GOOD)
    with pytest.raises(DataError, match=r"others\.yaml are both called Rooms; write a name"):
        Benchmark([str(first), str(second)])


def test_the_command_line_reads_it(tmp_path: Path, tiny_clip: Path) -> None:
    """Its name stands in results, files and the protocol's overrides."""
    path = write(tmp_path, GOOD.replace('"3"', "lamp"))
    options = ["--config", "sclip", "--protocol.size", "48", "--protocol.window", "48", "--protocol.stride", "48"]
    options += [
        "--protocol.overrides",
        "{Rooms: {logit_scale: 50}}",
        "--model.clip",
        f"local-dir:{tiny_clip}",
        "--data.num_workers",
        "0",
    ]
    finished = run("test", tmp_path / "out", *options, "--data", "Folder", "--data.spec", str(path))
    assert list(finished.results["settings"]) == ["Rooms"]
    assert (finished.folder / "confusion" / "Rooms.npz").is_file()
    both = [*options, "--data", "Benchmark", "--data.settings", f"[{path}]"]
    again = run("test", tmp_path / "both", *both)
    assert again.results["settings"] == finished.results["settings"]


def test_the_command_line_takes_a_class_from_outside(
    tmp_path: Path, tiny_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its path, with its names in a file of its own and values of the protocol for it."""
    write(tmp_path)
    (tmp_path / "rooms_of_mine.py").write_text(CLASS)
    (tmp_path / "names.txt").write_text("bed\nsofa\nlamp\n")
    monkeypatch.syspath_prepend(tmp_path)
    options = ["--config", "sclip", "--protocol.size", "48", "--protocol.window", "48", "--protocol.stride", "48"]
    options += [
        "--protocol.overrides",
        "{MyRooms: {logit_scale: 50}}",
        "--model.clip",
        f"local-dir:{tiny_clip}",
        "--data.num_workers",
        "0",
    ]
    finished = run(
        "test", tmp_path / "out", *options, "--data", "rooms_of_mine.MyRooms", "--data.root", str(tmp_path.parent)
    )
    assert list(finished.results["settings"]) == ["MyRooms"]
    chosen = ["--data", "Benchmark", "--data.settings", "[rooms_of_mine.MyRooms]", "--data.root", str(tmp_path.parent)]
    assert list(run("test", tmp_path / "both", *options, *chosen).results["settings"]) == ["MyRooms"]
