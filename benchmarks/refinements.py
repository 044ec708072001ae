"""What `+pamr` and `+tlp` cost on one picture of 500 x 375, beside the tower's forward pass of that picture.

python -m benchmarks.refinements --names 21 847
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import measure, record, subjects
from cliptrase import Segmenter, get_protocol
from cliptrase.ops.classification import TextClassifier

SIZE = (375, 500)
SETTING = "VOC21"  # NACLIP shows its pictures whole
METHODS = ("naclip", "naclip+pamr", "naclip+tlp", "naclip+pamr+tlp")


def segmenter(options: argparse.Namespace, method: str) -> Segmenter:
    """A method under NACLIP's protocol."""
    return Segmenter(subjects.random_clip(options.model), get_protocol("naclip"), [method]).to(options.device)


def shown(options: argparse.Namespace) -> Tensor:
    """(1, 3, h, w) uint8, the picture with its shorter side as the tower sees it."""
    width = round(SIZE[1] * options.size / SIZE[0])
    picture = torch.from_numpy(subjects.picture(0, options.size, width))
    return picture.permute(2, 0, 1).unsqueeze(0).to(options.device)


def names_of(count: int, own: Segmenter) -> TextClassifier:
    """Random names, on the data set's values of the protocol."""
    return replace(subjects.classifier(count, own.model.visual.output_dim, own.device), setting=SETTING)


def naming(own: Segmenter, images: Tensor, names: TextClassifier) -> Callable[[], Mapping[str, Tensor]]:
    """From features to a label map of 500 x 375, with nothing left of the time before."""
    encoded = own.encode(images, SIZE, SETTING)
    guide = encoded.guide
    if guide is None:
        return lambda: own.label(encoded, names)
    return lambda: own.label(replace(encoded, guide=lambda text: replace(guide(text), made={})), names)


def milliseconds(options: argparse.Namespace, count: int) -> dict[str, float]:
    """Of the forward pass, and of every method's naming."""
    own = {method: segmenter(options, method) for method in METHODS}
    images = shown(options)
    works: dict[str, Callable[[], object]] = {"forward": lambda: own[METHODS[0]].encode(images, SIZE, SETTING)}
    works |= {method: naming(one, images, names_of(count, one)) for method, one in own.items()}
    taken = measure.interleaved(works, options.rounds, options.clock, torch.device(options.device))
    return {name: 1000 * seconds for name, seconds in taken.items()}


def peak_mib(options: argparse.Namespace, method: str, count: int) -> float:
    """Most memory that this process (on CUDA: the allocator) holds from pixels to labels, weights included."""
    own, images = segmenter(options, method), shown(options)
    names = names_of(count, own)
    return measure.peak_memory_mib(lambda: own(images, names, SIZE), torch.device(options.device))


def in_own_process(options: argparse.Namespace, method: str, count: int) -> float:
    """`peak_mib` where nothing ran before."""
    command = [sys.executable, "-m", "benchmarks.refinements", "--one", method, "--names", str(count)]
    for option in ("model", "size", "device", "threads"):
        command += [f"--{option}", str(getattr(options, option))]
    return measure.in_own_process(command)


def main(arguments: list[str] | None = None) -> None:
    """Measures every number of names, prints times, ratios and peaks, and stores them as CSV."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.refinements", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--names", nargs="+", type=int, default=[21, 847])
    parser.add_argument("--model", default="ViT-B-16", help="open_clip architecture; weights are random")
    parser.add_argument("--size", type=int, default=336, help="pixels of the shorter side, as the tower sees it")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a CPU that is shared")
    parser.add_argument("--one", choices=METHODS, help="this method's peak in this process, its MiB alone printed")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(peak_mib(options, options.one, options.names[0])))
        return
    about = record.facts(
        torch.device(options.device),
        model=options.model,
        size=options.size,
        threads=options.threads,
        clock=options.clock,
    )
    rows: list[dict[str, Any]] = []
    peaks: dict[str, float] = {}
    for count in options.names:
        taken = milliseconds(options, count)
        for method in METHODS:
            peak = in_own_process(options, method, count)
            rows.append(
                {
                    "names": count,
                    "method": method,
                    "forward": taken["forward"],
                    "naming": taken[method],
                    "naming/forward": taken[method] / taken["forward"],
                    "peak_mib": peak,
                    "more_mib": peak - peaks.setdefault(method, peak),
                }
            )
            print(record.line(rows[-1]), flush=True)
    print(f"milliseconds; written to {record.store('refinements', rows, about, options.out)}")


if __name__ == "__main__":
    main()
