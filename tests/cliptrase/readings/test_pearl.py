"""PEARL's attention against its formulas written out, vector by vector."""

import numpy as np
import pytest
import torch

from cliptrase.attention import Projections
from cliptrase.readings.pearl import aligned_query_key
from tests.pearl_proxyclip_references import pearl_head


@pytest.mark.parametrize("alpha", [0.0, 0.08, 0.3])
@pytest.mark.parametrize("grid", [(2, 3), (4, 4)])
def test_formulas(alpha: float, grid: tuple[int, int]) -> None:
    count = grid[0] * grid[1] + 1
    generator = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, 3, count, 8, generator=generator) + 0.5 for _ in range(3))
    found = aligned_query_key(Projections(query, key, value, torch.zeros(2, count, 24), grid), alpha)
    for image in range(2):
        for head in range(3):
            wanted = pearl_head(*(x[image, head].double().numpy() for x in (query, key, value)), alpha)
            np.testing.assert_allclose(found[image, head].numpy(), wanted, rtol=0, atol=1e-5)
