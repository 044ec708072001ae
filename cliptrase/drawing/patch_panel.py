"""One patch's row of a correlation as a panel of a sheet."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cliptrase.drawing.canvas import heat_map, mark
from cliptrase.drawing.overlay import Picture


@dataclass(frozen=True)
class PatchMap:
    """How far every patch of a picture goes with one of them.

    Attributes:
        values: (h, w) on the patch grid.
        patch: (row, column) of the one.
        cell: (height, width) of a patch in pixels of the picture; the grid may reach beyond it right and below.
    """

    values: NDArray[np.floating]
    patch: tuple[int, int]
    cell: tuple[float, float]

    @property
    def highest(self) -> float:
        """The highest value of the other patches: a patch's own would make the rest dark."""
        others = self.values.copy()
        others[self.patch] = 0
        return max(float(others.max()), 1e-6)

    def panel(self, picture: tuple[int, int], size: tuple[int, int]) -> Picture:
        """The values in colours of `visualization.heat`, the patch framed.

        Args:
            picture: (height, width) of the picture in pixels.
            size: (width, height) of the panel.

        Returns:
            (height, width, 3) uint8.
        """
        reach = [count * side for count, side in zip(self.values.shape, self.cell, strict=True)]
        whole = (round(size[0] * reach[1] / picture[1]), round(size[1] * reach[0] / picture[0]))
        shown = heat_map(self.values, whole, self.highest).crop((0, 0, *size))
        return self.marked(np.array(shown), picture)

    def marked(self, panel: Picture, picture: tuple[int, int]) -> Picture:
        """A panel of the picture with a frame around the patch; for `picture` see `panel`."""
        page = Image.fromarray(panel)
        high, wide = (
            side * shown / full for side, shown, full in zip(self.cell, panel.shape[:2], picture, strict=True)
        )
        row, column = self.patch
        mark(ImageDraw.Draw(page), (column * wide, row * high, (column + 1) * wide, (row + 1) * high))
        return np.array(page)
