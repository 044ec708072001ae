"""Where the class token and the patches of one picture look, block by block, and what that does to correlations.

In the deeper blocks of CLIP a few patches draw the attention of the class token and of patches everywhere, whatever
these show: the global patches (CLIPtrase, section 3.3). Every patch then correlates with them. The method therefore
takes the class token's correlation off, see `correlation.remove_global_patches`.

The paper gives no number from which on a patch is global. Here it is one that gets more than `FACTOR` times as much
attention from the other patches as the average patch of the same block. The class token has no say in this, so that
its own share of attention on global patches is a finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from cliptrase.attention import mean_attention
from cliptrase.clip.encoder import VisualEncoder
from cliptrase.common.errors import InputError
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.drawing.overlay import Picture
from cliptrase.drawing.patch_panel import PatchMap
from cliptrase.inference.pixels import shown_cell, to_whole_patches
from cliptrase.ops.classification import Size
from cliptrase.segmenter import Segmenter

FACTOR = 2.0
"""Times the average patch's attention from which on a patch is global."""


@dataclass(frozen=True)
class GlobalPatches:
    """What the blocks of a visual tower do with one picture; everything is float32 on the CPU unless said otherwise.

    L blocks, N = h * w patches in row-major order, P chosen patches. Attention is the softmax of q k^T s and a mean
    over heads.

    Attributes:
        grid: (h, w) patches.
        chosen: (row, column) of each chosen patch.
        class_attention: (L, N) in [0, 1], the class token's attention to each patch.
        received: (L, N) in [0, 1], attention to each patch, a mean over the other patches.
        is_global: (L, N) bool, whether a patch is global in a block; see this module's text.
        class_share: (L,) in [0, 1], how much of the class token's attention falls on the block's global patches.
        patch_share: (L,) in [0, 1], the same of the patches that are not global, a mean over them.
        attention: (P, N) in [0, 1], attention of each chosen patch in the block before the last, from which the method
            takes its correlation.
        correlation: (P, N) in [-1, 1], rows of `self_correlation` of that block.
        denoised: (P, N) in [0, 2], rows of `remove_global_patches` of it.
    """

    grid: Size
    chosen: tuple[tuple[int, int], ...]
    class_attention: Tensor
    received: Tensor
    is_global: Tensor
    class_share: Tensor
    patch_share: Tensor
    attention: Tensor
    correlation: Tensor
    denoised: Tensor

    @property
    def chance_share(self) -> Tensor:
        """(L,) in [0, 1], what falls on a block's global patches where attention is even over all tokens."""
        return self.is_global.sum(1) / (self.is_global.shape[1] + 1)


@torch.no_grad()
def analyse(encoder: VisualEncoder, pixels: Tensor, chosen: Sequence[tuple[int, int]]) -> GlobalPatches:
    """Follows one picture through all blocks.

    Args:
        encoder: any supported tower.
        pixels: (1, 3, H, W) normalised, H and W multiples of the patch.
        chosen: (row, column) of patches whose correlations are wanted, at least one.

    Raises:
        InputError: a chosen patch outside the grid.
        ValueError: H or W is not a multiple of the patch.
    """
    patch_height, patch_width = encoder.tower.patch_size
    grid = (pixels.shape[2] // int(patch_height), pixels.shape[3] // int(patch_width))
    for patch in chosen:
        require_inside(patch, grid)
    index = torch.tensor([row * grid[1] + column for row, column in chosen])  # (P,)
    before_last = len(encoder.tower.transformer.resblocks) - 2
    class_attention, received, flags, class_share, patch_share = [], [], [], [], []
    for number, p in enumerate(encoder.blocks(pixels)):
        attention = mean_attention(p)[0].cpu()  # (N+1, N+1)
        among = attention[1:, 1:]
        to_each = (among.sum(0) - among.diagonal()) / max(1, len(among) - 1)  # (N,)
        is_global = to_each > FACTOR * to_each.mean()
        class_attention.append(attention[0, 1:])
        received.append(to_each)
        flags.append(is_global)
        class_share.append(attention[0, 1:][is_global].sum())
        patch_share.append(among[~is_global][:, is_global].sum(1).mean())
        if number == before_last:
            rows = among[index]
            correlation = self_correlation(p.query, p.key, p.value)  # (1, N+1, N+1)
    return GlobalPatches(
        grid,
        tuple(chosen),
        torch.stack(class_attention),
        torch.stack(received),
        torch.stack(flags),
        torch.stack(class_share),
        torch.stack(patch_share),
        rows,
        correlation[0, 1:, 1:].cpu()[index],
        remove_global_patches(correlation)[0].cpu()[index],
    )


@torch.no_grad()
def denoised_map(segmenter: Segmenter, image: Picture, patch: tuple[int, int] | None = None) -> PatchMap:
    """One patch's row of `remove_global_patches` for a picture as a batch holds it, seen whole also under windows.

    Nothing of the segmenter changes. The last block is left out.

    Args:
        segmenter: any.
        image: (H, W, 3) uint8, of the protocol's geometry.
        patch: (row, column), none of them negative; a picture with fewer rows or columns takes its last. None takes the
            middle one.
    """
    shown = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).to(segmenter.device)
    pixels = to_whole_patches(segmenter.prepare(shown), segmenter.patch)
    before_last = len(segmenter.encoder.tower.transformer.resblocks) - 2
    p = next(islice(segmenter.encoder.blocks(pixels), before_last, None))
    cell = shown_cell(segmenter.patch, segmenter.protocol.fit)
    rows, columns = (
        -(-length // side) for length, side in zip(image.shape[:2], cell, strict=True)
    )  # with a pixel seen
    row, column = patch or (rows // 2, columns // 2)
    place = (min(row, rows - 1), min(column, columns - 1))
    denoised = remove_global_patches(self_correlation(p.query, p.key, p.value))  # (1, N, N)
    values = denoised[0, place[0] * p.grid[1] + place[1]].view(p.grid)
    return PatchMap(values.cpu().numpy(), place, cell)


def require_inside(patch: tuple[int, int], grid: Size) -> None:
    """Checks that a patch is one of the grid's.

    Raises:
        InputError: it is not.
    """
    if not all(0 <= place < side for place, side in zip(patch, grid, strict=True)):
        raise InputError(
            f"`patch` {patch[0]},{patch[1]} is outside the picture's grid of {grid[0]} x {grid[1]} patches; "
            f"give a row of 0 to {grid[0] - 1} and a column of 0 to {grid[1] - 1}"
        )
