"""Regions of a picture from clusters of its patches, and the name that each region takes (CLIPtrase, section 3.4).

Clusters of a batch are held padded: K is the largest number of clusters of any picture in the batch, and `-1`
marks patches of no cluster. A picture without clusters has no regions and keeps its patches' own names.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.classification import Size, upsampled_strips


def cluster_means(affinity: Tensor, clusters: Tensor) -> Tensor:
    """Mean of the members' rows for every cluster.

    Args:
        affinity: (B, N, N) rows that were clustered.
        clusters: (B, N) int64 in [-1, K).

    Returns:
        (B, K, N); rows of clusters that a picture does not have are 0.
    """
    count = int(clusters.max()) + 1 if clusters.numel() else 0
    member = (clusters.unsqueeze(1) == torch.arange(count, device=clusters.device).view(1, -1, 1)).to(affinity.dtype)
    return member @ affinity / member.sum(-1, keepdim=True).clamp_min(1)  # (B, K, N)


def _symmetric(length: int, radius: int, device: torch.device) -> Tensor:
    """Indices that extend `length` entries by `radius` on both sides, mirrored with the edge repeated."""
    position = torch.arange(-radius, length + radius, device=device).remainder(2 * length)
    return torch.minimum(position, 2 * length - 1 - position)


def median_filter(maps: Tensor, size: int = 7) -> Tensor:
    """Median over a size x size window; borders mirror with the edge repeated (SciPy's default, `reflect`).

    Args:
        maps: (M, H, W) floating point.
        size: odd side of the window in pixels.

    Returns:
        (M, H, W).
    """
    radius = size // 2
    rows = _symmetric(maps.shape[1], radius, maps.device)
    columns = _symmetric(maps.shape[2], radius, maps.device)
    padded = maps[:, rows][:, :, columns]  # (M, H + 2r, W + 2r)
    windows = padded.unfold(1, size, 1).unfold(2, size, 1)  # (M, H, W, size, size)
    return windows.flatten(3).median(-1).values


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
    clusters_of = clusters.amax(1) + 1  # (B,)
    best = means.new_full((len(means), *size), float("-inf"))
    region = torch.full(best.shape, -1, dtype=torch.int64, device=means.device)
    if not count:
        return region
    present = torch.arange(count, device=means.device) < clusters_of.unsqueeze(1)  # (B, K)
    maps = means[present].unflatten(1, grid).unsqueeze(0)  # (1, M, h, w): only clusters that exist
    enlarged = F.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)
    smooth = median_filter(enlarged[0])
    image, number = present.nonzero(as_tuple=True)
    for start, strip in upsampled_strips(smooth.unsqueeze(0), size):
        for offset, values in enumerate(strip[0]):
            i = image[start + offset]
            better = values > best[i]
            best[i] = torch.where(better, values, best[i])
            region[i] = torch.where(better, number[start + offset], region[i])
    return region


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
    inside = regions >= 0
    key = (image * count + regions.clamp_min(0)) * num_labels + labels
    votes = torch.bincount(key[inside], minlength=batch * count * num_labels)
    winner = votes.view(batch, count, num_labels).argmax(-1)  # (B, K), the first of equal counts
    return torch.where(inside, winner[image, regions.clamp_min(0)], labels)


def mean_logits_vote(logits: Tensor, regions: Tensor, unregioned: Tensor) -> Tensor:
    """Every pixel takes the name with the highest mean upsampled logit of its region (protocol `detectron2`).

    Args:
        logits: (B, C, h, w) on the patch grid.
        regions: (B, H, W) int64; -1 where there is no region.
        unregioned: (B, H, W) names of pixels without a region.

    Returns:
        (B, H, W) int64 in [0, C).
    """
    batch, count = len(regions), int(regions.max()) + 1
    if count == 0:
        return unregioned
    size = (regions.shape[1], regions.shape[2])
    flat = regions.flatten(1)  # (B, HW)
    member = (flat.unsqueeze(1) == torch.arange(count, device=flat.device).view(1, -1, 1)).float()  # (B, K, HW)
    sums = [member @ strip.flatten(2).mT for _, strip in upsampled_strips(logits, size)]  # each (B, K, c)
    means = torch.cat(sums, -1) / member.sum(-1, keepdim=True).clamp_min(1)  # (B, K, C)
    winner = means.argmax(-1)  # (B, K)
    image = torch.arange(batch, device=regions.device).view(-1, 1, 1)
    return torch.where(regions >= 0, winner[image, regions.clamp_min(0)], unregioned)
