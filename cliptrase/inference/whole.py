"""Label maps of images that the tower sees whole, as protocols without windows ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.clip.encoder import Encoding
from cliptrase.clustering import dbscan
from cliptrase.common.timing import stage
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.inference.grid import GridAxis, picture_axis
from cliptrase.inference.maps import GuideOf, refined_level, refined_maps
from cliptrase.inference.unlikely import PixelMaps, level_map, probabilities, unlikely
from cliptrase.methods import Method
from cliptrase.ops.classification import Size, TextClassifier, patch_logits
from cliptrase.ops.upsampling import upsampled_argmax
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.refinements.maps import Maps, NameMaps, UpsampledMaps, highest, only
from cliptrase.regions import full_size_means, majority_vote, mean_logits_vote, mean_vote, region_map


def find_regions(
    encoding: Encoding, methods: Sequence[Method], protocol: EvaluationProtocol, canvas: Size, size: Size
) -> dict[str, Tensor]:
    """Regions of a batch for every method that votes, in float32 whatever the precision of the tower.

    Args:
        encoding: of the batch.
        methods: of the run.
        protocol: for `eps` and `min_samples`.
        canvas: (height, width) that the patch grid is stretched over.
        size: (H, W) top left part of it that is wanted.

    Returns:
        by method's name (B, H, W) int64 region of every pixel, -1 all over a picture that has none.
    """
    found: dict[str, Tensor] = {}
    for tower_pass in encoding.passes:
        voters = [method for method in methods if method.regions and method.name in tower_pass.features]
        if voters and tower_pass.penultimate is not None:
            with torch.autocast(tower_pass.penultimate.query.device.type, enabled=False):
                found |= _regions_of_pass(tower_pass.penultimate, voters, protocol, canvas, size)
    return found


def _regions_of_pass(
    p: Projections, voters: Sequence[Method], protocol: EvaluationProtocol, canvas: Size, size: Size
) -> dict[str, Tensor]:
    """Regions come from CLIP's own blocks, not from a method's rule: methods of one pass share them."""
    device = p.query.device
    with stage("correlation", device, [method.name for method in voters]):
        correlation = self_correlation(p.query, p.key, p.value)
    found: dict[str, Tensor] = {}
    for denoise in {method.denoise for method in voters}:
        names = [method.name for method in voters if method.denoise == denoise]
        with stage("correlation", device, names):
            affinity = remove_global_patches(correlation) if denoise else correlation[:, 1:, 1:]
        with stage("clustering", device, names):
            clusters = dbscan(affinity, protocol.eps, protocol.min_samples)
        with stage("regions", device, names):
            regions = region_map(affinity, clusters, p.grid, canvas)[:, : size[0], : size[1]]
        found |= dict.fromkeys(names, regions)
    return found


def clusters_otherwise(method: Method, one: EvaluationProtocol, other: EvaluationProtocol) -> bool:
    """Whether a method's regions under two protocols differ in what DBSCAN is told."""
    return method.regions and (one.eps, one.min_samples) != (other.eps, other.min_samples)


@dataclass(frozen=True)
class WholePictures:
    """A batch of pictures as the tower saw them whole, ready for any names.

    Attributes:
        encoding: of the batch.
        regions: by method that votes (B, H, W) int64; see `find_regions`.
        protocol: one without windows, with the data set's values.
        scale: exp(logit_scale) of the model.
        canvas: (height, width) that the patch grid is stretched over.
        size: (H, W) of the label maps, top left part of the canvas.
        guide: of refinements, where a method of the run refines.
        text: (C, E) embeddings of the names that readings were given, where one asks for them.
    """

    encoding: Encoding
    regions: dict[str, Tensor]
    protocol: EvaluationProtocol
    scale: float
    canvas: Size
    size: Size
    guide: GuideOf | None = None
    text: Tensor | None = None

    def under(self, method: Method, constants: Mapping[str, Any]) -> "WholePictures":
        """The same under other constants of the protocol, of those that act after the tower.

        Args:
            method: whose regions are made again, where `eps` or `min_samples` is another.
            constants: fields of the protocol.
        """
        protocol = replace(self.protocol, **constants)
        regions = self.regions
        if clusters_otherwise(method, self.protocol, protocol):
            regions = regions | find_regions(self.encoding, [method], protocol, self.canvas, self.size)
        return replace(self, protocol=protocol, regions=regions)

    def grid(self, method: str) -> tuple[GridAxis, GridAxis]:
        """How a method's patches lie on the label map, from top to bottom and from left to right."""
        device = self.encoding.features[method].device
        down, across = zip(self.encoding.grids[method], self.canvas, self.size, strict=True)
        return picture_axis(*down, device), picture_axis(*across, device)

    @property
    def seams(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Borders of windows between rows and between columns: none."""
        return [], []

    def logits(self, method: Method, text: Tensor) -> Tensor:
        """What `labels` starts from.

        Args:
            method: of the run.
            text: (C, E) unit embeddings of names.

        Returns:
            (B, C, h, w) float32, without the class token's weights; cosines for a method that refines.
        """
        features = self._features(method)
        with stage("classification", features.device, [method.name]):
            return patch_logits(features[:, 1:], text, self._scale(method), self.encoding.grids[method.name])

    def labels(
        self,
        method: Method,
        classifier: TextClassifier,
        present: Tensor | None = None,
        logits: Tensor | None = None,
    ) -> Tensor:
        """Names by patch, then by region: (B, H, W) int64 in [0, classifier.num_labels).

        Args:
            method: of the run.
            classifier: any names.
            present: (B, num_labels) bool labels that each picture may get, None for all.
            logits: of the classifier's names, where `logits` was asked for more names already.
        """
        labels = self._labels(method, classifier, present, logits)
        if classifier.none is None:
            return labels
        return labels.masked_fill(self._unlikely(method, classifier, present), classifier.num_labels - 1)

    def probabilities(self, method: Method, classifier: TextClassifier, scale: float) -> Tensor:
        """(B, labels, H, W) float32 by pixel, before regions vote; see `unlikely.probabilities`."""
        maps = self._pixel_maps(method, classifier)
        return probabilities(maps, classifier, scale)

    def _pixel_maps(self, method: Method, classifier: TextClassifier) -> PixelMaps:
        """Cosines by pixel, refined by a method that refines."""
        patches = self._features(method)[:, 1:]
        grid, none = self.encoding.grids[method.name], classifier.none

        def upsampled(cosines: Tensor) -> NameMaps:
            return UpsampledMaps(cosines, self.canvas, self.size)

        names = upsampled(patch_logits(patches, classifier.embeddings, 1.0, grid))
        names = refined_maps(names, method, self.guide, classifier.embeddings)
        if none is None:
            return PixelMaps(names)
        level = upsampled(level_map(patches, none, grid))
        return PixelMaps(names, refined_level(level, method, self.guide, none.neutral))

    def _unlikely(self, method: Method, classifier: TextClassifier, present: Tensor | None) -> Tensor:
        """(B, H, W) bool pixels that are none of the names, or with regions those of regions that are.

        A region whose name is voted for by its mean logits is judged by its means, another one by most of its pixels.
        So no name gives way to another.
        """
        maps = self._pixel_maps(method, classifier)
        allowed = None if present is None else present[:, classifier.name_to_label]
        maps = maps._replace(names=only(maps.names, allowed))
        device = classifier.embeddings.device
        with stage("classification", device, [method.name]):
            short = unlikely(maps, classifier)
        if (regions := self.regions.get(method.name)) is None:
            return short
        with stage("vote", device, [method.name]):
            if (method.vote or self.protocol.vote) == "mean":
                means = unlikely(maps.of_regions(regions), classifier)[..., 0]  # (B, K)
                image = torch.arange(len(regions), device=device).view(-1, 1, 1)
                return torch.where(regions >= 0, means[image, regions.clamp_min(0)], short) if means.numel() else short
            return majority_vote(short.long(), regions, 2) > 0

    def _labels(
        self, method: Method, classifier: TextClassifier, present: Tensor | None, logits: Tensor | None
    ) -> Tensor:
        """`labels` before the threshold of "none of these"."""
        allowed = None if present is None else present[:, classifier.name_to_label]
        if logits is None:
            logits = self.logits(method, classifier.embeddings)
        device = logits.device
        regions = self.regions.get(method.name)
        by_mean = regions is not None and (method.vote or self.protocol.vote) == "mean"
        with stage("classification", device, [method.name]):
            weight = means = None
            if classifier.class_token_weighting:
                weight = self._scale(method) * self._features(method)[:, 0] @ classifier.embeddings.T  # (B, C)
            if weight is not None and (
                method.refine or allowed is not None or self.protocol.class_token_weight == "patches"
            ):
                logits, weight = logits * weight[:, :, None, None], None
            if allowed is not None:  # no lower than needed: leaving names out of the upsampling goes by magnitudes
                logits = logits.masked_fill(~allowed[:, :, None, None], float(logits.min()) - 1)
            if method.refine:
                maps = refined_maps(
                    UpsampledMaps(logits, self.canvas, self.size), method, self.guide, classifier.embeddings
                )
                names, means = _names_and_means(only(maps, allowed)(), regions if by_mean else None)
            else:
                names = upsampled_argmax(logits, self.canvas, weight)[:, : self.size[0], : self.size[1]]
            if regions is None:
                return classifier.name_to_label[names]
        with stage("vote", device, [method.name]):
            if not by_mean:
                return majority_vote(classifier.name_to_label[names], regions, classifier.num_labels)
            if means is not None:
                return classifier.name_to_label[mean_vote(means, regions, names)]
            # Weighting before the upsampling or after it is the same: a name has one weight.
            weighted = logits if weight is None else logits * weight[:, :, None, None]
            return classifier.name_to_label[mean_logits_vote(weighted, regions, names, self.canvas)]

    def _features(self, method: Method) -> Tensor:
        """(B, 1 + N, E) float32, the class token first."""
        features = self.encoding.features[method.name].float()
        return F.normalize(features, dim=-1) if self.protocol.unit_features else features

    def _scale(self, method: Method) -> float:
        return 1.0 if method.refine else self.scale  # refinements get cosines


def _names_and_means(maps: Maps, regions: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Of maps that pass once: (B, H, W) the highest name, and with regions (B, K, C) every region's means."""
    means = []

    def passing() -> Maps:
        for first, part in maps:
            if regions is not None:
                means.append(full_size_means(part, regions))
            yield first, part

    names = highest(passing())[0]
    return names, torch.cat(means, 2) if means else None
