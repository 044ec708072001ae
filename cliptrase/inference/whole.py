"""Label maps of images that the tower sees whole, as protocols without windows ask."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.clip.encoder import Encoding
from cliptrase.clustering import dbscan
from cliptrase.common.timing import stage
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.inference.maps import RefinedMaps, UpsampledMaps, highest
from cliptrase.methods import Method
from cliptrase.ops.classification import Size, TextClassifier, patch_logits
from cliptrase.ops.upsampling import upsampled_argmax
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.regions import majority_vote, mean_logits_vote, region_map


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
        images: (B, 3, H, W) RGB in [0, 1] of the label maps' size, for methods that refine.
    """

    encoding: Encoding
    regions: dict[str, Tensor]
    protocol: EvaluationProtocol
    scale: float
    canvas: Size
    size: Size
    images: Tensor | None = None

    def labels(self, method: Method, classifier: TextClassifier) -> Tensor:
        """Names by patch, then by region: (B, H, W) int64 in [0, classifier.num_labels)."""
        features = self.encoding.features[method.name].float()
        device = features.device
        regions = self.regions.get(method.name)
        with stage("classification", device, [method.name]):
            if self.protocol.unit_features:
                features = F.normalize(features, dim=-1)
            logits = patch_logits(
                features[:, 1:], classifier.embeddings, self.scale, self.encoding.grids[method.name]
            )  # (B, C, h, w)
            weight = None
            if classifier.class_token_weighting:
                weight = self.scale * features[:, 0] @ classifier.embeddings.T  # (B, C)
            if weight is not None and self.protocol.class_token_weight == "patches":
                logits, weight = logits * weight[:, :, None, None], None
            if (refine := method.load_refine()) and self.images is not None:
                weighted = logits if weight is None else logits * weight[:, :, None, None]
                upsampled = UpsampledMaps(weighted, self.canvas, self.size)
                return classifier.name_to_label[highest(RefinedMaps(upsampled, refine, self.images, method.name)())[0]]
            names = upsampled_argmax(logits, self.canvas, weight)[:, : self.size[0], : self.size[1]]
            if regions is None:
                return classifier.name_to_label[names]
        with stage("vote", device, [method.name]):
            if (method.vote or self.protocol.vote) == "mean":
                # Weighting before the upsampling or after it is the same: a name has one weight.
                weighted = logits if weight is None else logits * weight[:, :, None, None]
                return classifier.name_to_label[mean_logits_vote(weighted, regions, names, self.canvas)]
            return majority_vote(classifier.name_to_label[names], regions, classifier.num_labels)
