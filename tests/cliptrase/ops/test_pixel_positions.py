"""Positions of pixels against exact arithmetic, for every grid and label map of usual sizes."""

import numpy as np
import pytest
import torch

from cliptrase.ops.pixel_positions import pixel_positions

PATCHES = 48
LENGTHS = 700


@pytest.mark.parametrize("part", range(8))
def test_positions_are_those_of_whole_numbers(part: int) -> None:
    """(2i + 1) p / 2L - 1/2 by integers: the same cell, and the share to float32's last digit beside 1."""
    checked = 0
    for patches in range(1 + part, PATCHES + 1, 8):
        for length in range(1, LENGTHS + 1, 7 if patches % 3 else 1):
            cell, share = (values.numpy() for values in pixel_positions(patches, length, torch.device("cpu")))
            numerator = (2 * np.arange(length) + 1) * patches - length  # of the position, over 2 length
            below = numerator // (2 * length)
            exact = (numerator - np.maximum(below, 0) * 2 * length).clip(0) / (2 * length)
            # At a patch's centre float64 may stop short of it: that patch then is the upper one and gives all, or the
            # only one.
            short = cell != below + 1
            assert (numerator[short] % (2 * length) == 0).all()
            assert (cell[short] == below[short]).all()
            assert (share[short] == (cell[short] > 0)).all()
            assert np.abs(share[~short] - exact[~short]).max(initial=0) <= 2**-25 + 2**-44
            checked += length
    assert checked > 100_000
