"""Polygons hold the very pixels of a mask: drawn again and by their areas."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy import ndimage

from cliptrase.exports import outlines
from cliptrase.exports.outlines import Ring, polygons
from tests.kit import scene


def masks() -> Iterator[NDArray[np.integer]]:
    rng = np.random.default_rng(11)
    yield np.zeros((4, 5), dtype=int)
    yield np.ones((1, 1), dtype=int)
    yield np.array([[1, 0], [0, 1]])
    yield np.array([[0, 1], [1, 0]])
    yield np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]])  # a hole that meets the outside at a corner
    yield np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1]])
    yield np.pad(np.pad(np.pad(np.ones((1, 1), dtype=int), 1), 2, constant_values=1), 1)  # an island in a hole
    for shape, share in (((1, 30), 0.5), ((30, 1), 0.5), ((13, 17), 0.3), ((40, 33), 0.5), ((29, 31), 0.8)):
        yield (rng.random(shape) < share).astype(int)
    yield scene(3, 60, 90)[1]


def area(ring: Ring) -> float:
    """Shoelace; above 0 for clockwise as one sees it, for rows go down."""
    x, y = np.array(ring, dtype=float).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def drawn(rings: list[Ring], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose middles lie within an odd number of rings: each row by the sides to their left."""
    found = np.zeros(size, dtype=np.int64)
    for ring in rings:
        for (x, y), (other, below) in pairwise(ring):
            if x == other:
                found[min(y, below) : max(y, below), x:] += 1
    return found % 2 == 1


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: str(mask.shape))
@pytest.mark.parametrize("pixels", [1, 1 << 22])
def test_polygons_hold_the_masks_pixels(
    mask: NDArray[np.integer], pixels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlines, "_PIXELS", pixels)
    found = polygons(mask, 1)
    components, count = ndimage.label(mask == 1)  # that share sides
    assert len(found) == count
    together = np.zeros(mask.shape, dtype=int)
    for polygon in found:
        outer, holes = polygon[0], polygon[1:]
        assert area(outer) > 0
        assert all(area(hole) < 0 for hole in holes)
        shape = drawn(polygon, mask.shape)
        assert sum(map(area, polygon)) == shape.sum()
        (number,) = np.unique(components[shape])  # a polygon is one component, with its own holes
        assert number > 0
        assert np.array_equal(shape, components == number)
        together += shape
        for ring in polygon:
            steps = np.abs(np.diff(np.array(ring), axis=0))
            assert ((steps > 0).sum(1) == 1).all()  # sides along rows and columns in turn, none of no length
            assert (steps[1:, 0] > 0).tolist() == (steps[:-1, 0] == 0).tolist()
    assert np.array_equal(together, mask == 1)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and NumPy 2
def test_other_tools_draw_the_same() -> None:
    """pycocotools, which has no holes: they are taken off."""
    mask = np.ascontiguousarray(scene(3, 60, 90)[1])
    mask[20:30, 30:40] = 99
    for label in np.unique(mask).tolist():
        found = np.zeros(mask.shape, dtype=int)
        for polygon in polygons(mask, label):
            for ring in polygon:
                (encoded,) = coco.frPyObjects([np.array(ring[:-1], dtype=float).ravel().tolist()], *mask.shape)
                found += (1 if area(ring) > 0 else -1) * coco.decode(encoded).astype(int)
        assert np.array_equal(found, mask == label)
