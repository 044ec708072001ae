"""The one reader: any file, mode, depth and orientation gives the same pixels through every entry."""

import contextlib
import itertools
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from cliptrase.common.errors import InputError
from cliptrase.common.images import SAFE_PIXELS, ColoursError, Header, Reader, max_pixels, to_8_bits, to_rgb
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


TURNS = {  # how a camera that was held so stores the scene
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[:, ::-1],
}


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def header(width: int, height: int, bits: int, colour: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))


def png(values: NDArray[np.integer], bits: int, colour: int = 0, before: bytes = b"", after: bytes = b"") -> bytes:
    """A PNG file of (H, W) or (H, W, C) samples of `bits` bits; Pillow writes no grey ones of 2 and 4 bits."""
    rows = values.reshape(len(values), -1)
    if bits == 16:
        lines = [row.astype(">u2").tobytes() for row in rows]
    else:
        spread = [np.unpackbits(row.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :] for row in rows]
        lines = [np.packbits(row.ravel()).tobytes() for row in spread]
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + line for line in lines)))
    return header(values.shape[1], len(values), bits, colour) + before + pixels + after + chunk(b"IEND", b"")


@settings(max_examples=60)
@given(data=st.data(), bits=st.sampled_from([1, 2, 4, 8, 16]), palette=st.booleans(), clear=st.booleans())
def test_an_index_map_gives_its_stored_values(
    data: st.DataObject, bits: int, palette: bool, clear: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    palette &= bits < 16
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    values = data.draw(arrays(np.uint16, shape, elements=st.integers(0, 2**bits - 1)))
    before = chunk(b"PLTE", bytes(range(256)) * 3) if palette else b""
    if palette and bits < 8:
        before = chunk(b"PLTE", bytes(range(3 * 2**bits)))
    if clear:
        before += chunk(b"tRNS", b"\0\x80" if palette else struct.pack(">H", int(values.flat[0])))
    path = tmp_path_factory.getbasetemp() / "map.png"
    path.write_bytes(png(values, bits, 3 if palette else 0, before))
    found = Reader().index_map(path)
    assert found.dtype == (np.uint16 if bits == 16 else np.uint8)
    np.testing.assert_array_equal(found, values)


@settings(max_examples=30)
@given(
    values=arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(0, 255)),
    kind=st.sampled_from([np.int32, np.float32, np.uint16, "RGB", "RGBA", "LA"]),
    ending=st.sampled_from(["tif", "png", "bmp"]),
)
def test_wide_floating_and_tripled_maps(
    values: Array, kind: type | str, ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if isinstance(kind, str):
        picture = Image.fromarray(values).convert(kind)
        ending = "png" if ending == "bmp" else ending
    else:
        picture, ending = Image.fromarray(values.astype(kind)), "tif"
    path = tmp_path_factory.getbasetemp() / f"map.{ending}"
    picture.save(path)
    np.testing.assert_array_equal(Reader().index_map(path), values)


def test_maps_that_hold_no_indices(tmp_path: Path) -> None:
    path = tmp_path / "map.png"
    see_through = np.dstack([GREY, GREY, GREY, GREY])
    for mode, picture in {"RGB": Image.fromarray(SCENE), "RGBA": Image.fromarray(see_through)}.items():
        picture.save(path)
        with pytest.raises(ColoursError, match=rf"map\.png holds {mode} colours where label indices were expected"):
            Reader().index_map(path)
    path.write_bytes(png(np.repeat(GREY[..., None].astype(np.uint16) * 3, 3, axis=2), 16, 2))
    with pytest.raises(ColoursError, match="RGB colours of 16 bits"):  # Pillow would cut the values
        Reader().index_map(path)
    for value in (0.5, float("nan"), float("inf"), 2.0**40):
        Image.fromarray(np.full((2, 2), value, dtype=np.float32)).save(tmp_path / "map.tif")
        with pytest.raises(InputError, match="floating-point values that are no label indices, such as"):
            Reader().index_map(tmp_path / "map.tif")
    for kind in ("jpeg", "webp", "gif"):
        Image.fromarray(GREY).save(path, format=kind)
        with pytest.raises(InputError, match=f"is a label map in {kind.upper()}, which may change the values"):
            Reader().index_map(path)


@settings(max_examples=40)
@given(
    orientation=st.integers(1, 8),
    ending=st.sampled_from(["png", "late", "tif", "webp"]),
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
)
def test_orientation_and_the_size_of_the_label_map(
    orientation: int, ending: str, size: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Upright unless only the stored size is the map's; for released protocols stored unless only that is not."""
    upright = np.random.default_rng(orientation).integers(0, 256, (*size, 3), dtype=np.uint8)
    stored = np.ascontiguousarray(TURNS[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path_factory.getbasetemp() / f"turned.{ending}"
    if ending == "late":  # metadata behind the pixels
        path.write_bytes(png(stored, 8, 2, after=chunk(b"eXIf", exif.tobytes()[6:])))
    else:
        Image.fromarray(stored).save(path, exif=exif, **({"lossless": True} if ending == "webp" else {}))
    reader, released = Reader(), Reader("released")
    assert reader.header(path)[:2] == (stored.shape[:2], orientation)
    np.testing.assert_array_equal(reader.picture(path), upright)
    np.testing.assert_array_equal(to_rgb(path), upright)
    with Image.open(path) as file:
        np.testing.assert_array_equal(to_rgb(file), upright)
    only_stored = stored.shape != upright.shape
    np.testing.assert_array_equal(reader.picture(path, stored.shape[:2]), stored if only_stored else upright)
    np.testing.assert_array_equal(reader.picture(path, upright.shape[:2]), upright)
    with Image.open(path) as file:
        np.testing.assert_array_equal(released.picture(path), np.array(file.convert("RGB")))
    if only_stored:
        np.testing.assert_array_equal(released.picture(path, upright.shape[:2]), upright)


def test_released_decoding_drops_alpha(tmp_path: Path) -> None:
    for mode in ("RGB", "L"):
        with_alpha(mode).save(tmp_path / "clear.png")
        with Image.open(tmp_path / "clear.png") as file:
            np.testing.assert_array_equal(Reader("released").picture(tmp_path / "clear.png"), file.convert("RGB"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (GREY.astype(np.uint16) * 257, GREY),
        (np.full((2, 2), 3 * 257, dtype=np.uint16), np.full((2, 2), 3)),  # dark, and 8 bits all the same
        (GREY.astype(np.uint16), GREY),  # 8 bits that nobody scaled
        (np.array([[0, 2048, 4095]], dtype=np.uint16), np.array([[0, 128, 255]])),
        (GREY.astype(">u2") * 257, GREY),
        (GREY.astype(np.int32), GREY),
        (GREY.astype(np.float32) / 255, GREY),
        (np.array([[-5, np.nan, 0.5]], dtype=np.float32), np.array([[0, 0, 128]])),
        (np.full((2, 2), -1, dtype=np.int32), np.zeros((2, 2))),
        (np.zeros((2, 2), dtype=np.float32), np.zeros((2, 2))),
    ],
)
def test_numbers_become_8_bits(values: NDArray[np.generic], expected: NDArray[np.generic]) -> None:
    np.testing.assert_array_equal(to_8_bits(values), expected)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_see_through_grey_value_is_white_at_any_depth(bits: int, tmp_path: Path) -> None:
    values = np.arange(2**bits if bits < 16 else 256, dtype=np.uint16)[None] * (257 if bits == 16 else 1)
    clear = int(values[0, 1])
    (tmp_path / "grey.png").write_bytes(png(values, bits, before=chunk(b"tRNS", struct.pack(">H", clear))))
    expected = (values * (255 / values.max())).round()
    expected[0, 1] = 255
    np.testing.assert_array_equal(Reader().picture(tmp_path / "grey.png")[..., 0], expected)


def test_what_callers_have(tmp_path: Path) -> None:
    Image.fromarray(SCENE).save(tmp_path / "a.png")
    for given_ in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(SCENE), SCENE):
        np.testing.assert_array_equal(to_rgb(given_), SCENE)
    np.testing.assert_array_equal(to_rgb(GREY), three(GREY))
    for mode, values in {"I": GREY.astype(np.int32) * 257, "F": GREY.astype(np.float32)}.items():
        picture = Image.fromarray(values)
        assert picture.mode == mode
        np.testing.assert_array_equal(to_rgb(picture), three(GREY))
    for wrong, said in [
        (SCENE.astype(np.float32), r"an array of float32 and of shape \(40, 60, 3\) is no picture; give a path"),
        (SCENE.transpose(2, 0, 1), r"of shape \(3, 40, 60\)"),
        (np.zeros((0, 4, 3), dtype=np.uint8), r"of shape \(0, 4, 3\)"),
        ([1, 2], "an object of type list is no picture; give a path, a PIL image, or an array of uint8"),
        (None, "an object of type NoneType"),
        (Image.new("RGB", (0, 3)), "has 0 x 3 pixels"),
        (tmp_path / "gone.png", r"gone\.png cannot be read as a picture \(No such file .*\); give the path of one"),
    ]:
        with pytest.raises(InputError, match=said):
            to_rgb(wrong)  # type: ignore[arg-type]


def test_too_large_a_picture_is_named_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(header(60000, 60000, 8, 2) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""))
    said = (
        rf"large\.png has 60000 x 60000 pixels, and more than {SAFE_PIXELS} are not read; allow them by "
        r"--data\.max_pixels 3600000000 or by CLIPTRASE_MAX_PIXELS=3600000000"
    )
    for read in (Reader().picture, Reader().header, Reader().index_map, to_rgb):
        with pytest.raises(InputError, match=said):
            read(path)
    Image.fromarray(SCENE).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow's own limit is not asked
    assert Reader().picture(path).shape == SCENE.shape
    assert Image.MAX_IMAGE_PIXELS == 100
    monkeypatch.setenv("CLIPTRASE_MAX_PIXELS", "2399")
    with pytest.raises(InputError, match="60 x 40 pixels, and more than 2399 are not read"):
        Reader().picture(path)
    assert Reader(max_pixels=2400).picture(path).shape == SCENE.shape
    for wrong in ("many", "0", "-3", "1e9"):
        monkeypatch.setenv("CLIPTRASE_MAX_PIXELS", wrong)
        with pytest.raises(InputError, match=f"CLIPTRASE_MAX_PIXELS='{wrong}' is not a number of pixels"):
            max_pixels()


def test_traps_are_one_sentence(tmp_path: Path) -> None:
    whole = png(GREY, 8)
    bomb = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80 << 20)))
    traps = {
        "text.png": whole[:33] + bomb + whole[33:],
        "short.png": whole[:8] + chunk(b"IHDR", bytes(9)),
        "broken.ppm": b"P6\n\xff55 3\n255\n",
        "photo.heic": b"\0\0\0\x18ftypheic" + bytes(40),
    }
    for name, content in traps.items():
        (tmp_path / name).write_bytes(content)
        for read in (Reader().picture, Reader().header, to_rgb):
            with pytest.raises(InputError, match=f"{name} cannot be read as a picture \\(.*\\); ") as caught:
                read(tmp_path / name)
            assert "\n" not in str(caught.value)
    assert "install pillow-heif or convert it" in str(caught.value)


def test_pipes_and_folders_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="it is no regular file"):
        Reader().picture(tmp_path / "pipe.png")
    with pytest.raises(InputError, match=r"cannot be read as a picture \(Is a directory\)"):
        Reader().picture(tmp_path)


def test_threads_read_alike_and_leave_warnings_as_they_were(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(8)]
    for number, path in enumerate(paths):
        Image.fromarray(np.roll(SCENE, number, axis=0)).save(path)
    before, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(Reader().picture, itertools.chain(*[paths] * 5))):
            np.testing.assert_array_equal(found, np.roll(SCENE, number % 8, axis=0))
    assert (warnings.filters, Image.MAX_IMAGE_PIXELS) == (before, limit)


def test_a_header_says_which_way_a_picture_is_read() -> None:
    assert not Header((3, 4), 1).is_turned("upright", (4, 3))
    assert Header((3, 4), 6).is_turned("released", (4, 3))
    assert not Header((3, 4), 6).is_turned("upright", (3, 4))
    assert Header((3, 3), 6).is_turned("upright", (3, 3))
    assert not Header((3, 4), 3).is_turned("released", (3, 4))


@pytest.mark.parametrize(("end", "options"), [("tif", {}), ("gif", {}), ("png", {"default_image": False})])
def test_a_label_map_of_several_pages_is_refused(tmp_path: Path, end: str, options: dict[str, bool]) -> None:
    """Its first page would be read without a word; a picture's is, as every viewer shows it."""
    pages = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (1, 2)]
    path = tmp_path / f"map.{end}"
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)
    with pytest.raises(InputError, match=r"holds 2 pages, of which a label map can be one only"):
        Reader().index_map(path)
    assert Reader().picture(path).shape == (4, 4, 3)
