"""CamVid in its publishers' colours and in index maps: equal label maps, equal scores, through one YAML each.

The pictures are generated; colours and names are those of CamVid's `label_colors.txt` (Brostow et al., Semantic Object
Classes in Video, 2009), the 11 classes those that SegNet made common (Badrinarayanan et al., 2017).
"""

from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image

from datamodules import VOC20, Benchmark, Folder
from datamodules.doctor.command import main as doctor
from tests.command import Run, run
from tests.kit import scene, write_detectron2_tree

TABLE = """\
64 128 64\tAnimal
192 0 128\tArchway
0 128 192\tBicyclist
0 128 64\tBridge
128 0 0\t\tBuilding
64 0 128\tCar
64 0 192\tCartLuggagePram
192 128 64\tChild
192 192 128\tColumn_Pole
64 64 128\tFence
128 0 192\tLaneMkgsDriv
192 0 64\tLaneMkgsNonDriv
128 128 64\tMisc_Text
192 0 192\tMotorcycleScooter
128 64 64\tOtherMoving
64 192 128\tParkingBlock
64 64 0\t\tPedestrian
128 64 128\tRoad
128 128 192\tRoadShoulder
0 0 192\t\tSidewalk
192 128 128\tSignSymbol
128 128 128\tSky
64 128 192\tSUVPickupTruck
0 0 64\t\tTrafficCone
0 64 64\t\tTrafficLight
192 64 128\tTrain
128 128 0\tTree
192 128 192\tTruck_Bus
64 0 64\t\tTunnel
192 192 0\tVegetationMisc
0 0 0\t\tVoid
64 192 0\tWall
"""
GROUPS = {
    "sky": ["Sky"],
    "building": ["Bridge", "Building", "Wall", "Tunnel", "Archway"],
    "pole": ["Column_Pole", "TrafficCone"],
    "road": ["Road", "LaneMkgsDriv", "LaneMkgsNonDriv"],
    "pavement": ["Sidewalk", "ParkingBlock", "RoadShoulder"],
    "tree": ["Tree", "VegetationMisc"],
    "sign": ["SignSymbol", "Misc_Text", "TrafficLight"],
    "fence": ["Fence"],
    "car": ["Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"],
    "pedestrian": ["Pedestrian", "Child", "CartLuggagePram", "Animal"],
    "bicyclist": ["Bicyclist", "MotorcycleScooter"],
}
ROWS = [line.split() for line in TABLE.splitlines()]
COLOURS = {name: [int(red), int(green), int(blue)] for red, green, blue, name in ROWS}
NAMES = [name for name in COLOURS if name != "Void"]
SIZES = ((48, 64), (60, 50), (48, 64))


def regions(seed: int) -> NDArray[np.int64]:
    """(H, W) places in the table, every 32 of them, Void in the last."""
    height, width = SIZES[seed]
    places = np.random.default_rng(seed).permutation(32)
    return places[np.arange(height)[:, None] * 8 // height + 8 * (np.arange(width) * 4 // width)]


def write_camvid(root: Path) -> None:
    """Pictures, label maps in colours, in 31 indices and in 11, and one YAML file for each way to read them."""
    for name in ("701_StillsRaw_full", "LabeledApproved_full", "indices", "groups"):
        (root / name).mkdir(parents=True)
    order = [*COLOURS]
    index = np.array([NAMES.index(name) if name in NAMES else 255 for name in order], np.uint8)
    grouped = {name: number for number, names in enumerate(GROUPS.values()) for name in names}
    group = np.array([grouped.get(name, 255) for name in order], np.uint8)
    palette = np.array([*COLOURS.values()], np.uint8)
    for seed, (height, width) in enumerate(SIZES):
        stem, places = f"0001TP_00{seed}", regions(seed)
        Image.fromarray(scene(seed, height, width)[0]).save(root / "701_StillsRaw_full" / f"{stem}.png")
        Image.fromarray(palette[places]).save(root / "LabeledApproved_full" / f"{stem}_L.png")
        Image.fromarray(index[places]).save(root / "indices" / f"{stem}.png")
        Image.fromarray(group[places]).save(root / "groups" / f"{stem}.png")
    (root / "label_colors.txt").write_text(TABLE)
    in_colours = {"labels": "LabeledApproved_full", "label_end": "_L"}
    files = {
        "CamVid": {**in_colours, "colors": "label_colors.txt", "ignore": ["Void"]},
        "CamVid-indices": {"labels": "indices", "classes": NAMES},
        "CamVid11": {
            **in_colours,
            "classes": [*GROUPS],
            "colors": {
                **{group: [COLOURS[name] for name in names] for group, names in GROUPS.items()},
                "ignore": "#000000",
            },
        },
        "CamVid11-indices": {"labels": "groups", "classes": [*GROUPS]},
    }
    for name, fields in files.items():
        document = {"name": name, "images": "701_StillsRaw_full", **fields}
        (root / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("camvid")
    write_camvid(root)
    return root


FILES = ("CamVid", "CamVid-indices", "CamVid11", "CamVid11-indices")


@pytest.mark.parametrize("name", ["CamVid", "CamVid11"])
def test_colours_and_indices_are_one_data_set(camvid: Path, name: str) -> None:
    """Every pixel, the names and their digest; what is read of the files has a digest of its own."""
    both = [Folder(spec=camvid / f"{name}{end}.yaml", num_workers=0) for end in ("", "-indices")]
    for folder in both:
        folder.setup("test")
    colours, indices = (folder.datasets[0] for folder in both)
    assert [item.stem for item in colours] == [item.stem for item in indices]
    for one, other in zip(colours, indices, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert set(np.unique(one.labels)) == {-1, *range(31 if name == "CamVid" else 11)}
    assert colours.spec.vocabulary.digest == indices.spec.vocabulary.digest
    assert colours.spec.reading_digest != indices.spec.reading_digest


@pytest.fixture(scope="module")
def finished(camvid: Path, tiny_clip: Path) -> Run:
    """All four and a published data set in one run."""
    root = write_detectron2_tree(camvid / "published", VOC20.spec)
    chosen = ", ".join(["VOC20", *(str(camvid / f"{name}.yaml") for name in FILES)])
    options = ["--config", "sclip", "--protocol.size", "48", "--protocol.window", "48", "--protocol.stride", "48"]
    data = ["--data", "Benchmark", "--data.root", str(root), "--data.settings", f"[{chosen}]"]
    return run("test", camvid / "out", *options, "--model.clip", f"local-dir:{tiny_clip}", *data)


@pytest.mark.parametrize("name", ["CamVid", "CamVid11"])
def test_they_have_equal_scores(finished: Run, name: str) -> None:
    settings, counted = finished.results["settings"], finished.results["provenance"]["counts"]
    colours, indices = settings[name], settings[f"{name}-indices"]
    assert counted[name] == counted[f"{name}-indices"]
    assert colours["scores"] == indices["scores"]
    assert colours["scores"]["released"]["mIoU"] is not None
    one, other = (np.load(finished.folder / "confusion" / f"{name}{end}.npz") for end in ("", "-indices"))
    assert one.files == other.files
    for counts in one.files:
        np.testing.assert_array_equal(one[counts], other[counts])


def test_own_sets_stand_beside_published_ones(finished: Run) -> None:
    """One table, one average, one report."""
    assert list(finished.results["settings"]) == ["VOC20", *FILES]
    means = [result["scores"]["mmseg"]["mIoU"] for result in finished.results["settings"].values()]
    assert finished.results["headline"]["mIoU"] == pytest.approx(sum(means) / len(means), abs=0.011)  # of rounded ones
    page = (finished.folder / "report.html").read_text()
    for name in ("VOC20", *FILES):
        assert name in page


def test_the_doctor_looks_at_all_of_them(camvid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(camvid / f"{name}.yaml") for name in FILES]
    assert doctor(["--spec", *files, "--workers", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("good") == len(FILES)
    assert "never occur" not in printed


def test_a_benchmark_reads_what_a_folder_reads(camvid: Path) -> None:
    benchmark = Benchmark([str(camvid / "CamVid.yaml")], root=camvid, num_workers=0)
    assert benchmark.settings[0].colours == Folder(spec=camvid / "CamVid.yaml").spec.colours
