"""Which labels other precisions move, method by method: whole precisions, and bfloat16 in one stage alone.

python -m benchmarks.precision --models embedded kit ViT-B-16 --pictures 8
python -m benchmarks.precision --models kit --stages
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from benchmarks import record, subjects
from cliptrase import Segmenter, Vocabulary
from cliptrase.clip.weights import load_clip
from cliptrase.inference import whole
from cliptrase.methods import METHODS, get_methods
from cliptrase.metrics import confusion_matrix, margins, scores
from cliptrase.ops.classification import TextClassifier
from cliptrase.ops.precision import in_precision
from cliptrase.protocols.table import get_protocol
from cliptrase.vocabulary import single_names
from datamodules.shapes_scenes import NAMES, scene
from datamodules.specs import DATASETS
from tests.kit import save_tiny_clip, scene_batch
from tests.kit.dino import dino

RANDOM_NAMES = 171
KIT = "kit"  # the tiny CLIP of the parity kit, under its protocol at two sizes, with the names of VOC20
Labels = Mapping[str, Tensor]  # by method (B, H, W)
Within = Callable[[], AbstractContextManager[Any]]


class Subject(NamedTuple):
    """What is segmented, and by what."""

    segmenter: Segmenter
    images: Tensor
    classifier: TextClassifier
    truth: Tensor | None = None


def half(x: Tensor) -> Tensor:
    """Rounded to bfloat16."""
    return x.bfloat16().float()


class Rounding(TorchFunctionMode):
    """Within it some layers' operands, or attention's, are rounded to bfloat16; products add up in float32.

    Args:
        weights: of the layers; a layer whose weights are reshaped is the same.
        attention: whether queries, keys and values are rounded.
    """

    def __init__(self, weights: Sequence[Tensor] = (), attention: bool = False) -> None:
        super().__init__()
        self.places = {weight.data_ptr() for weight in weights}
        self.attention = attention

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """One call of torch."""
        if func is F.linear and args[1].data_ptr() in self.places:
            args = (half(args[0]), half(args[1]), *args[2:])
        elif func is F.scaled_dot_product_attention and self.attention:
            args = (*(half(operand) for operand in args[:3]), *args[3:])
        return func(*args, **(kwargs or {}))


@contextmanager
def rounded(name: str, count: int) -> Iterator[None]:
    """A function that `inference.whole` calls gets its first `count` arguments rounded to bfloat16."""
    usual = getattr(whole, name)

    def called(*args: Any) -> Any:
        return usual(*(half(arg) for arg in args[:count]), *args[count:])

    with mock.patch.object(whole, name, called):
        yield


def stages(segmenter: Segmenter) -> dict[str, Within]:
    """By name of each stage what rounds it alone, and of blocks from first to last some together."""
    tower = segmenter.encoder.tower
    blocks: list[list[Tensor]] = [
        [block.attn.in_proj_weight, block.attn.out_proj.weight, block.mlp.c_fc.weight, block.mlp.c_proj.weight]
        for block in tower.transformer.resblocks
    ]

    def layers(*parts: list[Tensor]) -> Within:
        return partial(Rounding, [weight for part in parts for weight in part])

    return {
        "patch embedding": layers([tower.conv1.weight]),
        **{f"block {number}": layers(block) for number, block in enumerate(blocks)},
        "first half of the blocks": layers(*blocks[: len(blocks) // 2]),
        "all blocks but the last": layers(*blocks[:-1]),
        "all blocks": layers(*blocks),
        "attention": partial(Rounding, attention=True),
        "correlation": partial(rounded, "self_correlation", 3),
        "logits": partial(rounded, "patch_logits", 2),
        "upsampling": partial(rounded, "upsampled_argmax", 1),
    }


@torch.no_grad()
def labels(subject: Subject, within: AbstractContextManager[Any]) -> Labels:
    """Label maps of every method."""
    with within:
        found: Labels = subject.segmenter(subject.images, subject.classifier).labels
        return found


def agreement(exact: Labels, other: Labels) -> dict[str, float]:
    """By method the percentage of pixels that keep their label, the least first."""
    kept = {name: 100 * float((exact[name] == other[name]).float().mean()) for name in exact}
    return {"least": min(kept.values()), **kept}


def largest_change(subject: Subject, exact: Labels, other: Labels) -> float:
    """Of mIoU in points, over all methods."""
    assert subject.truth is not None
    count = subject.classifier.num_labels
    changes = []
    for name in exact:
        one, another = (confusion_matrix(maps[name], subject.truth, count) for maps in (exact, other))
        before, after = (scores(*margins(matrix), "released").mIoU for matrix in (one, another))
        changes.append(abs(float(before - after)))
    return max(changes)


def subject(model: str, size: int, pictures: int, methods: Sequence[str], device: torch.device) -> Subject:
    """Segmenter, pictures and names: the demo's for `embedded` (at 224, its clustering), the kit's, or random ones."""
    eps, min_samples = subjects.CLUSTERING.get(size, subjects.CLUSTERING[336])
    guest = dino() if any(method.load_reading().guest for method in get_methods(methods)) else None
    truth = None
    if model == "embedded":
        clip, eps = load_clip("embedded"), 0.5  # configs/demo.yaml
        scenes = [scene(number, "test") for number in range(pictures)]
        images = torch.stack([torch.from_numpy(one.image).permute(2, 0, 1) for one in scenes])
        truth = torch.stack([torch.from_numpy(one.labels).long() for one in scenes])
    elif model == KIT:
        with tempfile.TemporaryDirectory() as folder:
            clip = load_clip(f"local-dir:{save_tiny_clip(Path(folder) / 'clip')}")
        images = scene_batch(range(pictures), size, size)
    else:
        clip, images = subjects.random_clip(model), subjects.pictures(pictures, size)
    protocol = get_protocol(size=size, eps=eps, min_samples=min_samples)
    segmenter = Segmenter(clip, protocol, methods, guest=guest).to(device)
    if model == "embedded":
        names = segmenter.classifier(Vocabulary(single_names(NAMES)), progress=False)
    elif model == KIT:
        names = segmenter.classifier(DATASETS["VOC20"].vocabulary, progress=False)
    else:
        names = subjects.classifier(RANDOM_NAMES, segmenter.model.visual.output_dim, device)
    return Subject(segmenter, images.to(device), names, truth)


def main(arguments: list[str] | None = None) -> None:
    """Measures every model, prints and stores as CSV."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.precision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["embedded", KIT, "ViT-B-16"], help="the last of random weights")
    parser.add_argument("--methods", nargs="+", default=[*METHODS])
    parser.add_argument("--sizes", nargs="+", type=int, default=[224, 336], help="pixels of a side; the demo's are 224")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--precisions", nargs="*", default=["int8x3", "bf16-mixed"], help="`16-mixed` is slow on CPUs")
    parser.add_argument("--stages", action="store_true", help="also bfloat16 in one stage alone, in float32 arithmetic")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    about = record.facts(device)
    rows = []
    for model in options.models:
        for size in options.sizes if model != "embedded" else [224]:
            given = subject(model, size, options.pictures, options.methods, device)
            works: dict[str, Within] = {name: partial(in_precision, name, device) for name in options.precisions}
            works |= stages(given.segmenter) if options.stages else {}
            exact = labels(given, in_precision("32-true", device))
            for name, within in works.items():
                found = labels(given, within())
                rows.append({"model": model, "size": size, "pictures": options.pictures, "rounded": name})
                rows[-1] |= agreement(exact, found)
                if given.truth is not None:
                    rows[-1]["mIoU"] = largest_change(given, exact, found)
                print(record.line(rows[-1]), flush=True)
    print(f"written to {record.store('precision', rows, about, options.out)}")


if __name__ == "__main__":
    main()
