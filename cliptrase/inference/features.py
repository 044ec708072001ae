"""Dense features of one picture: a vector for each patch, and where the patch lies."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.requirements import loaded_reading
from cliptrase.common.errors import InputError
from cliptrase.drawing.patch_panel import PatchMap
from cliptrase.methods import Method
from cliptrase.ops.classification import Size


@dataclass(frozen=True, eq=False, repr=False)
class PatchFeatures:
    """What a method, or a block of the tower, says of each patch of a picture.

    Attributes:
        values: (h, w, D) float32, row by row from the top left, as they were read: not of unit length; see `unit`.
        class_token: (D,) float32, the class token's.
        in_text_space: whether they went through ln_post and the projection, so that their cosines with text embeddings
            mean something; D is then the text's width E, else the tower's width W.
        size: (height, width) of the picture in its own pixels.
        reach: (height, width) in the picture's own pixels that the grid is stretched over: the last row and column may
            reach beyond the picture.
    """

    values: Tensor
    class_token: Tensor
    in_text_space: bool
    size: Size
    reach: Size

    def __repr__(self) -> str:
        """Shapes: the numbers would fill the screen."""
        (h, w), (height, width) = self.grid, self.size
        space = "in the space of texts" if self.in_text_space else "in the tower's own space"
        return f"PatchFeatures({h} x {w} patches of {height} x {width} pixels, {self.values.shape[2]} numbers {space})"

    @property
    def grid(self) -> Size:
        """(h, w) patches."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def unit(self) -> Tensor:
        """(h, w, D) the values, each of length 1."""
        return F.normalize(self.values, dim=-1)

    @property
    def boxes(self) -> Tensor:
        """(h, w, 4) float64 left, top, right and bottom border of each patch in the picture's own pixels."""
        down, across = (
            torch.arange(count + 1, dtype=torch.float64) * reach / count
            for count, reach in zip(self.grid, self.reach, strict=True)
        )
        top, left = torch.meshgrid(down[:-1], across[:-1], indexing="ij")
        bottom, right = torch.meshgrid(down[1:], across[1:], indexing="ij")
        return torch.stack([left, top, right, bottom], -1)

    def patch_at(self, x: float, y: float) -> tuple[int, int]:
        """(row, column) of the patch at a point of the picture, in its own pixels from the top left.

        Raises:
            InputError: the point is not in the picture.
        """
        if not (0 <= x < self.size[1] and 0 <= y < self.size[0]):
            raise InputError(
                f"the point {x}, {y} is outside the picture of {self.size[1]} x {self.size[0]} pixels (width x height)"
            )
        row, column = (int(at * count / reach) for at, count, reach in zip((y, x), self.grid, self.reach, strict=True))
        return row, column

    def similarity(self, row: int, column: int) -> Tensor:
        """(h, w) in [-1, 1], cosine of one patch with every patch.

        Raises:
            InputError: the patch is outside the grid.
        """
        height, width = self.grid
        if not (0 <= row < height and 0 <= column < width):
            raise InputError(
                f"patch {row}, {column} is outside the grid of {height} x {width} patches; give a row of 0 to "
                f"{height - 1} and a column of 0 to {width - 1}"
            )
        unit = self.unit
        return (unit @ unit[row, column]).clamp(-1, 1)

    def picture(self, row: int, column: int) -> Image.Image:
        """`similarity` in colours at the picture's own size, the patch framed; 0 and less are darkest.

        Raises:
            InputError: see `similarity`.
        """
        values = self.similarity(row, column).cpu().numpy()
        cell = (self.reach[0] / self.grid[0], self.reach[1] / self.grid[1])
        return Image.fromarray(PatchMap(values, (row, column), cell).panel(self.size, (self.size[1], self.size[0])))


def block_of(method: Method, blocks: int, layer: int | None) -> int:
    """A block, counted from 0, whose features a method has.

    Raises:
        InputError: there is no such block, or a second stream of the method runs through it.
    """
    if layer is None:
        return blocks - 1
    if isinstance(layer, bool) or not isinstance(layer, int) or not -blocks <= layer < blocks:
        raise InputError(
            f"`layer` {layer!r} is no block of this tower; give 0 to {blocks - 1}, or -{blocks} to -1 from the end"
        )
    block = layer % blocks
    first = blocks - loaded_reading(method).depth
    if first <= block < blocks - 1:
        raise InputError(
            f"method {method.name} has a second stream from block {first} on, and features of its last block only; "
            f"give a layer below {first}, or none"
        )
    return block
