"""What a protocol that crops leaves out is said before the work."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datamodules import VOC20
from datamodules.crop import crop_sentence, share_seen
from datamodules.transforms import CropCentre, ResizeShorterSide
from tests.command import run
from tests.kit import save_labels, scene, write_detectron2_tree


@given(st.lists(st.tuples(st.integers(20, 90), st.integers(20, 90)), min_size=1, max_size=3), st.integers(8, 40))
def test_the_share_is_that_of_pixels_that_are_left(sizes: list[tuple[int, int]], crop: int) -> None:
    """Against the transforms themselves."""
    seen = 0.0
    for size in sizes:
        resized = ResizeShorterSide(crop, "bicubic").apply_to_mask(np.zeros(size, np.uint8))
        seen += CropCentre(crop).apply(resized).size / resized.size * size[0] * size[1]
    assert share_seen(sizes, crop) == pytest.approx(seen / sum(height * width for height, width in sizes))
    assert 0 < share_seen(sizes, crop) <= 1


def test_sentences() -> None:
    assert crop_sentence("Folder", [(360, 480)], 336, masks=False) == (
        "Folder: the protocol crops the middle square: it sees and scores 75.0 percent of the pixels of 1 picture"
    )
    assert crop_sentence("Folder", [(100, 100), (90, 90)], 64, masks=False) == ""
    assert "masks are of the middle square, 64 x 64, and not of the pictures" in crop_sentence(
        "Folder", [(100, 100)], 64, masks=True
    )
    assert crop_sentence("Folder", [(64, 64)], 64, masks=True) == ""


@pytest.fixture
def own(tmp_path: Path) -> list[str]:
    """A picture of 60 x 120 with its label map, and the options that name them."""
    image, _ = scene(4, 60, 120)
    (tmp_path / "image").mkdir()
    Image.fromarray(image).save(tmp_path / "image" / "a.png")
    save_labels(tmp_path / "gt" / "a.png", np.arange(60 * 120).reshape(60, 120) % 2)
    return ["--data", "Folder", "--data.root", str(tmp_path), "--data.classes", "[grass, sky]"]


def test_own_folders_are_seen_whole(
    own: list[str], tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --config: the whole picture is scored, and masks are the pictures' own size."""
    options = [*own, "--model.clip", f"local-dir:{tiny_clip}", "--protocol.size", "64"]
    document = run("test", tmp_path / "test", *options).results
    assert document["provenance"]["protocol"]["label"].startswith("whole 64")
    assert sum(entry["pixels"] for entry in document["settings"]["Folder"]["per_class"]) == 60 * 120
    assert run("predict", tmp_path / "predict", *options).mask("Folder", "a").shape == (60, 120)
    assert "crop" not in capsys.readouterr().err


def test_a_crop_is_told(own: list[str], tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*own, "--model.clip", f"local-dir:{tiny_clip}", "--config", "configs/paper_224.yaml"]
    run("test", tmp_path / "test", *options, "--protocol.size", "64")
    sentence = "note: Folder: the protocol crops the middle square: it sees and scores 50.0 percent of the pixels of 1 "
    assert sentence in capsys.readouterr().err
    run("predict", tmp_path / "predict", *options, "--protocol.size", "64")
    assert "note: Folder: masks are of the middle square, 64 x 64, and not of the pictures" in capsys.readouterr().err


def test_a_crop_of_published_sets_and_photos_is_told(
    tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_detectron2_tree(tmp_path / "datasets", VOC20.spec, sizes=((60, 80),))
    small = ["--model.clip", f"local-dir:{tiny_clip}", "--config", "configs/paper_224.yaml", "--protocol.size", "64"]
    run("test", tmp_path / "test", *small, "--data", "VOC20", "--data.root", str(root))
    assert "VOC20: the protocol crops the middle square: it sees and scores 75.3 percent" in capsys.readouterr().err
    photo = str(root / VOC20.spec.folder / VOC20.spec.images[0] / "scene_0.png")
    run("predict", tmp_path / "photo", *small, "--data", "Photos", "--data.images", photo, "--data.words", "cat; dog")
    assert "note: Photos: masks are of the middle square, 64 x 64" in capsys.readouterr().err
