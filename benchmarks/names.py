"""What a run costs under fifty vocabularies, by one: the naming study beside the same run without it.

Every vocabulary has as many classes, whose names are drawn from three synonyms each; three add 10, 50 and 200 names
that are not there, and one holds only those that are. Both runs encode, name and count the same pictures.

python -m benchmarks.names
python -m benchmarks.names --model ViT-L-14 --size 336 --device cuda --precision bf16
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import measure, record, subjects
from cliptrase.evaluation.counts import SegmentationCounts
from cliptrase.ops.classification import TextClassifier
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import Seen
from cliptrase.studies.name_tables import added
from cliptrase.studies.names import STEPS, Choice, PreparedNames

_SYNONYMS = 3


def prepared(segmenter: Segmenter, own: TextClassifier, vocabularies: int) -> PreparedNames:
    """The study's vocabularies with random directions for names: the run's own, draws of synonyms, and absent names."""
    names, width = own.embeddings.shape
    absent = subjects.classifier(max(STEPS), width, segmenter.device).embeddings
    text = torch.cat([subjects.classifier(_SYNONYMS * names, width, segmenter.device).embeddings, absent])
    text[:names] = own.embeddings
    listed = [str(number) for number in range(len(text))]
    further = listed[_SYNONYMS * names :]
    choices = {"": Choice.of(listed[:names], own.name_to_label, own, text, listed)}
    choices |= {added(step): choices[""].with_absent(further[:step], text, listed) for step in STEPS}
    draws = np.random.default_rng(0)
    while len(choices) < vocabularies - 1:  # the study adds one of present names
        drawn = draws.integers(_SYNONYMS, size=names) * names + np.arange(names)
        chosen = [listed[place] for place in drawn]
        choices[f"synonyms {len(choices)}"] = Choice.of(chosen, own.name_to_label, own, text, listed)
    return PreparedNames(segmenter.methods, text, choices, STEPS)


def measure_one(options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds a picture under one vocabulary and under all, and their ratio."""
    device = torch.device(options.device)
    segmenter = subjects.segmenter(options.model, options.size, device, [options.method])
    width = segmenter.model.text_projection.shape[-1]
    own = subjects.classifier(options.names, width, device)
    study = prepared(segmenter, own, options.vocabularies)
    images = subjects.pictures(options.batch, options.size).to(device)
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(options.names, (options.batch, options.size, options.size), generator=draws).to(device)
    index = list(range(options.batch))

    def run(with_study: bool) -> None:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, options.precision == "bf16"):
            found = segmenter(images, own)
            SegmentationCounts([options.method], options.names).to(device).update(found.labels, labels, index)
            if with_study:
                maps = study.label_maps(Seen(found.encoded, own, found.labels, labels))
                SegmentationCounts(list(maps), options.names + 1).to(device).update(maps, labels, index)

    works = {"one": lambda: run(False), "all": lambda: run(True)}
    taken = measure.interleaved(works, options.rounds, options.clock, device)
    one, together = (1000 * taken[name] / options.batch for name in works)
    about = {name: getattr(options, name) for name in ("model", "size", "batch", "precision", "method", "names")}
    return about | {"vocabularies": options.vocabularies, "one": one, "all": together, "all/one": together / one}


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints a line and stores it as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.names", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="ViT-B-16")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--method", default="cliptrase")
    parser.add_argument("--names", type=int, default=171, help="classes")
    parser.add_argument("--vocabularies", type=int, default=50, help="the run's own among them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    row = measure_one(options)
    print(record.line(row))
    about = record.facts(torch.device(options.device), clock=options.clock, threads=torch.get_num_threads())
    print(f"written to {record.store('names', [row], about, options.out)}")


if __name__ == "__main__":
    main()
