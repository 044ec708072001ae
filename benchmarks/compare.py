"""One run that compares all methods beside a run for each of them: pixels in, label maps and scores out.

python -m benchmarks.compare --sizes 224 336
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import measure, record, subjects
from cliptrase import SegmentationCounts, Segmenter
from cliptrase.methods import METHODS


def steps(segmenter: Segmenter, batch: int, size: int, names: int) -> Callable[[], None]:
    """A batch's label maps under every method of the segmenter, each counted into its confusion matrix."""
    images = subjects.pictures(batch, size).to(segmenter.device)
    classifier = subjects.classifier(names, segmenter.model.visual.output_dim, segmenter.device)
    truth = torch.randint(names, (batch, size, size), generator=torch.Generator().manual_seed(0)).to(segmenter.device)
    counts = SegmentationCounts([method.name for method in segmenter.methods], names).to(segmenter.device)

    def work() -> None:
        counts.reset()
        counts.update(segmenter(images, classifier).labels, truth, range(batch))

    return work


def compare(
    model: str, size: int, batch: int, names: int, methods: Sequence[str], options: argparse.Namespace
) -> dict[str, Any]:
    """Milliseconds a picture together, alone and summed."""
    device = torch.device(options.device)
    works = {name: steps(subjects.segmenter(model, size, device, [name]), batch, size, names) for name in methods}
    works["together"] = steps(subjects.segmenter(model, size, device, methods), batch, size, names)
    taken = measure.interleaved(works, options.rounds, options.clock, device)
    row: dict[str, Any] = {"model": model, "size": size, "batch": batch, "names": names}
    row |= {name: 1000 * seconds / batch for name, seconds in taken.items()}
    row["sum"] = sum(row[name] for name in methods)
    row["together/sum"] = row["together"] / row["sum"]
    return row


def main(arguments: list[str] | None = None) -> None:
    """Measures every size and batch, prints and stores as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--model", default="ViT-B-16", help="open_clip architecture; weights are random")
    parser.add_argument("--sizes", nargs="+", type=int, default=[224, 336], help="pixels of a side")
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--names", type=int, default=171)
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
