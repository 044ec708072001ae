"""TIFF files of several bands and of 16 bits: the bands asked for, and stretches over the whole picture."""

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from cliptrase.common.errors import InputError
from cliptrase.common.images import BandsError, Reader, parse_bands, parse_stretch, scaling, to_8_bits
from cliptrase.common.images import bands as bands_module

GENERATOR = np.random.default_rng(4)
FIVE = GENERATOR.integers(0, 4000, (61, 83, 5)).astype(np.uint16) + np.arange(5, dtype=np.uint16) * 100


def planar(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(np.moveaxis(values, 2, 0))


def plain(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """One band from black to white, pixel by pixel."""
    shifted = (values.astype(np.float32) - np.float32(low)) * (255 / (float(high) - float(low)))
    return shifted.clip(0, 255).round().astype(np.uint8)


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "rows": lambda path: tifffile.imwrite(path, FIVE, photometric="minisblack", planarconfig="contig"),
    "planes": lambda path: tifffile.imwrite(path, planar(FIVE), photometric="minisblack", planarconfig="separate"),
    "big endian": lambda path: tifffile.imwrite(
        path, FIVE, photometric="minisblack", planarconfig="contig", byteorder=">"
    ),
    "BigTIFF": lambda path: tifffile.imwrite(path, FIVE, photometric="minisblack", planarconfig="contig", bigtiff=True),
    "strips": lambda path: tifffile.imwrite(
        path, FIVE, photometric="minisblack", planarconfig="contig", compression="zlib", rowsperstrip=16
    ),
    "tiles": lambda path: tifffile.imwrite(
        path, FIVE, photometric="minisblack", planarconfig="contig", compression="zlib", predictor=True, tile=(32, 48)
    ),
    "tiles of planes": lambda path: tifffile.imwrite(
        path, planar(FIVE), photometric="minisblack", planarconfig="separate", compression="zlib", tile=(32, 48)
    ),
    "red, green, blue and two more": lambda path: tifffile.imwrite(path, FIVE, photometric="rgb", extrasamples=(0, 0)),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_bands_asked_for(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands_module, "_VALUES", 1000)  # a few rows at a time
    path = tmp_path / "five.tif"
    LAYOUTS[name](path)
    most = 4095 if FIVE[..., [3, 2, 1]].max() <= 4095 else 65535
    expected = plain(FIVE[..., [3, 2, 1]], 0, most)
    np.testing.assert_array_equal(Reader(bands=(4, 3, 2)).picture(path), expected)
    first = Reader().picture(path)
    np.testing.assert_array_equal(first, plain(FIVE[..., :3], 0, 4095 if FIVE[..., :3].max() <= 4095 else 65535))
    grey = Reader(bands=(5,), stretch=parse_stretch("minmax")).picture(path)
    band = plain(FIVE[..., 4], FIVE[..., 4].min(), FIVE[..., 4].max())
    np.testing.assert_array_equal(grey, np.repeat(band[..., None], 3, axis=2))
    np.testing.assert_array_equal(
        Reader(bands=(2, 2, 1)).picture(path)[..., 0], Reader(bands=(2, 2, 1)).picture(path)[..., 1]
    )
    assert Reader().header(path).stored == (61, 83)
    with pytest.raises(BandsError, match=r"five\.tif has 5 bands, and --data.bands asks for 6, 9; give numbers from 1"):
        Reader(bands=(6, 1, 9)).picture(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("values_at_a_time", [1 << 20, 700])
def test_percentiles_are_of_the_whole_picture(
    dtype: type, values_at_a_time: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "_VALUES", values_at_a_time)
    ramp = np.linspace(-90 if dtype in (np.int16, np.float32) else 0, 250, 61 * 83)
    values = np.stack([ramp, ramp[::-1], ramp * 0.5], -1).reshape(61, 83, 3).astype(dtype)
    path = tmp_path / "ramp.tif"
    tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig")
    found = Reader(stretch=parse_stretch("percentile 2 98")).picture(path)
    for band in range(3):
        low, high = np.percentile(values[..., band].astype(np.float64), [2, 98], method="inverted_cdf")
        expected = plain(values[..., band], float(low), float(high)).astype(int)
        # Percentiles of floating-point numbers are told from 65,536 bins.
        assert np.abs(found[..., band].astype(int) - expected).max() <= (1 if np.dtype(dtype).itemsize > 2 else 0)
        assert (found[..., band] == 0).mean() == pytest.approx(0.02, abs=0.005)
        assert (found[..., band] == 255).mean() == pytest.approx(0.02, abs=0.006)


def test_what_holds_nothing_counts_for_no_range(tmp_path: Path) -> None:
    for number, (dtype, nothing) in enumerate([(np.uint16, 65535), (np.float32, -9999.0), (np.int16, -32768)]):
        values = GENERATOR.integers(1, 900, (40, 50, 4)).astype(dtype)
        values[:, :10] = nothing
        path = tmp_path / f"{number}.tif"
        tags = [(42113, "s", 0, f"{nothing:g}", True)]
        tifffile.imwrite(path, values, photometric="minisblack", planarconfig="contig", extratags=tags)
        for stretch in ("none", "minmax", "percentile 1 99"):
            found = Reader(stretch=parse_stretch(stretch)).picture(path)
            assert (found[:, :10] == 0).all()
            assert found[:, 10:].max() > 50
        tifffile.imwrite(path, values[..., 0], photometric="minisblack", extratags=tags)  # Pillow reads one band
        for stretch in ("none", "minmax", "percentile 1 99"):
            band = values[:, 10:, 0]
            low, high = np.percentile(band, [0, 100] if stretch == "minmax" else [1, 99], method="inverted_cdf")
            found = Reader(stretch=parse_stretch(stretch)).picture(path)
            assert (found[:, :10] == 0).all()
            expected = plain(band, 0, 4095) if stretch == "none" else plain(band, low, high)
            assert np.abs(found[:, 10:, 1].astype(int) - expected).max() <= (1 if dtype == np.float32 else 0)
    values = GENERATOR.uniform(-30, 40, (20, 30, 3)).astype(np.float32)
    values[:5], values[5] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "nan.tif", values, photometric="minisblack", planarconfig="contig")
    for stretch in ("none", "minmax", "percentile 2 98"):
        assert not Reader(stretch=parse_stretch(stretch)).picture(tmp_path / "nan.tif")[:6].any()
    values = np.full((4, 5, 3), np.nan, dtype=np.float32)
    tifffile.imwrite(tmp_path / "nan.tif", values, photometric="minisblack", planarconfig="contig")
    assert not Reader(stretch=parse_stretch("percentile 2 98")).picture(tmp_path / "nan.tif").any()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_strips_change_nothing(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    for most in (1, 200, 4000, 60000):
        values = (GENERATOR.random((37, 53)) * most).astype(dtype)
        whole = to_8_bits(values)
        monkeypatch.setattr(scaling, "_VALUES", 100)
        np.testing.assert_array_equal(to_8_bits(values), whole)
        monkeypatch.undo()


def test_usual_pictures_can_be_stretched_too(tmp_path: Path) -> None:
    from PIL import Image

    hazy = GENERATOR.integers(100, 140, (30, 40, 3)).astype(np.uint8)
    Image.fromarray(hazy).save(tmp_path / "hazy.png")
    found = Reader(bands=(3, 2, 1), stretch=parse_stretch("minmax")).picture(tmp_path / "hazy.png")
    np.testing.assert_array_equal(found[..., 0], plain(hazy[..., 2], hazy[..., 2].min(), hazy[..., 2].max()))
    with pytest.raises(BandsError, match=r"has 3 bands, and --data.bands asks for 4; give numbers from 1 to 3"):
        Reader(bands=(4,)).picture(tmp_path / "hazy.png")
    deep = GENERATOR.integers(3000, 5000, (30, 40)).astype(np.uint16)
    for name in ("deep.png", "deep.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        found = Reader(stretch=parse_stretch("minmax")).picture(tmp_path / name)
        np.testing.assert_array_equal(found[..., 1], plain(deep, deep.min(), deep.max()))
        with pytest.raises(BandsError, match=r"has 1 band, and --data.bands asks for 2; give 1, or leave it out"):
            Reader(bands=(2,)).picture(tmp_path / name)


def test_a_compression_that_needs_rasterio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "lzw.tif"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        file = rasterio.open(
            path, "w", driver="GTiff", height=61, width=83, count=5, dtype="uint16", compress="lzw", tiled=False
        )
    with file:
        file.write(planar(FIVE))
    found = Reader(bands=(4, 3, 2), stretch=parse_stretch("minmax")).picture(path)
    for channel, band in enumerate((3, 2, 1)):
        values = FIVE[..., band]
        np.testing.assert_array_equal(found[..., channel], plain(values, values.min(), values.max()))
    monkeypatch.setattr(bands_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"lzw\.tif is compressed by LZW, which needs rasterio; `pip install 'cliptra"):
        Reader().picture(path)


def test_the_released_codes_read_what_pillow_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen bits of red, green and blue: the upper eight there, the usual range for own pictures."""
    dark = GENERATOR.integers(0, 4000, (20, 30, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "dark.tif", dark, photometric="rgb")
    np.testing.assert_array_equal(Reader("released").picture(tmp_path / "dark.tif"), (dark >> 8).astype(np.uint8))
    np.testing.assert_array_equal(Reader().picture(tmp_path / "dark.tif"), plain(dark, 0, 4095))
    usual = GENERATOR.integers(0, 255, (20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "usual.tif", usual, photometric="rgb")
    loaded = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        assert name != "rasterio"
        return loaded(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    np.testing.assert_array_equal(Reader().picture(tmp_path / "usual.tif"), usual)


@pytest.mark.parametrize("text", ["1,2", "0,1,2", "a", "1,2,3,4", "1;2;3", "-1", "100000"])
def test_bands_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=f"--data.bands '{text}': give three bands as red, green and blue, or one"):
        parse_bands(text)


@pytest.mark.parametrize(
    "text", ["percentile", "percentile 98 2", "percentile 2 2", "percentile 2 101", "log", "", "2 98"]
)
def test_stretches_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=f"--data.stretch '{text}'.*percentile 2 98"):
        parse_stretch(text)
    assert str(parse_stretch("percentile 0.5 99.5")) == "percentile 0.5 99.5"
