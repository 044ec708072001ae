"""Colours that everybody tells apart, overlays, legends that fit."""

import colorsys
import runpy
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont

from cliptrase.drawing.overlay import INK, colourise, heat, hex_colour, overlay, palette, reduced, sampled, with_legend
from tests.kit import scene

ROOT = Path(__file__).resolve().parents[3]


def lab(colours: NDArray[np.generic], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIELAB (D65) of (N, 3) sRGB after a 3 x 3 change in linear light, colour by colour as the standards write it."""
    rows = []
    for colour in colours.tolist():
        linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        red, green, blue = np.clip(seen @ np.array(linear), 0, 1)
        x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
        y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
        fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
        rows.append((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)))
    return np.array(rows)


def dichromat(confusion: tuple[float, float, float], missing: int) -> NDArray[np.float64]:
    """Viénot, Brettel and Mollon (1999): the others make up the missing cone's answer, (3, 3) in linear RGB."""
    lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    loss = np.eye(3)
    loss[missing] = confusion
    changed: NDArray[np.float64] = np.linalg.inv(lms) @ loss @ lms
    return changed


VISIONS = {
    "normal": np.eye(3),
    "protanopia": dichromat((0, 2.02344, -2.52581), 0),
    "deuteranopia": dichromat((0.494207, 0, 1.24827), 1),
    # Their way does not hold for tritanopia; this is Machado, Oliveira and Fernandes (2009).
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def nearest(colours: NDArray[np.generic], vision: str) -> float:
    """Least distance in CIELAB of any two colours."""
    rows = lab(colours, VISIONS[vision])
    distance = np.linalg.norm(rows[:, None] - rows, axis=-1)
    return float(distance[~np.eye(len(rows), dtype=bool)].min())


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize(("count", "least"), [(4, 45), (8, 28), (20, 14), (32, 10)])
def test_first_colours_are_told_apart_by_everybody(vision: str, count: int, least: float) -> None:
    """For red and green under another simulation than the palette's own; 2.3 is a just noticeable difference."""
    assert nearest(palette()[:count], vision) >= least


def test_the_script_gives_these_colours() -> None:
    colours = runpy.run_path(str(ROOT / "scripts" / "palette.py"))["palette"]()
    assert np.array_equal(palette()[: len(colours)], colours)
    seen = runpy.run_path(str(ROOT / "scripts" / "palette.py"))["lab"](palette()[:32].astype(float))
    distance = np.linalg.norm(seen[:, :, None] - seen[:, None], axis=-1) + 1e9 * np.eye(32)
    assert distance[:, :20, :20].min() > 17
    assert distance.min() > 12


def test_heat_rises_in_lightness_for_everybody() -> None:
    """So values keep their order whatever one's colour vision."""
    colours = heat(np.linspace(0, 1, 64))
    lightness = runpy.run_path(str(ROOT / "scripts" / "palette.py"))["lab"](colours.astype(float))[..., 0]  # (4, 64)
    steps = np.diff(lightness, axis=1)
    assert (steps > 0).all()
    assert (steps.max(1) < 3 * steps.mean(1)).all()  # no step that looks like an edge
    assert heat(np.array([-2.0, 0.0, 1.0, 7.0])).tolist() == [colours[0].tolist()] * 2 + [colours[-1].tolist()] * 2


def test_neighbours_in_index_differ() -> None:
    rows = lab(palette()[:1000], VISIONS["normal"])
    for step in (1, 2, 3):
        assert np.linalg.norm(rows[step:] - rows[:-step], axis=1).min() > 20


def test_later_colours_are_spread_over_the_hues() -> None:
    """As Python's own conversion has them: the golden ratio from hue to hue, three tones in turn."""
    tones = ((0.75, 0.90), (0.55, 1.00), (0.90, 0.65))
    for index in (*range(32, 400), 65534, 65535):
        rgb = colorsys.hsv_to_rgb((index * (5**0.5 - 1) / 2 + 0.58) % 1, *tones[index % 3])
        assert np.abs(palette()[index] - 255 * np.array(rgb)).max() <= 0.501, index


def test_palette_is_one_for_all() -> None:
    colours = palette()
    assert colours.shape == (65536, 3)
    assert colours.dtype == np.uint8
    assert len(np.unique(colours[:200], axis=0)) == 200
    assert not (colours == 0).all(1).any()  # black is unlabelled
    assert not (colours == 255).all(1).any()
    with pytest.raises(ValueError, match="read-only"):
        colours[0] = 0
    assert hex_colour(0) == "#0066cc"
    assert hex_colour(65535) == "#" + bytes(colours[-1]).hex()


def test_colourise() -> None:
    labels = np.array([[0, 1, -1], [65535, 300, 0]])
    found = colourise(labels)
    assert found.shape == (2, 3, 3)
    assert tuple(found[0, 2]) == (0, 0, 0)
    assert np.array_equal(found[1, 0], palette()[65535])
    assert np.array_equal(colourise(labels.clip(0).astype(np.uint16))[1], found[1])


@pytest.mark.parametrize("opacity", [0, 0.3, 0.8, 1])
def test_overlay_by_pixel(opacity: float) -> None:
    image, index = scene(0, 30, 40)
    labels = index - 1  # one region without a label
    found = overlay(image, labels, opacity)
    grey = np.array(Image.fromarray(image).convert("L")).astype(float)
    lines = 0
    for row, column in np.ndindex(labels.shape):
        label = labels[row, column]
        right, below = labels[row, column + 1 : column + 2], labels[row + 1 : row + 2, column]
        if (right != label).any() or (below != label).any():
            lines += 1
            assert tuple(found[row, column]) == INK
            continue
        expected = np.repeat(grey[row, column], 3)
        if label >= 0:
            expected = expected * (1 - opacity) + palette()[label].astype(float) * opacity
        assert np.abs(found[row, column] - expected).max() <= 1  # libraries round a grey differently
    assert 0 < lines < labels.size / 3


def test_a_colour_is_its_legends() -> None:
    """Over every grey, and over the sofa on which cats were violet, whatever one's colour vision."""
    greys = np.repeat(np.arange(0, 256, 5, dtype=np.uint8)[:, None, None], 3, axis=2)
    for vision, matrix in VISIONS.items():
        legend = lab(palette()[:10], matrix)
        found = []
        for label in range(10):
            own = lab(overlay(greys, np.full((len(greys), 1), label))[:, 0], matrix)
            found += (np.linalg.norm(own[:, None] - legend, axis=-1).argmin(1) == label).tolist()
        assert np.mean(found) > (0.95 if vision == "deuteranopia" else 0.99), vision
    magenta = np.full((4, 4, 3), (230, 40, 140), dtype=np.uint8)
    assert np.ptp(overlay(magenta, np.zeros((4, 4), dtype=int), 0)[..., :], axis=-1).max() == 0


def test_lines_are_wider_in_larger_pictures() -> None:
    for side, width in ((100, 1), (1200, 2), (6000, 4)):
        labels = np.zeros((3, side), dtype=int)
        labels[:, side // 2 :] = 1
        found = overlay(np.full((3, side, 3), 200, dtype=np.uint8), labels)
        assert (found == INK).all(-1).sum(1).tolist() == [width] * 3


def test_overlay_of_a_picture_larger_than_a_strip() -> None:
    image, labels = scene(1, 50, 1000)
    tall = np.tile(image, (12, 1, 1))
    found = overlay(tall, np.tile(labels, (12, 1)))
    inner = slice(5, 45)  # lines where one copy meets the next are of both
    for copy in range(12):
        assert np.array_equal(found[50 * copy :][inner], overlay(image, labels)[inner])
    wide = overlay(np.zeros((2, 300_000, 3), dtype=np.uint8), np.zeros((2, 300_000), dtype=int), 1)
    assert (wide == palette()[0]).all()


def ink(sheet: NDArray[np.uint8], top: int) -> NDArray[np.bool_]:
    return (sheet[top:] < 255).any(-1)


@pytest.mark.parametrize("count", [1, 2, 171])
@pytest.mark.parametrize(("height", "width"), [(60, 40), (1, 1), (300, 500), (5, 1200), (40, 160)])
def test_the_legend_fits(count: int, height: int, width: int) -> None:
    picture = scene(2, height, width)[0]
    names = [f"class {label}" + ", with a name of some length" * (label % 4) for label in range(count)]
    share = np.arange(1, count + 1) / np.arange(1, count + 1).sum()
    sheet = with_legend(picture, names, share)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == max(width, 160)
    assert np.array_equal(sheet[:height, :width], picture)
    assert (sheet[:height, width:] == 255).all()
    legend = ink(sheet, height)
    assert not legend[:, -1].any()  # nothing runs out of the sheet
    assert not legend[-1].any()
    assert legend[:, :-2].any()
    drawn = sheet[height:].astype(int) @ [65536, 256, 1]
    assert np.isin(palette()[:count].astype(int) @ [65536, 256, 1], drawn).all()


def test_the_legend_names_what_is_there_largest_first() -> None:
    picture = np.zeros((50, 600, 3), dtype=np.uint8)
    sheet = with_legend(picture, ["a", "b", "c", "d"], np.array([0.2, 0.0, 0.7, 0.1]))
    line = sheet[50 + 6 + 6]  # through the middle of the swatches
    places = [np.flatnonzero((line == palette()[label]).all(1)) for label in range(4)]
    assert not places[1].size
    assert places[2].max() < places[0].min() < places[0].max() < places[3].min()


def entry(name: str, width: int = 400) -> NDArray[np.uint8]:
    legend: NDArray[np.uint8] = with_legend(np.zeros((1, width, 3), dtype=np.uint8), [name], np.ones(1))[1:]
    return legend


@pytest.mark.parametrize("name", ["猫", "кот 猫", "🐈", "قطة", "บ้าน", "\ue000"])
def test_a_script_that_the_font_lacks(name: str) -> None:
    """Pillow's own font has no such letters: a box a letter would say nothing, the label says where to look it up."""
    assert np.array_equal(entry(name), entry("label 0"))


@pytest.mark.parametrize(("name", "plain"), [("café", "cafe"), ("naïve señal", "naive senal")])
def test_accents_that_the_font_lacks(name: str, plain: str) -> None:
    assert np.array_equal(entry(name), entry(plain))
    assert not np.array_equal(entry(name), entry("label 0"))


def test_long_names_are_cut_before_the_share() -> None:
    sheet = entry("x" * 5000)
    assert sheet.shape == entry("short").shape
    font = ImageFont.load_default(12)
    right = np.flatnonzero(ink(sheet, 0).any(0)).max()
    assert 400 - 3 * font.getlength("x") - 24 < right < 400
    share = int(font.getlength(" 100.0 %"))
    tail = ink(entry("y" * 5000), 0)[:, :399], ink(sheet, 0)[:, :399]
    ends = [part[:, : np.flatnonzero(part.any(0)).max() + 1][:, -(share - 6) :] for part in tail]
    assert np.array_equal(*ends)  # both end in the same share
    assert entry("x" * 5000, 1).shape[1] == 160


@pytest.mark.parametrize("name", ["two\nlines", "tab\tbed", " many   spaces ", "a\u2028b"])
def test_names_stay_on_one_line(name: str) -> None:
    assert np.array_equal(entry(name), entry(" ".join(name.split())))


def test_large_pictures_are_reduced_alike() -> None:
    """A picture by means, its label map by what lies in the middle."""
    labels = np.arange(12).reshape(3, 4).repeat(1024, axis=0).repeat(1024, axis=1)
    picture = np.repeat((labels * 20).astype(np.uint8)[..., None], 3, axis=2)
    small = reduced(picture)
    assert small.shape == (1536, 2048, 3)
    np.testing.assert_array_equal(sampled(labels, *small.shape[:2]) * 20, small[..., 0])
    assert reduced(small) is not picture
    np.testing.assert_array_equal(reduced(small), small)
    np.testing.assert_array_equal(sampled(labels, *labels.shape), labels)
