"""Paired bootstrap intervals between the demo's methods: `python scripts/demo_intervals.py`.

Draws test scenes with replacement, the same ones for all methods, and sums their confusion matrices anew.
"""

import argparse
from pathlib import Path

import torch
import yaml
from torch import Tensor
from tqdm import tqdm

from cliptrase import Protocol, Segmenter, Vocabulary
from cliptrase.metrics import confusion_matrix
from cliptrase.vocabulary import single_names
from datamodules.shapes_scenes import NAMES, scene

METHODS = ("cliptrase", "cliptrase-regions", "maskclip", "vanilla")


def mean_iou(confusions: Tensor) -> Tensor:
    """Mean IoU in percent over classes present in the truth: (..., C, C) counts to (...)."""
    counts = confusions.double()
    hit, truth, predicted = counts.diagonal(dim1=-2, dim2=-1), counts.sum(-1), counts.sum(-2)
    present = truth > 0
    iou = torch.where(present, hit / (truth + predicted - hit + 0.01), 0)
    return 100 * iou.sum(-1) / present.sum(-1)


def main() -> None:
    """Prints each method's mIoU and the differences with their 95 percent intervals."""
    parser = argparse.ArgumentParser(description="Paired bootstrap intervals between the demo's methods.")
    parser.add_argument("--clip", default="embedded", help="`embedded` or local-dir:DIR")
    parser.add_argument("--scenes", type=int, default=200, help="test scenes")
    parser.add_argument("--draws", type=int, default=2000, help="bootstrap samples")
    options = parser.parse_args()
    with Path("configs/demo.yaml").open(encoding="utf-8") as file:
        protocol = Protocol(**yaml.safe_load(file)["protocol"])
    segmenter = Segmenter.from_pretrained(options.clip, None, protocol, METHODS)
    classifier = segmenter.classifier(Vocabulary(single_names(NAMES)))
    counts = torch.zeros(len(METHODS), options.scenes, len(NAMES), len(NAMES), dtype=torch.int64)
    for number in tqdm(range(options.scenes), desc="scenes", disable=None):
        drawn = scene(number, "test")
        found = segmenter(torch.from_numpy(drawn.image).permute(2, 0, 1).unsqueeze(0), classifier)
        for row, method in enumerate(METHODS):
            counts[row, number] = confusion_matrix(found[method][0], torch.from_numpy(drawn.labels), len(NAMES))
    picks = torch.randint(options.scenes, (options.draws, options.scenes), generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(options.draws, options.scenes).scatter_add_(1, picks, torch.ones(picks.shape))
    flat = counts.flatten(2).double()  # (methods, scenes, C * C)
    drawn_counts = (weights.double() @ flat).unflatten(2, (len(NAMES), len(NAMES)))  # (methods, draws, C, C)
    scores, samples = mean_iou(counts.sum(1)), mean_iou(drawn_counts)
    for row, method in enumerate(METHODS):
        print(f"{method:18} mIoU {scores[row]:.2f}")
    for a, b in ((0, 3), (0, 2), (1, 3), (1, 2), (0, 1)):
        low, high = torch.quantile(samples[a] - samples[b], torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
        print(
            f"{METHODS[a]} - {METHODS[b]}: {scores[a] - scores[b]:+.2f} points, 95 % interval {low:+.2f} to {high:+.2f}"
        )


if __name__ == "__main__":
    main()
