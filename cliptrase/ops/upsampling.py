"""Which of many maps is highest at every pixel after bilinear upsampling, without upsampling most of them.

Pixels between the same four patches form a cell, and inside a cell a bilinear map stays between its values at the
four corners. A map that lies below one and the same other map at all four corners is therefore nowhere the highest
inside; the few maps that are highest by their least corner or by all four together are what others are compared with.
What is left, a handful of maps a cell however many there are, is upsampled cell by cell under a running maximum: cost
and memory hardly grow with the number of maps. On a GPU a kernel keeps that maximum over all maps.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from cliptrase.ops import kernels
from cliptrase.ops.classification import Size
from cliptrase.ops.pixel_positions import pixel_positions

# Of the largest magnitude: far above what rounding moves an upsampled value (some 5e-7), so that leaving maps out
# never changes the result, ties included.
_MARGIN = 1e-5
_RIVALS = 3  # by their least corner, and as many by all four together
# Cells upsampled at a time: a CPU wants their pixels in its cache, a GPU wants few kernels.
_CELLS = {"cpu": 512, "cuda": 1 << 20}


class _Candidates(NamedTuple):
    """Maps that may be the highest in each cell.

    Attributes:
        name: candidates of all cells, cell by cell in rising order.
        start: (cells,) position of each cell's first.
        number: (cells,) how many each cell has.
    """

    name: Tensor
    start: Tensor
    number: Tensor


class _Axis(NamedTuple):
    """How pixels of one axis lie between patches: cell j is between patch j - 1 and patch j, cells 0 and n outside.

    Attributes:
        share: (n + 1, r) what the upper patch gives to each of a cell's pixels, of which there are at most r.
        slot: (length,) number of a pixel's place when all cells' places are laid end to end.
    """

    share: Tensor
    slot: Tensor


def _axis(patches: int, length: int, device: torch.device) -> _Axis:
    """See `_Axis`."""
    cell, pixel_share = pixel_positions(patches, length, device)
    sizes = torch.bincount(cell, minlength=patches + 1)
    place = torch.arange(length, device=device) - (sizes.cumsum(0) - sizes)[cell]
    most = int(sizes.max())
    share = torch.zeros(patches + 1, most, device=device)
    share[cell, place] = pixel_share
    return _Axis(share, cell * most + place)


def bilinear_matrix(patches: int, length: int, device: torch.device) -> Tensor:
    """(length, patches) matrix that upsamples one axis bilinearly (align_corners false)."""
    cell, share = pixel_positions(patches, length, device)
    low, high = (cell - 1).clamp_min(0), cell.clamp_max(patches - 1)  # (length,)
    matrix = torch.zeros(length, patches, device=device)
    matrix.scatter_add_(1, low.unsqueeze(1), 1 - share.unsqueeze(1))
    return matrix.scatter_add_(1, high.unsqueeze(1), share.unsqueeze(1))


def bilinear_rows(patches: int, length: int, first: int, last: int, device: torch.device) -> tuple[Tensor, int, int]:
    """Rows `first` to `last`, which is not one, of `bilinear_matrix`, without the columns that are zero on both sides.

    Returns:
        (last - first, high - low) matrix, low, high.
    """
    cell, share = (values[first:last] for values in pixel_positions(patches, length, device))
    below, above = (cell - 1).clamp_min(0), cell.clamp_max(patches - 1)
    low, high = int(below.min()), int(above.max()) + 1
    matrix = torch.zeros(last - first, high - low, device=device)
    matrix.scatter_add_(1, (below - low).unsqueeze(1), 1 - share.unsqueeze(1))
    return matrix.scatter_add_(1, (above - low).unsqueeze(1), share.unsqueeze(1)), low, high


def upsampled_argmax(maps: Tensor, size: Size, weight: Tensor | None = None) -> Tensor:
    """Index of the highest map at every pixel after bilinear upsampling (align_corners false); the lowest on a tie.

    Args:
        maps: (B, C, h, w) float32.
        size: (H, W) of the result.
        weight: (B, C) factors of any sign applied after the upsampling (class-token weighting), or None.

    Returns:
        (B, H, W) int64 in [0, C).
    """
    if kernels.usable(maps.device):
        return kernels.highest_map(maps, size, weight)
    batch, _, height, width = maps.shape
    vertical, horizontal = _axis(height, size[0], maps.device), _axis(width, size[1], maps.device)
    rows = torch.arange(-1, height + 1, device=maps.device).clamp(0, height - 1)
    columns = torch.arange(-1, width + 1, device=maps.device).clamp(0, width - 1)
    padded = maps.permute(0, 2, 3, 1)[:, rows][:, :, columns]  # (B, h + 2, w + 2, C), edges repeated

    candidates = _candidates(padded if weight is None else padded * weight[:, None, None])
    shape = (len(candidates.start), vertical.share.shape[1], horizontal.share.shape[1])  # (cells, r, s)
    winner = candidates.name[candidates.start].int().view(-1, 1, 1).expand(shape).contiguous()
    contested = candidates.number.argsort(descending=True, stable=True)[: int((candidates.number > 1).sum())]
    for part in contested.split(_CELLS["cpu" if maps.device.type == "cpu" else "cuda"]):
        winner[part] = _cell_argmax(padded, weight, vertical, horizontal, candidates, part)

    places = winner.view(batch, height + 1, width + 1, *shape[1:]).transpose(2, 3)  # (B, h + 1, r, w + 1, s)
    places = places.flatten(3).flatten(1, 2)  # (B, (h + 1) * r, (w + 1) * s)
    return places[:, vertical.slot][:, :, horizontal.slot].long()


def _corners(padded: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(B, h + 2, w + 2, C) to what every cell has above left, above right, below left, below right."""
    return padded[:, :-1, :-1], padded[:, :-1, 1:], padded[:, 1:, :-1], padded[:, 1:, 1:]


def _candidates(padded: Tensor) -> _Candidates:
    """Candidates among (B, h + 2, w + 2, C) of each of B * (h + 1) * (w + 1) cells, row-major."""
    corners = _corners(padded)
    few = min(_RIVALS, padded.shape[-1])
    value = corners[0] + corners[1]  # (B, h + 1, w + 1, C)
    by_middle = value.add_(corners[2]).add_(corners[3]).topk(few).indices
    least = torch.minimum(*corners[:2], out=value)
    for corner in corners[2:]:
        torch.minimum(least, corner, out=least)
    rivals = torch.stack([least.topk(few).indices, by_middle], -1).flatten(3)  # (B, h + 1, w + 1, R)
    del value, least
    margin = _MARGIN * max(abs(bound) for bound in padded.aminmax())
    bounds = [corner.gather(-1, rivals) - margin for corner in corners]
    possible = torch.ones_like(corners[0], dtype=torch.bool)
    for rival in range(2):
        below = torch.ones_like(possible)
        for corner, bound in zip(corners, bounds, strict=True):
            below &= corner < bound[..., rival : rival + 1]
        possible &= below.logical_not_()
    cell, name = possible.flatten(0, 2).nonzero(as_tuple=True)
    # Two rivals leave little, and so the others look at nothing else.
    below = torch.ones(len(name), rivals.shape[-1] - 2, dtype=torch.bool, device=name.device)
    height, width = possible.shape[1:3]
    place = cell // (height * width), cell // width % height, cell % width
    for corner, bound in zip(corners, bounds, strict=True):
        below &= corner[*place, name].unsqueeze(1) < bound.flatten(0, 2)[cell, 2:]
    kept = ~below.any(1)
    cell, name = cell[kept], name[kept]
    number = torch.bincount(cell, minlength=possible[..., 0].numel())
    return _Candidates(name, number.cumsum(0) - number, number)


def _cell_argmax(
    padded: Tensor, weight: Tensor | None, vertical: _Axis, horizontal: _Axis, candidates: _Candidates, cells: Tensor
) -> Tensor:
    """Highest candidate at every pixel of some cells, ordered by falling number of candidates.

    Args:
        padded: (B, h + 2, w + 2, C).
        weight: (B, C) or None.
        vertical: rows.
        horizontal: columns.
        candidates: of all cells.
        cells: (n,) numbers of some cells.

    Returns:
        (n, r, s) int32.
    """
    _, height, width, names = padded.shape
    flat = padded.reshape(-1)
    image = cells // ((height - 1) * (width - 1))
    row, column = cells // (width - 1) % (height - 1), cells % (width - 1)
    corner = ((image * height + row) * width + column) * names  # (n,) where the corner above left starts in `flat`
    lower, right = vertical.share[row].T.contiguous(), horizontal.share[column].T.contiguous()  # (r, n), (s, n)
    # Cells come last: with pixels first every step is plain arithmetic on long rows, over cells that still compete.
    best = lower.new_full((len(lower), len(right), len(cells)), float("-inf"))
    winner = torch.zeros(best.shape, dtype=torch.int32, device=best.device)
    start = candidates.start[cells]
    competing = (
        torch.bincount(candidates.number[cells]).flip(0).cumsum(0).flip(0)[1:].tolist()
    )  # cells with at least 1, 2, ...
    for turn, n in enumerate(competing):
        candidate = candidates.name[start[:n] + turn]  # (n,)
        at = corner[:n] + candidate
        x, y = right[:, :n], lower[:, None, :n]
        upper_edge = flat[at] * (1 - x) + flat[at + names] * x  # (s, n)
        lower_edge = flat[at + width * names] * (1 - x) + flat[at + (width + 1) * names] * x
        value = upper_edge * (1 - y) + lower_edge * y  # (r, s, n)
        if weight is not None:
            value *= weight[image[:n], candidate]
        torch.where(value > best[..., :n], candidate.int(), winner[..., :n], out=winner[..., :n])
        torch.maximum(best[..., :n], value, out=best[..., :n])
    return winner.permute(2, 0, 1)
