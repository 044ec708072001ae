"""The position embedding off its own grid, against a plain loop."""

import numpy as np
import pytest
import torch

from cliptrase.ops.position import resample_position_embedding
from tests import references


@pytest.mark.parametrize("grid", [(14, 14), (21, 21), (7, 7), (20, 30), (5, 14), (14, 15), (1, 1)])
def test_position_embedding_is_resampled_by_the_scale_factor(grid: tuple[int, int]) -> None:
    embedding = torch.randn(197, 6, generator=torch.Generator().manual_seed(4))
    found = resample_position_embedding(embedding, (14, 14), grid)
    expected = references.position_embedding(embedding.numpy(), (14, 14), grid)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)
    assert torch.equal(found[0], embedding[0])
    if grid == (14, 14):
        assert found is embedding


def test_position_embedding_of_a_native_grid_that_is_not_square() -> None:
    embedding = torch.randn(1 + 4 * 7, 3, generator=torch.Generator().manual_seed(5))
    found = resample_position_embedding(embedding, (4, 7), (9, 5))
    np.testing.assert_allclose(
        found.numpy(), references.position_embedding(embedding.numpy(), (4, 7), (9, 5)), atol=2e-5
    )
