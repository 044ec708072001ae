"""What the threshold of "none of these" takes away: words that are not there, and pixels that were right.

Scenes of the demo's test split, asked for words drawn by the scene's number. The rule was chosen before, and looked at
on the split `val` alone.

python -m benchmarks.none_of_these
python -m benchmarks.none_of_these --scenes 20 --methods sclip --thresholds auto 0.5
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import record
from cliptrase import Segmenter, Vocabulary
from cliptrase.inference.neutral import none_of_these
from cliptrase.inference.neutral_words import NEUTRAL_WORDS
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.table import get_protocol
from cliptrase.vocabulary import single_names
from datamodules.shapes_scenes import NAMES, Scene, scene

_DRAWS = 10_000  # of pictures, with replacement
_NOTHING = len(NAMES)  # truth of a pixel whose word is not asked for, and label of one that is none of them

Choose = Callable[[list[int], np.random.Generator], list[int]]
"""From the names that a scene shows to those that are asked for."""

Floats = NDArray[np.float64]


def _absent(count: int) -> Choose:
    def choose(shown: list[int], draws: np.random.Generator) -> list[int]:
        absent = [name for name in range(len(NAMES)) if name not in shown]
        return sorted(draws.permutation(absent)[:count].tolist())

    return choose


def _half(shown: list[int], draws: np.random.Generator) -> list[int]:
    return sorted(draws.permutation(len(NAMES))[: len(NAMES) // 2].tolist())


ASKED: dict[str, Choose] = {
    "1 absent": _absent(1),
    "3 absent": _absent(3),
    "8 absent": _absent(8),
    "all present": lambda shown, draws: shown,
    "half of all names": _half,
    "all names": lambda shown, draws: list(range(len(NAMES))),
}


class Counts(NamedTuple):
    """Of P pictures, before the threshold and after it.

    Attributes:
        elsewhere: (P,) pixels whose word is not asked for.
        false: (P, 2) of them with a word.
        right: (P, 2) pixels with their own word.
        hits: (P, 2, names + 1) pixels of each label, the last "none of these", that are right.
        union: (P, 2, names + 1) pixels that have the label or should.
    """

    elsewhere: Floats
    false: Floats
    right: Floats
    hits: Floats
    union: Floats


def count(maps: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], truths: Sequence[NDArray[np.int64]]) -> Counts:
    """Counts of label maps before and after the threshold, (H, W) each, and truths; labels are of `NAMES`."""
    labels = np.arange(_NOTHING + 1)[:, None, None]
    rows = []
    for pair, truth in zip(maps, truths, strict=True):
        elsewhere = truth == _NOTHING
        own = truth == labels
        both = [own & (found == labels) for found in pair]
        either = [own | (found == labels) for found in pair]
        rows.append(
            (
                elsewhere.sum(),
                [(elsewhere & (found != _NOTHING)).sum() for found in pair],
                [((truth == found) & ~elsewhere).sum() for found in pair],
                [one.sum((1, 2)) for one in both],
                [one.sum((1, 2)) for one in either],
            )
        )
    return Counts(*(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)))


def figures(counts: Counts) -> dict[str, float]:
    """Percentages with bounds of 95 % by the bootstrap over pictures.

    `false` is the share of pixels with a word among those whose word is not asked for, `lost` the share of right pixels
    that are none of the words now, `mIoU` over asked words, and "none of these" where there are pixels of it.
    """
    pictures = len(counts.false)
    draws = np.random.default_rng(0).multinomial(pictures, np.full(pictures, 1 / pictures), _DRAWS).astype(np.float64)
    weights = np.concatenate([np.ones((1, pictures)), draws])  # the first is the figure itself
    elsewhere, false, right = weights @ counts.elsewhere, weights @ counts.false, weights @ counts.right
    hits = np.einsum("dp,pwn->dwn", weights, counts.hits)
    union = np.einsum("dp,pwn->dwn", weights, counts.union)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = {"false_before": false[:, 0] / elsewhere, "false": false[:, 1] / elsewhere}
        shares["lost"] = (right[:, 0] - right[:, 1]) / right[:, 0]
        iou = hits / union
        if not elsewhere[0]:
            iou[..., _NOTHING] = np.nan
    miou = (
        np.nanmean(np.where(np.isnan(iou[:1]), np.nan, iou), axis=2) if right[0, 0] else np.full(iou.shape[:2], np.nan)
    )
    shares |= {"mIoU_before": miou[:, 0], "mIoU": miou[:, 1], "mIoU_gain": miou[:, 1] - miou[:, 0]}
    found: dict[str, float] = {}
    for name, values in shares.items():
        if not np.isfinite(values[0]):
            continue
        found[name] = 100 * float(values[0])
        if not name.endswith("before") and name != "mIoU":
            bounds = 100 * np.nanpercentile(values[1:], (2.5, 97.5))
            found |= {f"{name}_low": float(bounds[0]), f"{name}_high": float(bounds[1])}
    return found


def ruled(
    names: TextClassifier, asked: list[int], threshold: str, neutral: Mapping[str, Tensor], scale: float
) -> TextClassifier:
    """Names with a threshold, compared with these neutral words, by word their embeddings."""
    vocabulary = Vocabulary(single_names([NAMES[name] for name in asked]), threshold=threshold)
    rule = none_of_these(
        vocabulary, names.embeddings, lambda words: torch.stack([neutral[word] for word in words]), scale, [*neutral]
    )
    return replace(names, num_labels=len(asked) + 1, none=rule)


def measure_one(
    segmenter: Segmenter, scenes: Sequence[Scene], encoded: Sequence[Any], asking: str, threshold: str, hidden: bool
) -> dict[str, float]:
    """`figures` of one way to ask and one threshold; `hidden`: neutral words name nothing that scenes show."""
    every = dict(zip(NEUTRAL_WORDS, segmenter.embeddings(NEUTRAL_WORDS, progress=False), strict=True))
    neutral = {word: embedding for word, embedding in every.items() if not hidden or word not in NAMES}
    text = segmenter.embeddings(NAMES, progress=False)
    maps, truths = [], []
    for number, (drawn, seen) in enumerate(zip(scenes, encoded, strict=True)):
        shown = np.unique(drawn.labels).tolist()
        asked = ASKED[asking](shown, np.random.default_rng(number))
        names = TextClassifier(text[asked], torch.arange(len(asked)), len(asked))
        table = np.array([*asked, _NOTHING])

        def labels(classifier: TextClassifier, seen: Any = seen, table: NDArray[np.int64] = table) -> NDArray[np.int64]:
            (found,) = segmenter.label(seen, classifier).values()
            named: NDArray[np.int64] = table[found[0].numpy()]
            return named

        maps.append((labels(names), labels(ruled(names, asked, threshold, neutral, segmenter.scale))))
        truths.append(np.where(np.isin(drawn.labels, asked), drawn.labels, _NOTHING).astype(np.int64))
    return figures(count(maps, truths))


def images_of(drawn: Scene) -> Tensor:
    """(1, 3, H, W) uint8."""
    return torch.from_numpy(drawn.image).permute(2, 0, 1).unsqueeze(0)


def main(arguments: list[str] | None = None) -> None:
    """Measures every way to ask, method and threshold, prints a line each and stores them as CSV."""
    about = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.none_of_these", description=about)
    parser.add_argument("--scenes", type=int, default=200, help="the first of the split")
    parser.add_argument("--split", choices=("val", "test"), default="test")
    parser.add_argument("--methods", nargs="+", default=["cliptrase", "sclip"])
    parser.add_argument("--thresholds", nargs="+", default=["auto"])
    parser.add_argument("--asked", nargs="+", choices=list(ASKED), default=list(ASKED))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    facts = record.facts(torch.device("cpu"), threads=options.threads)
    scenes = [scene(number, options.split) for number in range(options.scenes)]
    rows = []
    for method in options.methods:
        protocol = get_protocol("photos", size=224)
        segmenter = Segmenter.from_pretrained("embedded", protocol=protocol, methods=method)
        encoded = [segmenter.encode(images_of(drawn)) for drawn in scenes]
        for threshold in options.thresholds:
            for asking in options.asked:
                for hidden in (False, True):
                    row: dict[str, Any] = {"method": method, "threshold": threshold, "asked": asking}
                    row |= {"neutral": "without the scenes' names" if hidden else "all", "scenes": len(scenes)}
                    row |= {"split": options.split}
                    row |= measure_one(segmenter, scenes, encoded, asking, threshold, hidden)
                    rows.append(row)
                    print(record.line(row), flush=True)
    print(f"written to {record.store('none_of_these', rows, facts, options.out)}")


if __name__ == "__main__":
    main()
