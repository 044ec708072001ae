"""The scene generator: equal pixels everywhere, exact labels, splits apart, true lists of names."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from datamodules.shapes_scenes import NAMES, SIZE, Scene, Split, crop, scene, visible
from datamodules.shapes_textures import TEXTURES, Draws

SPLITS: tuple[Split, ...] = ("train", "val", "test")


def digest(drawn: Scene) -> str:
    return hashlib.sha256(drawn.image.tobytes() + drawn.labels.tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("split", "index", "size", "golden"),
    [
        ("train", 0, SIZE, "b6264d11d44d8613"),
        ("train", 1, SIZE, "53ace6ea9829a198"),
        ("train", 123_456_789, 96, "b998132d56c42c9d"),
        ("val", 7, SIZE, "1cdfcd47f0075e34"),
        ("test", 0, SIZE, "7c25feae5ed1a13c"),
        ("test", 199, SIZE, "f805bf784b09cfef"),
        ("test", 3, 512, "80cf1bea01fa05ad"),
    ],
)
def test_pixels_are_the_same_on_every_machine(split: Split, index: int, size: int, golden: str) -> None:
    assert digest(scene(index, split, size)) == golden


def test_textures_are_the_same_on_every_machine() -> None:
    y, x = np.arange(64, dtype=np.float32)[:, None], np.arange(64, dtype=np.float32)[None]
    sheets = [paint(Draws(9, i), y, x) for i, paint in enumerate(TEXTURES.values())]
    assert all(sheet.dtype == np.float32 and sheet.shape == (64, 64, 3) for sheet in sheets)
    painted = b"".join(sheet.tobytes() for sheet in sheets)
    assert hashlib.sha256(painted).hexdigest()[:16] == "d7fb1222365c5e42"


def test_a_scene_is_the_same_without_vector_instructions() -> None:
    """NumPy picks its kernels by processor: with the optional ones off, a process draws the same scene."""
    features = np._core._multiarray_umath.__cpu_dispatch__  # type: ignore[attr-defined]
    found = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
    code = (
        "import hashlib; from datamodules.shapes_scenes import scene; s = scene(5, 'test');"
        "print(hashlib.sha256(s.image.tobytes() + s.labels.tobytes()).hexdigest()[:16])"
    )
    off = " ".join(name for name in features if found.get(name))
    environment = {"NPY_DISABLE_CPU_FEATURES": off, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", code]
    printed = subprocess.check_output(command, env=environment, text=True)
    assert printed.strip() == digest(scene(5, "test"))


def test_shapes_types_and_ranges() -> None:
    for size in (32, 100, SIZE):
        drawn = scene(4, "val", size)
        assert (drawn.image.shape, drawn.image.dtype) == ((size, size, 3), np.uint8)
        assert (drawn.labels.shape, drawn.labels.dtype) == ((size, size), np.uint8)
        assert drawn.labels.max() < len(NAMES)
        assert drawn.image.std() > 1


def test_one_to_four_names_and_each_of_them_somewhere() -> None:
    sets = [frozenset(np.unique(scene(i, "train", 64).labels)) for i in range(120)]
    assert {len(labels) for labels in sets} == {1, 2, 3, 4}
    assert frozenset[int]().union(*sets) == set(range(len(NAMES)))


def test_splits_share_no_scene() -> None:
    digests = [digest(scene(i, split, 48)) for split in SPLITS for i in range(60)]
    assert len(set(digests)) == len(digests)


def test_split_streams_start_apart_for_large_indices() -> None:
    """Indices beyond 32 bits take two words of the seed; the split's word still comes first."""
    indices = (0, 1, 2**32, 2**32 + 1)
    starts = {Draws(split, index).units(4).tobytes() for split in (1, 2, 3) for index in indices}
    assert len(starts) == 12


def test_labels_are_exact_where_materials_differ_most() -> None:
    """A pixel labelled grass is green and one labelled lemon is yellow, right up to the border."""
    for index in range(40):
        drawn = scene(index, "train", 96)
        red, green, blue = np.moveaxis(drawn.image.astype(int), -1, 0)
        grass, lemon = (drawn.labels == NAMES.index(name) for name in ("grass", "lemon"))
        assert (green[grass] + 30 > np.maximum(red, blue)[grass]).all()
        assert (red[lemon] > blue[lemon]).all()


def test_crop_is_the_window_and_lists_what_it_shows() -> None:
    whole = next(drawn for drawn in (scene(i, "train") for i in range(50)) if len(drawn.names) == 4)
    window = crop(whole, 10, 20, 48, 64)
    assert np.array_equal(window.image, whole.image[10:58, 20:84])
    assert np.array_equal(window.labels, whole.labels[10:58, 20:84])
    shown = np.unique(window.labels)
    assert set(window.names) <= {NAMES[i] for i in shown}
    assert crop(whole, 5, 5, 1, 1).names == (NAMES[whole.labels[5, 5]],)


def test_visible_leaves_out_slivers() -> None:
    labels = np.zeros((10, 10), dtype=np.uint8)
    labels[0, :2] = 3
    labels[1, :3] = 5
    assert visible(labels) == (0, 5)
    assert visible(labels, share=0.01) == (0, 3, 5)
    assert visible(labels, share=1.0) == (0,)


@pytest.mark.parametrize("window", [(-1, 0, 5, 5), (0, 0, 0, 5), (30, 0, 5, 5), (0, 30, 5, 5)])
def test_crop_refuses_windows_outside(window: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="does not lie inside 32 x 32"):
        crop(scene(0, "test", 32), *window)


@pytest.mark.parametrize(
    ("index", "split", "size", "message"),
    [
        (-1, "test", 64, "numbered from 0"),
        (0, "tset", 64, "choose one of train"),
        (0, "test", 16, "32 to 512"),
    ],
)
def test_scene_refuses_what_it_cannot_draw(index: int, split: str, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scene(index, split, size)  # type: ignore[arg-type]
