"""Run lengths equal pycocotools', for every label of any label map."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco

from cliptrase.exports import run_lengths
from cliptrase.exports.run_lengths import compressed, encode, find_runs
from tests.kit import scene


def label_maps() -> Iterator[NDArray[np.integer]]:
    rng = np.random.default_rng(7)
    yield np.zeros((1, 1), dtype=np.uint8)
    yield np.array([[0, -1], [-1, 0]])
    yield np.full((3, 5), 7, dtype=np.uint16)
    for height, width, labels in ((1, 40, 2), (40, 1, 2), (7, 9, 3), (31, 17, 300)):
        yield rng.integers(-1, labels, (height, width))
    yield scene(3, 60, 90)[1]
    yield np.asfortranarray(scene(4, 211, 130)[1].astype(np.uint8))
    striped = np.zeros((2000, 700), dtype=np.uint8)  # runs that need several characters
    striped[5:1990, 3:600:2] = 1
    striped[1000] = 2
    yield striped


@pytest.mark.parametrize("labels", list(label_maps()), ids=lambda labels: str(labels.shape))
@pytest.mark.parametrize("pixels", [1, 100, 1 << 22])
def test_equal_to_pycocotools(labels: NDArray[np.integer], pixels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_lengths, "_PIXELS", pixels)
    found = {one.label: one for one in encode(find_runs(labels))}
    assert list(found) == np.unique(labels[labels >= 0]).tolist()
    for label, one in found.items():
        expected = coco.encode(np.asfortranarray((labels == label).astype(np.uint8)))
        assert one.counts == expected["counts"].decode()
        assert one.area == coco.area(expected)
        assert list(one.bbox) == coco.toBbox(expected).tolist()


def test_any_run_length_is_compressed() -> None:
    """Back again by COCO's rules, one character after the other."""
    counts = np.random.default_rng(3).integers(0, 1 << 33, 500)
    counts[:6] = 0, 1, 15, 16, 31, (1 << 40) + 5
    text, place = compressed(counts), 0
    found: list[int] = []
    while place < len(text):
        value, shift = 0, 0
        while True:
            bits = ord(text[place]) - 48
            value |= (bits & 0x1F) << shift
            place, shift = place + 1, shift + 5
            if not bits & 0x20:
                break
        if bits & 0x10:
            value -= 1 << shift
        found.append(value + (found[-2] if len(found) > 2 else 0))
    assert found == counts.tolist()
