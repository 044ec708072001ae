"""Label maps of pictures that the tower sees whole: protocols `paper`, `detectron2` and `photos`."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from cliptrase.classification import Size, TextClassifier, patch_logits
from cliptrase.clustering import dbscan
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.encoder import Encoding, Walk
from cliptrase.methods import Method
from cliptrase.protocol import Protocol
from cliptrase.regions import majority_vote, mean_logits_vote, region_map
from cliptrase.timing import StageTimer
from cliptrase.upsampling import upsampled_argmax


def find_regions(
    encoding: Encoding, methods: Sequence[Method], protocol: Protocol, canvas: Size, size: Size, timer: StageTimer
) -> dict[str, Tensor]:
    """Regions of a batch for every method that votes.

    Args:
        encoding: of the batch.
        methods: of the run.
        protocol: for `eps` and `min_samples`.
        canvas: (height, width) that the patch grid is stretched over.
        size: (H, W) top left part of it that is wanted.
        timer: gets the stages `correlation`, `clustering` and `regions`.

    Returns:
        by method's name (B, H, W) int64 region of every pixel, -1 all over a picture that has none.
    """
    found: dict[str, Tensor] = {}
    for walk in encoding.walks:
        voters = [method for method in methods if method.regions and method.name in walk.features]
        if voters:
            found |= _regions_of_walk(walk, voters, protocol, canvas, size, timer)
    return found


def _regions_of_walk(
    walk: Walk, voters: Sequence[Method], protocol: Protocol, canvas: Size, size: Size, timer: StageTimer
) -> dict[str, Tensor]:
    """Regions come from CLIP's own blocks, not from a method's rule: methods of one walk share them."""
    p = walk.penultimate
    device = p.query.device
    with timer.stage("correlation", device):
        correlation = self_correlation(p.query, p.key, p.value)
    found: dict[str, Tensor] = {}
    for denoise in {method.denoise for method in voters}:
        with timer.stage("correlation", device):
            affinity = remove_global_patches(correlation) if denoise else correlation[:, 1:, 1:]
        with timer.stage("clustering", device):
            clusters = dbscan(affinity, protocol.eps, protocol.min_samples)
        with timer.stage("regions", device):
            regions = region_map(affinity, clusters, p.grid, canvas)[:, : size[0], : size[1]]
        found |= {method.name: regions for method in voters if method.denoise == denoise}
    return found


def whole_labels(
    encoding: Encoding,
    method: Method,
    classifier: TextClassifier,
    protocol: Protocol,
    scale: float,
    canvas: Size,
    regions: Tensor | None,
    size: Size,
    timer: StageTimer,
) -> Tensor:
    """Label maps of one method: names by patch, then by region.

    Args:
        encoding: of the batch.
        method: one of the encoding's.
        classifier: names to tell apart.
        protocol: `paper`, `detectron2` or `photos`.
        scale: exp(logit_scale) of the model.
        canvas: (height, width) that the patch grid is stretched over.
        regions: (B, H, W) of a method that votes.
        size: (H, W) of the result, top left part of the canvas.
        timer: gets the stages `classification` and `vote`.

    Returns:
        (B, H, W) int64 in [0, classifier.num_labels).
    """
    features = encoding.features[method.name].float()
    device = features.device
    if protocol.name != "detectron2":
        features = F.normalize(features, dim=-1)
    with timer.stage("classification", device):
        logits = patch_logits(features[:, 1:], classifier.embeddings, scale, encoding.grid)  # (B, C, h, w)
        weight = None
        if classifier.class_token_weighting:
            weight = scale * features[:, 0] @ classifier.embeddings.T  # (B, C)
        if weight is not None and protocol.name == "detectron2":
            logits, weight = logits * weight[:, :, None, None], None
        names = upsampled_argmax(logits, canvas, weight)[:, : size[0], : size[1]]
    if regions is None:
        return classifier.fold[names]
    with timer.stage("vote", device):
        if (method.vote or ("mean" if protocol.name == "detectron2" else "majority")) == "mean":
            # Weighting before the upsampling or after it is the same: a name has one weight.
            weighted = logits if weight is None else logits * weight[:, :, None, None]
            return classifier.fold[mean_logits_vote(weighted, regions, names, canvas)]
        return majority_vote(classifier.fold[names], regions, classifier.num_labels)
