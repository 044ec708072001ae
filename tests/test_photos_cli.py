"""Own pictures through the command line: label maps lie where the things are, bad pictures hold nobody up."""

import csv
import json
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO
from torch import Tensor
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.cli import main
from cliptrase.clip.encoder import Encoding, TowerPass, VisualEncoder
from cliptrase.common.images import Reader
from cliptrase.drawing.naming import named_overlay
from cliptrase.drawing.overlay import colourise, hex_colour
from cliptrase.methods import Method
from cliptrase.ops.classification import TextClassifier
from cliptrase.segmenter import Segmenter
from tests.command import QUIET, Run, complaint, run
from tests.kit import scene

WORDS = "cat, kitten; dog; 猫; a very long name of a thing that hardly any legend can show in full"
WORDS_WRITTEN = ["cat", "dog", "猫", "a very long name of a thing that hardly any legend can show in full"]
PATCH = 16


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Pictures of several sizes, two of one size, one in a folder below, one narrow; and files that do not count."""
    folder = tmp_path / "album"
    sizes = {"a": (60, 90), "b": (60, 90), "deep/c": (97, 41), "d": (5, 300), "e": (1, 1), "a_overlay": (40, 40)}
    for number, (name, size) in enumerate(sizes.items()):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(number, *size)[0]).save(path)
    (folder / "notes.txt").write_text("no picture")
    return folder


def options(clip: Path, images: Path | str, words: str = WORDS) -> list[str]:
    chosen = ["--config", "configs/photos.yaml", "--protocol.size", "64", "--protocol.longest", "256"]
    chosen += ["--protocol.eps", "0.7", "--protocol.min_samples", "3", "--protocol.templates", "vild"]
    return [*chosen, "--model.clip", f"local-dir:{clip}", "--data.images", str(images), "--data.words", words]


def masks(finished: Run) -> dict[str, bytes]:
    """Content of masks and overlays by `<folder>/<name>`."""
    return {
        f"{folder}/{path.name}": path.read_bytes()
        for folder in ("masks", "overlays")
        for path in sorted((finished.folder / folder / "Photos").iterdir())
    }


def test_what_a_run_leaves(album: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished = run("predict", tmp_path / "out", *options(tiny_clip, album), "--data.background", "wall, floor")
    legend = json.loads((finished.folder / "legend.json").read_text())
    assert [entry["label"] for entry in legend] == [0, 1, 2, 3, 4]
    assert legend[0] == {"label": 0, "name": "cat", "words": ["cat", "kitten"], "colour": hex_colour(0)}
    assert legend[2]["name"] == "猫"
    assert legend[4] == {"label": 4, "name": "background", "words": ["wall", "floor"], "colour": hex_colour(4)}
    rows = list(csv.DictReader((finished.folder / "predictions.csv").read_text().splitlines()))
    assert [row["picture"] for row in rows] == ["a", "a_overlay", "b", "c", "d", "e"]
    assert list(rows[0]) == ["picture", *(entry["name"] for entry in legend)]
    assert len(masks(finished)) == 2 * len(rows)
    for row in rows:
        stem = row["picture"]
        found = np.array([float(row[entry["name"]]) for entry in legend])
        assert found.sum() == pytest.approx(1, abs=5e-6)
        labels = finished.mask("Photos", stem)
        picture = Reader().picture(next(album.rglob(f"{stem}.png")))
        assert labels.dtype == np.uint8
        assert labels.shape == picture.shape[:2]
        np.testing.assert_allclose(np.bincount(labels.ravel(), minlength=5) / labels.size, found, atol=5e-7)
        height, width = labels.shape
        with Image.open(finished.folder / "masks" / "Photos" / f"{stem}.png") as mask:
            assert mask.mode == "P"
            assert np.array_equal(np.array(mask.convert("RGB")), colourise(labels.astype(int)))
        sheet = finished.overlay("Photos", stem)
        names = [entry["name"] for entry in legend]
        assert np.array_equal(sheet, named_overlay(picture, labels.astype(int), names, found))
        assert sheet.shape[1] == max(160, width)
        swatches = {tuple(colour) for colour in sheet[height:].reshape(-1, 3)}
        assert {tuple(colour) for colour in colourise(np.unique(labels))} <= swatches
    printed = capsys.readouterr().out
    assert printed.splitlines() == [
        f"written to {finished.folder}:",
        "  masks/Photos/     6 label maps (palette PNG, numbers as in the legend)",
        "  overlays/Photos/  6 pictures to look at",
        "  legend.json       label, name, words and colour",
        "  predictions.csv   share of each name in each picture",
    ]


def test_neighbours_workers_and_runs_change_nothing(album: Path, tiny_clip: Path, tmp_path: Path) -> None:
    first = run("predict", tmp_path / "first", *options(tiny_clip, album), "--data.batch_size", "1")
    for number, more in enumerate((["4", "0"], ["4", "0"], ["3", "2"])):
        extra = ["--data.batch_size", more[0]]
        arguments = ["predict", *options(tiny_clip, album), *QUIET, *extra, "--data.num_workers", more[1]]
        out = tmp_path / str(number)
        assert main([*arguments, "--trainer.default_root_dir", str(out)]) == 0
        (folder,) = out.iterdir()
        assert masks(Run(folder)) == masks(first)
        for name in ("legend.json", "predictions.csv"):
            assert (folder / name).read_bytes() == (first.folder / name).read_bytes()


def test_bad_pictures_are_listed_and_the_others_done(
    album: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = run("predict", tmp_path / "good", *options(tiny_clip, album))
    whole = (album / "a.png").read_bytes()
    for name, content in {"0empty.jpg": b"", "cut.png": whole[: len(whole) // 2], "text.jpg": b"no picture"}.items():
        (album / name).write_bytes(content)
    (album / "gone.png").symlink_to(album / "nowhere.png")
    arguments = ["predict", *options(tiny_clip, album), *QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    sentence = complaint(capsys, *arguments, "--data.batch_size", "3")
    assert sentence.startswith("4 pictures were passed over, the others are done: ")
    for name in ("0empty.jpg", "cut.png", "text.jpg", "gone.png"):
        assert sentence.count(f"{album / name} cannot be read as a picture (") == 1
    (folder,) = (tmp_path / "out").iterdir()
    assert masks(Run(folder)) == masks(good)
    assert (folder / "predictions.csv").read_bytes() == (good.folder / "predictions.csv").read_bytes()


def test_nothing_but_a_bad_picture(tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    out = tmp_path / "out"
    arguments = ["predict", *options(tiny_clip, tmp_path / "bad.png"), *QUIET, "--trainer.default_root_dir", str(out)]
    assert complaint(capsys, *arguments).startswith("1 picture was passed over, the others are done: ")
    assert len(next(out.rglob("predictions.csv")).read_text().splitlines()) == 1


def test_lists_globs_files_and_words_in_a_file(album: Path, tiny_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("cat, kitten\ndog\n")
    words = str(tmp_path / "words.txt")
    several = run("predict", tmp_path / "1", *options(tiny_clip, f"[{album}/a.png, {album}/deep]", words))
    assert set(masks(several)) == {"masks/a.png", "overlays/a.png", "masks/c.png", "overlays/c.png"}
    assert [entry["words"] for entry in json.loads((several.folder / "legend.json").read_text())] == [
        ["cat", "kitten"],
        ["dog"],
    ]
    globbed = run("predict", tmp_path / "2", *options(tiny_clip, f"{album}/[ab].png", words))
    assert set(masks(globbed)) == {"masks/a.png", "overlays/a.png", "masks/b.png", "overlays/b.png"}
    assert masks(globbed)["masks/a.png"] == masks(several)["masks/a.png"]


def test_errors_are_one_sentence(
    album: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [*QUIET, "--trainer.default_root_dir", str(tmp_path / "out")]
    scored = complaint(capsys, "test", *options(tiny_clip, album), *common)
    assert scored == "Photos have no label maps to score: take 'predict', or 'test' with --data Folder"
    assert "names no picture" in complaint(capsys, "predict", *options(tiny_clip, album / "*.gif"), *common)
    assert "'cat' stands more" in complaint(capsys, "predict", *options(tiny_clip, album, "cat; cat"), *common)
    assert "without a name" in complaint(capsys, "predict", *options(tiny_clip, album, "cat;;dog"), *common)


def test_under_the_papers_crop_the_overlay_is_the_crops(album: Path, tiny_clip: Path, tmp_path: Path) -> None:
    paper = ["--config", "configs/paper_224.yaml", "--protocol.size", "64", "--data", "Photos"]
    paper += [
        "--model.clip",
        f"local-dir:{tiny_clip}",
        "--data.images",
        str(album / "a.png"),
        "--data.words",
        "cat; dog",
    ]
    finished = run("predict", tmp_path / "out", *paper)
    labels = finished.mask("Photos", "a")
    assert labels.shape == (64, 64)
    sheet = finished.overlay("Photos", "a")
    assert sheet.shape[1] == 160
    assert {tuple(c) for c in colourise(np.unique(labels))} <= {tuple(c) for c in sheet[64:].reshape(-1, 3)}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and NumPy 2
def test_exports_hold_the_label_maps(
    album: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every picture that can be read, at its own size, as pycocotools reads them."""
    (album / "c0.png").write_bytes(b"no picture")
    arguments = ["predict", *options(tiny_clip, album), *QUIET, "--data.background", "wall"]
    arguments += ["--data.export", "coco,words,polygons", "--trainer.default_root_dir", str(tmp_path / "out")]
    assert complaint(capsys, *arguments).startswith("1 picture was passed over, the others are done: ")
    (folder,) = (tmp_path / "out").iterdir()
    found = COCO(folder / "exports" / "coco.json")
    assert [category["name"] for category in found.loadCats(found.getCatIds())] == WORDS_WRITTEN
    assert [(image["id"], image["file_name"]) for image in found.loadImgs(found.getImgIds())] == [
        *((1, "a.png"), (2, "a_overlay.png"), (3, "b.png"), (5, "d.png"), (6, "deep/c.png"), (7, "e.png"))
    ]
    folders = WORDS_WRITTEN
    assert sorted(path.name for path in (folder / "exports" / "words").iterdir()) == sorted(folders)
    for image in found.loadImgs(found.getImgIds()):
        stem = Path(image["file_name"]).stem
        labels = Run(folder).mask("Photos", stem)
        assert (image["height"], image["width"]) == labels.shape
        annotations = {one["category_id"] - 1: one for one in found.loadAnns(found.getAnnIds(image["id"]))}
        assert set(annotations) == set(np.unique(labels).tolist()) - {4}  # 4 is the background
        document = json.loads((folder / "exports" / "polygons" / f"{stem}.geojson").read_text())
        areas = {one["properties"]["label"]: one["properties"]["area"] for one in document["features"]}
        assert areas == {label: one["area"] for label, one in annotations.items()}
        for label, name in enumerate(folders):
            mask = np.array(Image.open(folder / "exports" / "words" / name / f"{stem}.png"))
            assert np.array_equal(mask, 255 * (labels == label).astype(np.uint8))
            if label in annotations:
                assert np.array_equal(found.annToMask(annotations[label]), labels == label)
                assert annotations[label]["area"] == (labels == label).sum()


def test_own_folders_get_overlays_too(tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deep").mkdir()
    for number, stem in enumerate(("a", "deep/b")):
        Image.fromarray(scene(number, 60, 90)[0]).save(tmp_path / f"{stem}.png")
    chosen = ["--data", "Folder", "--data.images", str(tmp_path), "--data.classes", "[cat, dog]", "--data.name", "Pets"]
    chosen += ["--protocol.size", "64", "--protocol.templates", "vild", "--model.clip", f"local-dir:{tiny_clip}"]
    finished = run("predict", tmp_path / "out", *chosen)
    for stem in ("a", "deep/b"):
        labels = finished.mask("Pets", stem)
        picture = Reader().picture(tmp_path / f"{stem}.png")
        share = np.bincount(labels.ravel(), minlength=2) / labels.size
        sheet = named_overlay(picture, labels.astype(int), ["cat", "dog"], share)
        assert np.array_equal(finished.overlay("Pets", stem), sheet)
    assert [entry["name"] for entry in json.loads((finished.folder / "legend.json").read_text())] == ["cat", "dog"]
    rows = list(csv.DictReader((finished.folder / "predictions.csv").read_text().splitlines()))
    assert [row["picture"] for row in rows] == ["a", "deep/b"]
    assert "  overlays/Pets/   2 pictures to look at\n" in capsys.readouterr().out


class ColourTower:
    """Stands in for CLIP: a patch's feature is its mean colour less grey, and patches of one colour correlate."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(
        self,
        encoder: VisualEncoder,
        pixels: Tensor,
        methods: Sequence[Method],
        text: Tensor | None = None,
        window: Tensor | None = None,
    ) -> Encoding:
        self.seen.append(pixels)
        means = F.avg_pool2d(pixels, PATCH)  # (B, 3, h, w)
        grid = (means.shape[2], means.shape[3])
        tokens = F.pad(means.flatten(2).mT, (0, 0, 1, 0), value=1.0)  # (B, N + 1, 3), a grey class token first
        kind = F.one_hot((tokens[..., 0] > tokens[..., 2]).long(), 3).float()
        kind[:, 0] = torch.tensor([0.0, 0.0, 1.0])
        same = kind.unsqueeze(1)  # (B, 1, N + 1, 3)
        projections = Projections(same, same, same, tokens, grid)
        features = {method.name: tokens for method in methods}
        grids = dict.fromkeys(features, grid)
        return Encoding([TowerPass(features, grids, projections)], features, grids)


def red_and_blue(self: Segmenter, *_: object, **__: object) -> TextClassifier:
    embeddings = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return TextClassifier(embeddings, torch.tensor([0, 1]), 2)


def sampled(grid: NDArray[Any], own: int, shown: int) -> NDArray[Any]:
    """Values at a picture's own pixels, along one axis, of patches that cover `shown` pixels and their padding."""
    position = ((np.arange(own) + 0.5) * shown / own / PATCH - 0.5).clip(0, len(grid) - 1)
    left = np.minimum(position.astype(int), len(grid) - 1)
    right = np.minimum(left + 1, len(grid) - 1)
    part = position - left
    return grid[left] * (1 - part) + grid[right] * part


@pytest.mark.parametrize(
    ("size", "axis"), [((70, 111), 1), ((111, 70), 0), ((300, 200), 0), ((33, 500), 1), ((64, 64), 0), ((20, 30), 1)]
)
def test_label_maps_lie_where_the_things_are(
    size: tuple[int, int], axis: int, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red before 60 percent of an axis, blue after it, found again at the picture's own size."""
    edge = round(0.6 * size[axis])
    picture = np.zeros((*size, 3), dtype=np.uint8)
    picture[...] = (0, 0, 255)
    picture[(slice(None),) * axis + (slice(edge),)] = (255, 0, 0)
    Image.fromarray(picture).save(tmp_path / "planted.png")
    tower = ColourTower()
    monkeypatch.setattr(VisualEncoder, "forward", lambda *arguments: tower(*arguments))
    monkeypatch.setattr(Segmenter, "classifier", red_and_blue)
    chosen = [*options(tiny_clip, tmp_path / "planted.png", "red; blue"), "--model.method", "vanilla"]
    found = run("predict", tmp_path / "out", *chosen).mask("Photos", "planted")
    assert found.shape == size

    scale = min(64 / min(size), 256 / max(size))
    shown = [max(1, int(side * scale + 0.5)) for side in size]
    assert tower.seen[0].shape[2:] == tuple(-(-side // PATCH) * PATCH for side in shown)
    features = F.normalize(F.avg_pool2d(tower.seen[0], PATCH), dim=1)[0].numpy()  # (3, h, w)
    score = (features[0] - features[2]).mean(1 - axis)
    line = sampled(score, size[axis], shown[axis])
    expected = np.where(line >= 0, 0, 1)
    rows = np.moveaxis(found, axis, -1).reshape(-1, size[axis])
    assert (rows == rows[0]).all()
    # The label map's own grid is rounded to whole pixels at its padded end: half a pixel may fall on the other side.
    assert np.count_nonzero(rows[0] != expected) <= 1
    patch = PATCH * size[axis] / shown[axis]  # in the picture's own pixels
    assert abs(np.count_nonzero(rows[0] == 0) - edge) <= patch

    regions = run("predict", tmp_path / "regions", *options(tiny_clip, tmp_path / "planted.png", "red; blue"))
    voted = np.moveaxis(regions.mask("Photos", "planted"), axis, -1).reshape(-1, size[axis])
    assert (np.abs(np.count_nonzero(voted == 0, axis=1) - edge) <= patch + 1).all()


def test_a_large_picture(tiny_clip: Path, tmp_path: Path) -> None:
    """3000 x 2000: label map, overlay and files within a gigabyte of what the process held before."""
    small, large = tmp_path / "small.png", tmp_path / "large.jpg"
    picture = Image.fromarray(scene(0, 100, 150)[0])
    picture.save(small)
    picture.resize((3000, 2000)).save(large)
    run("predict", tmp_path / "1", *options(tiny_clip, small, "cat; dog"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    finished = run("predict", tmp_path / "2", *options(tiny_clip, large, "cat; dog"))
    assert finished.mask("Photos", "large").shape == (2000, 3000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 20
