"""Paired bootstrap intervals between the demo's methods: `python scripts/demo_intervals.py`.

Draws test scenes with replacement, the same ones for all methods; see `cliptrase.bootstrap`.
"""

import argparse
from pathlib import Path

import torch
import yaml
from tqdm import tqdm

from cliptrase import Protocol, Segmenter, Vocabulary
from cliptrase.bootstrap import estimates
from cliptrase.metrics import mean_iou, picture_counts
from cliptrase.results import INTERVAL, interval_text
from cliptrase.vocabulary import single_names
from datamodules.shapes_scenes import NAMES, scene

METHODS = ("cliptrase", "cliptrase-regions", "maskclip", "vanilla")


def main() -> None:
    """Prints each method's mIoU and the differences with their 95 percent intervals."""
    parser = argparse.ArgumentParser(description="Paired bootstrap intervals between the demo's methods.")
    parser.add_argument("--clip", default="embedded", help="`embedded` or local-dir:DIR")
    parser.add_argument("--scenes", type=int, default=200, help="test scenes")
    options = parser.parse_args()
    with Path("configs/demo.yaml").open(encoding="utf-8") as file:
        protocol = Protocol(**yaml.safe_load(file)["protocol"])
    segmenter = Segmenter.from_pretrained(options.clip, None, protocol, METHODS)
    classifier = segmenter.classifier(Vocabulary(single_names(NAMES)))
    counts = torch.zeros(len(METHODS), options.scenes, 3, len(NAMES), dtype=torch.int32)
    for number in tqdm(range(options.scenes), desc="scenes", disable=None):
        drawn = scene(number, "test")
        found = segmenter(torch.from_numpy(drawn.image).permute(2, 0, 1).unsqueeze(0), classifier)
        truth = torch.from_numpy(drawn.labels).unsqueeze(0)
        for row, method in enumerate(METHODS):
            counts[row, number] = picture_counts(found[method], truth, len(NAMES))[0]
    for first in (0, 1):
        compared = estimates(counts[first:], protocol.scoring)
        if compared is None:
            parser.error(f"--scenes {options.scenes} are too few for an interval; take at least 2")
        scores = mean_iou(counts[first:].sum(1), protocol.scoring)
        print(f"{METHODS[first]:18} mIoU {scores[0]:.2f}, {INTERVAL} {interval_text(compared[0].interval)}")
        for method, estimate in zip(METHODS[first + 1 :], compared[1:], strict=True):
            if estimate.difference:
                value, bounds = estimate.difference
                print(f"  {method:18} {value:+.2f} points, {INTERVAL} {interval_text(bounds, signed=True)}")


if __name__ == "__main__":
    main()
