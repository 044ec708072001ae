"""A picture as the tower sees it, for the figure of its global patches."""

import numpy as np
import torch
from torch import Tensor

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.common.images import PictureLike, to_rgb
from cliptrase.common.resizing import whole_size
from cliptrase.drawing.overlay import Picture
from cliptrase.drawing.picture import fit
from cliptrase.inference.pixels import to_whole_patches

_LONGEST = 4  # times the shorter side


def show(
    picture: PictureLike, clip: LoadedClip, encoder: VisualEncoder, size: int | None = None
) -> tuple[Picture, Tensor]:
    """A picture as the tower sees it: whole, its last row and column repeated up to whole patches.

    Args:
        picture: a path, a PIL image of any mode, or an array; see `images.to_rgb`.
        clip: for mean and deviation of its pictures.
        encoder: of that model.
        size: pixels of the shorter side; None takes the tower's own. The longer one is cut down to four times that.

    Returns:
        (H, W, 3) uint8, and the same normalised (1, 3, H, W); H and W are multiples of the patch.

    Raises:
        InputError: a size below 1, or a picture that cannot be read.
    """
    patch = _patch(encoder)
    side = _side(encoder, size)
    whole = to_whole_patches(fit(to_rgb(picture), side, _LONGEST * side).float(), patch)  # (1, 3, H, W), 0..255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (clip.mean, clip.std))
    return whole[0].permute(1, 2, 0).numpy().astype(np.uint8), (whole / 255 - mean) / std


def seen_size(height: int, width: int, encoder: VisualEncoder, size: int | None = None) -> tuple[int, int]:
    """(height, width) in pixels that `show` brings a picture to, before its last row and column are repeated.

    Raises:
        InputError: a size below 1.
    """
    side = _side(encoder, size)
    return whole_size(height, width, side, _LONGEST * side)


def _patch(encoder: VisualEncoder) -> tuple[int, int]:
    return int(encoder.tower.patch_size[0]), int(encoder.tower.patch_size[1])


def _side(encoder: VisualEncoder, size: int | None) -> int:
    """Pixels of the shorter side; see `show`."""
    own = min(cells * pixels for cells, pixels in zip(encoder.tower.grid_size, _patch(encoder), strict=True))
    side = own if size is None else size
    if side < 1:
        raise InputError(f"`size` must be at least 1 pixel, not {side}")
    return side
