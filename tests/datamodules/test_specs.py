"""A data set is one file: found by every reader, without torch, in the package or from outside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import datamodules
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules import DATA_NAMES, DATASETS, Benchmark, DataError, DatasetSpec, SpecDataModule, specs
from datamodules.doctor.command import main as doctor
from datamodules.modules import DATA_MODULES
from datamodules.prepare.command import PREPARATIONS
from datamodules.spec import LabelScheme, RawMaps, names_in
from tests.datamodules.doctor_trees import change, write

ROOMS = """
from cliptrase.vocabulary import Vocabulary
from datamodules.spec import DatasetSpec

Rooms = DatasetSpec(
    name="Rooms",
    folder="rooms",
    images=("images",),
    labels="labels",
    vocabulary=Vocabulary((("bed",), ("lamp",), ("wall",), ("door",), ("sofa",), ("rug",))),
    images_expected={6: "the whole"},
)
"""


def test_data_sets_doctor_and_preparations_load_no_torch() -> None:
    code = (
        "import sys, datamodules, datamodules.doctor.command, datamodules.prepare.command, datamodules.draw\n"
        "assert len(datamodules.DATA_NAMES) > len(datamodules.DATASETS) > 10\n"
        "heavy = {'torch', 'pytorch_lightning', 'albumentations', 'cv2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_name_is_a_class() -> None:
    assert tuple(DATA_MODULES) == DATA_NAMES
    for name in DATA_NAMES:
        assert getattr(datamodules, name) is DATA_MODULES[name]
        assert (DATA_MODULES[name].__name__, DATA_MODULES[name].__doc__ is not None) == (name, True)
    assert set(datamodules.__all__) == set(dir(datamodules))
    with pytest.raises(AttributeError, match="no attribute 'VOC99'"):
        _ = datamodules.VOC99


def test_every_spec_is_whole() -> None:
    for name, spec in DATASETS.items():
        assert (spec.name, bool(spec.description), bool(spec.expected_counts)) == (name, True, True)
        for made in (spec, spec.with_labels(LabelScheme(void=True))):
            assert made.preparation_elsewhere or made.preparation.split()[0] in PREPARATIONS
    assert DATASETS["PC59"].expected_text.startswith("5105 (by ImageSets/Main/val.txt of VOC2010) or 5104 (by ")


def test_a_file_of_specs_is_found_by_every_reader(tmp_path: Path) -> None:
    """A file beside the package's: `--data`, `Benchmark`, the doctor and the list of names, in a process of its own."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "rooms.py").write_text(ROOMS)
    code = (
        "import sys, datamodules.specs as specs\n"
        f"specs.__path__.append({str(tmp_path / 'specs')!r})\n"
        "specs._discover()\n"
        "import importlib, datamodules\n"
        "importlib.reload(datamodules)\n"
        "from tests.datamodules.doctor_trees import write\n"
        "from pathlib import Path\n"
        f"root = Path({str(tmp_path)!r})\n"
        "write(root, specs.DATASETS['Rooms'])\n"
        "assert 'Rooms' in datamodules.DATA_NAMES\n"
        "assert datamodules.Rooms(root=root).settings[0].name == 'Rooms'\n"
        "assert [spec.name for spec in datamodules.Benchmark(['Rooms'], root).settings] == ['Rooms']\n"
        "from datamodules.doctor.command import main\n"
        "sys.exit(main(['--root', str(root), '--setting', 'Rooms', '--workers', '1']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Rooms" in done.stdout
    assert "good" in done.stdout


def rooms(path: Path, **fields: object) -> DatasetSpec:
    names = path / "rooms.txt"
    names.write_text("bed\nlamp\nwall\ndoor\nsofa\nrug\n")
    vocabulary = Vocabulary(single_names(names_in(names)))
    return DatasetSpec("MyRooms", "rooms", ("images",), "labels", vocabulary, **fields)  # type: ignore[arg-type]


def test_a_class_from_outside_is_known_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class MyRooms(SpecDataModule):
        spec = rooms(tmp_path)

    write(tmp_path, MyRooms.spec)
    assert DATASETS["MyRooms"] is MyRooms.spec
    assert MyRooms(root=tmp_path).settings[0].name == "MyRooms"
    assert [spec.name for spec in Benchmark(["MyRooms"], root=tmp_path).settings] == ["MyRooms"]
    assert doctor(["--root", str(tmp_path), "--setting", "MyRooms", "--json", "--workers", "1"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["settings"].values()
    assert (entry["state"], entry["pictures"], entry["expected"]) == ("good", 6, [])
    with pytest.raises(DataError, match="the name 'VOC20' is another data set's"):

        class Mine(SpecDataModule):
            spec = DatasetSpec("VOC20", "rooms", ("images",), "labels", Vocabulary((("a",),)))

    class Larger(MyRooms):  # the same data set
        pass

    assert Larger.spec is MyRooms.spec


def test_the_doctor_has_a_cure_without_a_preparation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = rooms(tmp_path)
    specs.register(spec)
    write(tmp_path, spec)
    change(tmp_path, spec, lambda labels: labels + 7)
    assert doctor(["--root", str(tmp_path), "--setting", "MyRooms", "--workers", "1"]) == 1
    printed = capsys.readouterr().out
    assert "MyRooms has labels 0..5 and 255 for unlabelled pixels:" in printed
    assert "datamodules.prepare" not in printed


@pytest.mark.parametrize(("raw", "level"), [(RawMaps(background=0, unlabelled=255), 1), (None, 0)])
def test_raw_maps_are_told_by_the_spec(tmp_path: Path, raw: RawMaps | None, level: int) -> None:
    """Zero in nearly every map and over much of them: background not yet shifted, if the spec says so."""
    spec = rooms(tmp_path, raw=raw)
    specs.register(spec)
    write(tmp_path, spec)

    def mostly_zero(labels):  # type: ignore[no-untyped-def]
        labels[: labels.shape[0] * 2 // 3] = 0
        return labels

    change(tmp_path, spec, mostly_zero)
    assert doctor(["--root", str(tmp_path), "--setting", "MyRooms", "--workers", "1"]) == level


def test_lists_of_data_sets(tmp_path: Path) -> None:
    assert [spec.name for spec in Benchmark("sclip", root=tmp_path).specs] == list(specs.BENCHMARKS["sclip"])
    several = Benchmark(["sclip", "VOC20", "ADEfull"], root=tmp_path)
    assert [spec.name for spec in several.specs] == [*specs.BENCHMARKS["sclip"], "ADEfull"]
    with pytest.raises(DataError, match=r"names 'VOC_20', which is no data set; did you mean VOC20\?"):
        Benchmark(["VOC_20"], root=tmp_path)
    with pytest.raises(DataError, match="names nothing"):
        Benchmark([], root=tmp_path)
