"""DBSCAN over a batch of point sets as tensor code (Ester et al., KDD 1996), with scikit-learn's numbering."""

import numpy as np
import torch
from torch import Tensor

# Pairs whose squared distance lies this close to eps^2 (relative to the longest row's squared length) are measured
# again without cancellation. The matrix product's error is some 1e-15 of that length.
_DOUBT = 1e-10


def _within(points: Tensor, eps: float) -> Tensor:
    """(B, N, N) bool: is the Euclidean distance at most eps.

    Distances are float64 differences of the float32 rows and the threshold is the float64 square of the float32
    eps, as scikit-learn does it for float32 input: measured in float32, borders flip.
    """
    rows = points.double()
    threshold = float(np.float32(eps) * np.float32(eps))
    squares = rows.square().sum(-1)  # (B, N)
    excess = torch.baddbmm(squares.unsqueeze(2), rows, rows.mT, alpha=-2)  # (B, N, N)
    excess += squares.unsqueeze(1) - threshold
    near = excess <= 0
    doubt = excess.abs_() <= _DOUBT * (1 + squares.amax(1).view(-1, 1, 1))
    image, i, j = doubt.nonzero(as_tuple=True)
    for part in torch.arange(len(image), device=rows.device).split(65536):
        b, a, c = image[part], i[part], j[part]
        near[b, a, c] = (rows[b, a] - rows[b, c]).square().sum(-1) <= threshold
    return near


def _components(adjacency: Tensor) -> Tensor:
    """Lowest index reachable from each point: (B, N) int32 for a symmetric, reflexive (B, N, N) bool adjacency.

    Every point takes the lowest root among its neighbours, then roots are followed (pointer jumping), so that the
    number of rounds grows with the logarithm of a component's diameter.
    """
    batch, count, _ = adjacency.shape
    root = torch.arange(count, dtype=torch.int32, device=adjacency.device).expand(batch, count)
    while True:
        lowest = torch.minimum(_lowest(adjacency, root), root)
        lowest = torch.gather(lowest, 1, lowest.long())
        if torch.equal(lowest, root):
            return root
        root = lowest


def _lowest(adjacency: Tensor, value: Tensor) -> Tensor:
    """Lowest value among each point's neighbours, N where it has none: (B, N, N) bool, (B, N) int32 to (B, N)."""
    return torch.where(adjacency, value.unsqueeze(1), value.shape[1]).amin(-1)


@torch.no_grad()
def dbscan(points: Tensor, eps: float, min_samples: int) -> Tensor:
    """DBSCAN labels of each point set of a batch.

    A point counts itself as a neighbour. Clusters are numbered by their lowest core point; a border point belongs
    to the lowest cluster that reaches it; noise is -1.

    Args:
        points: (B, N, F) float32 rows.
        eps: largest Euclidean distance between neighbours.
        min_samples: neighbours, the point itself included, that make a core point.

    Returns:
        (B, N) int64 in [-1, clusters).
    """
    count = points.shape[1]
    near = _within(points.float(), eps)
    core = near.sum(-1, dtype=torch.int32) >= min_samples  # (B, N)
    reach = near & core.unsqueeze(1)  # from a core point in the column
    root = _components(reach & core.unsqueeze(2))  # (B, N)
    is_root = core & (root == torch.arange(count, device=points.device))
    number = is_root.cumsum(-1, dtype=torch.int32) - 1  # (B, N): the cluster's number where a root stands
    cluster = torch.where(core, torch.gather(number, 1, root.long()), count)
    lowest = _lowest(reach, cluster)  # (B, N)
    return torch.where(lowest < count, lowest, -1).long()
