"""Images made ready for the tower, and where its grid lies on the label map, by a protocol's fields."""

from torch import Tensor
from torch.nn import functional as F

from cliptrase.ops.classification import Size


def normalise(images: Tensor, mean: Tensor, std: Tensor, normalisation: str) -> Tensor:
    """Pixels as CLIP was trained to see them: (B, 3, H, W) uint8 to float32.

    Args:
        images: RGB.
        mean: (3, 1, 1) of the model, in [0, 1].
        std: (3, 1, 1) of the model.
        normalisation: `clip` or `mmseg`; see `in_mmseg`.
    """
    if normalisation == "mmseg":
        return (images.float() - in_mmseg(mean)) / in_mmseg(std)
    return (images.float() / 255 - mean) / std


def denormalise(pixels: Tensor, mean: Tensor, std: Tensor, normalisation: str) -> Tensor:
    """RGB in [0, 1] of normalised pixels, (B, 3, H, W); see `normalise`."""
    if normalisation == "mmseg":
        mean, std = in_mmseg(mean) / 255, in_mmseg(std) / 255
    return (pixels * std + mean).clamp(0, 1)


def fit_to_patches(pixels: Tensor, patch: Size, fit: str) -> Tensor:
    """Normalised pixels with whole patches, as the field `fit` of a protocol says; see `EvaluationProtocol`."""
    if fit == "exact":
        return pixels  # the tower refuses others
    return {"pad": to_whole_patches, "pad_and_halve": pad_and_halve, "trim": trim_to_patches}[fit](pixels, patch)


def trim_to_patches(pixels: Tensor, patch: Size) -> Tensor:
    """Leaves out rows and columns beyond whole patches, as the tower's convolution does; at least one patch is kept."""
    pixels = _of_a_patch(pixels, patch)
    height, width = (side // step * step for side, step in zip(pixels.shape[2:], patch, strict=True))
    return pixels[:, :, :height, :width]


def under_patches(pixels: Tensor, patch: Size, fit: str) -> Tensor:
    """What the grid of patches is stretched over: fitted pixels, with `trim` also those beyond whole patches.

    Args:
        pixels: (B, 3, H, W) normalised, not yet fitted.
        patch: (height, width) of a patch.
        fit: field of a protocol.
    """
    return _of_a_patch(pixels, patch) if fit == "trim" else fit_to_patches(pixels, patch, fit)


def _of_a_patch(pixels: Tensor, patch: Size) -> Tensor:
    """Repeats the last row and column until there is a patch."""
    missing = [max(step - side, 0) for side, step in zip(pixels.shape[2:], patch, strict=True)]
    return F.pad(pixels, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else pixels


def shown_cell(patch: Size, fit: str) -> Size:
    """(height, width) in pixels of an image, before it is fitted, that a patch covers."""
    return (2 * patch[0], 2 * patch[1]) if fit == "pad_and_halve" else patch


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


def padded_canvas(shown: Size, size: Size, cell: Size) -> Size:
    """Size of a label map that covers padding too; the image is its top left part.

    Args:
        shown: (height, width) of the image before padding.
        size: (height, width) of the image's own label map.
        cell: (height, width) that a patch covers; see `shown_cell`.
    """
    padded = (side + -side % step for side, step in zip(shown, cell, strict=True))
    height, width = (round(own * full / side) for own, full, side in zip(size, padded, shown, strict=True))
    return height, width
