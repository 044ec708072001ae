"""Prints the first colours of `cliptrase.drawing.overlay`, told apart by people of every colour vision.

Each colour is the one farthest from all before it, in CIELAB as people see it with normal vision and with full
protanopia, deuteranopia and tritanopia, whichever is nearest: so any first few are about as distinct as can be.

    python scripts/palette.py
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COUNT = 32
FIRST = (0, 102, 204)
# Neither black, which means unlabelled, nor the white of the legend, nor grey, which is lost in a picture.
LIGHTNESS, CHROMA = (25, 93), 25

# Linear RGB as seen with normal vision and with protanopia, deuteranopia and tritanopia: Machado, Oliveira and
# Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1.
VISION = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    ]
)
# Linear sRGB to XYZ (IEC 61966-2-1); its row sums are the white point D65.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colours: Array) -> Array:
    """CIELAB of (N, 3) sRGB in [0, 255] under each vision: (4, N, 3)."""
    value = colours / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    seen = (linear @ VISION.mT).clip(0, 1)  # (4, N, 3)
    t = seen @ XYZ.T / XYZ.sum(1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def palette() -> list[tuple[int, ...]]:
    """The colours, most useful first."""
    steps = np.arange(0, 256, 17)
    candidates = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    light, a, b = lab(candidates)[0].T
    candidates = candidates[(light > LIGHTNESS[0]) & (light < LIGHTNESS[1]) & (np.hypot(a, b) > CHROMA)]
    seen = lab(candidates)
    chosen = [int(np.flatnonzero((candidates == FIRST).all(1))[0])]
    distance = np.full(len(candidates), np.inf)
    while len(chosen) < COUNT:
        distance = np.minimum(distance, np.linalg.norm(seen - seen[:, chosen[-1:]], axis=-1).min(0))
        chosen.append(int(distance.argmax()))
    return [tuple(int(channel) for channel in candidates[index]) for index in chosen]


if __name__ == "__main__":
    print(" ".join("".join(f"{channel:02x}" for channel in colour) for colour in palette()))
