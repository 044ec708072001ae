"""The data sets of MESS: what is known of them, and that they are read where MESS's preparation lays them."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import datamodules
from datamodules import DATASETS, Benchmark, DataError
from datamodules.doctor.command import main as doctor
from datamodules.specs import BENCHMARKS
from datamodules.specs.mess import MESS
from tests.mess_tree import LAYOUT, SIZE, STEMS, labels, picture, write_mess_tree

FACTS = Path(__file__).resolve().parents[3] / "shared" / "facts" / "mess.yaml"
DOMAINS = {
    "General": 6,
    "Earth Monitoring": 5,
    "Medical Sciences": 4,
    "Engineering": 4,
    "Agriculture and Biology": 3,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mess_tree(tmp_path_factory.mktemp("mess"))


def test_mess_has_22_figures_of_25_data_sets_in_five_domains() -> None:
    assert BENCHMARKS["mess"] == tuple(LAYOUT) == tuple(name for name in DATASETS if DATASETS[name].benchmark)
    assert {domain: len(figures) for domain, figures in MESS.domains.items()} == DOMAINS
    assert (MESS.size, len(MESS.figures["PAXRay-4"])) == (22, 4)
    assert MESS.domain_of(MESS.figure_of("PAXRay-Bones")) == "Medical Sciences"


def test_facts_are_those_shared_beside_the_checkout() -> None:
    if not FACTS.is_file():
        pytest.skip("no ../shared/facts beside the checkout")
    facts = yaml.safe_load(FACTS.read_text(encoding="utf-8"))
    assert set(facts) == set(LAYOUT)
    for name, entry in facts.items():
        spec = DATASETS[name]
        known = entry["classes"]
        assert [*spec.vocabulary.names] == known
        assert [*spec.interest] == (entry["interest"] if entry["interest"] != "all" else [*range(len(known))])
        assert spec.benchmark is MESS
        assert MESS.domain_of(MESS.figure_of(name)) == entry["domain"]


@pytest.mark.parametrize("name", LAYOUT)
def test_each_set_is_read_in_mess_layout(name: str, root: Path) -> None:
    module = getattr(datamodules, name)(root=root)
    module.setup("test")
    (dataset,) = module.datasets
    assert (dataset.spec.vocabulary.num_labels, dataset.spec.vocabulary.background) == (LAYOUT[name][2], ())
    assert list(dataset.stems) == list(STEMS)
    for number in range(len(STEMS)):
        read = dataset.read(number)
        assert read.labels is not None
        np.testing.assert_array_equal(read.labels, labels(name, number))
        if LAYOUT[name][0].lower().endswith(".png"):  # infrared, red and green stay where they are; grey is thrice grey
            np.testing.assert_array_equal(read.image, picture(name, number))
        assert read.image.shape == (*SIZE, 3)
        scored = dataset[number].labels
        assert scored is not None
        expected = labels(name, number).astype(int)
        np.testing.assert_array_equal(np.unique(scored), np.unique(np.where(expected == 255, -1, expected)))


def test_the_named_list_stands_beside_the_others(root: Path) -> None:
    assert [spec.name for spec in Benchmark("mess", root=root).settings] == list(LAYOUT)
    several = Benchmark(["VOC20", "mess", "CUB-200"], root=root)
    assert [spec.name for spec in several.specs] == ["VOC20", *LAYOUT]


def test_the_doctor_finds_nothing_wrong_but_the_numbers(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(["--root", str(root), "--setting", "mess", "--json", "--workers", "1"]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]
    assert list(settings) == list(LAYOUT)
    for name, found in settings.items():
        kinds = {finding["kind"] for finding in found["findings"]}
        assert {"count"} <= kinds <= {"count", "classes"}, (name, found["findings"])
        assert (found["state"], found["pictures"], found["label_maps"]) == ("good", 2, 2)


def test_messages_name_the_folder_and_mess_preparation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_mess_tree(tmp_path, ["CWFID", "DeepCrack"])
    for path in (root / "DeepCrack" / "annotations_detectron2" / "test").iterdir():
        path.unlink()
    (root / "DeepCrack" / "annotations_detectron2" / "test").rmdir()
    stray = root / "cwfid" / "annotations_detectron2" / "test" / "009_annotation.png"
    stray.write_bytes((stray.parent / "001_annotation.png").read_bytes())
    assert doctor(["--root", str(root), "--setting", "CWFID", "DeepCrack", "--workers", "1"]) == 1
    printed = capsys.readouterr().out
    labels_folder = root / "DeepCrack" / "annotations_detectron2" / "test"
    made = "`python mess/prepare_datasets/prepare_deepcrack.py` makes it"
    assert f"DeepCrack: error: no folder of label maps: looked for {labels_folder}; {made}" in printed
    assert "CWFID: error: 1 label maps have no picture of their name: 009_annotation.png" in printed
    with pytest.raises(DataError) as raised:
        getattr(datamodules, "DeepCrack")(root=root).setup("test")  # noqa: B009 (as any name of the list)
    script = f"DETECTRON2_DATASETS={root} python mess/prepare_datasets/prepare_deepcrack.py"
    assert str(raised.value) == f"no folder {labels_folder}; make it by: {script}"
    with pytest.raises(DataError, match=r"009_annotation\.png has no picture of that name"):
        getattr(datamodules, "CWFID")(root=root).setup("test")  # noqa: B009


def test_values_beyond_the_classes_are_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_mess_tree(tmp_path, ["PST900"])
    Image.fromarray(np.full(SIZE, 7, np.uint8)).save(root / LAYOUT["PST900"][1].format("001"))
    assert doctor(["--root", str(root), "--setting", "PST900", "--workers", "1"]) == 1
    assert "hold 7, but PST900 has labels 0..4 and 255" in capsys.readouterr().out


def test_one_line_tells_that_mess_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_mess_tree(tmp_path, ["CWFID"])
    assert doctor(["--root", str(root), "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert "MESS: info: 24 data sets are not there (BDD100K, Dark_Zurich" in printed
    assert "FoodSeg103:" not in printed
