"""ResCLIP (Yang et al., CVPR 2025): earlier blocks' attention, and likeness of patches that a first pass names alike.

Source: yvhangyang/ResCLIP @0e085f7, `clip/model.py` and `pamr.py`. Where the released code does not run what the paper
names:

- The paper joins two patches of one name that a path of that name connects; the code looks at the first distance / M of
  a straight line, M being the largest distance on the grid: on 14 x 14 patches it reaches the far end for 2 % of pairs,
  and neighbours always count as connected.
- The paper groups by class; the code groups by name, so that two synonyms of a class are two things.
- Its switches `use_rcs` and `use_sfr` are tuples, by a comma behind each, and tuples are true: neither part can be
  switched off. Here `-sfr` leaves the second out.
- Weights of pairs are rounded to float16, alone and times `lambda_s`, also where all else is float32.
- They are smoothed along the flattened patches, so that the end of each row of the grid runs into the next row.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.attention import Projections, nearness, neighbour_key
from cliptrase.clip.trunk import Trunk
from cliptrase.ops.classification import Size, patch_logits
from cliptrase.readings.base import reading
from cliptrase.refinements.maps import Maps, UpsampledMaps, highest
from cliptrase.refinements.pamr import affinities, neighbours, propagate

_BLOCKS = (5, 6, 7, 8)
_SCALE = 40  # of cosines before the softmax over names
_SIGMA, _TAPS = 5, 31  # of Gaussians, in patches, and of the one along the flattened patches
_PAIRS = 1 << 20  # of patches whose lines are looked at at once
_LOGITS = 1 << 24  # pairs of tokens whose addend is held at once: 64 MiB


def correlated_blocks(blocks: int) -> tuple[int, ...]:
    """Blocks whose attention is averaged, counted from 0: 5 to 8 of every tower that has them, as released.

    A shallower tower has no released choice and takes those as deep in proportion to twelve: 2, 3 and 4 of six.

    Args:
        blocks: of the tower.
    """
    if blocks > _BLOCKS[-1]:
        return _BLOCKS
    return tuple(sorted({number * blocks // 12 for number in _BLOCKS}))


def _needed(blocks: int) -> tuple[int, ...]:
    return (*correlated_blocks(blocks), -1)


@reading(projections=_needed)
def resclip_rcs(trunk: Trunk) -> Tensor:
    """Its first part alone, "residual cross-correlation self-attention". Returns (B, N+1, E).

    tau_r ((1 - lambda_r) softmax(k k^T s + w) + lambda_r C) v, without residual connection and MLP; w is NACLIP's
    Gaussian, C the mean of softmax(q k^T s) over `correlated_blocks`, head by head, class token included.
    """
    return _mixed(trunk, neighbour_key(trunk.projections(-1)), _cross_correlated(trunk))


@reading(projections=_needed, text=True)
def resclip(trunk: Trunk) -> Tensor:
    """Both parts. Returns (B, N+1, E).

    `resclip_rcs` names patches by `trunk.text`, see `patch_names`; a second pass then attends by "semantic feedback
    refinement": in place of k k^T s stands tau_s ((1 - lambda_s) k k^T s + lambda_s F), F being `pair_weights`.
    """
    p, options = trunk.projections(-1), trunk.options
    earlier = _cross_correlated(trunk)
    with torch.no_grad():
        first = _mixed(trunk, neighbour_key(p), earlier)
        names = patch_names(first[:, 1:], trunk, options["temp_thd"])
        weights = pair_weights(names) * options["lambda_s"]  # float16
    scale = options["tau_s"] * (1 - options["lambda_s"]) * p.key.shape[-1] ** -0.5
    return _mixed(trunk, _attend_alike(p, weights, scale, options["tau_s"]), earlier)


def _cross_correlated(trunk: Trunk) -> Tensor:
    """C v, (B, H, N+1, D): one attention after the other, so that C, (N+1)^2 a head, is never held."""
    value = trunk.projections(-1).value
    chosen = [trunk.projections(block) for block in correlated_blocks(trunk.blocks)]
    total = torch.zeros_like(value)
    for p in chosen:
        total = total + F.scaled_dot_product_attention(p.query, p.key, value)
    return total / len(chosen)


def _mixed(trunk: Trunk, attended: Tensor, earlier: Tensor) -> Tensor:
    share = trunk.options["lambda_r"]
    mixed = trunk.options["tau_r"] * ((1 - share) * attended + share * earlier)
    return trunk.project(trunk.complete(-1, mixed, residual=None, mlp=False))


def _attend_alike(p: Projections, weights: Tensor, scale: float, tau: float) -> Tensor:
    """softmax(scale k k^T + tau F + w) v, some queries at a time: (B, H, N+1, D).

    Args:
        p: of the last block.
        weights: (B, N, N) of pairs of patches, float16.
        scale: of the keys' products.
        tau: of the weights.
    """
    batch, count, _ = weights.shape
    near = nearness(p.grid, _SIGMA, torch.empty(0, device=weights.device))  # (N, N)
    parts = []
    step = max(1, _LOGITS // (batch * (count + 1)))
    for first in range(0, count + 1, step):
        rows = slice(max(first - 1, 0), first + step - 1)  # the class token has none
        addend = tau * weights[:, rows].float() + near[rows]
        addend = F.pad(addend, (1, 0, 1 if first == 0 else 0, 0)).unsqueeze(1)
        query = p.key[:, :, first : first + step]
        parts.append(
            F.scaled_dot_product_attention(query, p.key, p.value, attn_mask=addend.to(p.key.dtype), scale=scale)
        )
    return torch.cat(parts, dim=2)


def patch_names(features: Tensor, trunk: Trunk, threshold: float) -> Tensor:
    """Numbers of the names that most of a patch's pixels bear, the lowest on a tie.

    Cosines are upsampled to the window, refined there by PAMR and turned into probabilities over names, not classes;
    a pixel whose best name is less probable than the threshold bears name 0. A few names at a time.

    Args:
        features: (B, N, E).
        trunk: of the pass.
        threshold: of the probability.

    Returns:
        (B, h, w) int64.
    """
    window, grid = trunk.window, trunk.grid
    size = (window.shape[2], window.shape[3])
    with torch.autocast(window.device.type, enabled=False):
        text = trunk.text.float()
        cosines = patch_logits(F.normalize(features.float(), dim=-1), text, 1.0, grid)  # (B, C, h, w)
        likeness, index = affinities(window), neighbours(window)

        def refined() -> Maps:
            for first, part in UpsampledMaps(cosines, size, size)():
                yield first, propagate(part, likeness, index)

        name, logit, log_sum = highest(refined(), _SCALE, with_sum=True)  # (B, H, W) each
        name = name.masked_fill((logit - log_sum).exp() < threshold, 0)
    return most_frequent(name, grid, trunk.patch, len(text))


def most_frequent(names: Tensor, grid: Size, patch: Size, count: int) -> Tensor:
    """The most frequent name of every patch, the lowest on a tie; pixels beyond whole patches have no say.

    Args:
        names: (B, H, W) in [0, count).
        grid: (h, w) patches, from the top left.
        patch: (height, width) in pixels.
        count: of names.

    Returns:
        (B, h, w) int64.
    """
    batch, patches = len(names), grid[0] * grid[1]
    whole = names[:, : grid[0] * patch[0], : grid[1] * patch[1]]
    tiles = whole.unflatten(2, (grid[1], patch[1])).unflatten(1, (grid[0], patch[0])).transpose(2, 3)
    tiles = tiles.reshape(batch * patches, -1)  # (B * N, pixels)
    place = torch.arange(batch * patches, device=names.device).unsqueeze(1)
    votes = torch.bincount((place * count + tiles).flatten(), minlength=batch * patches * count)
    return votes.view(batch, *grid, count).argmax(-1)


def pair_weights(names: Tensor) -> Tensor:
    """How much patches of one name belong together.

    1 for patches of one name that `_connected` joins, exp(-distance / M) for others of one name, 0 between names; then
    smoothed by a Gaussian along the flattened patches, with zeros beyond the ends; rows divided by their sum, all by
    the picture's largest. Nothing is negative, so the released code's ReLU has nothing to do. Grids of fewer than 31
    patches take the largest odd number of taps that they hold.

    Args:
        names: (B, h, w) of patches.

    Returns:
        (B, N, N) float16 in [0, 1].
    """
    batch, height, width = names.shape
    count = height * width
    taps = min(_TAPS, count - (count % 2 == 0))
    place = torch.arange(taps, dtype=torch.float32) - taps // 2
    kernel = torch.exp(-(place**2) / (2 * _SIGMA**2))
    kernel = kernel / kernel.sum()
    weights = torch.empty(batch, count, count, device=names.device)
    for first, rows in _connected(names):
        padded = F.pad(rows, (taps // 2, taps // 2))
        smooth = torch.zeros_like(rows)
        for tap, share in enumerate(kernel.tolist()):
            smooth.add_(padded[:, :, tap : tap + count], alpha=share)
        weights[:, first : first + rows.shape[1]] = smooth.div_(smooth.sum(2, keepdim=True).add_(1e-8))
    return weights.div_(weights.amax((1, 2), keepdim=True)).half()


def _connected(names: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Weights of pairs before they are smoothed, some rows of patches at a time: first patch and (B, n, N) float32.

    On the line from a to b the points a (1 - t) + b t are looked at, t = 0, 1/M, ... up to distance / M, rounded half
    to even; a and b are connected where all bear a's name. Distances are the larger of those by rows and by columns.
    """
    batch, height, width = names.shape
    longest = max(height, width) - 1
    names = names.to(torch.int32)
    apart_y, apart_x = (_apart(side).to(names.device) for side in (height, width))  # (h, h), (w, w)
    on_line_y, on_line_x = (_line(side, longest).to(names.device) for side in (height, width))  # (M+1, h, h), ...
    step = max(1, _PAIRS // (batch * height * width * width))
    for top in range(0, height, step):
        rows = slice(top, top + step)
        own = names[:, rows, None, :, None]  # (B, n, h, w, w): from row, to row, from column, to column
        alike = names[:, None, :, None, :] == own
        apart = torch.maximum(apart_y[rows, :, None, None], apart_x)  # (n, h, w, w)
        joined = alike.clone()
        for t in range(1, longest):  # t = 0 is a itself, and the last is b
            through = names[:, on_line_y[t, rows]]  # (B, n, h, w)
            point = through.index_select(3, on_line_x[t].flatten()).unflatten(3, (width, width))
            joined &= (point == own) | (apart < t)
        share = torch.exp(-apart.float() / max(longest, 1))
        weights = torch.where(joined, 1.0, share) * alike  # (B, n, h, w, w)
        yield top * width, weights.transpose(2, 3).reshape(batch, -1, height * width)


def _apart(side: int) -> Tensor:
    """(side, side) int16 distances."""
    place = torch.arange(side, dtype=torch.int16)
    return (place - place.unsqueeze(1)).abs()


def _line(side: int, longest: int) -> Tensor:
    """(M+1, side, side) int64: where the line from one place to another is after t steps of M.

    Made on the CPU: which half is rounded up hangs on float32's last digit.
    """
    place = torch.arange(side, dtype=torch.float32)
    t = torch.linspace(0, 1, longest + 1).view(-1, 1, 1)
    return (place.unsqueeze(1) * (1 - t) + place * t).round().long()
