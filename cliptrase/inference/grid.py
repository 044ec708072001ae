"""How a grid of patches lies on a label map, along one axis: which pixels a patch covers, and what it gives back."""

from typing import NamedTuple

import torch
from torch import Tensor

from cliptrase.inference.window_maps import WindowAxis
from cliptrase.ops.upsampling import bilinear_matrix


class GridAxis(NamedTuple):
    """The patches of a picture, or of all its windows one after the other, along one axis of a label map.

    Attributes:
        covers: (patches, length) float32, 1 where a pixel's centre lies in a patch.
        back: (length, patches) float32, from maps on the grid to maps of the label map's size, as methods bring theirs.
    """

    covers: Tensor
    back: Tensor


def picture_axis(patches: int, canvas: int, length: int, device: torch.device) -> GridAxis:
    """Patches of a picture that the tower sees whole.

    Args:
        patches: along the axis.
        canvas: pixels that they are stretched over.
        length: pixels of the label map, the first of the canvas.
        device: of the result.
    """
    centres = torch.arange(length, device=device, dtype=torch.float64) + 0.5
    patch = torch.arange(patches, device=device).unsqueeze(1)
    covers = (centres * patches / canvas).long() == patch
    return GridAxis(covers.float(), bilinear_matrix(patches, canvas, device)[:length])


def windows_axis(axis: WindowAxis, patches: int, device: torch.device) -> GridAxis:
    """Patches of all windows along an axis; windows overlap, so that a pixel may lie in several patches.

    Args:
        axis: of the windows.
        patches: of a window along the axis.
        device: of the result.
    """
    centres = (torch.arange(axis.size, device=device, dtype=torch.float64) + 0.5) * axis.length / axis.size
    inside = centres - torch.tensor(axis.starts, device=device).unsqueeze(1)  # (windows, size)
    patch = torch.arange(patches, device=device).view(1, -1, 1)
    number = (inside * patches / axis.side).floor().long().unsqueeze(1)  # (windows, 1, size)
    return GridAxis((number == patch).float().flatten(0, 1), axis.whole().matrix(patches, device))


def seam_places(axis: WindowAxis) -> list[tuple[int, int]]:
    """Where windows begin or end inside a label map: the last pixel before and the first pixel after each such border.

    Where the label map is larger than the picture, pixels between the two are blends of both sides.

    >>> seam_places(WindowAxis([0, 4, 6], 6, 12, 12))
    [(3, 4), (5, 6), (9, 10)]
    >>> seam_places(WindowAxis([0, 4, 6], 6, 12, 24))
    [(6, 9), (10, 13), (18, 21)]
    """
    ends = {start + axis.side for start in axis.starts}
    places = []
    for border in sorted((ends | set(axis.starts)) - {0, axis.length}):
        before = ((2 * border - 1) * axis.size - axis.length) // (2 * axis.length)
        after = -((axis.length - (2 * border + 1) * axis.size) // (2 * axis.length))
        if 0 <= before < after < axis.size:
            places.append((before, after))
    return places
