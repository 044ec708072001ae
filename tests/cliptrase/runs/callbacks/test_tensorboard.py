"""TensorBoard events read back: sheets, tables, charts, hyperparameters."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from cliptrase.drawing.canvas import innermost, png_bytes
from cliptrase.drawing.charts import class_bars, confusion_picture
from cliptrase.drawing.overlay import Picture, heat, hex_colour
from cliptrase.drawing.patch_panel import PatchMap
from cliptrase.drawing.sheets import PANEL, Example, picture_iou, sheet
from cliptrase.global_patches.analysis import denoised_map
from cliptrase.report.markdown import confused_pairs, markdown_pairs
from cliptrase.runs.batches import LabelMaps
from cliptrase.runs.callbacks.sheet_choice import example_of
from cliptrase.segmenter import Segmenter
from datamodules import VOC20
from tests.command import Run, complaint, run
from tests.kit import save_labels, write_detectron2_tree

SHEETS = "[{class_path: cliptrase.runs.callbacks.TensorBoardMasks, init_args: %s}]"


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures of VOC2012's form; nothing of the last one is scored, and the first has void."""
    sizes = ((120, 150), (96, 96), (150, 100), (90, 90), (60, 180))
    root = write_detectron2_tree(tmp_path_factory.mktemp("data"), VOC20.spec, sizes=sizes)
    labels = np.full((60, 180), 255, dtype=np.uint8)
    labels[:, :20] = 3
    save_labels(root / VOC20.spec.folder / VOC20.spec.labels / "scene_4.png", labels)
    return root


def options(voc: Path, clip: Path, sheets: str = "{}") -> list[str]:
    own = ["--config", "configs/paper_224.yaml", "--protocol.size", "64", "--data", "VOC20", "--data.root", str(voc)]
    return [*own, "--model.clip", f"local-dir:{clip}", "--trainer.callbacks", SHEETS % sheets]


@pytest.fixture(scope="module")
def finished(voc: Path, tiny_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    sheets = "{pictures: 2, names: [scene_1, scene_3], worst: 2}"
    more = ["--model.compare", "[vanilla]", "--data.batch_size", "3"]
    return run("test", tmp_path_factory.mktemp("run") / "out", *options(voc, tiny_clip, sheets), *more)


@pytest.fixture(scope="module")
def events(finished: Run) -> EventAccumulator:
    return read(finished)


def read(finished: Run) -> EventAccumulator:
    events = EventAccumulator(str(finished.folder), size_guidance={"images": 0, "tensors": 0})
    events.Reload()
    return events


def sheets_of(finished: Run) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = json.loads((finished.folder / "sheets" / "sheets.json").read_text())["sheets"]
    return lines


def text(events: EventAccumulator, tag: str) -> str:
    (event,) = events.Tensors(f"{tag}/text_summary")
    content: bytes = event.tensor_proto.string_val[0]
    return content.decode()


def test_chosen_pictures_get_sheets(finished: Run, events: EventAccumulator) -> None:
    lines = sheets_of(finished)
    assert [(line["kind"], line["stem"]) for line in lines[:3]] == [
        ("first", "scene_0"),
        ("first", "scene_1"),
        ("named", "scene_3"),
    ]
    worst = [line["mIoU"] for line in lines[3:]]
    assert [line["kind"] for line in lines[3:]] == ["worst", "worst"]
    assert worst == sorted(worst)
    tags = [f"VOC20/{line['stem']}" for line in lines[:3]] + [f"VOC20 worst/{line['stem']}" for line in lines[3:]]
    assert events.Tags()["images"] == [*tags, "class IoU/VOC20", "confusion/VOC20"]
    for tag, line in zip(tags, lines, strict=True):
        logged = events.Images(tag)[0]
        assert logged.encoded_image_string == (finished.folder / "sheets" / line["file"]).read_bytes()
        with Image.open(finished.folder / "sheets" / line["file"]) as kept:
            assert kept.size == (logged.width, logged.height)


def test_worst_are_the_lowest_of_all(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    everything = run("test", tmp_path / "all", *options(voc, tiny_clip, "{pictures: 0, worst: 9}"))
    ranked = [(line["mIoU"], line["stem"]) for line in sheets_of(everything)]
    assert sorted(ranked) == ranked
    assert len(ranked) == 4  # the fifth has nothing to score
    two = run("test", tmp_path / "two", *options(voc, tiny_clip, "{pictures: 0, worst: 2}"), "--data.batch_size", "1")
    assert [(line["mIoU"], line["stem"]) for line in sheets_of(two)] == ranked[:2]


def test_sheets_change_no_figure(finished: Run, voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    more = ["--model.compare", "[vanilla]", "--trainer.logger", "false"]
    plain = run("test", tmp_path / "out", *options(voc, tiny_clip, "{pictures: 0, worst: 0}"), *more)
    assert plain.results["methods"] == finished.results["methods"]
    assert not (plain.folder / "sheets").exists()


def test_correlations_are_computed_for_the_sheets_alone(
    voc: Path, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int] | None] = []

    def counted(segmenter: Segmenter, image: Picture, patch: tuple[int, int] | None) -> PatchMap:
        asked.append(patch)
        return denoised_map(segmenter, image, patch)

    monkeypatch.setattr("cliptrase.runs.callbacks.tensorboard.denoised_map", counted)
    middle, corner = (
        run("test", tmp_path / name, *options(voc, tiny_clip, f"{{pictures: 1, worst: 1{patch}}}"))
        for name, patch in (("middle", ""), ("corner", ", patch: [0, 3]"))
    )
    assert asked == [None, None, (0, 3), (0, 3)]
    assert middle.results["methods"] == corner.results["methods"]
    one, other = ((done.folder / "sheets" / "VOC20" / "scene_0.png").read_bytes() for done in (middle, corner))
    assert one != other


def test_a_negative_patch_is_refused(voc: Path, tiny_clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = complaint(capsys, "test", *options(voc, tiny_clip, "{patch: [-1, 2]}"))
    assert told == "patch [-1, 2] of the sheets has a negative number; rows and columns count from 0"


def test_scores_tables_and_charts(finished: Run, events: EventAccumulator) -> None:
    result = finished.results["settings"]["VOC20"]
    for column, value in result["scores"]["released"].items():
        (scalar,) = events.Scalars(f"cliptrase/VOC20/{column}")
        assert scalar.value == pytest.approx(value, abs=0.01)
    table = text(events, "scores")
    assert "protocol paper 64" in table
    figures = " | ".join(f"{value:.2f}" for value in result["scores"]["released"].values())
    assert f"| VOC20 | cliptrase | released | 4 of 1449 | {figures} |" in table.replace("**", "")
    assert "Main method: cliptrase." in table
    assert "| VOC20 | vanilla | detectron2 |" in table
    assert "| truth | predicted as |" in text(events, "most confused/VOC20")
    assert text(events, "scores/comparison") == (finished.folder / "comparison.md").read_text()
    bars = events.Images("class IoU/VOC20")[0]
    present = sum(entry["pixels"] > 0 for entry in result["per_class"])
    assert bars.height > 20 * present


def test_hyperparameters_name_the_figures(events: EventAccumulator) -> None:
    data = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(data).session_start_info.hparams
    assert start["method"].string_value == "cliptrase"
    assert start["protocol/size"].number_value == 64
    data = events.summary_metadata["_hparams_/experiment"].plugin_data.content
    infos = plugin_data_pb2.HParamsPluginData.FromString(data).experiment.metric_infos
    assert "cliptrase/VOC20/mIoU" in {info.name.tag for info in infos}
    assert "hp_metric" not in events.Tags()["scalars"]


def test_published_figures_stand_below_ours(parity: Path, tiny_clip: Path, tmp_path: Path) -> None:
    own = ["--config", "configs/paper_224.yaml", "--data", "VOC20", "--data.root", str(parity / "datasets")]
    finished = run("test", tmp_path / "out", *own, "--model.clip", f"local-dir:{tiny_clip}")
    assert "| VOC20 | cliptrase | published |  | 89.68 | 91.40 | 82.49 | 80.95 |" in text(read(finished), "scores")
    assert "89.68" in (finished.folder / "report.html").read_text()


def test_predict_shows_pictures_without_truth(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    finished = run("predict", tmp_path / "out", *options(voc, tiny_clip, "{pictures: 1, worst: 3}"))
    (line,) = sheets_of(finished)
    assert (line["stem"], line["mIoU"]) == ("scene_0", None)
    assert read(finished).Tags()["images"] == ["VOC20/scene_0"]
    assert not (finished.folder / "report.html").exists()


def test_a_name_that_does_not_occur_is_told(voc: Path, tiny_clip: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="no picture is named cat, so it has no sheet"):
        run("test", tmp_path / "out", *options(voc, tiny_clip, "{pictures: 0, names: [cat]}"))


def example(height: int = 40, width: int = 60, labels: int = 5) -> Example:
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    truth = np.arange(height)[:, None] * labels // height * np.ones(width, dtype=np.int32)[None]
    truth[:, :5] = -1
    prediction = np.full((height, width), 1, dtype=np.int32)
    row = PatchMap(generator.random((-(-height // 16), -(-width // 16))), (0, 1), (16, 16))
    return Example("name", image, {"a": prediction, "b": truth.clip(0)}, truth, prediction, row)


def test_picture_iou_against_sets() -> None:
    generator = np.random.default_rng(1)
    truth, prediction = generator.integers(-1, 4, (9, 7)), generator.integers(0, 6, (9, 7))
    scored = truth >= 0
    expected = []
    for label in set(truth[scored].tolist()):
        there, said = (truth == label) & scored, (prediction == label) & scored
        expected.append((there & said).sum() / (there | said).sum())
    assert picture_iou(truth, prediction) == pytest.approx(100 * np.mean(expected))
    assert np.isnan(picture_iou(np.full((2, 2), -1), np.zeros((2, 2), dtype=np.int64)))


@pytest.mark.parametrize(("height", "width", "labels"), [(40, 60, 5), (300, 60, 20), (60, 300, 171), (600, 800, 3)])
def test_a_sheet_of_any_shape(height: int, width: int, labels: int) -> None:
    names = [f"a class with a long name, number {label}" for label in range(labels)]
    drawn = sheet(example(height, width, labels), names)
    page = drawn.picture
    assert page.dtype == np.uint8
    assert page.shape[1] <= 6 * (PANEL + 20)
    assert page.shape[0] <= 2600
    assert png_bytes(page).startswith(b"\x89PNG")


def test_a_sheet_shows_the_correlation_of_a_patch() -> None:
    own = example(160, 160)
    assert own.patch_map is not None
    with_map, without = (sheet(one, ["a"] * 5).picture for one in (own, replace(own, patch_map=None)))
    highest = heat(np.array(1.0))
    lightest = [int((page == highest).all(-1).sum()) for page in (with_map, without)]
    assert lightest[0] - lightest[1] > 600  # a patch of 25 x 25 has the highest value


def test_names_stand_inside_their_areas() -> None:
    """A ring's middle is not in the ring, and the border is no place for a name."""
    area = np.zeros((40, 60), dtype=bool)
    area[5:35, 5:55] = True
    area[12:30, 12:48] = False
    area[5:35, 40:55] = True
    row, column = innermost(area)
    assert area[row - 6 : row + 7, column - 6 : column + 7].all()
    assert innermost(np.eye(1, dtype=bool)) == (0, 0)


def test_a_legend_names_only_what_occurs() -> None:
    names = [f"class {label}" for label in range(171)]
    page = sheet(example(), names).picture
    colours = {tuple(colour) for colour in page.reshape(-1, 3).tolist()}
    shown = [label for label in range(171) if tuple(bytes.fromhex(hex_colour(label)[1:])) in colours]
    assert set(range(5)) <= set(shown)
    assert len(shown) < 20  # a picture's own pixels may happen to be a colour of the palette


def test_an_example_is_a_copy_of_its_picture() -> None:
    maps = LabelMaps(
        ["a", "b"],
        torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2),
        {"one": torch.arange(8).view(2, 2, 2)},
        torch.arange(8).view(2, 2, 2),
        {"one": torch.full((2, 2, 2), 7)},
    )
    own = example_of(maps, 1)
    assert own.stem == "b"
    assert own.image.tolist() == [[[12, 16, 20], [13, 17, 21]], [[14, 18, 22], [15, 19, 23]]]
    assert own.predictions["one"].tolist() == [[4, 5], [6, 7]]
    assert own.regions is not None
    assert own.ious["one"] == 100


def test_the_most_confused_pairs() -> None:
    confusion = np.array([[10, 30, 0], [5, 95, 0], [0, 0, 0]])
    assert confused_pairs(confusion) == [(0, 1, 0.75), (1, 0, 0.05)]
    table = markdown_pairs(confusion, ["a|b", "c", "d"])
    assert "| a\\|b | c | 75.0 |" in table
    assert confusion_picture(confusion, ["a", "b", "c"], "title").shape[2] == 3
    assert confused_pairs(np.zeros((3, 3), dtype=np.int64)) == []


def test_bars_of_many_classes_stand_in_columns() -> None:
    few, many = (class_bars([f"{i}" for i in range(n)], list(range(n)), "title") for n in (20, 100))
    assert many.shape[1] > 2 * few.shape[1]
    assert many.shape[0] < 3 * few.shape[0]
