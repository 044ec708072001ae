"""TLP: propagation by an edge-aware Laplacian on a coarse grid, solved for all names at once.

Source: PEARL's "text-aware Laplacian propagation", released code (PGSmall/PEARL, commit c26062b). There the similarity
of names enters by `einsum('cc,bcij->bcij')`, which reads its diagonal alone: no name ever speaks to another.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.refinements.maps import Guide, Maps, NameMaps, UpsampledMaps

GRID = 80
"""Cells of a side that a picture is brought down to, where no option of the method says how many."""

_GREY = (0.299, 0.587, 0.114)
_STEPS = 25  # of conjugate gradients
_TEMPERATURE = 0.5  # of names' similarities
_IDENTITY = 10  # added to them
_FLOOR = 0.05  # of confidence
_SHARPNESS = 5  # of edges


def tlp(maps: NameMaps, guide: Guide) -> NameMaps:
    """Smooths the cosines of names between neighbours of like grey on a grid of about `tlp_grid` cells a side.

    The maps are pooled, names together; what is held of all names is of the grid's size. float32 whatever the
    precision.

    Args:
        maps: of all names, cosines.
        guide: of the batch; its option `tlp_grid` is the authors' 80, and 224 on Cityscapes.
    """
    grid = guide.options.get("tlp_grid", GRID)
    solved: list[UpsampledMaps] = []

    def refined() -> Maps:
        if not solved:
            size = (guide.pixels.shape[2], guide.pixels.shape[3])
            cell = (max(1, round(size[0] / grid)), max(1, round(size[1] / grid)))
            pooled = torch.cat([F.avg_pool2d(part.float(), cell) for _, part in maps()], 1)  # (B, C, h, w)
            solved.append(
                UpsampledMaps(propagate(pooled, F.avg_pool2d(guide.pixels.float(), cell), guide.text), size, size)
            )
        yield from solved[0]()

    return refined


def propagate(maps: Tensor, pixels: Tensor, text: Tensor) -> Tensor:
    """Solves (diag(confidence) + Laplacian of the edges) X = confidence * maps, each picture by itself.

    Args:
        maps: (B, C, h, w) cosines of names on the grid.
        pixels: (B, 3, h, w) normalised.
        text: (C, E) unit embeddings of the names.

    Returns:
        (B, C, h, w) float32.
    """
    with torch.autocast(maps.device.type, enabled=False):
        alike = _self_similarity(text.float())
        return torch.stack(
            [_solve(one.float(), picture.float(), alike) for one, picture in zip(maps, pixels, strict=True)]
        )


def _self_similarity(text: Tensor) -> Tensor:
    """(C,) what each name's similarity to itself is of its similarities to all."""
    similarity = (text @ text.T / _TEMPERATURE).softmax(1)
    similarity.diagonal().add_(_IDENTITY)
    return similarity.diagonal() / (similarity.sum(1) + 1e-6)


def _solve(maps: Tensor, pixels: Tensor, alike: Tensor) -> Tensor:
    """`propagate` of one picture: (C, h, w), (3, h, w) and (C,) to (C, h, w)."""
    probability = maps.softmax(0)
    weighted = alike.view(-1, 1, 1) * probability
    confidence = probability.amax(0).clamp_min(_FLOOR).square()
    confidence = confidence * (1 + (weighted * probability).sum(0).clamp(0, 1))  # (h, w)
    grey = sum(share * channel for share, channel in zip(_GREY, pixels, strict=True))
    across = _edges(grey, probability, weighted, 1)  # (h, w - 1)
    down = _edges(grey, probability, weighted, 0)  # (h - 1, w)

    def system(values: Tensor) -> Tensor:
        result = confidence * values
        flow = across * (values[:, :, 1:] - values[:, :, :-1])
        result[:, :, 1:] += flow
        result[:, :, :-1] -= flow
        flow = down * (values[:, 1:] - values[:, :-1])
        result[:, 1:] += flow
        result[:, :-1] -= flow
        return result

    wanted = confidence * maps
    solution = maps.clone()
    residual = wanted - system(solution)
    direction = residual.clone()
    length = residual.square().sum()
    for _ in range(_STEPS):
        image = system(direction)
        step = length / ((direction * image).sum() + 1e-12)
        solution += step * direction
        residual -= step * image
        last, length = length, residual.square().sum()
        direction = residual + length / (last + 1e-12) * direction
    return solution


def _edges(grey: Tensor, probability: Tensor, weighted: Tensor, axis: int) -> Tensor:
    """Weight between neighbours along an axis: (h - 1, w) or (h, w - 1)."""
    count = grey.shape[axis] - 1
    apart = grey.diff(dim=axis).abs()
    apart = apart / (apart.mean() + 1e-6)
    alike = (weighted.narrow(axis + 1, 0, count) * probability.narrow(axis + 1, 1, count)).sum(0).clamp(0, 1)
    return ((-_SHARPNESS * apart).exp() * (1 + alike)).clamp(0, 1)
