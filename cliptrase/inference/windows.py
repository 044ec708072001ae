"""Label maps from overlapping windows, after mmseg's sliding inference.

Source: SCLIP (Wang et al., ECCV 2024) and ClearCLIP (Lan et al., ECCV 2024), released code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.common.timing import stage
from cliptrase.inference.maps import GuideOf, KeptMaps, refined_maps
from cliptrase.inference.pixels import fit_to_patches, under_patches
from cliptrase.inference.whole import find_regions
from cliptrase.inference.window_maps import SmoothMaps, VotedMaps, WindowAxis
from cliptrase.methods import Method
from cliptrase.ops.classification import Size, TextClassifier, patch_logits
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.refinements.maps import NameMaps, highest, only

_PIXELS = 1 << 21  # of windows that the tower sees at once: about 40 of 224 x 224


@dataclass(frozen=True)
class Windows:
    """A batch of pictures as the tower saw their windows, ready for any names.

    Attributes:
        features: by method (B, ny, nx, n, E) patch features.
        regions: by method that votes (B, ny, nx, side_y, side_x) int64; each window is clustered by itself.
        grids: by method (h, w) patches of a window.
        rows: windows from top to bottom.
        columns: windows from left to right.
        protocol: one with windows, with the data set's values.
        guide: of refinements, where a method of the run refines.
        text: (C, E) embeddings of the names that readings were given, where one asks for them.
    """

    features: dict[str, Tensor]
    regions: dict[str, Tensor]
    grids: dict[str, Size]
    rows: WindowAxis
    columns: WindowAxis
    protocol: EvaluationProtocol
    guide: GuideOf | None = None
    text: Tensor | None = None

    def labels(self, method: Method, classifier: TextClassifier, present: Tensor | None = None) -> Tensor:
        """Names by window, averaged: (B, H, W) int64 in [0, classifier.num_labels).

        With regions a pixel of a window has its region's mean logits. Refinements act on what is averaged over windows.

        Args:
            method: of the run.
            classifier: any names.
            present: (B, num_labels) bool labels that each picture may get, None for all.
        """
        features = self.features[method.name]
        with stage("classification", features.device, [method.name]):
            cosines = patch_logits(features.flatten(0, 2), classifier.embeddings, 1.0, self.grids[method.name])
            cosines = cosines.unflatten(0, features.shape[:3])  # (B, ny, nx, C, h, w)
        regions = self.regions.get(method.name)
        with stage("classification" if regions is None else "vote", features.device, [method.name]):
            maps: NameMaps
            if regions is None:
                maps = SmoothMaps(cosines, self.rows, self.columns)
            else:
                maps = VotedMaps(cosines, regions, self.rows, self.columns)
            maps = refined_maps(maps, method, self.guide, classifier.embeddings)
            if method.refine and self.protocol.min_area and classifier.background_label is not None:
                maps = KeptMaps(maps)
            return classify_pixels(maps, classifier, self.protocol, present)


def encode_windows(
    pixels: Tensor,
    encoder: VisualEncoder,
    patch: Size,
    methods: Sequence[Method],
    protocol: EvaluationProtocol,
    size: Size,
    text: Tensor | None = None,
    guide: GuideOf | None = None,
) -> Windows:
    """Shows all windows of a batch to the tower, as many at once as memory allows.

    Args:
        pixels: (B, 3, H, W) normalised, any size.
        encoder: runs the tower.
        patch: (height, width) of a patch.
        methods: of the run.
        protocol: one with windows, with the data set's values.
        size: (H, W) of the label maps.
        text: see `Windows`.
        guide: see `Windows`.
    """
    rows = WindowAxis.of(pixels.shape[2], size[0], protocol)
    columns = WindowAxis.of(pixels.shape[3], size[1], protocol)
    side = (rows.side, columns.side)
    cut = [pixels[:, :, y : y + side[0], x : x + side[1]] for y in rows.starts for x in columns.starts]
    shape = (len(pixels), len(rows.starts), len(columns.starts))
    windows = under_patches(torch.stack(cut, 1).flatten(0, 1), patch, protocol.fit)  # (B * ny * nx, 3, h', w')
    features: dict[str, list[Tensor]] = {method.name: [] for method in methods}
    regions: dict[str, list[Tensor]] = {method.name: [] for method in methods if method.regions}
    for part in windows.split(max(1, _PIXELS // (side[0] * side[1]))):
        encoding = encoder(fit_to_patches(part, patch, protocol.fit), methods, text, part)
        for name, tokens in encoding.features.items():
            with stage("forward", pixels.device, [name]):
                patches = tokens[:, 1:].float()
                features[name].append(F.normalize(patches, dim=-1) if protocol.unit_features else patches)
        for name, found in find_regions(encoding, methods, protocol, side, side).items():
            regions[name].append(found)
    return Windows(
        {name: torch.cat(parts).unflatten(0, shape) for name, parts in features.items()},
        {name: torch.cat(parts).unflatten(0, shape) for name, parts in regions.items()},
        encoding.grids,
        rows,
        columns,
        protocol,
        guide,
        text,
    )


def classify_pixels(
    maps: NameMaps, classifier: TextClassifier, protocol: EvaluationProtocol, present: Tensor | None = None
) -> Tensor:
    """Labels from maps of cosines: the highest name of a class, and under a softmax the background's rules.

    Args:
        maps: gives the maps of all names, as often as it is called.
        classifier: names, labels and background.
        protocol: `decision`, `logit_scale`, and with a background `min_area` and `background_threshold`.
        present: (B, num_labels) bool labels that each picture may get, None for all.

    Returns:
        (B, H, W) int64 in [0, classifier.num_labels).
    """
    maps = only(maps, None if present is None else present[:, classifier.name_to_label])
    background = classifier.background_label
    with_probability = background is not None and protocol.background_threshold > 0
    scale = protocol.logit_scale if protocol.decision == "softmax" else 1.0
    name, logit, log_sum = highest(maps(), scale, None, with_probability)
    labels = classifier.name_to_label[name]
    if background is None:
        return labels
    if protocol.min_area:
        small = _small_classes(labels, classifier.num_labels, background, protocol.min_area)  # (B, labels)
        if present is not None:  # a picture without the background is named as by a vocabulary without it
            small &= present[:, background, None]
        if small.any():
            name, logit, _ = highest(maps(), scale, ~small[:, classifier.name_to_label], False)
            labels = classifier.name_to_label[name]
    if with_probability:
        unsure = (logit - log_sum).exp() < protocol.background_threshold
        if present is not None:
            unsure &= present[:, background, None, None]
        labels = labels.masked_fill(unsure, background)
    return labels


def _small_classes(labels: Tensor, num_labels: int, background: int, share: float) -> Tensor:
    """(B, labels) foreground classes that cover no more than `share` of the pixels that are not background."""
    image = torch.arange(len(labels), device=labels.device).view(-1, 1, 1)
    areas = torch.bincount((image * num_labels + labels).flatten(), minlength=len(labels) * num_labels)
    areas = areas.view(len(labels), num_labels)
    areas[:, background] = 0
    small = areas <= share * areas.sum(1, keepdim=True)
    small[:, background] = False
    return small
