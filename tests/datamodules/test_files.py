"""Folders are walked once, whatever links, hidden files and pipes lie in them; what is passed over is said."""

import os
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cliptrase.common.images import Reader, to_rgb
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.checks import check_pairs
from datamodules.doctor.findings import files
from datamodules.doctor.scan import scan
from datamodules.errors import DataError
from datamodules.files import walk
from datamodules.folder import Folder
from datamodules.pairs import find_pairs
from datamodules.photo_files import find_pictures, name_files
from datamodules.photos import Photos
from datamodules.prepare.sources import paired
from datamodules.spec import DatasetSpec
from datamodules.transforms import Geometry

CARD = DatasetSpec("Folder", "", ("image",), "gt", Vocabulary(single_names(["cat", "dog"])), reader=Reader())


def save(path: Path, size: tuple[int, int] = (4, 6), orientation: int = 1) -> Path:
    """A grey picture or map of zeros, `size` as stored."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros(size, dtype=np.uint8)).save(path, **({"exif": exif} if orientation > 1 else {}))
    return path


def refuse_to_list(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Folders of a name act as if nobody might list them, also for root."""
    scandir = os.scandir

    def refuse(folder: Path) -> object:
        if Path(folder).name == name:
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)


def stems(images: Path, labels: Path, spec: DatasetSpec = CARD) -> list[str]:
    return [pair.stem for pair in find_pairs(images, labels, spec)]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_tree_is_walked_once(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Folders with links in circles, to one another and to what lies above, hidden and special files among pictures."""
    chance = random.Random(seed)
    root = tmp_path_factory.mktemp("tree")
    folders, expected, left_out = [root], set(), 0
    for number in range(chance.randrange(1, 14)):
        place = chance.choice(folders)
        kind = chance.choice(["folder", "folder", "file", "file", "hidden", "pipe", "link", "link", "system"])
        path = place / f"{kind}{number}"
        if kind == "folder":
            path.mkdir()
            folders.append(path)
        elif kind == "file":
            path.with_suffix(".jpg").write_bytes(b"")
            expected.add(path.with_suffix(".jpg"))
        elif kind == "hidden":
            (place / f"._{number}.jpg").write_bytes(b"")
        elif kind == "system":
            (place / f".{number}").mkdir()
            (place / f".{number}" / "x.jpg").write_bytes(b"")
        elif kind == "pipe":
            os.mkfifo(path.with_suffix(".jpg"))
        else:
            path.symlink_to(chance.choice([*folders, root.parent]))
        left_out += kind in ("hidden", "system", "pipe", "link")
    found = walk(root)
    assert set(found.files) == expected
    assert len(found.files) == len(expected)
    assert sum(map(len, found.passed_over.values())) == left_out


def test_a_link_to_a_folder_elsewhere_is_followed_once(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere/a.png")
    (tmp_path / "image").mkdir()
    for name in ("one", "two"):
        (tmp_path / "image" / name).symlink_to(tmp_path / "elsewhere")
    found = walk(tmp_path / "image")
    assert found.files == [tmp_path / "image/one/a.png"]
    assert found.say_passed_over().endswith("image: passed over 1 link to a folder that is read anyway (two)")
    (tmp_path / "image/b.png").symlink_to(tmp_path / "elsewhere/a.png")  # a file of its own name
    assert len(walk(tmp_path / "image").files) == 2


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "closed/a.png")
    refuse_to_list(monkeypatch, "closed")
    with pytest.raises(
        DataError, match=r"the folder .*closed cannot be listed \(Permission denied\); allow reading it"
    ):
        walk(tmp_path)


def test_globs_go_in_no_circles(tmp_path: Path) -> None:
    for name in ("a.jpg", "deep/b.jpg", "deep/c.png"):
        save(tmp_path / name)
    for name in ("one", "two", "deep/three"):
        (tmp_path / name).symlink_to(tmp_path)
    assert find_pictures(["**/*.jpg"], tmp_path) == [tmp_path / "a.jpg", tmp_path / "deep/b.jpg"]
    assert find_pictures(["**/deep/*.png"], tmp_path) == [tmp_path / "deep/c.png"]
    assert find_pictures(["a.jpg", "one/a.jpg", "deep/../a.jpg"], tmp_path) == [tmp_path / "a.jpg"]


def test_formats_of_a_folder(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jfif", "c.tif", "d.webp"):
        save(tmp_path / name)
    for name in ("e.HEIC", "f.heic", "g.cr2", "notes.txt", "song.mp3"):
        (tmp_path / name).write_bytes(b"")
    with pytest.warns(UserWarning, match="passed over") as caught:
        found = find_pictures([str(tmp_path)], Path())
    assert [path.name for path in found] == ["a.jpg", "b.jfif", "c.tif", "d.webp", "e.HEIC", "f.heic", "g.cr2"]
    assert [str(warning.message) for warning in caught] == [
        f"1 CR2 file in {tmp_path} is passed over: convert it to PNG or JPEG; "
        f"2 HEIC files in {tmp_path} are passed over: install pillow-heif or convert it"
    ]


def test_pictures_and_maps_in_one_folder(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "a_mask.png", "b_mask.png"):
        save(tmp_path / name)
    with pytest.raises(DataError, match=r"is the folder of pictures and of label maps, .*--data\.label_end _mask"):
        stems(tmp_path, tmp_path)
    folder = Folder(classes=["cat"], images=tmp_path, labels=tmp_path, label_end="_mask")
    pairs = folder.pairs(folder.spec, with_labels=True)
    assert [(p.image.name, p.labels and p.labels.name) for p in pairs] == [
        ("a.jpg", "a_mask.png"),
        ("b.jpg", "b_mask.png"),
    ]
    (tmp_path / "a.tif").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.jpg and a\.tif have the same name .*; move one of them to another folder"):
        folder.pairs(folder.spec, with_labels=True)


def test_one_folder_in_the_other(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    save(tmp_path / "masks/a.png")
    assert stems(tmp_path, tmp_path / "masks") == ["a"]
    assert stems(tmp_path / "masks", tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"caf\xe9", r"the name of .*caf\\xe9\.png is not UTF-8, .*; rename the file"),
        (b"x" * 250, "has 250 bytes, and more than 230 leave no room"),
    ],
)
def test_names_that_no_result_can_bear(name: bytes, said: str, tmp_path: Path) -> None:
    for kind in ("image", "gt"):
        save(tmp_path / kind / "a.png").rename(tmp_path / kind / f"{os.fsdecode(name)}.png")
    with pytest.raises(DataError, match=said):
        stems(tmp_path / "image", tmp_path / "gt")


def test_outputs_of_names_that_look_alike_do_not_meet() -> None:
    files = [Path("a/caf\u00e9.jpg"), Path("b/cafe\u0301.jpg"), Path("c/CAF\u00c9.jpg")]
    assert len(name_files(files)) == 3
    assert "caf\u00e9" not in name_files(files)


def turned(root: Path, orientations: Sequence[int], label_sizes: Sequence[tuple[int, int]]) -> list[str]:
    for number, (orientation, size) in enumerate(zip(orientations, label_sizes, strict=True)):
        save(root / f"image/{number}.png", (4, 6), orientation)
        save(root / f"gt/{number}.png", size)
    with pytest.warns(UserWarning, match="EXIF") as caught:
        check_pairs(find_pairs(root / "image", root / "gt", CARD), CARD, progress=False)
    return [str(warning.message) for warning in caught]


def test_orientations_are_said_in_one_line(tmp_path: Path) -> None:
    assert turned(tmp_path, [1, 6, 8, 3], [(4, 6), (6, 4), (4, 6), (4, 6)]) == [
        "Folder: 3 pictures with an EXIF orientation: 2 read upright, 1 as stored, for the label maps have that size "
        "only; where both sizes fit (1), label maps must be drawn on the upright picture"
    ]


def test_a_wrong_size_names_the_orientation(tmp_path: Path) -> None:
    save(tmp_path / "image/a.png", (4, 6), 6)
    save(tmp_path / "gt/a.png", (4, 5))
    with pytest.raises(
        DataError, match=r"a\.png 6 x 4 as stored and 4 x 6 turned by its EXIF orientation 6; both must"
    ):
        check_pairs(find_pairs(tmp_path / "image", tmp_path / "gt", CARD), CARD, progress=False)


def test_what_mmsegmentation_writes_beside_raw_maps_is_passed_over(tmp_path: Path) -> None:
    save(tmp_path / "val2017/1.jpg")
    for name in ("1.png", "1_labelTrainIds.png", "1_instanceTrainIds.png"):
        save(tmp_path / "maps" / name)
    found = paired(tmp_path / "val2017", {".jpg"}, tmp_path / "maps")
    assert [(stem, labels.name) for stem, _, labels in found] == [("1", "1.png")]
    (tmp_path / "maps/1.png").unlink()
    with pytest.raises(DataError, match="no label maps"):
        paired(tmp_path / "val2017", {".jpg"}, tmp_path / "maps")


def test_the_options_of_folder_and_photos(tmp_path: Path) -> None:
    for kind in ("image", "gt"):
        save(tmp_path / kind / "a.png")
    folder = Folder(classes=["cat", "dog"], root=tmp_path, max_pixels=23)
    with pytest.raises(DataError, match="has 6 x 4 pixels, and more than 23 are not read"):
        check_pairs(folder.pairs(folder.spec, with_labels=True), folder.spec, progress=False)
    with pytest.raises(DataError, match=r"--data\.max_pixels must be at least 1, not 0"):
        Folder(classes=["cat"], root=tmp_path, max_pixels=0)
    photos = Photos(images=str(tmp_path / "image"), words="cat; dog", max_pixels=23)
    photos.setup("predict")
    assert "has 6 x 4 pixels, and more than 23 are not read" in photos.datasets[0][0].error


def test_test_and_predict_and_segment_see_the_same_pixels(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (12, 20), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "image").mkdir()
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "image/a.png", exif=exif)
    save(tmp_path / "gt/a.png", (20, 12))
    geometry = Geometry("whole_image", 12, 20, "bicubic")
    folder = Folder(classes=["cat", "dog"], root=tmp_path, geometry=geometry)
    photos = Photos(images=str(tmp_path / "image"), words="cat; dog", geometry=geometry)
    seen = []
    for module, stage in ((folder, "test"), (folder, "predict"), (photos, "predict")):
        module.setup(stage)
        seen.append(module.datasets[0][0].image.numpy().transpose(1, 2, 0))
    upright = np.repeat(grey[::-1].T[..., None], 3, axis=2)
    for image in (*seen, to_rgb(tmp_path / "image/a.png"), photos.picture("a")):
        np.testing.assert_array_equal(image, upright)


def test_the_doctor_says_what_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("images/a.png", "images/.b.png", "labels/a.png", "labels/closed/b.png"):
        save(tmp_path / name)
    (tmp_path / "images/c.heic").write_bytes(b"")
    spec = DatasetSpec("Rooms", "", ("images",), "labels", CARD.vocabulary)
    found = [finding for finding in files(spec, scan(tmp_path, spec, 1)) if finding.kind == "left out"]
    assert [(finding.level, finding.message.partition(": ")[2]) for finding in found] == [
        ("info", "passed over 1 hidden or system file (.b.png)"),
        ("info", "install pillow-heif or convert it"),
    ]
    refuse_to_list(monkeypatch, "closed")
    (unlisted,) = [finding for finding in files(spec, scan(tmp_path, spec, 1)) if finding.kind == "unlisted"]
    assert (unlisted.level, "closed cannot be listed" in unlisted.message) == ("error", True)


def test_a_runs_own_folder_holds_no_pictures(tmp_path: Path) -> None:
    """Masks and sheets of an earlier run below the pictures would be segmented again, and rename the pictures."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    run = tmp_path / "outputs" / "2026-01-01_Photos"
    (run / "masks" / "Photos").mkdir(parents=True)
    (run / "config.yaml").touch()
    Image.new("RGB", (4, 4)).save(run / "masks" / "Photos" / "a.png")
    with pytest.warns(UserWarning, match=r"passed over 1 folder of a run \(2026-01-01_Photos\)"):
        photos = Photos(images=str(tmp_path), words="cat; dog")
    assert list(photos.files) == ["a"]
