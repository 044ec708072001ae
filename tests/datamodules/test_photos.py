"""Own pictures: every file has a name of its own, every word one meaning, a bad picture holds nobody up."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from cliptrase.common import resizing
from cliptrase.common.errors import InputError
from cliptrase.vocabulary import Vocabulary
from datamodules import DataError, Geometry, Photos
from datamodules.dataset import FILLER, group_by_size
from datamodules.photo_files import find_pictures, name_files
from datamodules.photos import read_words
from datamodules.reading import chosen_reader, say_bands, say_pages
from tests.kit import scene

Array = NDArray[np.uint8]
SCENE: Array = scene(0, 40, 60)[0]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def found(root: Path, *places: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find_pictures(list(places), root)]


def test_places(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/2.PNG", "a/deep/3.webp", "a/notes.txt", "b/4.tif", "b/[5].jpg", "c/readme.md")
    assert found(tmp_path, "a") == ["a/1.jpg", "a/2.PNG", "a/deep/3.webp"]
    assert found(tmp_path, "a/1.jpg") == ["a/1.jpg"]
    assert found(tmp_path, "a/notes.txt") == ["a/notes.txt"]  # as asked for
    assert found(tmp_path, "*/*.jpg") == ["a/1.jpg", "b/[5].jpg"]
    assert found(tmp_path, "a/**/*.webp") == ["a/deep/3.webp"]
    assert found(tmp_path, "b/[5].jpg") == ["b/[5].jpg"]
    assert found(tmp_path, "b", "a/1.jpg", "a") == [
        *("b/4.tif", "b/[5].jpg", "a/1.jpg", "a/2.PNG", "a/deep/3.webp"),
    ]
    assert found(tmp_path, str(tmp_path / "a" / "*.jpg")) == ["a/1.jpg"]
    for nothing in ("c", "d", "*.jpg", "a/9.jpg"):
        with pytest.raises(DataError, match=f"--data.images '{nothing}' names no picture".replace("*", r"\*")):
            find_pictures(["a", nothing], tmp_path)


def test_signs_of_globs_in_the_root_are_letters(tmp_path: Path) -> None:
    touch(tmp_path, "[x]*/1.jpg", "[x]*/2.jpg", "x/3.jpg")
    assert found(tmp_path / "[x]*", "*.jpg") == ["1.jpg", "2.jpg"]


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/._1.jpg", "a/.cache/2.jpg", "a/folder.jpg/3.png")
    with pytest.warns(UserWarning, match=r"a: passed over 1 hidden or system file \(\._1\.jpg\), 1 hidden .* folder"):
        assert found(tmp_path, "a") == ["a/1.jpg", "a/folder.jpg/3.png"]
    assert found(tmp_path, "a/*.jpg") == ["a/1.jpg"]


def names(*paths: str) -> list[str]:
    files = [Path(path) for path in paths]
    named = name_files(files)
    assert sorted(named.values()) == sorted(files)
    assert len({name.casefold() for name in named}) == len(files)
    assert not any("/" in name for name in named)
    assert max(len(os.fsencode(f".{name}.geojson.12345678.part")) for name in named) <= 255
    back = {path: name for name, path in named.items()}
    return [back[file] for file in files]


def test_every_picture_has_files_of_its_own() -> None:
    assert names("a/1.jpg", "a/2.jpg") == ["1", "2"]
    assert names("a/1.jpg", "a/1.png", "a/2.png") == ["1.jpg", "1.png", "2"]
    assert names("a/1.jpg", "b/1.jpg") == ["a_1.jpg", "b_1.jpg"]
    assert names("x/a/1.jpg", "y/a/1.jpg") == ["x_a_1.jpg", "y_a_1.jpg"]
    assert len(set(names("a/1.jpg", "b/1.jpg", "a_1.jpg"))) == 3
    assert len(set(names("a.jpg", "a.png", "a.jpg.png"))) == 3
    assert len(set(names("A.jpg", "b/a.jpg"))) == 2
    assert len(set(names("a/b_c.jpg", "a_b/c.jpg", "b_c.png", "c.gif", "a/b/c.jpg"))) == 5
    assert len(set(names("/x/1.jpg", "/x/../x/1.jpg", "x/1.jpg"))) == 3


def test_names_are_text_that_file_systems_take() -> None:
    assert names("猫 и кот.jpg") == ["猫 и кот"]
    assert names(os.fsdecode(b"caf\xe9.jpg")) == ["caf\N{REPLACEMENT CHARACTER}"]
    assert names("two\nlines.jpg") == ["two\N{REPLACEMENT CHARACTER}lines"]
    assert names("x" * 251 + ".jpg") == ["x" * 180]
    assert names("猫" * 83 + ".jpg") == ["猫" * 60]
    assert len(set(names("a" + "x" * 250 + ".jpg", "b" + "x" * 250 + ".jpg"))) == 2


def test_many_names_take_no_time() -> None:
    assert len(set(names(*(f"{number % 100}/{number // 100}.jpg" for number in range(5000))))) == 5000


def test_words_as_typed(tmp_path: Path) -> None:
    vocabulary = read_words(" cat , kitten;dog ; sofa", "wall, floor", tmp_path)
    assert vocabulary.classes == (("cat", "kitten"), ("dog",), ("sofa",))
    assert vocabulary.background == ("wall", "floor")
    assert vocabulary.label_names == ("cat", "dog", "sofa", "background")
    assert read_words("cat", "wall", tmp_path).num_labels == 2
    assert read_words("cat; background", "", tmp_path).label_names == ("cat", "background")
    assert read_words("cat", "background, wall", tmp_path).label_names == ("cat", "background")
    assert read_words("x" * 5000, "wall", tmp_path).num_labels == 2
    assert read_words(["cat", "dog"], "", tmp_path) == read_words("cat\r\ndog\n", "", tmp_path)
    assert read_words("cat\uff1bdog\uff0chound", "", tmp_path).classes == (("cat",), ("dog", "hound"))
    assert read_words("cat; dog", "wall; floor\nsky", tmp_path).background == ("wall", "floor", "sky")
    odd = "cat: tabby; # 1 pencil; ~ tilde; ~dog; null; on; 1; and/or; tv/monitor"
    assert read_words(odd, "", tmp_path).label_names == tuple(odd.split("; "))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_words_in_a_file(encoding: str, newline: str, tmp_path: Path) -> None:
    content = newline.join(["cat, kitten", "", "  собака", "building,", ""])
    (tmp_path / "words").write_bytes(content.encode(encoding))
    vocabulary = read_words("words", "", tmp_path)
    assert vocabulary.classes == (("cat", "kitten"), ("собака",), ("building",))
    assert read_words(str(tmp_path / "words"), "", Path()) == vocabulary


def test_words_that_cannot_be_meant(tmp_path: Path) -> None:
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "album").mkdir()
    for words, background, error, message in [
        ("cat; ; dog", "", InputError, "a class without a name"),
        ("cat;", "", InputError, "a class without a name"),
        (";", "", InputError, "name no class"),
        ("cat; dog, Cat", "", InputError, "'Cat' stands more than once"),
        ("cat, cat; dog", "", InputError, "'cat' more than once"),
        ("cat; wall", "wall, floor", InputError, "'wall' names a class and the background too"),
        ("cat", "wall, wall", InputError, "'wall' more than once"),
        ("cat; background", "wall", InputError, "'background' names a class and the background too"),
        ("cat; d\u200bog", "", InputError, r"hold the invisible character U\+200B"),
        ("'cat'; 'dog'", "", InputError, "the word 'cat' stands in quotation marks"),
        (
            "grass, sky, sand",
            "",
            InputError,
            "one class and no background: everything becomes 'grass'; write ; between",
        ),
        ("gone.txt", "", DataError, "'gone.txt': there is no such file"),
        ("gone.csv", "wall", DataError, "'gone.csv': there is no such file"),
        ("/nowhere/names", "wall", DataError, "'/nowhere/names': there is no such file"),
        ("~nobody/names", "wall", DataError, "'~nobody/names': there is no such file"),
        ("album/names", "wall", DataError, "'album/names': there is no such file"),
        ("./album", "wall", DataError, "'./album': this is a folder"),
        ("cat.jpg", "wall", DataError, "'cat.jpg': this is a picture's name"),
        ("cat; dog", "wall.txt", DataError, "'wall.txt': prompts are typed, not read from a file"),
        ("binary.txt", "", DataError, "is not a text file"),
        ("empty.txt", "", DataError, "names no class; write one class a line"),
    ]:
        with pytest.raises(error, match=message):
            read_words(words, background, tmp_path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    with pytest.raises(DataError, match=r"Photos needs --data.images: a folder"):
        Photos(words="cat; dog")
    with pytest.raises(DataError, match=r"Photos needs --data.words: like 'cat, kitten; dog'"):
        Photos(images=str(tmp_path))
    photos = Photos(images=["1.jpg"], words="cat; dog", root=tmp_path)
    with pytest.raises(DataError, match="Photos have no label maps to score: take 'predict'"):
        photos.setup("test")


def test_a_broken_picture_is_an_item_with_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "0.jpg")
    Image.fromarray(SCENE).save(tmp_path / "1.png")
    photos = Photos(images=str(tmp_path), words="cat; dog", geometry=Geometry("whole_image", 20, 80, "bicubic"))
    photos.setup("predict")
    (dataset,) = photos.datasets
    bad, good = dataset[0], dataset[1]
    assert "0.jpg cannot be read" in bad.error
    assert not bad.valid
    assert (good.error, good.valid, good.size, good.image.shape[1:]) == ("", True, (40, 60), (20, 30))
    assert not dataset[FILLER].valid
    assert dataset.digest() == dataset.digest()
    (tmp_path / "0.jpg").unlink()
    assert len(dataset.digest()) == 16  # a picture that vanishes is one that cannot be read, too
    assert np.array_equal(photos.picture("1"), SCENE)


@pytest.mark.parametrize(
    ("size", "shown"), [((5, 2000), (3, 1344)), ((1, 10000), (1, 1344)), ((10000, 1), (1344, 1)), ((1, 1), (336, 336))]
)
def test_narrow_pictures_keep_a_pixel(size: tuple[int, int], shown: tuple[int, int], tmp_path: Path) -> None:
    Image.fromarray(np.zeros((*size, 3), dtype=np.uint8)).save(tmp_path / "narrow.png")
    photos = Photos(
        images="narrow.png", words="cat; dog", root=tmp_path, geometry=Geometry("whole_image", 336, 1344, "bicubic")
    )
    photos.setup("predict")
    item = photos.datasets[0][0]
    assert (item.size, tuple(item.image.shape[1:])) == (size, shown)


def test_large_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Under windows their pixels are left out, and read by whoever computes; else one line says how they are shown."""
    Image.fromarray(SCENE).save(tmp_path / "large.png")
    Image.fromarray(SCENE[:20, :20]).save(tmp_path / "small.png")
    monkeypatch.setattr(resizing, "_LARGE", 1000)
    for geometry in (Geometry("whole_image", "own", windowed=True), Geometry("whole_image", 80, 100)):
        photos = Photos(images=str(tmp_path), words="cat; dog", geometry=geometry)
        photos.setup("predict")
        large, small = photos.datasets[0][0], photos.datasets[0][1]
        assert (large.size, large.large, small.size, small.large) == ((40, 60), geometry.windowed, (20, 20), False)
        assert photos.as_shown(SCENE).shape[:2] == ((40, 60) if geometry.windowed else (67, 100))
        said = capsys.readouterr().err
        assert ("note: large: 60 x 40 pixels are shown whole, at 100 x 67; --config tiles" in said) != geometry.windowed
        assert "small" not in said
    groups = group_by_size([large._replace(large=True), small, large])
    assert [(group.large, group.stems) for group in groups] == [
        (True, ["large"]),
        (False, ["small"]),
        (False, ["large"]),
    ]


def test_a_picture_with_too_many_probabilities_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own size and the one that it is shown at; under a crop only the crop has any."""
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    options = {"images": str(tmp_path), "words": "cat; dog", "threshold": "auto"}

    def errors(size: int, kind: str) -> list[str]:
        photos = Photos(probabilities=kind, geometry=Geometry("whole_image", size, 0), **options)  # type: ignore[arg-type]
        photos.setup("predict")
        return [item.error for item in map(photos.datasets[0].__getitem__, (0, FILLER))]

    for kind in ("none", "png", "npz"):
        assert errors(40, kind) == ["", ""]
    monkeypatch.setattr(resizing, "_LARGE", 40 * 60)
    assert errors(41, "none") == ["", ""]
    words = "a: probabilities of 3 labels for 60 x 40 pixels are too many to be held; leave them out, or give a smaller"
    assert errors(41, "png")[0].startswith(words)
    monkeypatch.setattr(resizing, "_LARGE", 1 << 24)
    monkeypatch.setattr(resizing, "_MOST_BYTES", 4 * 3 * 40 * 60 - 1)
    assert errors(40, "npz")[0].startswith(words)
    with pytest.raises(DataError, match=r"--data.probabilities 'jpg' is no kind of file; take png, npz or none"):
        Photos(probabilities="jpg", **options)  # type: ignore[arg-type]


def test_a_threshold_makes_a_label(tmp_path: Path) -> None:
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    (tmp_path / "words.txt").write_text("cat, kitten\n")
    for words in ("cat, kitten", str(tmp_path / "words.txt")):
        found = Photos(images=str(tmp_path), words=words, threshold="0.5").spec.vocabulary  # type: ignore[arg-type]
        assert found == Vocabulary((("cat", "kitten"),), threshold=0.5)
        assert found.label_names == ("cat", "none of these")
    assert Photos(images=str(tmp_path), words="cat; dog", threshold="none").spec.vocabulary.num_labels == 2


def test_a_pictures_digest_is_of_its_content_and_its_reading(tmp_path: Path) -> None:
    Image.fromarray(SCENE).save(tmp_path / "a.png")

    def digest(**options: str) -> str:
        return Photos(images=str(tmp_path / "a.png"), words="cat; dog", **options).picture_digest("a")  # type: ignore[arg-type]

    first = digest()
    assert digest() == first
    assert len({first, digest(bands="3,2,1"), digest(stretch="minmax"), digest(stretch="percentile 2 98")}) == 4
    Image.fromarray(SCENE[::-1].copy()).save(tmp_path / "a.png")
    assert digest() != first


def test_bands_of_a_folder_of_several_kinds_are_told(tmp_path: Path) -> None:
    """What lacks a chosen band is not said to be shown."""
    for number in (3, 4):
        tifffile.imwrite(tmp_path / f"{number}.tif", np.zeros((8, 8, number), np.uint16), photometric="rgb")
    Image.fromarray(SCENE).save(tmp_path / "usual.png")

    def said(bands: str, *names: str, stretch: str = "none") -> str:
        return say_bands([tmp_path / name for name in names], chosen_reader(None, bands, stretch))

    three, four = "1 picture of 3 bands (uint16)", "1 picture of 4 bands (uint16)"
    usual = "1 other picture (colours are bands 1 to 3)"
    every = ("3.tif", "4.tif", "usual.png")
    lacking = f"stretch none; passed over for want of band 4: {three}; {usual}"
    assert said("4,3,2", *every) == f"bands 4, 3, 2 of {four} are shown, {lacking}"
    assert said("3,2,1", *every) == f"bands 3, 2, 1 of {three}; {four}; {usual} are shown, stretch none"
    assert (
        said("", *every, stretch="minmax") == f"the first bands of {three}; {four}; {usual} are shown, stretch minmax"
    )
    assert said("7", "usual.png") == (
        "no picture has band 7; passed over for want of band 7: 1 picture (colours are bands 1 to 3)"
    )
    assert said("", "usual.png") == ""


def test_pages_that_may_be_bands_are_told(tmp_path: Path) -> None:
    """Of five pages the first is shown; smaller copies of a page are none."""
    bands = np.zeros((5, 16, 16), np.uint16)
    tifffile.imwrite(tmp_path / "bands.tif", bands, photometric="minisblack")
    with tifffile.TiffWriter(tmp_path / "overview.tif") as file:
        file.write(bands[0])
        file.write(bands[0, ::2, ::2], subfiletype=1)
    (tmp_path / "damaged.tif").write_bytes(b"II*\0half")
    assert say_pages(sorted(tmp_path.iterdir())) == (
        f"1 TIFF file has several pages ({tmp_path / 'bands.tif'} has 5), of which the first alone is shown; where "
        "pages are bands, write them into one page"
    )
    assert say_pages([tmp_path / "overview.tif", tmp_path / "damaged.tif"]) == ""


def test_exports_need_whole_pictures(tmp_path: Path) -> None:
    Image.fromarray(scene(0, 20, 30)[0]).save(tmp_path / "a.png")
    crop = Geometry("centre_crop", 64)
    with pytest.raises(DataError, match=r"--data\.export coco,words needs label maps of whole pictures"):
        Photos(str(tmp_path), "cat; dog", export="words, coco", geometry=crop)
    assert Photos(str(tmp_path), "cat; dog", geometry=crop).export == ()


def test_files_are_named_below_what_they_share(tmp_path: Path) -> None:
    for name in ("a/deep/1.png", "a/2.png", os.fsdecode(b"a/caf\xe9.png")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(0, 20, 30)[0]).save(tmp_path / name)
    photos = Photos(str(tmp_path), "cat; dog")
    assert {photos.file_name(stem) for stem in photos.files} == {
        "deep/1.png",
        "2.png",
        "caf\N{REPLACEMENT CHARACTER}.png",
    }
    assert Photos(str(tmp_path / "a" / "2.png"), "cat; dog").file_name("2") == "2.png"
