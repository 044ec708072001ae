"""PEARL's attention against its formulas written out, vector by vector."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cliptrase.attention import Projections
from cliptrase.readings.pearl import aligned_query_key
from tests.references import softmax_rows

Array = NDArray[np.float64]


def plain(query: Array, key: Array, value: Array, alpha: float) -> Array:
    """One head: (T, D) each."""
    norms = [0.0] + [float(np.sqrt((q**2).sum())) for q in query[1:]]
    weights = [norm / (sum(norms) + 1e-6) for norm in norms]
    mean_query = sum(weight * q for weight, q in zip(weights, query, strict=True))
    mean_key = sum(weight * k for weight, k in zip(weights, key, strict=True))
    centred_query, centred_key = query - mean_query, key - mean_key
    cross = sum(np.outer(k, q) for k, q in zip(centred_key, centred_query, strict=True))
    gram = cross.T @ cross
    norm = max(np.sqrt((gram**2).sum()), 1e-6)
    y, z = gram / norm + 1e-6 * np.eye(len(gram)), np.eye(len(gram))
    for _ in range(5):
        step = (3 * np.eye(len(gram)) - z @ y) / 2
        y, z = y @ step, step @ z
    turned = key @ (cross @ z / np.sqrt(norm))
    scale = query.shape[1] ** -0.5
    logits = scale * query @ turned.T + alpha * scale * centred_key @ centred_key.T
    return softmax_rows(logits) @ value


@pytest.mark.parametrize("alpha", [0.0, 0.08, 0.3])
@pytest.mark.parametrize("grid", [(2, 3), (4, 4)])
def test_formulas(alpha: float, grid: tuple[int, int]) -> None:
    count = grid[0] * grid[1] + 1
    generator = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, 3, count, 8, generator=generator) + 0.5 for _ in range(3))
    found = aligned_query_key(Projections(query, key, value, torch.zeros(2, count, 24), grid), alpha)
    for image in range(2):
        for head in range(3):
            wanted = plain(*(x[image, head].double().numpy() for x in (query, key, value)), alpha)
            np.testing.assert_allclose(found[image, head].numpy(), wanted, rtol=0, atol=1e-5)
