"""Regions of a picture from clusters of its patches, and the name that each region takes (CLIPtrase, section 3.4).

Clusters of a batch are held padded: K is the largest number of clusters of any picture in the batch, and `-1`
marks patches of no cluster. A picture without clusters has no regions and keeps its patches' own names.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.ops.classification import Size
from cliptrase.ops.median import median_filter
from cliptrase.ops.upsampling import bilinear_matrix, upsampled_argmax


def cluster_means(affinity: Tensor, clusters: Tensor) -> Tensor:
    """Mean of the members' rows for every cluster.

    Args:
        affinity: (B, N, N) rows that were clustered.
        clusters: (B, N) int64 in [-1, K).

    Returns:
        (B, K, N); rows of clusters that a picture does not have are 0.
    """
    count = int(clusters.max()) + 1 if clusters.numel() else 0
    member = (clusters.unsqueeze(1) == torch.arange(count, device=clusters.device).view(1, -1, 1)).double()
    sums = member @ affinity.double()  # (B, K, N); in float64, since two regions may meet in values very much alike
    return (sums / member.sum(-1, keepdim=True).clamp_min(1)).to(affinity.dtype)


def region_map(affinity: Tensor, clusters: Tensor, grid: Size, size: Size) -> Tensor:
    """The region, numbered as its cluster, that every pixel belongs to.

    Mean affinity of each cluster to every patch, upsampled four times, smoothed by a 7 x 7 median, upsampled to
    `size`; a pixel belongs to the cluster of the highest map.

    Args:
        affinity: (B, N, N) denoised correlation, float32.
        clusters: (B, N) int64 in [-1, K).
        grid: (h, w) patches, h * w = N.
        size: (H, W) pixels of the result.

    Returns:
        (B, H, W) int64 in [0, K), or -1 all over a picture without clusters.
    """
    means = cluster_means(affinity, clusters)  # (B, K, N)
    count = means.shape[1]
    if not count:
        return clusters.new_full((len(clusters), *size), -1)
    clusters_of = clusters.amax(1) + 1  # (B,)
    present = torch.arange(count, device=means.device) < clusters_of.unsqueeze(1)  # (B, K)
    maps = means[present].unflatten(1, grid).unsqueeze(0)  # (1, M, h, w): only clusters that exist
    enlarged = F.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)
    smooth = median_filter(enlarged[0])
    # Correlations are at least -1: a cluster that a picture does not have is nowhere the highest.
    padded = smooth.new_full((*present.shape, *smooth.shape[1:]), -2)  # (B, K, 4h, 4w)
    padded[present] = smooth
    return torch.where(clusters_of.view(-1, 1, 1) > 0, upsampled_argmax(padded, size), -1)


def majority_vote(labels: Tensor, regions: Tensor, num_labels: int) -> Tensor:
    """Every pixel takes the most frequent label of its region; the lowest label on a tie.

    Args:
        labels: (B, H, W) int64 in [0, num_labels).
        regions: (B, H, W) int64 region numbers; -1 (no region) keeps the pixel's own label.
        num_labels: number of labels.

    Returns:
        (B, H, W) int64.
    """
    batch, count = len(labels), int(regions.max()) + 1
    if count == 0:
        return labels
    image = torch.arange(batch, device=labels.device).view(-1, 1, 1)
    slot = regions + (image * (count + 1) + 1)  # (B, H, W); the first of a picture's slots is for no region
    votes = torch.bincount((slot * num_labels + labels).flatten(), minlength=batch * (count + 1) * num_labels)
    winner = votes.view(-1, num_labels).argmax(-1)  # (B * (K + 1),), the first of equal counts
    return torch.where(regions >= 0, winner[slot], labels)


def region_means(logits: Tensor, regions: Tensor, canvas: Size | None = None) -> Tensor:
    """Mean of upsampled logits over every region.

    Args:
        logits: (B, C, h, w) on the patch grid.
        regions: (B, H, W) int64 in [0, K); -1 where there is no region.
        canvas: size that the logits are upsampled to, whose top left part (H, W) is; None takes (H, W) itself.

    Returns:
        (B, K, C) float32.
    """
    # The mean of an upsampled map over a region is a weighted mean of its patches, and upsampling is linear: the
    # weights are the region's own mask brought down to the grid by the transposed upsampling, the same for all names.
    height, width = regions.shape[1:]
    canvas = canvas or (height, width)
    rows = bilinear_matrix(logits.shape[2], canvas[0], logits.device)[:height]  # (H, h)
    columns = bilinear_matrix(logits.shape[3], canvas[1], logits.device)[:width]  # (W, w)
    numbers = torch.arange(int(regions.max()) + 1, device=regions.device).view(1, -1, 1, 1)
    member = (regions.unsqueeze(1) == numbers).float()  # (B, K, H, W)
    share = (rows.T @ member @ columns).flatten(2)  # (B, K, hw)
    return share @ logits.flatten(2).mT / share.sum(-1, keepdim=True).clamp_min(1)


def full_size_means(maps: Tensor, regions: Tensor) -> Tensor:
    """Mean over every region of maps that are not upsampled ones.

    Args:
        maps: (B, C, H, W) float32.
        regions: (B, H, W) int64 in [0, K); -1 where there is no region.

    Returns:
        (B, K, C) float32.
    """
    numbers = torch.arange(int(regions.max()) + 1, device=regions.device).view(1, -1, 1)
    member = (regions.flatten(1).unsqueeze(1) == numbers).float()  # (B, K, HW)
    return member @ maps.flatten(2).mT / member.sum(-1, keepdim=True).clamp_min(1)


def mean_logits_vote(logits: Tensor, regions: Tensor, unregioned: Tensor, canvas: Size | None = None) -> Tensor:
    """Every pixel takes the name with the highest mean upsampled logit of its region; see `mean_vote`.

    Args:
        logits: (B, C, h, w) on the patch grid.
        regions: (B, H, W) int64; -1 where there is no region.
        unregioned: (B, H, W) names of pixels without a region.
        canvas: see `region_means`.

    Returns:
        (B, H, W) int64 in [0, C).
    """
    return mean_vote(region_means(logits, regions, canvas), regions, unregioned)


def mean_vote(means: Tensor, regions: Tensor, unregioned: Tensor) -> Tensor:
    """Every pixel takes the name with the highest mean logit of its region.

    Source: CLIPtrase's released multi-GPU variant.

    Args:
        means: (B, K, C) of every region's logits.
        regions: (B, H, W) int64 in [0, K); -1 where there is no region.
        unregioned: (B, H, W) names of pixels without a region.

    Returns:
        (B, H, W) int64 in [0, C).
    """
    if not means.shape[1]:
        return unregioned
    winner = means.argmax(-1)  # (B, K)
    image = torch.arange(len(regions), device=regions.device).view(-1, 1, 1)
    return torch.where(regions >= 0, winner[image, regions.clamp_min(0)], unregioned)
