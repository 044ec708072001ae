"""Most memory of a step by method and number of names, each case in a process of its own.

python -m benchmarks.memory --names 20 847
python -m benchmarks.memory --names 20 --methods vanilla scclip proxyclip
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks import measure, record, subjects


def peak_mib(model: str, size: int, batch: int, method: str, names: int, device: torch.device) -> float:
    """Most memory that this process (on CUDA: the allocator) has held after one step, weights included."""
    segmenter = subjects.segmenter(model, size, device, [method])
    images = subjects.pictures(batch, size).to(device)
    classifier = subjects.classifier(names, segmenter.model.visual.output_dim, device)
    return measure.peak_memory_mib(lambda: segmenter(images, classifier), device)


def in_own_process(method: str, names: int, options: argparse.Namespace) -> float:
    """`peak_mib` where nothing ran before."""
    command = [sys.executable, "-m", "benchmarks.memory", "--one", str(names), "--methods", method]
    for option in ("model", "size", "batch", "device", "threads"):
        command += [f"--{option}", str(getattr(options, option))]
    return measure.in_own_process(command)


def main(arguments: list[str] | None = None) -> None:
    """Measures every number of names, prints the peaks and stores them as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--names", nargs="+", type=int, default=[20, 847])
    parser.add_argument("--methods", nargs="+", default=["cliptrase"])
    parser.add_argument("--model", default="ViT-B-16", help="open_clip architecture; weights are random")
    parser.add_argument("--size", type=int, default=336, help="pixels of a side")
    parser.add_argument("--batch", type=int, default=8, help="pictures of a step")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--one", type=int, help="this number of names in this process, its MiB alone printed")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    if options.one:
        (method,) = options.methods
        print(json.dumps(peak_mib(options.model, options.size, options.batch, method, options.one, device)))
        return
    about = record.facts(device, model=options.model, size=options.size, batch=options.batch)
    rows: list[dict[str, Any]] = []
    for method, names in itertools.product(options.methods, options.names):
        peak = in_own_process(method, names, options)
        more = peak - (rows[0]["peak_mib"] if rows else peak)  # than the first case
        rows.append({"method": method, "names": names, "peak_mib": peak, "more_mib": more})
        print(record.line(rows[-1]), flush=True)
    print(f"written to {record.store('memory', rows, about, options.out)}")


if __name__ == "__main__":
    main()
