"""One run that compares all methods beside a run for each of them: pixels in, label maps and scores out.

python -m benchmarks.compare --sizes 224 336
python -m benchmarks.compare --sizes 224 --precision int8x3
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import measure, record, subjects
from cliptrase import SegmentationCounts, Segmenter
from cliptrase.methods import METHODS
from cliptrase.ops.precision import PRECISIONS, in_precision


def steps(segmenter: Segmenter, batch: int, size: int, names: int, precision: str = "32-true") -> Callable[[], None]:
    """A batch's label maps under every method of the segmenter, each counted into its confusion matrix."""
    images = subjects.pictures(batch, size).to(segmenter.device)
    classifier = subjects.classifier(names, segmenter.model.visual.output_dim, segmenter.device)
    truth = torch.randint(names, (batch, size, size), generator=torch.Generator().manual_seed(0)).to(segmenter.device)
    counts = SegmentationCounts([method.name for method in segmenter.methods], names).to(segmenter.device)

    def work() -> None:
        counts.reset()
        with in_precision(precision, segmenter.device):
            labels = segmenter(images, classifier).labels
        counts.update(labels, truth, range(batch))

    return work


def compare(
    model: str, size: int, batch: int, names: int, methods: Sequence[str], options: argparse.Namespace
) -> dict[str, Any]:
    """Milliseconds a picture together, alone and summed; in another precision also each one's share of float32's."""
    device, given = torch.device(options.device), (batch, size, names)
    alone = {name: subjects.segmenter(model, size, device, [name]) for name in methods}
    works = {name: steps(one, *given, options.precision) for name, one in alone.items()}
    works["together"] = steps(subjects.segmenter(model, size, device, methods), *given, options.precision)
    if options.precision != "32-true":
        works |= {f"{name} fp32": steps(one, *given) for name, one in alone.items()}
    taken = measure.interleaved(works, options.rounds, options.clock, device)
    row: dict[str, Any] = {"model": model, "size": size, "batch": batch, "names": names}
    row |= {name: 1000 * seconds / batch for name, seconds in taken.items()}
    row["sum"] = sum(row[name] for name in methods)
    row["together/sum"] = row["together"] / row["sum"]
    if options.precision != "32-true":
        row |= {f"{name}/fp32": row[name] / row[f"{name} fp32"] for name in methods}
    return row | {"precision": options.precision}


def main(arguments: list[str] | None = None) -> None:
    """Measures every size and batch, prints and stores as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--model", default="ViT-B-16", help="open_clip architecture; weights are random")
    parser.add_argument("--sizes", nargs="+", type=int, default=[224, 336], help="pixels of a side")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--names", type=int, default=171)
    parser.add_argument("--precision", choices=PRECISIONS, default="32-true")
    parser.add_argument("--rounds", type=int, default=2, help="of which the median is taken")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a CPU that is shared")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    about = record.facts(torch.device(options.device), threads=options.threads, clock=options.clock)
    rows = []
    for size in options.sizes:
        for batch in options.batch_sizes:
            rows.append(compare(options.model, size, batch, options.names, options.methods, options))
            print(record.line(rows[-1]), flush=True)
    print(f"milliseconds a picture; written to {record.store('compare', rows, about, options.out)}")


if __name__ == "__main__":
    main()
