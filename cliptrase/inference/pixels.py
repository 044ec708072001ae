"""Pictures made ready for the tower, and where its grid lies on the label map, under each protocol."""

from torch import Tensor
from torch.nn import functional as F

from cliptrase.ops.classification import Size


def to_whole_patches(pixels: Tensor, patch: Size) -> Tensor:
    """Repeats the last row and column until both sides are whole patches: (B, 3, H, W) to (B, 3, H', W')."""
    return F.pad(pixels, (0, -pixels.shape[3] % patch[1], 0, -pixels.shape[2] % patch[0]), mode="replicate")


def in_mmseg(fraction: Tensor) -> Tensor:
    """A mean or standard deviation in [0, 1] as mmseg's configurations have it: of 255, rounded to three decimals.

    The rounding moves cosines by some 3e-6, which is enough for another name here and there.
    """
    return (255 * fraction).round(decimals=3)


def pad_and_halve(pixels: Tensor, patch: Size) -> Tensor:
    """Normalised pixels as the released multi-GPU variant shows them to the tower.

    Padded right and bottom with zeros to whole double patches, then halved bilinearly.

    Args:
        pixels: (B, 3, H, W) normalised.
        patch: (height, width) of a patch.

    Returns:
        (B, 3, H', W') with whole patches.
    """
    height, width = (2 * side for side in patch)
    padded = F.pad(pixels, (0, -pixels.shape[3] % width, 0, -pixels.shape[2] % height))
    return F.interpolate(padded, scale_factor=0.5, mode="bilinear", align_corners=False)


def padded_canvas(shown: Size, size: Size, patch: Size) -> Size:
    """Size of a label map that covers the padding of `to_whole_patches` too; the picture is its top left part.

    Args:
        shown: (height, width) of the picture before padding.
        size: (height, width) of the picture's own label map.
        patch: (height, width) of a patch.
    """
    padded = (side + -side % step for side, step in zip(shown, patch, strict=True))
    height, width = (round(own * full / side) for own, full, side in zip(size, padded, shown, strict=True))
    return height, width
