"""Triton kernels; only imported where Triton is, see `kernels`."""

import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def highest(
    maps: tl.tensor,
    weight: tl.tensor,
    winners: tl.tensor,
    row_cells: tl.tensor,
    row_shares: tl.tensor,
    column_cells: tl.tensor,
    column_shares: tl.tensor,
    names: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    WEIGHTED: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
) -> None:
    """A block of pixels of one picture: bilinear values of one name after the other under a running maximum.

    maps (B, names, height, width) and weight (B, names) float32; winners (B, rows, columns) int64; cells (rows,) and
    (columns,) int64 and shares float32 are `pixel_positions`. Grid: (blocks of pixels, B).
    """
    picture = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    within = pixel < rows * columns
    down, across = pixel // columns, pixel % columns
    row, column = tl.load(row_cells + down, mask=within, other=0), tl.load(column_cells + across, mask=within, other=0)
    y, x = tl.load(row_shares + down, mask=within, other=0.0), tl.load(column_shares + across, mask=within, other=0.0)
    top, left = tl.maximum(row - 1, 0), tl.maximum(column - 1, 0)
    bottom, right = tl.minimum(row, height - 1), tl.minimum(column, width - 1)
    best = tl.full([BLOCK], float("-inf"), tl.float32)
    winner = tl.zeros([BLOCK], tl.int64)
    one = maps + picture * names * height * width
    for name in range(names):
        upper = tl.load(one + top * width + left) * (1 - x) + tl.load(one + top * width + right) * x
        lower = tl.load(one + bottom * width + left) * (1 - x) + tl.load(one + bottom * width + right) * x
        value = upper * (1 - y) + lower * y
        if WEIGHTED:
            value *= tl.load(weight + picture * names + name)
        winner = tl.where(value > best, name, winner)
        best = tl.where(value > best, value, best)
        one += height * width
    tl.store(winners + picture * rows * columns + pixel, winner, mask=within)


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def median(
    maps: tl.tensor,
    medians: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    SIZE: tl.constexpr,  # noqa: N803
    LANES: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
) -> None:
    """A block of pixels of one map: the middle value of each one's window, found bit by bit.

    Floats are compared as unsigned integers of the same order; the median is built from its highest bit on by counting
    how many of the window lie below. maps and medians (M, height, width) float32, a power of two LANES >= SIZE * SIZE.
    Grid: (M, blocks of pixels).
    """
    offset = tl.program_id(0).to(tl.int64) * height * width
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    lane = tl.arange(0, LANES)
    row = (pixel // width)[:, None] + (lane // SIZE)[None, :] - SIZE // 2  # (BLOCK, LANES)
    column = (pixel % width)[:, None] + (lane % SIZE)[None, :] - SIZE // 2
    row = (row + 2 * height * SIZE) % (2 * height)  # mirrored with the edge repeated, however narrow the map
    column = (column + 2 * width * SIZE) % (2 * width)
    row, column = tl.minimum(row, 2 * height - 1 - row), tl.minimum(column, 2 * width - 1 - column)
    within = (lane < SIZE * SIZE)[None, :]
    window = tl.load(maps + offset + row * width + column, mask=within, other=0.0).to(tl.int32, bitcast=True)
    order = (window ^ ((window >> 31) & 0x7FFFFFFF)).to(tl.uint32, bitcast=True) ^ 0x80000000
    order = tl.where(within, order, 0xFFFFFFFF)
    found = tl.zeros([BLOCK], tl.uint32)
    bit = tl.full([BLOCK], 0x80000000, tl.uint32)
    for _ in range(32):
        higher = found | bit
        below = tl.sum((order < higher[:, None]).to(tl.int32), 1)
        found = tl.where(below <= SIZE * SIZE // 2, higher, found)
        bit = bit >> 1
    found = (found ^ 0x80000000).to(tl.int32, bitcast=True)
    found = found ^ ((found >> 31) & 0x7FFFFFFF)
    tl.store(medians + offset + pixel, found.to(tl.float32, bitcast=True), mask=pixel < height * width)
