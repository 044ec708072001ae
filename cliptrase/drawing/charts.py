"""Charts of a run as pictures, for places that take no HTML."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cliptrase.drawing.canvas import GAP, INK, TEXT, clipped, font
from cliptrase.drawing.overlay import Picture

BAR = (0, 114, 178)  # blue of Okabe and Ito
_NAMES = 190  # width of a class name in pixels
_TRACK = 260  # width of a bar of 100 percent
_ROWS = 40  # most classes in one column


def class_bars(names: Sequence[str], ious: Sequence[float], title: str) -> Picture:
    """Per-class IoU as horizontal bars, highest first, in columns of 40.

    Args:
        names: of the classes shown.
        ious: of each, percent.
        title: above the chart.

    Returns:
        (height, width, 3) uint8.
    """
    order = np.argsort(-np.array(ious), kind="stable")
    rows = min(max(len(order), 1), _ROWS)
    columns = max(1, -(-len(order) // rows))
    line, cell = TEXT + 6, _NAMES + _TRACK + 5 * TEXT
    page = Image.new("RGB", (columns * cell + GAP, 2 * TEXT + rows * line + GAP), "white")
    draw = ImageDraw.Draw(page)
    draw.text((GAP, TEXT), clipped(title, page.width - 2 * GAP), INK, font(TEXT), anchor="lm")
    for place, index in enumerate(order):
        left, top = GAP + place // rows * cell, 2 * TEXT + place % rows * line
        middle, start = top + line // 2, left + _NAMES + GAP
        draw.text((left + _NAMES, middle), clipped(names[index], _NAMES), INK, font(TEXT), anchor="rm")
        draw.rectangle((start, top + 3, start + _TRACK, top + line - 3), (235, 235, 235))
        draw.rectangle((start, top + 3, start + round(_TRACK * ious[index] / 100), top + line - 3), BAR)
        draw.text((start + _TRACK + 8, middle), f"{ious[index]:.1f}", INK, font(TEXT), anchor="lm")
    return np.array(page)


def confusion_picture(confusion: NDArray[np.int64], names: Sequence[str], title: str, most: int = 12) -> Picture:
    """The part of a confusion matrix where the most is confused: rows true, columns predicted, percent of a row.

    Args:
        confusion: (C, C), rows are ground truth.
        names: of all C labels.
        title: above the matrix.
        most: classes shown.

    Returns:
        (height, width, 3) uint8.
    """
    wrong = confusion - np.diag(confusion.diagonal())
    involved = wrong.sum(0) + wrong.sum(1)
    chosen = np.sort(np.argsort(-involved, kind="stable")[:most])
    chosen = chosen[(involved + confusion.diagonal())[chosen] > 0]
    shares = confusion[np.ix_(chosen, chosen)] / np.maximum(confusion.sum(1)[chosen, None], 1)
    side, head = 44, 150
    size = (_NAMES + 2 * GAP + side * max(len(chosen), 4) + GAP, 2 * TEXT + head + side * len(chosen) + 3 * TEXT)
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    draw.text((GAP, TEXT), clipped(title, page.width - 2 * GAP), INK, font(TEXT), anchor="lm")
    left, top = _NAMES + 2 * GAP, 2 * TEXT + head
    for row, label in enumerate(chosen):
        middle = top + row * side + side // 2
        draw.text((left - GAP, middle), clipped(names[label], _NAMES), INK, font(TEXT), anchor="rm")
        upright = Image.new("RGB", (head, side), "white")
        ImageDraw.Draw(upright).text((4, side // 2), clipped(names[label], head - 8), INK, font(TEXT), anchor="lm")
        page.paste(upright.rotate(90, expand=True), (left + row * side, top - head))
        for column, share in enumerate(shares[row]):
            x, y = left + column * side, top + row * side
            tone = tuple(round(255 - share * (255 - channel)) for channel in BAR)
            draw.rectangle((x, y, x + side, y + side), tone, (210, 210, 210))
            if share >= 0.005:
                ink = "white" if share > 0.5 else INK
                draw.text((x + side // 2, y + side // 2), f"{100 * share:.0f}", ink, font(TEXT), anchor="mm")
    draw.text((GAP, page.height - TEXT), "rows: truth, columns: prediction", INK, font(TEXT), anchor="lm")
    return np.array(page)
