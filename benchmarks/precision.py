"""How far mixed precision is from float32, stage by stage: Lightning's `bf16-mixed` and `16-mixed`.

python -m benchmarks.precision --models ViT-B-16 embedded --pictures 8
"""

import argparse
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import record, subjects
from cliptrase import Segmenter, Vocabulary
from cliptrase.clip.weights import load_clip
from cliptrase.clustering import dbscan
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.table import get_protocol
from cliptrase.vocabulary import single_names
from datamodules.shapes_scenes import NAMES, scene

DTYPES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
RANDOM_NAMES = 171


class Stages(NamedTuple):
    """What a batch gives on the way.

    Attributes:
        features: (B, N + 1, E) unit rows.
        affinity: (B, N, N), what is clustered.
        clusters: (B, N) numbers from -1.
        labels: (B, H, W).
    """

    features: Tensor
    affinity: Tensor
    clusters: Tensor
    labels: Tensor


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """As Lightning's precision plugins do it; `32-true` is float32 throughout."""
    return torch.autocast(device.type, DTYPES[precision]) if precision in DTYPES else nullcontext()


@torch.no_grad()
def stages(segmenter: Segmenter, images: Tensor, classifier: TextClassifier, precision: str) -> Stages:
    """All stages of (B, 3, H, W) uint8 pictures under `32-true`, `bf16-mixed` or `16-mixed`."""
    protocol = segmenter.protocol
    with autocast(precision, images.device):
        encoding = segmenter.encoder(segmenter.prepare(images), segmenter.methods)
        p = encoding.passes[0].penultimate
        if p is None:
            raise ValueError("the segmenter's methods have no regions")
        affinity = remove_global_patches(self_correlation(p.query, p.key, p.value))
        clusters = dbscan(affinity, protocol.eps, protocol.min_samples)
        labels = segmenter(images, classifier).labels["cliptrase"]
    return Stages(F.normalize(encoding.features["cliptrase"].float(), dim=-1), affinity, clusters, labels)


def agreement(exact: Stages, mixed: Stages) -> dict[str, float]:
    """Largest differences, and shares in percent of patches and pixels that stay the same."""
    return {
        "features_max_difference": float((exact.features - mixed.features).abs().max()),
        "correlation_max_difference": float((exact.affinity - mixed.affinity).abs().max()),
        "same_cluster_percent": 100 * float((exact.clusters == mixed.clusters).float().mean()),
        "same_label_percent": 100 * float((exact.labels == mixed.labels).float().mean()),
    }


def subject(model: str, size: int, pictures: int, device: torch.device) -> tuple[Segmenter, Tensor, TextClassifier]:
    """Segmenter, pictures and names: the demo's for `embedded` (at 224, its clustering), else random ones."""
    if model != "embedded":
        segmenter = subjects.segmenter(model, size, device)
        classifier = subjects.classifier(RANDOM_NAMES, segmenter.model.visual.output_dim, device)
        return segmenter, subjects.pictures(pictures, size).to(device), classifier
    protocol = get_protocol(size=224, eps=0.5, min_samples=3)  # configs/demo.yaml
    segmenter = Segmenter(load_clip("embedded"), protocol).to(device)
    drawn = [torch.from_numpy(scene(number, "test").image).permute(2, 0, 1) for number in range(pictures)]
    classifier = segmenter.classifier(Vocabulary(single_names(NAMES)), progress=False)
    return segmenter, torch.stack(drawn).to(device), classifier


def main(arguments: list[str] | None = None) -> None:
    """Measures every model and precision, prints and stores as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["ViT-B-16", "embedded"])
    parser.add_argument("--size", type=int, default=224, help="pixels of a side, for models with random weights")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--precisions", nargs="+", choices=list(DTYPES), default=list(DTYPES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    about = record.facts(device)
    rows = []
    for model in options.models:
        given = subject(model, options.size, options.pictures, device)
        exact = stages(*given, "32-true")
        for precision in options.precisions:
            found = agreement(exact, stages(*given, precision))
            rows.append({"model": model, "size": given[1].shape[2], "pictures": len(given[1]), "precision": precision})
            rows[-1] |= found
            print(record.line(rows[-1]), flush=True)
    print(f"written to {record.store('precision', rows, about, options.out)}")


if __name__ == "__main__":
    main()
