"""One PIL image and words in, a label map and an overlay out."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cliptrase import Segmenter
from cliptrase.common.errors import InputError
from cliptrase.drawing.overlay import palette
from cliptrase.drawing.picture import Segmentation, fit, rgb_of
from cliptrase.protocols.table import get_protocol
from tests.kit import scene

KINDS = ("masks", "overlays")


@pytest.fixture(scope="module")
def whole(tiny_clip: Path) -> Segmenter:
    return Segmenter.from_pretrained(f"local-dir:{tiny_clip}", None, get_protocol("photos", size=64))


def test_a_picture_keeps_its_size(whole: Segmenter) -> None:
    picture = Image.fromarray(scene(3, 90, 150)[0])
    found = whole.segment(picture, "cat, kitten; dog", background="wall, floor")
    assert found.labels.shape == (90, 150)
    assert found.names == ("cat", "dog", "background")
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["dog"] == (found.labels == 1).mean()
    dog, rest = 100 * found.shares["dog"], 100 * found.shares["background"]
    cat = 100 * found.shares["cat"]
    assert repr(found) == f"Segmentation(90 x 150: cat {cat:.1f} %, dog {dog:.1f} %, background {rest:.1f} %)"
    assert found.overlay().size[0] == 160  # a legend needs a little width
    np.testing.assert_array_equal(found.picture, np.array(picture))


def test_a_words_mask_and_files(whole: Segmenter, tmp_path: Path) -> None:
    picture = Image.fromarray(scene(3, 90, 150)[0])
    found = whole.segment(picture, "cat, kitten; dog", background="wall, floor")
    assert np.array_equal(found["dog"], found.labels == 1)
    with pytest.raises(InputError, match="there is no label 'kitten'; this picture's are 'cat', 'dog', 'background'"):
        found["kitten"]
    found.save(tmp_path / "out", "first")
    found.save(tmp_path / "out", "second")
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert files == ["legend.json", *(f"{kind}/{name}.png" for kind in KINDS for name in ("first", "second"))]
    with Image.open(tmp_path / "out" / "masks" / "first.png") as mask:
        assert np.array_equal(np.array(mask), found.labels)
        assert np.array_equal(np.array(mask.convert("RGB")), palette()[found.labels])
    overlay = np.array(found.overlay())
    assert np.array_equal(np.array(Image.open(tmp_path / "out" / "overlays" / "first.png")), overlay)
    assert np.array_equal(np.array(Image.open(io.BytesIO(found._repr_png_()))), overlay)
    legend = json.loads((tmp_path / "out" / "legend.json").read_text())
    assert legend[1] == {"label": 1, "name": "dog", "colour": "#ff5511"}
    for name in ("", "a/b", ".", "..", "a\0b"):
        with pytest.raises(InputError, match="is no name of a file; give one without folders"):
            found.save(tmp_path, name)
    other = replace(found, names=("cat", "cow", "background"))
    with pytest.raises(InputError, match="holds masks of other words"):
        other.save(tmp_path / "out", "third")  # the masks that are there would be read by its legend
    other.save(tmp_path / "alone", "first")
    found.save(tmp_path / "alone", "first")


def test_what_is_none_of_the_words_stays_grey(tmp_path: Path) -> None:
    picture, index = scene(3, 90, 200)
    labels = index.clip(0, 2)
    found = Segmentation(picture, labels, ("cat", "dog", "none of these"), none=2)
    drawn = np.array(found.overlay())[:90]
    grey = np.ptp(drawn.astype(int), axis=-1) == 0
    assert grey[labels == 2].all()
    assert grey[labels != 2].mean() < 0.2  # lines and names
    found.save(tmp_path)
    with Image.open(tmp_path / "masks" / "picture.png") as mask:
        assert np.array_equal((np.array(mask.convert("RGB")) == 0).all(-1), labels == 2)
    assert json.loads((tmp_path / "legend.json").read_text())[2]["colour"] == "#000000"


def test_a_picture_is_turned_as_its_camera_says(whole: Segmenter, tmp_path: Path) -> None:
    picture = Image.fromarray(scene(3, 90, 150)[0])
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    assert whole.segment(Image.open(tmp_path / "turned.png"), "cat; dog").labels.shape == (150, 90)


def test_paths_and_arrays_are_pictures_too(whole: Segmenter, tmp_path: Path) -> None:
    picture = scene(3, 40, 60)[0]
    Image.fromarray(picture).save(tmp_path / "a.png")
    found = [
        whole.segment(given, "cat; dog").labels for given in (picture, tmp_path / "a.png", str(tmp_path / "a.png"))
    ]
    for labels in found:
        np.testing.assert_array_equal(labels, found[0])
    with pytest.raises(InputError, match="an object of type int is no picture; give a path"):
        whole.segment(3, "cat; dog")  # type: ignore[arg-type]


def test_tensors_and_numbers_from_0_to_1_are_pictures_too() -> None:
    picture = scene(3, 40, 60)[0]
    channels_first = torch.from_numpy(picture).permute(2, 0, 1)
    for given in (channels_first, channels_first / 255, (channels_first / 255).requires_grad_(), picture / 255):
        np.testing.assert_array_equal(rgb_of(given), picture)
    grey = picture[..., 0]
    for given in (channels_first[:1], channels_first[:1].double() / 255, grey / 255):
        np.testing.assert_array_equal(rgb_of(given), rgb_of(grey))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (torch.zeros(40, 60, 3), r"a tensor of float32 and of shape \(40, 60, 3\) is no picture; give \(3, H, W\)"),
        (torch.zeros(1, 3, 4, 6), r"of shape \(1, 3, 4, 6\) is no picture"),
        (torch.zeros(3, 4, 6, dtype=torch.int64), "a tensor of int64"),
        (torch.zeros(3, 0, 6), r"an array of float32 and of shape \(0, 6, 3\) is no picture"),
        (torch.full((3, 4, 6), 255.0), r"holds 255 to 255; give numbers in \[0, 1\], or uint8"),
        (np.full((4, 6, 3), np.nan), "holds nan to nan"),
        (np.full((4, 6, 3), -0.5), "holds -0.5 to -0.5"),
        (np.zeros((3, 4, 6)), r"an array of uint8 and of shape \(3, 4, 6\) is no picture"),
    ],
)
def test_what_is_no_picture_is_said_in_a_sentence(wrong: object, words: str) -> None:
    with pytest.raises(InputError, match=words) as told:
        rgb_of(wrong)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def test_the_longer_side_is_bounded() -> None:
    assert fit(np.zeros((10, 4000, 3), dtype=np.uint8), size=64, longest=128).shape == (1, 3, 1, 128)
    assert fit(np.zeros((100, 200, 3), dtype=np.uint8), size=64, longest=1000).shape == (1, 3, 64, 128)


def test_other_protocols_take_batches(tiny_clip: Path) -> None:
    squares = Segmenter.from_pretrained(f"local-dir:{tiny_clip}", None, get_protocol(size=64))
    with pytest.raises(
        InputError,
        match=r"segment\(\) needs a protocol of view whole_image, .* and 'paper' has view centre_crop",
    ):
        squares.segment(Image.new("RGB", (64, 64)), "cat")


def test_words_are_needed(whole: Segmenter) -> None:
    with pytest.raises(InputError, match="hold a class without a name; write them like 'cat, kitten; dog'"):
        whole.segment(Image.new("RGB", (64, 64)), "cat; ;dog")
