"""From patch features and text embeddings to logits on the patch grid."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Size = tuple[int, int]


@dataclass(frozen=True)
class NoneOfThese:
    """When a pixel is none of the words that are asked for.

    Attributes:
        neutral: (K, E) float32 unit rows, words that stand for whatever else a picture may show.
        rank: of the neutral words at a patch, from the highest, the one that an asked name must reach.
        scale: of cosines in the softmax.
        least: probability that a label must have; None where reaching that word is enough.
    """

    neutral: Tensor
    rank: int
    scale: float
    least: float | None = None


@dataclass(frozen=True)
class TextClassifier:
    """A vocabulary made ready for the model.

    Attributes:
        embeddings: (C, E) float32 unit rows, one a name.
        name_to_label: (C,) int64, label of each name.
        num_labels: number of labels.
        background_label: label of the background, None without one.
        class_token_weighting: whether logits are multiplied by the class token's own (VOC20 in the released code).
        setting: whose own values of the protocol apply.
        none: what makes a pixel "none of these", which is the last label then; None without such a label.
    """

    embeddings: Tensor
    name_to_label: Tensor
    num_labels: int
    background_label: int | None = None
    class_token_weighting: bool = False
    setting: str = ""
    none: NoneOfThese | None = None

    @property
    def background_first(self) -> Tensor:
        """(C, E) embeddings with the background's before the classes', the order of released class lists."""
        if self.background_label is None:
            return self.embeddings
        is_class = (self.name_to_label != self.background_label).int()
        return self.embeddings[is_class.argsort(stable=True)]


def patch_logits(patches: Tensor, text: Tensor, scale: float, grid: Size) -> Tensor:
    """exp(logit_scale) * patch . text on the patch grid.

    Args:
        patches: (B, N, E), row-major over the grid.
        text: (C, E) unit rows.
        scale: exp(logit_scale).
        grid: (h, w) with h * w = N.

    Returns:
        (B, C, h, w) float32.
    """
    with torch.autocast(patches.device.type, enabled=False):
        logits = scale * patches.float() @ text.T  # (B, N, C)
    on_grid: Tensor = logits.mT.unflatten(2, grid)  # (B, C, h, w)
    return on_grid


def has_direction(vectors: Tensor) -> Tensor:
    """Whether each of (..., E) vectors is finite and not zero in float32, so that cosines with it mean something.

    Returns:
        (...) bool.
    """
    with torch.autocast(vectors.device.type, enabled=False):
        length = vectors.float().norm(dim=-1)
    found: Tensor = length.isfinite() & (length > 0)
    return found


def check_grid(size: Size, patch: Size, error: Callable[[str], Exception] = ValueError) -> Size:
    """(h, w) patches of a picture of `size` pixels; an error where the sides are not whole numbers of patches."""
    if size[0] % patch[0] or size[1] % patch[1] or min(size) < 1:
        raise error(f"a picture of {size[0]} x {size[1]} pixels is not whole patches of {patch[0]} x {patch[1]} pixels")
    return size[0] // patch[0], size[1] // patch[1]
