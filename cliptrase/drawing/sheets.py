"""A sheet for one picture: picture, truth, predictions, errors, named regions and a correlation, with a legend.

Colours are the palette's, the same everywhere. Wrong pixels are vermilion over grey, which every common kind of colour
blindness tells apart; what is not scored is hatched, and label maps have dark outlines, so that nothing is said by hue
alone.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cliptrase.drawing.canvas import GAP, INK, TEXT, clipped, colour_scale, font, innermost
from cliptrase.drawing.overlay import Picture, colourise, hex_colour
from cliptrase.drawing.patch_panel import PatchMap

LabelMap = NDArray[np.integer]

PANEL = 256  # longer side of a panel in pixels
WRONG = (213, 94, 0)  # vermilion of Okabe and Ito
_LEGEND = 36  # most names in a legend


@dataclass(frozen=True)
class Example:
    """A picture with what is known of it.

    Attributes:
        stem: the picture's name.
        image: (h, w, 3) uint8 RGB, of any size.
        predictions: by method (H, W) labels, the main method first.
        truth: (H, W) labels, negative where not scored; None where there is none.
        regions: (H, W) region numbers, -1 for none; None without regions.
        patch_map: denoised correlation of one patch, on the grid of `image`.
    """

    stem: str
    image: Picture
    predictions: Mapping[str, LabelMap]
    truth: LabelMap | None = None
    regions: LabelMap | None = None
    patch_map: PatchMap | None = None

    @cached_property
    def ious(self) -> dict[str, float]:
        """By method the mean IoU, percent, over the classes in this picture's truth; empty without truth."""
        if self.truth is None:
            return {}
        return {method: picture_iou(self.truth, labels) for method, labels in self.predictions.items()}


class Panel(NamedTuple):
    """A part of a sheet.

    Attributes:
        kind: what it shows.
        title: above it.
        method: whose prediction it is, empty for other kinds.
        box: left, top, width and height on the sheet, in pixels.
        note: how to read it.
    """

    kind: Literal["picture", "truth", "prediction", "errors", "regions", "patch"]
    title: str
    method: str
    box: tuple[int, int, int, int]
    note: str = ""


class Drawn(NamedTuple):
    """A sheet.

    Attributes:
        picture: (height, width, 3) uint8: titled panels of at most 256 pixels a side in rows, then the names of those
            classes that occur in them.
        panels: where they are.
        legend: label and name of those classes; -1 for what is not scored, None for a heading.
    """

    picture: Picture
    panels: list[Panel]
    legend: list[tuple[int | None, str]]


def picture_iou(truth: LabelMap, prediction: LabelMap) -> float:
    """Mean IoU of one picture in percent, over the classes in its truth; NaN where nothing is scored.

    Args:
        truth: (H, W) labels, negative where not scored.
        prediction: (H, W) labels of at least 0.
    """
    length = int(max(truth.max(), prediction.max())) + 1
    pairs = truth.astype(np.int64)
    np.maximum(pairs, -1, out=pairs)
    pairs += 1
    pairs *= length
    pairs += prediction
    counts = np.bincount(pairs.ravel(), minlength=(length + 1) * length).reshape(length + 1, length)[1:]  # scored ones
    hit, there, said = counts.diagonal(), counts.sum(1), counts.sum(0)
    present = there > 0
    union = (there + said - hit)[present]
    return float(100 * (hit[present] / union).mean()) if present.any() else float("nan")


def sheet(example: Example, names: Sequence[str]) -> Drawn:
    """Draws the sheet of one picture.

    Args:
        example: the picture and its label maps.
        names: of all labels.
    """
    height, width = next(iter(example.predictions.values())).shape
    scale = PANEL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))  # PIL's order
    image = np.array(Image.fromarray(example.image).resize(size, Image.Resampling.BILINEAR))
    panels = list(_panels(example, image, names))
    cell = (max(size[0], PANEL // 2), size[1] + 2 * TEXT)
    columns = _columns(len(panels), cell)
    rows = -(-len(panels) // columns)
    wide = columns * (cell[0] + GAP) + GAP
    entries = list(_legend(example, names))
    places, below = _flow(entries, wide)
    top = 2 * TEXT + rows * (cell[1] + GAP)
    scale_height = 0 if example.patch_map is None else TEXT + GAP
    page = Image.new("RGB", (wide, top + below + scale_height), "white")
    draw = ImageDraw.Draw(page)
    draw.text((GAP, TEXT), clipped(example.stem, wide - 2 * GAP), INK, font(TEXT), anchor="lm")
    placed = []
    for number, (panel, picture) in enumerate(panels):
        x = GAP + number % columns * (cell[0] + GAP)
        y = 2 * TEXT + number // columns * (cell[1] + GAP)
        draw.text((x, y + TEXT), clipped(panel.title, cell[0]), INK, font(TEXT), anchor="lm")
        page.paste(Image.fromarray(picture), (x, y + 2 * TEXT))
        placed.append(panel._replace(box=(x, y + 2 * TEXT, *size)))
    for (label, text), (x, y) in zip(entries, places, strict=True):
        box = (x, top + y, x + 2 * TEXT, top + y + TEXT)
        if label is not None and label >= 0:
            draw.rectangle(box, hex_colour(label), INK)
        elif label is not None:
            swatch = np.full((TEXT, 2 * TEXT, 3), 128, np.uint8)
            _hatch_void(swatch, swatch, np.full((TEXT, 2 * TEXT), -1))
            page.paste(Image.fromarray(swatch), box[:2])
        start = x + 2 * TEXT + 6 if label is not None else x
        draw.text((start, top + y + TEXT // 2), text, INK, font(TEXT), anchor="lm")
    if example.patch_map is not None:
        ends = ("correlation 0", f"{example.patch_map.highest:.2f}")
        colour_scale(draw, (GAP, top + below), min(wide - 2 * GAP, 2 * PANEL), ends)
    return Drawn(np.array(page), placed, entries)


def _panels(example: Example, image: Picture, names: Sequence[str]) -> Iterator[tuple[Panel, Picture]]:
    """Each panel, not placed yet, and its picture, all of the size of `image`."""
    unplaced = (0, 0, 0, 0)
    size = (image.shape[1], image.shape[0])
    shown = {method: _resized(labels, size) for method, labels in example.predictions.items()}
    truth = None if example.truth is None else _resized(example.truth, size)
    main, labels = next(iter(shown.items()))
    correlation, seen = example.patch_map, example.image.shape[:2]
    marked = image if correlation is None else correlation.marked(image, seen)
    yield Panel("picture", "picture", "", unplaced), marked
    if truth is not None:
        yield Panel("truth", "truth", "", unplaced), _named_regions(_painted(image, truth), truth, truth, names)
    for method, own in shown.items():
        score = example.ious.get(method, np.nan)
        title = method if np.isnan(score) else f"{method}: mIoU {score:.1f}"
        yield Panel("prediction", title, method, unplaced), _painted(image, own)
    if truth is not None and example.truth is not None:
        scored = example.truth >= 0
        wrong = (example.predictions[main] != example.truth)[scored]
        share = f": {100 * wrong.mean():.1f} %" if wrong.size else ""
        yield Panel("errors", f"errors of {main}{share}", "", unplaced), _errors(image, labels, truth)
    if example.regions is not None and (example.regions >= 0).any():
        regions = _resized(example.regions, size)
        count = len(np.unique(example.regions[example.regions >= 0]))
        painted = _named_regions(_painted(image, labels, regions), regions, labels, names)
        yield Panel("regions", f"{count} regions of {main}", "", unplaced), painted
    if correlation is not None:
        row, column = correlation.patch
        title = f"patch {row},{column}: denoised correlation"
        note = f"0 is dark, {correlation.highest:.2f} light"
        yield Panel("patch", title, "", unplaced, note), correlation.panel(seen, size)


def _resized(labels: LabelMap, size: tuple[int, int]) -> LabelMap:
    """Labels at another (width, height), each pixel taken from its nearest."""
    return np.array(Image.fromarray(labels.astype(np.int32)).resize(size, Image.Resampling.NEAREST))


def _painted(image: Picture, labels: LabelMap, outlined: LabelMap | None = None) -> Picture:
    """Labels over the picture, what is not scored hatched, with outlines of `outlined` (by default the labels)."""
    # Without the picture's own hue, the label's is seen.
    light = Image.fromarray(image).convert("L").convert("RGB")
    painted = np.array(Image.blend(light, Image.fromarray(colourise(labels)), 0.7))
    _hatch_void(painted, image, labels)
    painted[_edges(labels if outlined is None else outlined)] = INK
    return painted


def _edges(labels: LabelMap) -> NDArray[np.bool_]:
    """(H, W), true at the left and upper side of every border between labels."""
    edges = np.zeros(labels.shape, dtype=bool)
    edges[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    edges[:-1] |= labels[1:] != labels[:-1]
    return edges


def _grey(image: Picture) -> Picture:
    """(H, W, 3) uint8 without colour and lightened."""
    light = Image.fromarray(image).convert("L").point(lambda value: 110 + value // 2)
    return np.array(light.convert("RGB"))


def _hatch_void(painted: Picture, image: Picture, labels: LabelMap) -> None:
    """Where labels are negative, paints the picture in grey under a diagonal hatch."""
    void = labels < 0
    if void.any():
        painted[void] = _grey(image)[void]
        rows, columns = np.nonzero(void)
        lines = (rows + columns) % 8 < 2
        painted[rows[lines], columns[lines]] = INK


def _errors(image: Picture, labels: LabelMap, truth: LabelMap) -> Picture:
    """Wrong pixels in vermilion over the grey picture, what is not scored hatched."""
    wrong = (labels != truth) & (truth >= 0)
    errors = _grey(image)
    errors[wrong] = (0.3 * errors[wrong] + 0.7 * np.array(WRONG)).round().astype(np.uint8)
    _hatch_void(errors, image, truth)
    errors[_edges(wrong)] = INK
    return errors


def _named_regions(painted: Picture, regions: LabelMap, labels: LabelMap, names: Sequence[str]) -> Picture:
    """Writes into each region the name that it took, largest first, where there is room."""
    page = Image.fromarray(painted)
    draw = ImageDraw.Draw(page)
    height, width = regions.shape
    numbers, counts = np.unique(regions[regions >= 0], return_counts=True)
    taken: list[tuple[float, float, float, float]] = []
    for number in numbers[np.argsort(-counts)][:24]:
        row, column = innermost(regions == number)
        text = clipped(names[labels[row, column]], width - 8)
        half = font(TEXT).getlength(text) / 2 + 3
        x = min(max(float(column), half), width - half)
        y = min(max(float(row), TEXT / 2 + 2), height - TEXT / 2 - 2)
        box = (x - half, y - TEXT / 2, x + half, y + TEXT / 2)
        if any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            continue
        taken.append(box)
        draw.text((x, y), text, "white", font(TEXT), anchor="mm", stroke_width=2, stroke_fill=INK)
    return np.array(page)


def _legend(example: Example, names: Sequence[str]) -> Iterator[tuple[int | None, str]]:
    """Label (-1 for void, None for a heading) and text of each entry: the truth's classes, then others predicted."""
    predicted = np.bincount(np.concatenate([labels.ravel() for labels in example.predictions.values()]))
    true = predicted[:0] if example.truth is None else np.bincount(example.truth[example.truth >= 0])
    in_truth = [label for label in np.argsort(-true, kind="stable").tolist() if true[label]]
    others = [label for label in np.argsort(-predicted, kind="stable").tolist() if predicted[label]]
    others = [label for label in others if label not in in_truth]
    groups = (("in the truth:", in_truth), ("only predicted:" if in_truth else "predicted:", others))
    for heading, labels in groups:
        if labels:
            yield None, heading
            yield from ((label, names[label]) for label in labels[:_LEGEND])
            if len(labels) > _LEGEND:
                yield None, f"and {len(labels) - _LEGEND} smaller ones"
    if example.truth is not None and (example.truth < 0).any():
        yield -1, "not scored"


def _flow(entries: Sequence[tuple[int | None, str]], wide: int) -> tuple[list[tuple[int, int]], int]:
    """Places (x, y) of legend entries wrapped to a width, and the height that they take."""
    places = []
    x, y = GAP, GAP
    for label, text in entries:
        needed = int(font(TEXT).getlength(text)) + (0 if label is None else 2 * TEXT + 6)
        if x > GAP and x + needed > wide - GAP:
            x, y = GAP, y + TEXT + GAP
        places.append((x, y))
        x += needed + 2 * GAP
    return places, y + TEXT + 2 * GAP


def _columns(count: int, cell: tuple[int, int]) -> int:
    """Panels a row, for a page that is a little wider than high with few empty places."""

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        return abs(math.log(columns * cell[0] / (rows * cell[1]) / 1.4)) + 0.3 * (rows * columns - count)

    return min(range(1, min(count, 6) + 1), key=cost)
