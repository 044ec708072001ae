"""Sixteen everyday materials painted with exact arithmetic, the palette of the demo's scenes.

Only operations that IEEE 754 rounds the same everywhere are used (+ - * /, floor, comparisons, integer
operations) and only the raw words of PCG64, whose stream NumPy guarantees across versions: the same pixels
on every machine.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]
Texture = Callable[["Draws", Floats, Floats], Floats]

SQRT3 = 1.7320508  # a literal: both readings below need the same float32


class Draws:
    """Uniform numbers in [0, 1) from the raw 64-bit words of PCG64: 24 bits each, exact in float32."""

    def __init__(self, *seed: int) -> None:
        """Start the stream that belongs to these integers, each at least 0."""
        self._bits = np.random.PCG64(list(seed))

    def units(self, *shape: int) -> Floats:
        """A float32 array of the given shape."""
        words = np.asarray(self._bits.random_raw(int(np.prod(shape))), dtype=np.uint64)
        return ((words >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)

    def between(self, low: float, high: float) -> float:
        """One number in [low, high)."""
        return low + (high - low) * (int(self._bits.random_raw()) >> 40) * 2.0**-24

    def below(self, count: int) -> int:
        """One integer in [0, count)."""
        return (int(self._bits.random_raw()) >> 32) * count >> 32

    def pick(self, count: int, of: int) -> list[int]:
        """`count` different integers in [0, of), in random order."""
        left = list(range(of))
        return [left.pop(self.below(len(left))) for _ in range(count)]


def noise(draws: Draws, y: Floats, x: Floats, cell_y: float, cell_x: float | None = None) -> Floats:
    """Smooth noise in [0, 1): random values on a lattice of `cell_y` by `cell_x` pixels, eased between.

    `y` (h, 1) and `x` (1, w) are pixel coordinates starting at 0. Returns (h, w).
    """
    ty, tx = y[:, 0] / np.float32(cell_y), x[0] / np.float32(cell_x or cell_y)
    iy, ix = ty.astype(np.intp), tx.astype(np.intp)
    lattice = draws.units(int(iy[-1]) + 2, int(ix[-1]) + 2)
    fy, fx = (ty - iy.astype(np.float32))[:, None], (tx - ix.astype(np.float32))[None]
    fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
    rows = lattice[iy] + (lattice[iy + 1] - lattice[iy]) * fy  # (h, lattice width)
    smooth: Floats = rows[:, ix] + (rows[:, ix + 1] - rows[:, ix]) * fx  # (h, w)
    return smooth


def _wave(t: Floats) -> Floats:
    """Triangle wave of period 1 in [0, 1]."""
    return np.abs(2 * (t - np.floor(t)) - 1)


def _step(t: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, a ramp between."""
    ramp: Floats = np.clip((t - low) / (high - low), 0, 1)
    return ramp


def _mix(a: Colour | Floats, b: Colour | Floats, t: Floats) -> Floats:
    """From colour a (t = 0) to colour b (t = 1): (h, w, 3)."""
    a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
    return a + (b - a) * t[..., None]


def _turned(draws: Draws, y: Floats, x: Floats, period: float, most: float = 1.0) -> tuple[Floats, Floats]:
    """Coordinates (v, u) in units of a jittered period, turned by up to `most` quarter turns either way.

    The rotation is the rational point of the circle at half-angle tangent t, so that no sine is needed.
    """
    t = draws.between(-0.414, 0.414) * most
    cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    scale = 1 / (period * draws.between(0.8, 1.25))
    dy, dx = draws.between(0, 64), draws.between(0, 64)
    v = (y + dy) * np.float32(cos * scale) - (x + dx) * np.float32(sin * scale)
    u = (y + dy) * np.float32(sin * scale) + (x + dx) * np.float32(cos * scale)
    return v + 16, u + 16  # (h, w) each, not negative for pictures up to 512 pixels


def _per_cell(draws: Draws, iy: Floats, ix: Floats) -> Floats:
    """One uniform number for each integer cell (period 16 each way), read at (iy, ix)."""
    table = draws.units(256)
    return table[(iy.astype(np.intp) & 15) * 16 + (ix.astype(np.intp) & 15)]


def _hexagons(v: Floats, u: Floats) -> tuple[Floats, Floats, Floats]:
    """Offset (y, x) from the centre of the pixel's hexagon of width 1, and the distance to its border."""
    y1, x1 = (v / SQRT3 - np.floor(v / SQRT3) - 0.5) * SQRT3, u - np.floor(u) - 0.5
    v2, u2 = v + SQRT3 / 2, u + 0.5
    y2, x2 = (v2 / SQRT3 - np.floor(v2 / SQRT3) - 0.5) * SQRT3, u2 - np.floor(u2) - 0.5
    first = y1 * y1 + x1 * x1 < y2 * y2 + x2 * x2
    y, x = np.where(first, y1, y2), np.where(first, x1, x2)
    across = np.abs(x)
    return y, x, 0.5 - np.maximum(across, across * 0.5 + np.abs(y) * (SQRT3 / 2))


def _spots(draws: Draws, v: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Squared distance to a jittered spot in the pixel's unit cell (rows staggered), a number per cell."""
    iy = np.floor(v)
    u = u + _wave(iy * np.float32(0.5)) * 0.5
    ix = np.floor(u)
    a, b = _per_cell(draws, iy, ix), _per_cell(draws, iy, ix)
    dy, dx = v - iy - 0.35 - 0.3 * a, u - ix - 0.35 - 0.3 * b
    return dy * dy + dx * dx, a


def _blocks(draws: Draws, v: Floats, u: Floats) -> tuple[Floats, Floats]:
    """Running bond of unit blocks: distance to the block's border in block units, and a number per block."""
    iy = np.floor(v)
    u = u + _wave(iy * np.float32(0.5)) * 0.5
    ix = np.floor(u)
    fy, fx = v - iy, u - ix
    return np.minimum(np.minimum(fy, 1 - fy), np.minimum(fx, 1 - fx) * 1.6), _per_cell(draws, iy, ix)


def _grass(d: Draws, y: Floats, x: Floats) -> Floats:
    blades = noise(d, y, x, 9, 2) * 0.6 + noise(d, y, x, 5, 1.5) * 0.4
    return _mix((22, 70, 14), (150, 205, 70), _step(blades, 0.15, 0.85))


def _sky(d: Draws, y: Floats, x: Floats) -> Floats:
    cloud = noise(d, y, x, 26, 44) * 0.65 + noise(d, y, x, 11, 17) * 0.35
    return _mix((105, 170, 238), (246, 249, 252), _step(cloud, 0.48, 0.8))


def _sand(d: Draws, y: Floats, x: Floats) -> Floats:
    v, _ = _turned(d, y, x, 13, 0.5)
    ripple = _wave(v + noise(d, y, x, 22) * 1.2)
    return _mix((186, 150, 98), (236, 210, 160), ripple * 0.45 + d.units(*v.shape) * 0.55)


def _water(d: Draws, y: Floats, x: Floats) -> Floats:
    v, _ = _turned(d, y, x, 10, 0.15)
    wave = _wave(v + noise(d, y, x, 8, 16) * 1.6)
    return _mix(_mix((8, 62, 112), (30, 122, 160), wave), (190, 232, 240), _step(wave, 0.78, 0.98))


def _brick(d: Draws, y: Floats, x: Floats) -> Floats:
    v, u = _turned(d, y, x, 10, 0.08)
    edge, tone = _blocks(d, v, u * 0.5)
    clay = _mix((140, 52, 38), (192, 88, 62), tone * 0.7 + noise(d, y, x, 3) * 0.3)
    return _mix((205, 196, 184), clay, _step(edge, 0.07, 0.14))


def _wood(d: Draws, y: Floats, x: Floats) -> Floats:
    v, _ = _turned(d, y, x, 7, 0.3)
    grain = _wave(v + noise(d, y, x, 14, 60) * 3)
    return _mix((92, 54, 26), (190, 132, 76), grain * 0.7 + noise(d, y, x, 1.5, 16) * 0.3)


def _cobblestone(d: Draws, y: Floats, x: Floats) -> Floats:
    v, u = _turned(d, y, x, 15, 0.3)
    edge, tone = _blocks(d, v + noise(d, y, x, 9) * 0.35, u * 0.85 + noise(d, y, x, 9) * 0.35)
    stone = _mix((96, 98, 104), (176, 176, 178), tone * 0.7 + noise(d, y, x, 3) * 0.3)
    return _mix((38, 36, 36), stone, _step(edge, 0.04, 0.26))


def _apple(d: Draws, y: Floats, x: Floats) -> Floats:
    blush = noise(d, y, x, 24) * 0.75 + noise(d, y, x, 9, 3) * 0.25
    skin = _mix((176, 14, 26), (226, 70, 48), blush)
    speck, _ = _spots(d, *_turned(d, y, x, 15))
    return _mix((240, 170, 110), skin, _step(speck, 0.002, 0.008))


def _lemon(d: Draws, y: Floats, x: Floats) -> Floats:
    pore, tone = _spots(d, *_turned(d, y, x, 7))
    skin = _mix((240, 208, 20), (255, 240, 88), noise(d, y, x, 16))
    return _mix((206, 160, 8), skin, _step(pore, 0.01, 0.09) * (0.7 + 0.3 * tone))


def _strawberry(d: Draws, y: Floats, x: Floats) -> Floats:
    seed, _ = _spots(d, *_turned(d, y, x, 9, 0.4))
    flesh = _mix((126, 6, 24), (222, 30, 48), _step(seed, 0.02, 0.16))
    return _mix((250, 220, 110), flesh, _step(seed, 0.015, 0.03))


def _grape(d: Draws, y: Floats, x: Floats) -> Floats:
    v, u = _turned(d, y, x, 15)
    dy, dx, _ = _hexagons(v, u)
    ball = 1 - 4 * (dy * dy + dx * dx)  # 1 in the middle of a berry, 0 at its rim
    shine = (dy + 0.14) * (dy + 0.14) + (dx + 0.14) * (dx + 0.14)
    berry = _mix((40, 12, 56), (136, 66, 160), _step(ball, -0.05, 0.9))
    return _mix((226, 200, 240), berry, _step(shine, 0.002, 0.025))


def _zebra(d: Draws, y: Floats, x: Floats) -> Floats:
    v, _ = _turned(d, y, x, 12)
    return _mix((18, 17, 18), (242, 240, 234), _step(_wave(v + noise(d, y, x, 20) * 2), 0.42, 0.58))


def _leopard(d: Draws, y: Floats, x: Floats) -> Floats:
    spot, tone = _spots(d, *_turned(d, y, x, 13))
    ring = np.abs(spot - 0.085) + noise(d, y, x, 4) * 0.05
    coat = _mix((172, 112, 48), (230, 180, 102), _step(spot, 0.05, 0.1) * (0.8 + 0.2 * tone))
    return _mix((34, 22, 14), coat, _step(ring, 0.05, 0.08))


def _giraffe(d: Draws, y: Floats, x: Floats) -> Floats:
    v, u = _turned(d, y, x, 21)
    _, _, edge = _hexagons(v + noise(d, y, x, 10) * 0.5, u + noise(d, y, x, 10) * 0.5)
    patch = _mix((110, 58, 22), (168, 96, 40), noise(d, y, x, 7))
    return _mix((242, 222, 178), patch, _step(edge, 0.07, 0.12))


def _chessboard(d: Draws, y: Floats, x: Floats) -> Floats:
    v, u = _turned(d, y, x, 11)
    odd = _wave((np.floor(v) + np.floor(u)) * np.float32(0.5))
    return _mix((28, 26, 26), (236, 230, 216), odd)


def _honeycomb(d: Draws, y: Floats, x: Floats) -> Floats:
    v, u = _turned(d, y, x, 13)
    _, _, edge = _hexagons(v, u)
    honey = _mix((255, 196, 40), (206, 122, 8), _step(edge, 0.1, 0.45))
    return _mix((120, 62, 6), honey, _step(edge, 0.05, 0.1))


TEXTURES: dict[str, Texture] = {
    "grass": _grass,
    "sky": _sky,
    "sand": _sand,
    "water": _water,
    "brick": _brick,
    "wood": _wood,
    "cobblestone": _cobblestone,
    "apple": _apple,
    "lemon": _lemon,
    "strawberry": _strawberry,
    "grape": _grape,
    "zebra": _zebra,
    "leopard": _leopard,
    "giraffe": _giraffe,
    "chessboard": _chessboard,
    "honeycomb": _honeycomb,
}
"""Name to painter, in label order: (draws, y (h, 1), x (1, w)) -> (h, w, 3) float32 of about 0 to 255."""
