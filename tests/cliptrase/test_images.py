"""The one reader: any file, mode, depth and orientation gives the same pixels through every entry."""

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cliptrase.errors import InputError
from cliptrase.images import Reader
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
    close(Reader().picture(path), SCENE, 3 if ending == "jpg" else 0)


def test_broken_exif_leaves_the_picture_as_it_is(tmp_path: Path) -> None:
    for number, exif in enumerate(
        [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12"]
    ):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(SCENE).save(path, exif=exif, quality=98, subsampling=0)
        close(Reader().picture(path), SCENE, 3)


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
    close(Reader().picture(tmp_path / name), expected, tolerance)


def test_see_through_palette_grey_and_rgb(tmp_path: Path) -> None:
    """A colour, or several by degrees, that stand for nothing: white, as on paper."""
    indices = np.zeros((4, 6), dtype=np.uint8)
    indices[:, 3:] = 1
    palette = Image.fromarray(indices)
    palette.putpalette([200, 0, 0, 0, 100, 0])
    white, green = (255, 255, 255), (0, 100, 0)
    for name, transparency in {"one.png": 0, "one.gif": 0, "degrees.png": bytes([0, 255])}.items():
        palette.save(tmp_path / name, transparency=transparency)
        found = Reader().picture(tmp_path / name)
        assert tuple(found[0, 0]) == white
        assert tuple(found[0, 5]) == green
    palette.save(tmp_path / "opaque.png")
    assert tuple(Reader().picture(tmp_path / "opaque.png")[0, 0]) == (200, 0, 0)
    Image.fromarray(indices * 90).save(tmp_path / "grey.png", transparency=0)
    assert Reader().picture(tmp_path / "grey.png")[0, [0, 5], 0].tolist() == [255, 90]
    Image.fromarray(three(indices * 90)).save(tmp_path / "rgb.png", transparency=(0, 0, 0))
    assert Reader().picture(tmp_path / "rgb.png")[0, [0, 5], 0].tolist() == [255, 90]


def test_numbers_that_are_none_are_black(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.5, 1.0], [np.nan, np.inf, -np.inf]], dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "odd.tif")
    assert Reader().picture(tmp_path / "odd.tif")[..., 0].tolist() == [[0, 128, 255], [0, 0, 0]]
    Image.fromarray(np.zeros((2, 2), dtype=np.float32)).save(tmp_path / "zero.tif")
    assert not Reader().picture(tmp_path / "zero.tif").any()


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp", "tif", "bmp"])
@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.5, 0.95])
def test_cut_files_are_named(ending: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"cut.{ending}"
    Image.fromarray(SCENE).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"cut\.\w+ cannot be read as a picture \("):
        Reader().picture(path)


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
        with contextlib.suppress(InputError):
            assert Reader().picture(path).shape[2] == 3


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    for name, content in {
        "text.jpg": b"no picture",
        "page.png": b"<html>",
        "zip.tif": b"PK\x03\x04" + bytes(99),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} cannot be read as a picture"):
            Reader().picture(tmp_path / name)
    with pytest.raises(InputError, match=r"gone\.png cannot be read"):
        Reader().picture(tmp_path / "gone.png")


def test_odd_files_are_read_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "odd.jpg"
    Image.fromarray(SCENE).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\0\0\0\0\0\0\0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Reader().picture(path).shape == SCENE.shape
