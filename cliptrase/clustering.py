"""DBSCAN over a batch of point sets as tensor code (Ester et al., KDD 1996), with scikit-learn's numbering."""

import numpy as np
import torch
from torch import Tensor

# Pairs whose squared distance lies this close to eps^2 (relative to the rows' own squared length) are measured
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
    distances = squares.unsqueeze(2) + squares.unsqueeze(1) - 2 * rows @ rows.mT  # (B, N, N)
    near = distances <= threshold
    doubt = (distances - threshold).abs() <= _DOUBT * (1 + squares.unsqueeze(2) + squares.unsqueeze(1))
    image, i, j = doubt.nonzero(as_tuple=True)
    for part in torch.arange(len(image), device=rows.device).split(65536):
        b, a, c = image[part], i[part], j[part]
        near[b, a, c] = (rows[b, a] - rows[b, c]).square().sum(-1) <= threshold
    return near


def _components(adjacency: Tensor) -> Tensor:
    """Lowest index reachable from each point: (B, N) for a symmetric, reflexive (B, N, N) bool adjacency.

    Every point takes the lowest root among its neighbours, then roots are followed (pointer jumping), so that the
    number of rounds grows with the logarithm of a component's diameter.
    """
    batch, count, _ = adjacency.shape
    root = torch.arange(count, device=adjacency.device).expand(batch, count)
    while True:
        lowest = torch.where(adjacency, root.unsqueeze(1), count).amin(-1).clamp_max(count - 1)
        lowest = torch.minimum(lowest, root)
        lowest = torch.gather(lowest, 1, lowest)
        if torch.equal(lowest, root):
            return root
        root = lowest


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
    core = near.sum(-1) >= min_samples  # (B, N)
    linked = near & core.unsqueeze(1) & core.unsqueeze(2)
    root = _components(linked)  # (B, N)
    is_root = core & (root == torch.arange(count, device=points.device))
    number = is_root.cumsum(-1) - 1  # (B, N): the cluster's number where a root stands
    cluster = torch.where(core, torch.gather(number, 1, root), count)
    reached = torch.where(near & core.unsqueeze(1), cluster.unsqueeze(1), count).amin(-1)  # (B, N)
    return torch.where(reached < count, reached, -1)
