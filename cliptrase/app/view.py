"""Answers as what the page's script draws: pictures packed as text, colours, names and shares."""

import base64
import io
import zlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cliptrase.app.studio import Answer
from cliptrase.common.resizing import whole_size
from cliptrase.drawing.canvas import innermost
from cliptrase.drawing.overlay import Picture, palette, sampled

SIDE = 1024
"""Most pixels of the longer side of what is shown; downloads keep the picture's own size."""
_NAMED = 0.02  # share of the pixels from which on a label's name stands on the picture


def view_of(answer: Answer, cell: tuple[float, float]) -> dict[str, Any]:
    """What the page shows of an answer, as JSON holds it.

    Args:
        answer: of one or more methods.
        cell: (height, width) of a patch as shares of the picture's.

    Returns:
        `picture`, a JPEG as data URL; `width` and `height` of what is shown; `cell`; `labels`, of each label its
        `name`, `colour` (null for "none of these", which stays grey) and `share` by map; and `maps`, of each its
        method's `title`, `values`, which are 16-bit labels, row by row, packed by zlib, in base64, and `marks`: labels
        with x and y in [0, 1] where names stand.
    """
    own = answer.shown.pixels.shape
    height, width = whole_size(own[0], own[1], "own", SIDE)
    names, none = answer.vocabulary.label_names, answer.vocabulary.none_index
    shares = [np.bincount(labels.ravel(), minlength=len(names)) / labels.size for labels in answer.maps.values()]
    marked = [label for label in range(len(names)) if label != none]
    return {
        "picture": data_url(_jpeg(_reduced(answer.shown.pixels, height, width)), "jpeg"),
        "width": width,
        "height": height,
        "cell": list(cell),
        "labels": [
            {
                "name": name,
                "colour": None if label == none else palette()[label].tolist(),
                "share": [float(share[label]) for share in shares],
            }
            for label, name in enumerate(names)
        ],
        "maps": [
            {"title": method, "values": packed(small), "marks": _marks(small, marked)}
            for method, small in ((method, sampled(labels, height, width)) for method, labels in answer.maps.items())
        ],
    }


def packed(labels: NDArray[np.integer[Any]]) -> str:
    """(H, W) labels as 16-bit numbers, low byte first, packed by zlib, in base64."""
    return base64.b64encode(zlib.compress(labels.astype("<u2").tobytes())).decode()


def data_url(content: bytes, kind: str) -> str:
    """A picture file as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _jpeg(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def _reduced(picture: Picture, height: int, width: int) -> Picture:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _marks(labels: NDArray[np.integer[Any]], marked: Sequence[int]) -> list[list[float]]:
    """Label, x and y of a point deep inside the area of each of these labels that is not small."""
    height, width = labels.shape
    marks = []
    for label in marked:
        area = labels == label
        if area.mean() >= _NAMED:
            row, column = innermost(area)
            marks.append([label, (column + 0.5) / width, (row + 0.5) / height])
    return marks
