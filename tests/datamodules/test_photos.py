"""Own pictures: every mode comes out upright as 8-bit RGB, every file has a name of its own, every word one meaning."""

import contextlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cliptrase.errors import InputError
from datamodules import DataError, Geometry, Photos
from datamodules.dataset import FILLER
from datamodules.photo_files import OVERLAY, find_pictures, name_files, read_photo
from datamodules.photos import read_words
from tests.kit import scene

Array = NDArray[np.uint8]
SCENE: Array = scene(0, 40, 60)[0]
GREY: Array = SCENE[..., 0]
WHITE = np.full_like(SCENE, 255)


def image(mode: str) -> Image.Image:
    return Image.fromarray(SCENE).convert(mode)


def with_alpha(mode: str) -> Image.Image:
    """The scene, its left half see-through."""
    picture = image(mode)
    alpha = np.full(SCENE.shape[:2], 255, dtype=np.uint8)
    alpha[:, :30] = 0
    picture.putalpha(Image.fromarray(alpha))
    return picture


def right_half(colours: Array) -> Array:
    return np.where(np.arange(60)[:, None] < 30, WHITE, colours)


def frames() -> list[Image.Image]:
    return [Image.fromarray(SCENE), Image.fromarray(255 - SCENE)]


def close(found: Array, expected: Array, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    assert float(np.abs(found.astype(int) - expected.astype(int)).mean()) <= tolerance


def three(grey: NDArray[np.generic]) -> Array:
    return np.repeat(np.asarray(grey, dtype=np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_exif_turns_a_picture_upright(orientation: int, ending: str, tmp_path: Path) -> None:
    stored = {  # how a camera that was held so stores the scene
        1: SCENE,
        2: SCENE[:, ::-1],
        3: SCENE[::-1, ::-1],
        4: SCENE[::-1],
        5: SCENE.transpose(1, 0, 2),
        6: SCENE.transpose(1, 0, 2)[::-1],
        7: SCENE[::-1, ::-1].transpose(1, 0, 2),
        8: SCENE.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{ending}"
    options = {"jpg": {"quality": 98, "subsampling": 0}, "webp": {"lossless": True}}.get(ending, {})
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)
    close(read_photo(path), SCENE, 3 if ending == "jpg" else 0)


def test_broken_exif_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    for number, exif in enumerate(
        [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12"]
    ):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(SCENE).save(path, exif=exif, quality=98, subsampling=0)
        close(read_photo(path), SCENE, 3)


@pytest.mark.parametrize(
    ("name", "write", "expected", "tolerance"),
    [
        ("rgb.png", lambda p: image("RGB").save(p), SCENE, 0),
        ("grey.png", lambda p: image("L").save(p), three(np.array(image("L"))), 0),
        ("grey.jpg", lambda p: image("L").save(p, quality=98), three(np.array(image("L"))), 3),
        ("bit.png", lambda p: image("1").save(p), three(np.array(image("1")) * np.uint8(255)), 0),
        ("palette.png", lambda p: image("P").save(p), np.array(image("P").convert("RGB")), 0),
        ("palette.gif", lambda p: image("P").save(p), np.array(image("P").convert("RGB")), 0),
        ("rgba.png", lambda p: with_alpha("RGB").save(p), right_half(SCENE), 0),
        ("rgba.webp", lambda p: with_alpha("RGB").save(p, lossless=True), right_half(SCENE), 0),
        ("la.png", lambda p: with_alpha("L").save(p), right_half(three(np.array(image("L")))), 0),
        ("cmyk.jpg", lambda p: image("CMYK").save(p, quality=98), SCENE, 4),
        ("cmyk.tif", lambda p: image("CMYK").save(p), SCENE, 0),
        ("ycbcr.jpg", lambda p: image("YCbCr").save(p, quality=98, subsampling=0), SCENE, 3),
        ("16.png", lambda p: Image.fromarray(GREY.astype(np.uint16) * 257).save(p), three(GREY), 0),
        ("16.tif", lambda p: Image.fromarray(GREY.astype(np.uint16) * 257).save(p), three(GREY), 0),
        ("32.tif", lambda p: Image.fromarray(GREY.astype(np.int32) * 257).save(p), three(GREY), 0),
        ("32-of-8-bits.tif", lambda p: Image.fromarray(GREY.astype(np.int32)).save(p), three(GREY), 0),
        ("float-to-1.tif", lambda p: Image.fromarray(GREY.astype(np.float32) / 255).save(p), three(GREY), 0),
        ("float-to-255.tif", lambda p: Image.fromarray(GREY.astype(np.float32)).save(p), three(GREY), 0),
        ("float-to-65535.tif", lambda p: Image.fromarray(GREY.astype(np.float32) * 257).save(p), three(GREY), 0),
        (
            "float-to-a-million.tif",
            lambda p: Image.fromarray(GREY.astype(np.float32) / GREY.max() * 1e6).save(p),
            three((GREY / GREY.max() * 255).round()),
            0.01,
        ),
        ("animated.gif", lambda p: frames()[0].save(p, save_all=True, append_images=frames()[1:]), SCENE, 12),
        ("animated.png", lambda p: frames()[0].save(p, save_all=True, append_images=frames()[1:]), SCENE, 0),
        (
            "animated.webp",
            lambda p: frames()[0].save(p, save_all=True, append_images=frames()[1:], lossless=True),
            SCENE,
            0,
        ),
        ("pages.tif", lambda p: frames()[0].save(p, save_all=True, append_images=frames()[1:]), SCENE, 0),
        ("plain.bmp", lambda p: image("RGB").save(p), SCENE, 0),
        ("plain.ppm", lambda p: image("RGB").save(p), SCENE, 0),
    ],
)
def test_modes(name: str, write: Callable[[Path], None], expected: Array, tolerance: float, tmp_path: Path) -> None:
    write(tmp_path / name)
    close(read_photo(tmp_path / name), expected, tolerance)


def test_see_through_palette_grey_and_rgb(tmp_path: Path) -> None:
    """A colour, or several by degrees, that stand for nothing: white, as on paper."""
    indices = np.zeros((4, 6), dtype=np.uint8)
    indices[:, 3:] = 1
    palette = Image.fromarray(indices)
    palette.putpalette([200, 0, 0, 0, 100, 0])
    white, green = (255, 255, 255), (0, 100, 0)
    for name, transparency in {"one.png": 0, "one.gif": 0, "degrees.png": bytes([0, 255])}.items():
        palette.save(tmp_path / name, transparency=transparency)
        found = read_photo(tmp_path / name)
        assert tuple(found[0, 0]) == white
        assert tuple(found[0, 5]) == green
    palette.save(tmp_path / "opaque.png")
    assert tuple(read_photo(tmp_path / "opaque.png")[0, 0]) == (200, 0, 0)
    Image.fromarray(indices * 90).save(tmp_path / "grey.png", transparency=0)
    assert read_photo(tmp_path / "grey.png")[0, [0, 5], 0].tolist() == [255, 90]
    Image.fromarray(three(indices * 90)).save(tmp_path / "rgb.png", transparency=(0, 0, 0))
    assert read_photo(tmp_path / "rgb.png")[0, [0, 5], 0].tolist() == [255, 90]


def test_numbers_that_are_none_are_black(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.0], [np.nan, np.inf, -np.inf]], dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "odd.tif")
    assert read_photo(tmp_path / "odd.tif")[..., 0].tolist() == [[0, 128, 255], [0, 0, 0]]
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "zero.tif")
    assert not read_photo(tmp_path / "zero.tif").any()


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp", "tif", "bmp"])
@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.5, 0.95])
def test_cut_files_are_named(ending: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"cut.{ending}"
    Image.fromarray(SCENE).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=r"cut\.\w+ cannot be read as a picture \("):
        read_photo(path)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp", "tif", "bmp", "ppm"])
def test_spoilt_bytes_give_a_picture_or_a_sentence(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"spoilt.{ending}"
    Image.fromarray(SCENE[:12, :12]).save(path)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(150):
        spoilt = bytearray(content)
        for place in generator.integers(0, len(content), 4):
            spoilt[place] = generator.integers(0, 256)
        path.write_bytes(spoilt)
        with contextlib.suppress(DataError):
            assert read_photo(path).shape[2] == 3


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    for name, content in {
        "text.jpg": b"no picture",
        "page.png": b"<html>",
        "zip.tif": b"PK\x03\x04" + bytes(99),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name} cannot be read as a picture"):
            read_photo(tmp_path / name)
    with pytest.raises(DataError, match=r"gone\.png cannot be read"):
        read_photo(tmp_path / "gone.png")


def test_too_large_a_picture_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(SCENE).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    assert read_photo(tmp_path / "large.png").shape == SCENE.shape  # a warning of Pillow's, no more
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="exceeds limit"):
        read_photo(tmp_path / "large.png")


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
    assert found(tmp_path, "a") == ["a/1.jpg", "a/folder.jpg/3.png"]
    assert found(tmp_path, "a/*.jpg") == ["a/1.jpg"]


def names(*paths: str) -> list[str]:
    files = [Path(path) for path in paths]
    named = name_files(files)
    assert sorted(named.values()) == sorted(files)
    outputs = [part.casefold() for name in named for part in (name, name + OVERLAY)]
    assert len(set(outputs)) == 2 * len(files)
    assert not any("/" in name for name in named)
    assert max(len(os.fsencode(name + OVERLAY + "..png.12345678")) for name in named) <= 255
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


def test_a_picture_may_be_called_as_anothers_overlay() -> None:
    assert names("cat.jpg", "cat_overlay.png", "cat_overlay_overlay.png")[0] == "cat"
    assert names("cat_overlay.png", "cat.jpg")[0] == "cat_overlay"


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
    photos = Photos(images=str(tmp_path), words="cat; dog", geometry=Geometry("whole", 20, 80, "bicubic"))
    photos.setup("predict")
    (dataset,) = photos.datasets
    bad, good = dataset[0], dataset[1]
    assert "0.jpg cannot be read" in bad.error
    assert not bad.counted
    assert (good.error, good.counted, good.size, good.image.shape[1:]) == ("", True, (40, 60), (20, 30))
    assert not dataset[FILLER].counted
    assert dataset.fingerprint() == dataset.fingerprint()
    (tmp_path / "0.jpg").unlink()
    assert len(dataset.fingerprint()) == 16  # a picture that vanishes is one that cannot be read, too
    assert np.array_equal(photos.picture("1"), SCENE)


@pytest.mark.parametrize(
    ("size", "shown"), [((5, 2000), (3, 1344)), ((1, 10000), (1, 1344)), ((10000, 1), (1344, 1)), ((1, 1), (336, 336))]
)
def test_narrow_pictures_keep_a_pixel(size: tuple[int, int], shown: tuple[int, int], tmp_path: Path) -> None:
    Image.fromarray(np.zeros((*size, 3), dtype=np.uint8)).save(tmp_path / "narrow.png")
    photos = Photos(
        images="narrow.png", words="cat; dog", root=tmp_path, geometry=Geometry("whole", 336, 1344, "bicubic")
    )
    photos.setup("predict")
    item = photos.datasets[0][0]
    assert (item.size, tuple(item.image.shape[1:])) == (size, shown)


def test_odd_files_are_read_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "odd.jpg"
    Image.fromarray(SCENE).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\0\0\0\0\0\0\0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(path).shape == SCENE.shape
