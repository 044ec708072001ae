"""Bootstrap confidence intervals of mIoU over pictures, and of paired differences between methods.

Every picture is drawn a Poisson(1) number of times (Hanley & MacGibbon, 2006; Chamandy et al., 2012), from a stream of
numbers of its own that its name starts. So it is drawn alike under every method and in every setting that has it,
whatever else is there: differences are paired, and settings of the same pictures vary together in their average.

Source: Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993: section 6.2 (resampling the units), 14.3
(bias-corrected and accelerated intervals), 14.2 with 13.3 (percentiles).
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cliptrase.metrics import Definition, mean_iou

LEVEL = 0.95
RESAMPLES = 2000
_CHUNK = 250  # resamples whose sums are in memory at once


class Interval(NamedTuple):
    """Bounds in points of mIoU."""

    low: float
    high: float


class Difference(NamedTuple):
    """How much higher a method's mIoU is than the first method's, in points."""

    value: float
    interval: Interval


class Estimate(NamedTuple):
    """What the pictures say of one method."""

    interval: Interval
    difference: Difference | None  # None for the first method


class Replicates(NamedTuple):
    """mIoU of M methods in percent: as it is, of R resamples, and without each of P pictures."""

    values: Tensor  # (M,) float64
    samples: Tensor  # (M, R) float64, NaN where a resample drew nothing
    jackknife: Tensor  # (M, P) float64
    stems: list[str]  # of the P pictures


def replicates(
    counts: Tensor, stems: Sequence[str], definition: Definition, resamples: int = RESAMPLES
) -> Replicates | None:
    """What intervals on one setting are made of.

    A resample's mIoU comes from the counts summed over what it draws, as the data set's does. Pictures without a
    scored pixel are no units.

    Args:
        counts: (M, P, 3, C) integer hits, truth and predicted pixels.
        stems: names of the P pictures.
        definition: of the mIoU.
        resamples: how many.

    Returns:
        None for fewer than two pictures, which tell nothing of how pictures differ.
    """
    scored = counts[0, :, 1].sum(1) > 0  # (P,)
    counts, stems = counts[:, scored], [stem for stem, kept in zip(stems, scored.tolist(), strict=True) if kept]
    if len(stems) < 2:
        return None
    weights = resample_weights(stems, resamples)
    whole, drawn, left_out = [], [], []
    for own in counts:  # (P, 3, C)
        flat = own.double().flatten(1)
        total = flat.sum(0)
        whole.append(mean_iou(total.unflatten(0, own.shape[1:]), definition))
        # Sums of whole numbers below 2^53: exact, so that the order of the additions does not matter.
        sums = (part.double() @ flat for part in weights.split(_CHUNK))
        drawn.append(torch.cat([mean_iou(part.unflatten(1, own.shape[1:]), definition) for part in sums]))
        left_out.append(torch.cat(list(_leave_one_out(flat, total, own.shape[2], definition))))
    return Replicates(torch.stack(whole), torch.stack(drawn), torch.stack(left_out), stems)


def of_average(settings: Sequence[Replicates]) -> Replicates:
    """Replicates of the mean mIoU over settings.

    Args:
        settings: at least one, all of the same methods in the same order. Pictures of one name are one picture.
    """
    values = torch.stack([setting.values for setting in settings]).mean(0)
    samples = torch.stack([setting.samples for setting in settings]).mean(0)
    stems = list(dict.fromkeys(stem for setting in settings for stem in setting.stems))
    place = {stem: number for number, stem in enumerate(stems)}
    jackknife = values.unsqueeze(1).repeat(1, len(stems))
    for setting in settings:
        # What a picture adds to the average is its part in each setting, measured from that setting's middle.
        parts = (setting.jackknife - setting.jackknife.mean(1, keepdim=True)) / len(settings)
        jackknife.index_add_(1, torch.tensor([place[stem] for stem in setting.stems]), parts)
    return Replicates(values, samples, jackknife, stems)


def estimates(found: Replicates) -> list[Estimate]:
    """95 percent intervals of every method, and of its difference to the first one.

    Args:
        found: of a setting, or of an average over settings.

    Returns:
        one a method.
    """
    values, jackknife = found.values, found.jackknife
    samples = found.samples[:, found.samples.isfinite().all(0)]
    alone = [Estimate(Interval(*bounds), None) for bounds in bca(values, samples, jackknife).tolist()]
    differences = values - values[0], samples - samples[0], jackknife - jackknife[0]
    between = bca(*differences).tolist()
    return alone[:1] + [
        Estimate(own.interval, Difference(float(value), Interval(*bounds)))
        for own, value, bounds in zip(alone[1:], differences[0][1:], between[1:], strict=True)
    ]


def resample_weights(stems: Sequence[str], resamples: int = RESAMPLES) -> Tensor:
    """How often each picture is drawn: (resamples, pictures) int16, the same for a name at every call."""
    drawn = np.empty((len(stems), resamples), np.int16)
    for row, stem in zip(drawn, stems, strict=True):
        key = int.from_bytes(hashlib.blake2b(stem.encode(), digest_size=16).digest(), "little")
        row[:] = np.random.Generator(np.random.Philox(key=key)).poisson(1, resamples)
    return torch.from_numpy(drawn.T)


def _leave_one_out(flat: Tensor, total: Tensor, classes: int, definition: Definition) -> Iterator[Tensor]:
    """The mIoU without each picture in turn, in parts."""
    for part in flat.split(_CHUNK):
        yield mean_iou((total - part).unflatten(1, (3, classes)), definition)


def bca(value: Tensor, samples: Tensor, jackknife: Tensor) -> Tensor:
    """Bias-corrected and accelerated bounds (Efron & Tibshirani, equations 14.9 to 14.15).

    Args:
        value: (M,) figures of all pictures.
        samples: (M, R) figures of the resamples.
        jackknife: (M, P) figures without one picture.

    Returns:
        (M, 2) float64 lower and upper bounds.
    """
    below = (samples < value[:, None]).double().mean(1) + (samples == value[:, None]).double().mean(1) / 2
    half_step = 0.5 / samples.shape[1]
    bias = torch.special.ndtri(below.clamp(half_step, 1 - half_step))  # (M,)
    spread = jackknife.mean(1, keepdim=True) - jackknife
    power = (spread**2).sum(1) ** 1.5
    acceleration = torch.where(power > 0, (spread**3).sum(1) / (6 * power), 0)
    normal = torch.special.ndtri(torch.tensor([0.5 - LEVEL / 2, 0.5 + LEVEL / 2], dtype=torch.float64))
    shifted = bias[:, None] + normal  # (M, 2)
    places = torch.special.ndtr(bias[:, None] + shifted / (1 - acceleration[:, None] * shifted))
    return torch.stack([torch.quantile(own, place) for own, place in zip(samples, places, strict=True)])
