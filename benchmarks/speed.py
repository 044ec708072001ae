"""Milliseconds a picture by stage, beside open_clip's bare forward pass and a plain implementation.

python -m benchmarks.speed
python -m benchmarks.speed --models ViT-L-14 --sizes 336 --batch-sizes 1 8 64 --precisions bf16 --device cuda
python -m benchmarks.speed --windows --batch-sizes 1 4 --names 21 171
"""

import argparse
import itertools
import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks import measure, record, subjects
from benchmarks.plain import PlainSegmenter
from cliptrase import SegmentationCounts, Segmenter
from cliptrase.common.timing import StageTimer, listening
from cliptrase.inference.window_maps import window_starts
from cliptrase.ops.precision import in_precision
from cliptrase.protocols.table import get_protocol
from datamodules.transforms import Geometry

STAGES = ("forward", "correlation", "clustering", "regions", "classification", "vote")
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed", "int8x3": "int8x3"}
WINDOW, STRIDE = 224, 112  # of protocol `sclip`
SHOWN = (
    *("model", "size", "batch", "precision", "names"),
    *(*STAGES, "scores", "step", "bare", "plain"),
    *("as_released", "step/bare", "step/fp32", "plain/step", "plain/bare", "as_released/step", "as_released/bare"),
    *("plain_system", "pictures/s", "peak_mib"),
)


def within(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """As a run has it under `--trainer.precision`."""
    return in_precision(PRECISIONS[precision], device)


def bare_within(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """What open_clip has of it: float32 where the precision is this project's own."""
    return nullcontext() if precision == "int8x3" else within(precision, device)


def decode_ms(size: int, kind: measure.Clock) -> float:
    """Decoding a 500 x 375 JPEG, resizing and cropping it, in one process."""
    files = [subjects.jpeg(seed) for seed in range(8)]
    transform = Geometry("centre_crop", size).transform()

    def work() -> None:
        for file in files:
            transform(image=np.asarray(Image.open(BytesIO(file)).convert("RGB")))

    taken = measure.interleaved({"decode": work}, 3, kind, torch.device("cpu"))
    return 1000 * taken["decode"] / len(files)


def measure_one(
    model: str, size: int, batch: int, precision: str, names: int, options: argparse.Namespace
) -> dict[str, Any]:
    """One row of the table: milliseconds a picture."""
    device = torch.device(options.device)
    segmenter = subjects.segmenter(model, size, device)
    bare = subjects.random_tower(model, size).to(device)
    protocol = segmenter.protocol
    plain, as_released = (
        PlainSegmenter(segmenter.model, segmenter.mean, segmenter.std, protocol.eps, protocol.min_samples, whole)
        for whole in (False, True)
    )
    images = subjects.pictures(batch, size).to(device)
    pixels = segmenter.prepare(images)
    classifier = subjects.classifier(names, segmenter.model.visual.output_dim, device)
    timer = StageTimer(measure.clock(options.clock))

    rounds: list[dict[str, float]] = []  # seconds by stage of the steps so far

    def read_stages() -> None:
        rounds.append(timer.seconds())
        timer.reset()

    def step() -> Tensor:
        read_stages()  # of the step before, so that its reading is in nobody's time
        with within(precision, device):
            with listening(timer):
                labels: Tensor = segmenter(images, classifier).labels["cliptrase"]
            return labels

    def encode() -> Tensor:
        with torch.no_grad(), bare_within(precision, device):
            features: Tensor = bare.encode_image(pixels)
            return features

    few = images[: min(batch, options.plain)]

    def one_by_one(segment: PlainSegmenter = plain) -> list[Any]:
        return [segment(image, classifier.embeddings) for image in few]  # in float32 beside any precision, as released

    peak = measure.peak_memory_mib(step, device)
    predicted = step()
    counts = SegmentationCounts(["cliptrase"], names).to(device)
    works: dict[str, Callable[[], object]] = {"step": step, "bare": encode}
    if precision != "fp32":
        works["step_fp32"] = lambda: segmenter(images, classifier)
    works["scores"] = lambda: counts.update({"cliptrase": predicted}, predicted.flip(0), range(batch))
    if len(few):
        works["plain"] = one_by_one
        works["as_released"] = lambda: one_by_one(as_released)
    taken = measure.interleaved(works, options.rounds, options.clock, device)
    read_stages()
    stages = {name: statistics.median(one[name] for one in rounds[-options.rounds :]) for name in STAGES}
    row: dict[str, Any] = {"model": model, "size": size, "batch": batch, "precision": precision, "names": names}
    row |= {name: 1000 * stages[name] / batch for name in STAGES}
    row |= {name: 1000 * taken[name] / batch for name in ("scores", "step", "bare")}
    row["step/bare"] = row["step"] / row["bare"]
    if precision != "fp32":
        row["step/fp32"] = taken["step"] / taken["step_fp32"]
    if len(few):
        for name in ("plain", "as_released"):
            row[name] = 1000 * taken[name] / len(few)
            row[f"{name}/step"] = row[name] / row["step"]
            if precision == "fp32":  # how plain it is: no strawman
                row[f"{name}/bare"] = row[name] / row["bare"]
        row["plain_system"] = measure.system_share(one_by_one)
        row["plain_differs"] = sum(
            int((theirs != ours.cpu().numpy()).sum()) for theirs, ours in zip(one_by_one(), predicted, strict=False)
        )
    row["pictures/s"] = 1000 / row["step"]
    row["peak_mib"] = peak
    if precision != "fp32":
        row["agreement"] = float((segmenter(images, classifier).labels["cliptrase"] == predicted).float().mean())
    return row


def measure_windows(
    model: str, size: int, batch: int, precision: str, names: int, options: argparse.Namespace
) -> dict[str, Any]:
    """One row for method and protocol `sclip`, beside open_clip's forward pass of the same windows.

    Pictures are of 3:4 with a shorter side of `size`, label maps half as large again.
    """
    device, shape = torch.device(options.device), (size, round(size * 4 / 3))
    segmenter = Segmenter(subjects.random_clip(model), get_protocol("sclip", size=size), ["sclip"]).to(device)
    bare = subjects.random_tower(model, WINDOW).to(device)
    drawn = np.stack([subjects.picture(seed, *shape) for seed in range(batch)])
    images = torch.from_numpy(drawn).permute(0, 3, 1, 2).to(device)
    pixels = segmenter.prepare(images)
    places = itertools.product(*(window_starts(side, WINDOW, STRIDE) for side in shape))
    cut = torch.stack([pixels[:, :, y : y + WINDOW, x : x + WINDOW] for y, x in places], 1)
    windows = cut.flatten(0, 1).contiguous()
    classifier = subjects.classifier(names, segmenter.model.visual.output_dim, device)
    timer = StageTimer(measure.clock(options.clock))

    def step() -> Tensor:
        with within(precision, device), listening(timer):
            found = segmenter(images, classifier, (shape[0] * 3 // 2, shape[1] * 3 // 2)).labels
            labels: Tensor = found[segmenter.methods[0].name]
            return labels

    def encode() -> None:
        with torch.no_grad(), bare_within(precision, device):
            bare.encode_image(windows)

    peak = measure.peak_memory_mib(step, device)
    timer.reset()
    works: dict[str, Callable[[], object]] = {"step": step, "bare": encode}
    taken = measure.interleaved(works, options.rounds, options.clock, device)
    row: dict[str, Any] = {"model": model, "size": size, "batch": batch, "precision": precision, "names": names}
    row |= {name: 1000 * taken[name] / batch for name in taken}
    row |= {name: 1000 * seconds / batch / (options.rounds + 1) for name, seconds in timer.seconds().items()}
    windows_each = len(windows) / batch
    return row | {"step/bare": row["step"] / row["bare"], "windows": windows_each, "peak_mib": peak}


def main(arguments: list[str] | None = None) -> None:
    """Measures every combination, prints a table and stores it as CSV."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["ViT-B-16"], help="open_clip architectures; weights are random")
    parser.add_argument("--windows", action="store_true", help="the step over those of protocol sclip")
    parser.add_argument("--sizes", nargs="+", type=int, default=None, help="pixels; 224 336, with windows 336")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[16])
    parser.add_argument("--precisions", nargs="+", choices=list(PRECISIONS), default=["fp32"])
    parser.add_argument("--names", nargs="+", type=int, default=[171])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    parser.add_argument("--plain", type=int, default=2, help="pictures for the plain implementation; 0 leaves it out")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a CPU that is shared")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    if options.clock == "cpu" and options.device != "cpu":
        parser.error("--clock cpu does not see the work of another device; leave it out or give --device cpu")
    torch.set_num_threads(options.threads)
    one = measure_windows if options.windows else measure_one
    sizes = options.sizes or ([336] if options.windows else [224, 336])
    about = record.facts(torch.device(options.device), threads=options.threads, clock=options.clock)
    rows = []
    print(" ".join(f"{name:>10.10}" for name in SHOWN))
    for model, size in itertools.product(options.models, sizes):
        decode = decode_ms(size, options.clock)
        for precision, names, batch in itertools.product(options.precisions, options.names, options.batch_sizes):
            row = one(model, size, batch, precision, names, options) | {"decode": decode}
            rows.append(row)
            print(" ".join(f"{record.show(row.get(name, '')):>10}" for name in SHOWN), flush=True)
    path = record.store("speed", rows, about, options.out)
    print(f"milliseconds a picture; {about['device']}, {options.clock} clock; written to {path}")


if __name__ == "__main__":
    main()
