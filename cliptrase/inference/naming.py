"""Names of pixels from maps of cosines under protocols with windows: the highest, and the background's rules.

Source: mmseg's sliding inference as SCLIP (Wang et al., ECCV 2024) and ClearCLIP (Lan et al., ECCV 2024) run it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from cliptrase.inference.unlikely import PixelMaps, unlikely
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.refinements.maps import NameMaps, highest, only


class Named(NamedTuple):
    """Labels of label maps, or of a part of them.

    Attributes:
        labels: (B, H, W) int64.
        free: (B, H, W) int64 labels before the background's threshold.
        probability: (B, H, W) float32 that is compared with the threshold; None where there is none.
    """

    labels: Tensor
    free: Tensor
    probability: Tensor | None


def classify_pixels(
    maps: PixelMaps, classifier: TextClassifier, protocol: EvaluationProtocol, present: Tensor | None = None
) -> Named:
    """Labels from maps of cosines: the highest name of a class, and under a softmax the background's rules.

    Args:
        maps: of all names.
        classifier: names, labels and background.
        protocol: `decision`, `logit_scale`, and with a background `min_area` and `background_threshold`.
        present: (B, num_labels) bool labels that each picture may get, None for all.

    Returns:
        labels in [0, classifier.num_labels).
    """
    named, areas = classify_part(maps, classifier, protocol, present)
    if (allowed := allowed_names(areas, classifier, protocol, present)) is not None:
        named, _ = classify_part(maps, classifier, protocol, present, allowed)
    return named


def classify_part(
    maps: PixelMaps,
    classifier: TextClassifier,
    protocol: EvaluationProtocol,
    present: Tensor | None = None,
    allowed: Tensor | None = None,
) -> tuple[Named, Tensor]:
    """Labels of a part of label maps, as far as they do not depend on other parts.

    Args:
        maps: of all names.
        classifier: names, labels and background.
        protocol: see `classify_pixels`.
        present: see `classify_pixels`.
        allowed: (B, C) names that may win, None for all; see `allowed_names`.

    Returns:
        labels, and (B, labels) pixels of each label before the background's threshold, all 0 where no rule asks for
        them.
    """
    named, areas = _named(maps.names, classifier, protocol, present, allowed)
    if classifier.none is None:
        return named, areas
    names = only(only(maps.names, None if present is None else present[:, classifier.name_to_label]), allowed)
    short = unlikely(maps._replace(names=names), classifier)
    return named._replace(labels=named.labels.masked_fill(short, classifier.num_labels - 1)), areas


def _named(
    maps: NameMaps,
    classifier: TextClassifier,
    protocol: EvaluationProtocol,
    present: Tensor | None,
    allowed: Tensor | None,
) -> tuple[Named, Tensor]:
    """`classify_part` before the threshold of "none of these"."""
    maps = only(maps, None if present is None else present[:, classifier.name_to_label])
    background = classifier.background_label
    with_probability = background is not None and protocol.background_threshold > 0
    scale = protocol.logit_scale if protocol.decision == "softmax" else 1.0
    name, logit, log_sum = highest(maps(), scale, allowed, with_probability)
    labels = classifier.name_to_label[name]
    areas = torch.zeros(len(labels), classifier.num_labels, dtype=torch.int64, device=labels.device)
    if background is None:
        return Named(labels, labels, None), areas
    if protocol.min_area:
        areas = torch.stack([torch.bincount(one.flatten(), minlength=classifier.num_labels) for one in labels])
    if not with_probability:
        return Named(labels, labels, None), areas
    probability = (logit - log_sum).exp()
    unsure = probability < protocol.background_threshold
    if present is not None:
        unsure &= present[:, background, None, None]
    return Named(labels.masked_fill(unsure, background), labels, probability), areas


def allowed_names(
    areas: Tensor, classifier: TextClassifier, protocol: EvaluationProtocol, present: Tensor | None = None
) -> Tensor | None:
    """(B, C) names that are not of a foreground class on too small a share of a picture; None where all may win.

    Args:
        areas: (B, labels) pixels of each label on whole pictures; see `classify_part`.
        classifier: names, labels and background.
        protocol: `min_area`.
        present: see `classify_pixels`.
    """
    background = classifier.background_label
    if background is None or not protocol.min_area:
        return None
    areas = areas.clone()
    areas[:, background] = 0
    small = areas <= protocol.min_area * areas.sum(1, keepdim=True)
    small[:, background] = False
    if classifier.none is not None:
        small[:, -1] = False
    if present is not None:  # a picture without the background is named as by a vocabulary without it
        small &= present[:, background, None]
    return ~small[:, classifier.name_to_label] if small.any() else None
