"""Attention rules against softmax written out."""

import numpy as np
import pytest
import torch

from cliptrase.attention import AttentionRule, Projections, correlative_self_attention, query_key, value_path
from tests.references import softmax_rows


def projections() -> Projections:
    q, k, v = (torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    return Projections(q, k, v, torch.zeros(2, 7, 24), (2, 3))


def weights(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    a64, b64 = a.double().numpy(), b.double().numpy()
    return softmax_rows(a64 @ b64.swapaxes(-1, -2) / np.sqrt(a64.shape[-1]))


@pytest.mark.parametrize("rule", [query_key, correlative_self_attention, value_path])
def test_rules_are_their_formulas(rule: AttentionRule) -> None:
    p = projections()
    q, k, v = p.query, p.key, p.value
    matrices = {
        query_key: weights(q, k),
        value_path: np.broadcast_to(np.eye(7), (2, 3, 7, 7)),
        correlative_self_attention: weights(q, q) + weights(k, k) + weights(v, v),
    }
    np.testing.assert_allclose(rule(p).numpy(), matrices[rule] @ v.double().numpy(), atol=1e-5)


def test_rows_of_cliptrases_weights_sum_to_three() -> None:
    p = projections()
    ones = Projections(p.query, p.key, torch.ones_like(p.value), p.tokens, p.grid)
    np.testing.assert_allclose(correlative_self_attention(ones).numpy(), 3, atol=1e-5)
