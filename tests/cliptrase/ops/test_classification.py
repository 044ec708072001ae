"""Logits on the patch grid."""

import math

import numpy as np
import pytest
import torch

from cliptrase.ops.classification import check_grid, has_direction, patch_logits


def test_patch_logits_are_scaled_inner_products() -> None:
    rng = np.random.default_rng(4)
    patches, text = rng.normal(size=(2, 6, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    logits = patch_logits(torch.from_numpy(patches), torch.from_numpy(text), 100.0, (2, 3)).numpy()
    assert logits.shape == (2, 3, 2, 3)
    for picture in range(2):
        for name in range(3):
            for patch in range(6):
                expected = 100 * float(patches[picture, patch] @ text[name])
                assert logits[picture, name, patch // 3, patch % 3] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_grid() -> None:
    assert check_grid((224, 336), (16, 14)) == (14, 24)
    with pytest.raises(ValueError, match="225 x 224 pixels is not whole patches of 16 x 16"):
        check_grid((225, 224), (16, 16))
    with pytest.raises(KeyError):
        check_grid((0, 16), (16, 16), KeyError)


def test_what_has_a_direction() -> None:
    huge = torch.tensor([3e38, 3e38])  # finite, of a length that is not
    odd = [torch.tensor([math.nan, 1]), torch.tensor([math.inf, 1]), torch.zeros(2), torch.tensor([1e-30, 0]), huge]
    found = has_direction(torch.stack([*odd, torch.tensor([0.0, -1e-3])]).view(2, 3, 2))
    assert found.tolist() == [[False] * 3, [False, False, True]]
    assert has_direction(
        torch.full((2, 512), 200.0, dtype=torch.float16)
    ).all()  # its squares are beyond half precision
