"""Names in their areas: within the picture, over their own label, never over one another."""

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cliptrase.drawing.naming import named_overlay, with_names
from cliptrase.drawing.overlay import overlay
from tests.kit import scene

Box = tuple[float, float, float, float]


def written(labels: NDArray[np.integer], names: Sequence[str]) -> tuple[NDArray[np.uint8], dict[str, list[Box]]]:
    """The picture, and by text the boxes that its letters take."""
    places: dict[str, list[Box]] = {}
    draw_text = ImageDraw.ImageDraw.text

    def text(self: ImageDraw.ImageDraw, xy: tuple[float, float], shown: str, *rest: object, **more: object) -> None:
        places.setdefault(shown, []).append(self.textbbox(xy, shown, rest[1], more["anchor"]))  # type: ignore[arg-type]
        draw_text(self, xy, shown, *rest, **more)  # type: ignore[arg-type]

    with patch.object(ImageDraw.ImageDraw, "text", text):
        found = with_names(np.full((*labels.shape, 3), 90, dtype=np.uint8), labels, names)
    return found, places


@pytest.mark.parametrize("size", [(60, 90), (400, 300), (20, 1200), (1200, 60), (3000, 2000)])
def test_names_lie_in_their_areas(size: tuple[int, int]) -> None:
    labels = np.array(Image.fromarray(scene(5, 60, 90)[1].astype(np.int32)).resize(size[::-1], 0))
    names = [f"name {label}" for label in range(labels.max() + 1)]
    _, places = written(labels, names)
    boxes = [box for several in places.values() for box in several]
    assert boxes
    for text, several in places.items():
        for left, top, right, bottom in several:
            assert min(left, top) >= 0
            assert right <= size[1]
            assert bottom <= size[0]
            assert names[labels[int((top + bottom) / 2), int((left + right) / 2)]].startswith(text.rstrip("…"))
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (300, 5), (12, 12)])
def test_what_has_no_room_is_in_the_legend_alone(size: tuple[int, int]) -> None:
    labels = np.zeros(size, dtype=int)
    found, places = written(labels, ["anything"])
    assert not places
    assert (found == 90).all()
    picture = np.full((*size, 3), 90, dtype=np.uint8)
    sheet = named_overlay(picture, labels, ["anything"], np.ones(1))
    assert np.array_equal(sheet[: size[0], : size[1]], overlay(picture, labels))


def test_two_areas_of_a_label_are_named_where_both_are_large() -> None:
    labels = np.zeros((200, 300), dtype=np.int64)
    labels[20:180, 20:120] = labels[20:180, 180:280] = 1
    labels[90:94, 150:154] = 1  # a speck
    labels[5:15, 5:290] = -1
    _, places = written(labels, ["ground", "thing"])
    assert len(places["thing"]) == 2
    assert len(places["ground"]) <= 1


def test_long_names_are_cut_and_foreign_ones_are_labels() -> None:
    labels = np.zeros((200, 300), dtype=np.int64)
    labels[100:] = 1
    _, places = written(labels, ["猫", "x" * 400])
    assert "label 0" in places
    (cut,) = [text for text in places if text.endswith("…")]
    (box,) = places[cut]
    assert box[2] - box[0] <= 150
