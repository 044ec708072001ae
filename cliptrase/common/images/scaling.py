"""Numbers of any depth as 8 bits: by the least usual range that holds them, or stretched over what a picture holds.

What a picture holds is counted over all of it before a pixel is scaled, part by part: no picture is held whole as
floating-point numbers, and its parts do not show in the result.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.errors import InputError

_WIDENED = 257  # 255 * 257 = 65535: 8 bits as 16
_VALUES = 1 << 20  # taken at a time: some megabytes as floating-point numbers
_BINS = 1 << 16  # of the percentiles of floating-point numbers, between the least and the most: 256 for each of 8 bits


class Part(NamedTuple):
    """Numbers of one channel on a rectangle of a picture."""

    channel: int
    rows: slice
    columns: slice
    values: NDArray[Any]  # (h, w)


Parts = Callable[[], Iterator[Part]]
"""All parts of a picture, as often as it is called."""


@dataclass(frozen=True)
class Stretch:
    """Which of a band's numbers become black and white.

    Attributes:
        kind: `none` takes the least usual range that holds the numbers of all bands, see `to_8_bits`; `minmax` a band's
            least and highest number; `percentile` two of its percentiles.
        low: percent of the band's numbers that are black, for `percentile`.
        high: percent that are not white.
    """

    kind: str = "none"
    low: float = 0.0
    high: float = 100.0

    def __str__(self) -> str:
        return f"{self.kind} {self.low:g} {self.high:g}" if self.kind == "percentile" else self.kind


UNSTRETCHED = Stretch()


def parse_stretch(text: str) -> Stretch:
    """A stretch as it is typed: `none`, `minmax`, `percentile 2 98`.

    Raises:
        InputError: it is none of these, or the percentiles do not rise within 0 to 100.

    >>> parse_stretch("percentile 2 98").high
    98.0
    """
    words = text.replace(",", " ").split()
    if words in (["none"], ["minmax"]):
        return Stretch(words[0])
    if (
        words[:1] == ["percentile"]
        and len(words) == 3
        and all(re.fullmatch(r"\d+(\.\d*)?", word) for word in words[1:])
    ):
        low, high = float(words[1]), float(words[2])
        if low < high <= 100:
            return Stretch("percentile", low, high)
        raise InputError(f"--data.stretch {text!r}: percentiles rise within 0 to 100; take 'percentile 2 98', say")
    raise InputError(
        f"--data.stretch {text!r} is none; take none, minmax, or percentile with two numbers, such as 'percentile 2 98'"
    )


def to_8_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Numbers (H, W) of a one-channel picture as 0..255, by the least usual range that holds them.

    The ranges are 0..1 (floating point), 0..255, 0..4095 (12 bits, as cameras and scanners store them in 16) and
    0..65535, or else up to the highest number. Whole multiples of 257 are 8 bits widened to 16 and give these 8 bits,
    however dark. What is no number, infinite or less than 0 is black.
    """
    height, width = values.shape

    def parts() -> Iterator[Part]:
        yield Part(0, slice(height), slice(width), values)

    return scaled_parts(parts, (height, width, 1), values.dtype)[..., 0]


def scaled_parts(
    parts: Parts,
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
    stretch: Stretch = UNSTRETCHED,
    nodata: float | None = None,
) -> NDArray[np.uint8]:
    """Channels of a picture as 0..255.

    Args:
        parts: which cover the picture, each pixel of each channel once.
        shape: (H, W, channels).
        dtype: of all values.
        stretch: over what each channel holds on the whole picture, or none: then one range for all channels.
        nodata: number of pixels that hold nothing: like what is no number or infinite, they count for no range, and
            are black.

    Returns:
        (H, W, channels) uint8.
    """
    result = np.zeros(shape, dtype=np.uint8)
    few = dtype.kind in "ui" and dtype.itemsize <= 2
    tables = _tables(parts, shape[2], dtype, stretch, nodata) if few else None
    ranges = [] if few else _ranges(parts, shape[2], dtype, stretch, nodata)
    least = int(np.iinfo(dtype).min) if few else 0
    for part in parts():
        place = result[part.rows, part.columns, part.channel]
        for rows in _strips(part.values):
            values = part.values[rows]
            if tables is not None:
                place[rows] = tables[part.channel].take(values if not least else values.astype(np.int32) - least)
                continue
            scaled = _scaled(_numbers(values), *ranges[part.channel])
            scaled[~np.isfinite(values)] = 0  # a stretch may begin below 0
            if nodata is not None:
                scaled[values == nodata] = 0
            place[rows] = scaled
    return result


def _strips(values: NDArray[Any]) -> Iterator[slice]:
    height, width = values.shape
    step = max(1, _VALUES // max(1, width))
    return (slice(top, top + step) for top in range(0, height, step))


def _numbers(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.nan_to_num(values.astype(np.float32), nan=0, posinf=0, neginf=0)


def _scaled(numbers: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """From `low`, black, to `high`, white; all black where they are one."""
    if high <= low:
        return np.zeros(numbers.shape, dtype=np.uint8)
    shifted = numbers - np.float32(low) if low else numbers
    return (shifted * (255 / (high - low))).clip(0, 255).round().astype(np.uint8)


def _usual_end(highest: float, widened: bool, floating: bool) -> float:
    """Of the least usual range, from 0 on, that holds numbers up to `highest`."""
    ranges = [*([1.0] if floating else []), 255.0, 4095.0, 65535.0]
    most = next((end for end in ranges if highest <= end), highest)
    return 65535.0 if most == 4095 and widened else most


def _tables(
    parts: Parts, channels: int, dtype: np.dtype[Any], stretch: Stretch, nodata: float | None
) -> NDArray[np.uint8]:
    """What every value of at most 16 bits becomes: (channels, values), from how often each occurs."""
    least, most = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    numbers = np.arange(least, most + 1)
    counts = np.zeros((channels, len(numbers)), dtype=np.int64)
    for part in parts():
        for rows in _strips(part.values):
            values = part.values[rows].astype(np.int32).ravel() - least
            counts[part.channel] += np.bincount(values, minlength=len(numbers))
    if nodata is not None:
        counts[:, numbers == nodata] = 0
    exact = numbers.astype(np.float32)
    if stretch.kind == "none":
        held = numbers[counts.any(0)].clip(0)
        widened = not (held % _WIDENED).any()
        end = _usual_end(float(held.max(initial=0)), widened, floating=False)
        tables = np.repeat(_scaled(exact, 0, end)[None], channels, axis=0)
    else:
        tables = np.stack([_scaled(exact, *_chosen(count, numbers, stretch)) for count in counts])
    if nodata is not None:
        tables[:, numbers == nodata] = 0
    return tables


def _chosen(counts: NDArray[np.int64], numbers: NDArray[Any], stretch: Stretch) -> tuple[float, float]:
    """The numbers at a stretch's percentiles: the least that so many percent do not exceed."""
    below = counts.cumsum()
    total = int(below[-1])
    if not total:
        return 0.0, 0.0
    ranks = [max(1, math.ceil(percent / 100 * total)) for percent in (stretch.low, stretch.high)]
    low, high = (float(numbers[np.searchsorted(below, rank)]) for rank in ranks)
    return low, high


def _ranges(
    parts: Parts, channels: int, dtype: np.dtype[Any], stretch: Stretch, nodata: float | None
) -> Sequence[tuple[float, float]]:
    """By channel the numbers that become black and white."""
    least, most = [math.inf] * channels, [-math.inf] * channels
    widened = True
    for channel, finite in _finite(parts, nodata):
        if finite.size:
            least[channel] = min(least[channel], float(finite.min()))
            most[channel] = max(most[channel], float(finite.max()))
            widened = widened and not (finite.clip(0) % _WIDENED).any()
    if stretch.kind == "none":
        end = _usual_end(max(0.0, *most), widened, dtype.kind == "f")
        return [(0.0, end)] * channels
    ends = [(low, high) if low <= high else (0.0, 0.0) for low, high in zip(least, most, strict=True)]
    if stretch.kind == "minmax":
        return ends
    counts = np.zeros((channels, _BINS), dtype=np.int64)
    for channel, finite in _finite(parts, nodata):
        low, high = ends[channel]
        if high > low:
            counts[channel] += np.histogram(finite, _BINS, (low, high))[0]
    middles = [low + (np.arange(_BINS) + 0.5) * (high - low) / _BINS for low, high in ends]
    return [_chosen(count, middle, stretch) for count, middle in zip(counts, middles, strict=True)]


def _finite(parts: Parts, nodata: float | None) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Channel by channel and strip by strip the numbers that say something."""
    for part in parts():
        for rows in _strips(part.values):
            values = part.values[rows]
            kept = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
            if nodata is not None:
                kept &= values != nodata
            numbers = values[kept].astype(np.float32)
            yield part.channel, numbers[np.isfinite(numbers)]
