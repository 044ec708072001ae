"""Probabilities of labels, and where no asked word is likely: "none of these"."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from cliptrase.ops.classification import NoneOfThese, Size, TextClassifier, patch_logits
from cliptrase.refinements.maps import Maps, NameMaps
from cliptrase.regions import full_size_means

_COSINES = 1 << 24  # of patches with neutral words held at once: 64 MiB


def level_map(features: Tensor, none: NoneOfThese, grid: Size) -> Tensor:
    """What an asked name must reach at each patch: the cosine of the neutral word at the rule's rank.

    Args:
        features: (B, N, E) of patches, row-major over the grid.
        none: the rule.
        grid: (h, w) with h * w = N.

    Returns:
        (B, 1, h, w) float32.
    """
    step = max(1, _COSINES // (grid[0] * grid[1] * len(none.neutral)))
    levels = [
        patch_logits(part, none.neutral, 1.0, grid).topk(none.rank, 1).values[:, -1:] for part in features.split(step)
    ]
    return torch.cat(levels)


class PixelMaps(NamedTuple):
    """What pixels are named by, a part of label maps or all of them.

    Attributes:
        names: gives the maps of all names, as often as it is called.
        level: likewise one map of what a name must reach; None without a threshold.
    """

    names: NameMaps
    level: NameMaps | None = None

    def of_regions(self, regions: Tensor) -> "PixelMaps":
        """Means over every region instead of pixels: maps of (K, 1) for regions (B, H, W) in [-1, K)."""

        def means(maps: NameMaps) -> NameMaps:
            return lambda: ((first, full_size_means(part, regions).mT.unsqueeze(-1)) for first, part in maps())

        return PixelMaps(means(self.names), None if self.level is None else means(self.level))

    def levels(self) -> Tensor:
        """(B, H, W) what a name must reach."""
        assert self.level is not None
        ((_, level),) = self.level()
        return level[:, 0]


def label_scores(maps: Maps, name_to_label: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Each label once, with the highest of its names' maps, (B, H, W); the names of a label stand together."""
    labels = name_to_label.tolist()
    label, score = -1, torch.empty(0)
    for first, part in maps:
        for place, own in enumerate(labels[first : first + part.shape[1]]):
            if own == label:
                score = torch.maximum(score, part[:, place])
                continue
            if label >= 0:
                yield label, score
            label, score = own, part[:, place]
    yield label, score


def unlikely(maps: PixelMaps, classifier: TextClassifier) -> Tensor:
    """Where a pixel is none of the words.

    By the rule `auto` that is where no name reaches the level of the neutral words, and by a number where no label's
    probability does; see `probabilities`.

    Args:
        maps: cosines of all names, and the level.
        classifier: names, labels and the rule.

    Returns:
        (B, H, W) bool.
    """
    none, level = classifier.none, maps.levels()
    assert none is not None
    best, total = torch.full_like(level, float("-inf")), none.scale * level  # total: logarithm of the sum
    for _, score in label_scores(maps.names(), classifier.name_to_label):
        best = torch.maximum(best, score)
        if none.least is not None:
            total = torch.logaddexp(total, none.scale * score)
    return best < level if none.least is None else (none.scale * best - total).exp() < none.least


def probabilities(maps: PixelMaps, classifier: TextClassifier, scale: float) -> Tensor:
    """Softmax over labels, each by the highest of its names; "none of these" takes part by the neutral words' level.

    Args:
        maps: cosines of all names, and with a threshold the level.
        classifier: names and labels.
        scale: of the cosines.

    Returns:
        (B, labels, H, W) float32 that sum to 1 over labels.
    """
    scores = dict(label_scores(maps.names(), classifier.name_to_label))
    if classifier.none is not None:
        scores[classifier.num_labels - 1] = maps.levels()
    return (scale * torch.stack([scores[label] for label in range(classifier.num_labels)], 1)).softmax(1)
