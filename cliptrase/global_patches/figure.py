"""The story of a picture's global patches in one figure; every part of it can be had alone.

Dots mark global patches, frames mark chosen ones. Values are colours of `visualization.heat`, which rise in lightness.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from cliptrase.drawing.canvas import GAP, INK, TEXT, clipped, colour_scale, font, heat_map, mark, wrapped
from cliptrase.drawing.overlay import Picture
from cliptrase.global_patches.analysis import FACTOR, GlobalPatches

WIDE = 1320  # pixels
_HEAD = 20  # size of a heading
_A_ROW = 12  # most blocks side by side
_CLASS, _OTHERS, _EVEN = (0, 114, 178), (213, 94, 0), (120, 120, 120)  # blue and vermilion of Okabe and Ito
_HIGHEST = 2 * FACTOR  # times the average patch: lightest colour of the maps of the blocks


def figure(image: Picture, result: GlobalPatches, name: str) -> Picture:
    """All parts below each other.

    Args:
        image: (h * p, w * p, 3) uint8, the picture as the tower saw it.
        result: its analysis.
        name: of picture and model, for the title.

    Returns:
        (height, 1320, 3) uint8.
    """
    rows, columns = result.grid
    title = _headed(
        f"Global patches of {name}",
        f"{rows} x {columns} patches. A patch is global in a block if the other patches attend to it more than "
        f"{FACTOR:g} times as much as to the average patch of that block, mean over heads. Dots: global patches; "
        f"frames: chosen patches; row,column are counted from 0 at the top left.",
    )
    picture, chart = picture_panel(image, result), share_chart(result)
    both = Image.new("RGB", (WIDE, max(picture.height, chart.height)), "white")
    both.paste(picture, (0, 0))
    both.paste(chart, (WIDE - chart.width, 0))
    parts = [title, both, attention_maps(result), *(correlation_maps(result, i) for i in range(len(result.chosen)))]
    page = Image.new("RGB", (WIDE, sum(part.height + GAP for part in parts)), "white")
    top = 0
    for part in parts:
        page.paste(part, (0, top))
        top += part.height + GAP
    return np.array(page)


def picture_panel(image: Picture, result: GlobalPatches) -> Image.Image:
    """The picture under its grid, with dots on the global patches of the block before the last, and chosen patches.

    Args:
        image: (h * p, w * p, 3) uint8, the picture as the tower saw it.
        result: its analysis.

    Returns:
        620 pixels wide.
    """
    wide = 620
    size = _fitting(result.grid, (wide - 2 * GAP, 420))
    is_global = result.is_global[-2]
    text = f"In the block before the last {int(is_global.sum())} of {len(is_global)} patches are global."
    page = _headed("Picture, grid and patches", text, wide, size[1] + GAP)
    shown = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    lines = Image.new("L", size)
    draw = ImageDraw.Draw(lines)
    for row in range(1, result.grid[0]):
        draw.line((0, row * size[1] // result.grid[0], size[0], row * size[1] // result.grid[0]), 110)
    for column in range(1, result.grid[1]):
        draw.line((column * size[0] // result.grid[1], 0, column * size[0] // result.grid[1], size[1]), 110)
    shown.paste("white", mask=lines)
    _mark(shown, result, is_global)
    page.paste(shown, (GAP, page.height - size[1] - GAP))
    return page


def share_chart(result: GlobalPatches) -> Image.Image:
    """How much attention falls on the global patches of each block: of the class token, of other patches, by chance.

    Returns:
        680 pixels wide.
    """
    wide, high, left = 680, 300, 60
    blocks = len(result.class_share)
    shares = 100 * np.array([result.class_share.numpy(), result.patch_share.numpy(), result.chance_share.numpy()])
    peak = int(shares[0].argmax())
    text = (
        f"To see: in block {peak + 1} the class token gives {shares[0, peak]:.0f} % of its attention to the global "
        f"patches, {shares[2, peak]:.0f} % of all tokens; other patches give them {shares[1, peak]:.0f} %. "
        "Even attention would lie on the dashed line."
    )
    if not result.is_global.any():
        text = "To see: no block has a global patch; attention is spread over the picture."
    page = _headed("Share of attention on global patches, by depth", text, wide, high + 5 * TEXT)
    draw = ImageDraw.Draw(page)
    top = page.height - high - 4 * TEXT
    ceiling = max(10.0, 10 * np.ceil(shares.max() / 10))
    xs = [left + (wide - left - 2 * GAP) * (block + 0.5) / blocks for block in range(blocks)]
    for tick in np.linspace(0, ceiling, 6):
        y = top + high * (1 - tick / ceiling)
        draw.line((left, y, wide - 2 * GAP, y), (225, 225, 225))
        draw.text((left - 6, y), f"{tick:.0f} %", INK, font(TEXT), anchor="rm")
    step = -(-blocks // 16)
    for block in range(0, blocks, step):
        draw.text((xs[block], top + high + TEXT), f"{block + 1}", INK, font(TEXT), anchor="mm")
    draw.text((left, page.height - TEXT), "block", INK, font(TEXT), anchor="lm")
    names = ("class token", "patches that are not global", "even attention")
    start = left + 60
    for colour, name, series in zip((_CLASS, _OTHERS, _EVEN), names, shares, strict=True):
        points = [(x, top + high * (1 - share / ceiling)) for x, share in zip(xs, series, strict=True)]
        key = [(start, page.height - TEXT), (start + 2 * TEXT, page.height - TEXT)]
        for line in (points, key):
            _line(draw, line, colour, dashed=colour == _EVEN)
            for x, y in line if colour != _EVEN else ():
                shape = draw.ellipse if colour == _CLASS else draw.rectangle
                shape((x - 4, y - 4, x + 4, y + 4), colour, "white")
        draw.text((key[1][0] + 8, key[1][1]), name, INK, font(TEXT), anchor="lm")
        start += round(font(TEXT).getlength(name)) + 4 * TEXT
    return page


def attention_maps(result: GlobalPatches) -> Image.Image:
    """For each block which patches the class token attends to, and which the other patches attend to.

    Returns:
        1320 pixels wide.
    """
    blocks = len(result.received)
    columns = min(blocks, _A_ROW)
    cell = (WIDE - GAP) // columns
    size = _fitting(result.grid, (cell - GAP, 190))
    high = size[1] + TEXT + GAP
    rows = -(-blocks // columns)
    text = (
        f"Attention in times of the block's average patch, from 0 to {_HIGHEST:g} and more; beside each block its "
        "number of global patches. To see: whether the class token (above) looks where patches all over the picture "
        "look (below). A dotted patch that is light in both is one that class token and patches share."
    )
    kinds = (("Attention of the class token", result.class_attention), ("Attention of other patches", result.received))
    page = _headed("Who attends to what, block by block", text, WIDE, 2 * (rows * high + 2 * TEXT) + 2 * TEXT)
    draw = ImageDraw.Draw(page)
    top = page.height - 2 * (rows * high + 2 * TEXT) - 2 * TEXT
    colour_scale(draw, (GAP, top), 400, ("0", f"{_HIGHEST:g} times the average and more"))
    top += 2 * TEXT
    for title, attention in kinds:
        draw.text((GAP, top + TEXT // 2), title, INK, font(TEXT), anchor="lm")
        top += TEXT + GAP // 2
        for block in range(blocks):
            x, y = GAP + block % columns * cell, top + block // columns * high
            count = int(result.is_global[block].sum())
            draw.text((x, y + TEXT // 2), clipped(f"block {block + 1}: {count}", cell), INK, font(TEXT), anchor="lm")
            values = attention[block] / attention[block].mean().clamp_min(1e-12)
            shown = heat_map(_on_grid(values, result), size, _HIGHEST)
            _mark(shown, result, result.is_global[block], frames=False)
            page.paste(shown, (x, y + TEXT + 4))
        top += rows * high + TEXT - GAP // 2
    return page


def correlation_maps(result: GlobalPatches, number: int = 0) -> Image.Image:
    """What goes with a chosen patch: by attention, by self-correlation, and after the class token's is taken off.

    Args:
        result: an analysis.
        number: of the chosen patch.

    Returns:
        1320 pixels wide.
    """
    row, column = result.chosen[number]
    cell = WIDE // 3
    size = _fitting(result.grid, (cell - 2 * GAP, 300))
    text = (
        "Each map from 0 and less to its highest value among the other patches. To see: whether the dotted patches "
        "draw attention in 1 although they show something else, whether they still go with the chosen patch in 2, and "
        "how dots and the rest compare in 2 and in 3. Differences in 3 can pass 1: correlations reach down to -1."
    )
    page = _headed(f"What goes with patch {row},{column}, block before the last", text, WIDE, size[1] + 5 * TEXT)
    draw = ImageDraw.Draw(page)
    top = page.height - size[1] - 5 * TEXT
    for place, panel in enumerate(correlation_panels(result, number, size)):
        x = GAP + place * cell
        title = f"{place + 1}  {panel.title}" + (f": {panel.means}" if panel.means else "")
        draw.text((x, top + TEXT // 2), clipped(title, cell - GAP), INK, font(TEXT), anchor="lm")
        page.paste(panel.shown, (x, top + TEXT + GAP // 2))
        colour_scale(draw, (x, top + size[1] + 2 * TEXT), 300, panel.ends)
    return page


class CorrelationPanel(NamedTuple):
    """One map of what goes with a chosen patch.

    Attributes:
        title: what the values are.
        means: mean of the global patches and of the others, in words; empty where no patch is global.
        ends: values of the darkest and of the lightest colour.
        shown: the map, dots on global patches and a frame around the chosen one.
    """

    title: str
    means: str
    ends: tuple[str, str]
    shown: Image.Image


def correlation_panels(result: GlobalPatches, number: int, size: tuple[int, int]) -> list[CorrelationPanel]:
    """The three maps of `correlation_maps`, each from 0 and less to its highest value among the other patches.

    Args:
        result: an analysis.
        number: of the chosen patch.
        size: (width, height) of a map in pixels.
    """
    row, column = result.chosen[number]
    own = row * result.grid[1] + column
    maps = (
        ("attention, softmax of q k", result.attention[number], 100.0, " %"),
        ("self-correlation of q, k, v", result.correlation[number], 1.0, ""),
        ("less the class token's", result.denoised[number], 1.0, ""),
    )
    dots = result.is_global[-2]
    panels = []
    for title, values, unit, sign in maps:
        others = values[np.arange(len(values)) != own]
        highest = max(float(others.max()) if len(others) else 0.0, 1e-6)
        means = ""
        if dots.any():
            both = (unit * float(values[part].mean()) for part in (dots, ~dots))
            means = f"mean of dots {{:.2f}}{sign}, of others {{:.2f}}{sign}".format(*both)
        shown = heat_map(_on_grid(values, result), size, highest)
        _mark(shown, result, dots, only=number)
        panels.append(CorrelationPanel(title, means, (f"0{sign}", f"{unit * highest:.2f}{sign}"), shown))
    return panels


def _headed(heading: str, text: str, wide: int = WIDE, body: int = 0) -> Image.Image:
    """A white page with a heading and wrapped text, and `body` pixels of room below."""
    lines = wrapped(text, wide - 2 * GAP)
    page = Image.new("RGB", (wide, 2 * _HEAD + len(lines) * (TEXT + 4) + GAP + body), "white")
    draw = ImageDraw.Draw(page)
    draw.text((GAP, _HEAD), heading, INK, font(_HEAD), anchor="lm")
    for number, line in enumerate(lines):
        draw.text((GAP, 2 * _HEAD + number * (TEXT + 4)), line, INK, font(TEXT))
    return page


def _fitting(grid: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of a panel with the grid's shape inside (width, height) of room."""
    side = min(room[0] / grid[1], room[1] / grid[0])
    return max(1, round(grid[1] * side)), max(1, round(grid[0] * side))


def _on_grid(values: Tensor, result: GlobalPatches) -> NDArray[np.floating]:
    on_grid: NDArray[np.floating] = values.view(result.grid).numpy()
    return on_grid


def _mark(
    panel: Image.Image, result: GlobalPatches, is_global: Tensor, frames: bool = True, only: int | None = None
) -> None:
    """Dots on global patches and frames around chosen ones, all of them or only one."""
    draw = ImageDraw.Draw(panel)
    high, wide = panel.height / result.grid[0], panel.width / result.grid[1]
    radius = max(1.0, min(high, wide) / 5)
    for index in is_global.nonzero()[:, 0].tolist():
        x, y = (index % result.grid[1] + 0.5) * wide, (index // result.grid[1] + 0.5) * high
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), "white", INK)
    for number, (row, column) in enumerate(result.chosen if frames else ()):
        if only in (None, number):
            mark(draw, (column * wide, row * high, (column + 1) * wide, (row + 1) * high))


def _line(
    draw: ImageDraw.ImageDraw, points: Sequence[tuple[float, float]], colour: tuple[int, ...], dashed: bool
) -> None:
    """A line through points; a dashed one in steps of 6 pixels."""
    if not dashed:
        draw.line(points, colour, 3)
        return
    for (x, y), (end_x, end_y) in pairwise(points):
        steps = max(1, int(np.hypot(end_x - x, end_y - y) / 6))
        for step in range(0, steps, 2):
            ends = [(x + (end_x - x) * at / steps, y + (end_y - y) * at / steps) for at in (step, step + 1)]
            draw.line(ends, colour, 3)
