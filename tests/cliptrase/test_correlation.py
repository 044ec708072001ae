"""Self-correlation and denoising against loops over pairs."""

import numpy as np
import torch

from cliptrase.correlation import remove_global_patches, self_correlation
from tests import references


def test_correlation_is_the_mean_of_cosines() -> None:
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(2, 3, 7, 4)).astype(np.float32) for _ in range(3))
    found = self_correlation(*map(torch.from_numpy, (q, k, v))).numpy()
    for picture in range(2):
        expected = references.self_correlation(q[picture], k[picture], v[picture])
        np.testing.assert_allclose(found[picture], expected, atol=1e-6)
    np.testing.assert_allclose(found.diagonal(axis1=1, axis2=2), 1, atol=1e-6)


def test_correlation_is_float32_under_autocast() -> None:
    q, k, v = (torch.randn(1, 2, 9, 8, generator=torch.Generator().manual_seed(i)) for i in range(3))
    usual = self_correlation(q, k, v)
    with torch.autocast("cpu", torch.bfloat16):
        found = self_correlation(q, k, v)
    assert found.dtype == torch.float32
    assert torch.equal(found, usual)


def test_denoising_is_the_loop() -> None:
    """Asymmetric input, so that rows and columns cannot be mixed up."""
    correlation = np.random.default_rng(1).uniform(-1, 1, (3, 6, 6)).astype(np.float32)
    found = remove_global_patches(torch.from_numpy(correlation)).numpy()
    np.testing.assert_array_equal(found, [references.denoise(one) for one in correlation])
