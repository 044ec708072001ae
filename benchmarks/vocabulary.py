"""Scores of one setting under several vocabularies: the same features and regions, named by other words.

Every picture is seen once; only the text classifier changes, so that what differs is the words' doing alone. A method
whose features depend on the names, such as ResCLIP, sees it once for each vocabulary.

python -m benchmarks.vocabulary VOC21 --protocol sclip --root datasets
python -m benchmarks.vocabulary VOC21 --vocabularies plain sclip --clip ViT-B-16 --pretrained openai --device cuda
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from benchmarks import record
from cliptrase.clip.weights import load_clip
from cliptrase.common.errors import InputError
from cliptrase.evaluation.counts import Counts, SegmentationCounts
from cliptrase.evaluation.intervals import estimates, influences
from cliptrase.metrics import margins, scores
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import LISTS
from datamodules.benchmark import Benchmark
from datamodules.dataset import SegmentationDataset, group_by_size
from datamodules.errors import DataError
from datamodules.spec import DatasetSpec, LabelScheme
from datamodules.specs import DATASETS
from datamodules.transforms import Geometry


def editions(spec: DatasetSpec, names: list[str] | None, void: bool) -> dict[str, DatasetSpec]:
    """The setting under each vocabulary, by name; all that it has by default.

    Raises:
        InputError: a vocabulary that the setting does not have.
    """
    known = ["released", *spec.vocabularies]
    if unknown := [name for name in names or [] if name not in known]:
        raise InputError(f"{spec.name} has no vocabulary {unknown[0]!r}; take some of {', '.join(known)}")
    return {name: spec.with_labels(LabelScheme(name, void)) for name in names or known}


@torch.no_grad()
def count(
    segmenter: Segmenter, dataset: SegmentationDataset, specs: dict[str, DatasetSpec], batch_size: int, workers: int
) -> dict[str, Counts]:
    """Counts of the segmenter's first method under every vocabulary, by the vocabulary's name."""
    setting = dataset.spec.name
    classifiers = {
        name: segmenter.classifier(spec.vocabulary, spec.class_token_weighting, setting=setting)
        for name, spec in specs.items()
    }
    num_labels = dataset.spec.vocabulary.num_labels
    counter = SegmentationCounts(list(specs), num_labels, dataset.stems).to(segmenter.device)
    method = segmenter.methods[0].name
    loader = DataLoader(dataset, batch_size, num_workers=workers, collate_fn=group_by_size)
    for groups in tqdm(loader, desc=setting, unit="batch", disable=None):
        for group in groups:
            kept = [place for place, valid in enumerate(group.valid) if valid]
            if kept:
                images = group.images[kept].to(segmenter.device)
                shared = None if segmenter.reads_names else segmenter.encode(images, group.size, setting)
                predictions = {}
                for name, words in classifiers.items():
                    encoded = shared or segmenter.encode(images, group.size, setting, words)
                    predictions[name] = segmenter.label(encoded, words)[method]
                labels = group.labels[kept].to(segmenter.device)
                counter.update(predictions, labels, [group.numbers[place] for place in kept])
    counts: dict[str, Counts] = counter.compute()
    return counts


def rows(
    counts: dict[str, Counts], specs: dict[str, DatasetSpec], protocol: EvaluationProtocol
) -> list[dict[str, Any]]:
    """One a vocabulary: its hash and size, scores in the protocol's definition, difference to the first vocabulary."""
    first = next(iter(counts.values()))
    pictures = influences(torch.stack([counts[name].pictures for name in specs]), first.stems, protocol.scoring)
    found = estimates(pictures) if pictures else None
    table = []
    for number, (name, spec) in enumerate(specs.items()):
        row = {
            "vocabulary": name,
            "hash": spec.vocabulary.digest,
            "names": len(spec.vocabulary.names),
            "background": len(spec.vocabulary.background),
            "images": counts[name].images,
            **scores(*margins(counts[name].confusion), protocol.scoring).rounded(),
        }
        if found:
            estimate = found[number]
            row |= {"low": estimate.interval.low, "high": estimate.interval.high}
            if estimate.difference:
                low, high = estimate.difference.interval
                row |= {"difference": estimate.difference.value, "difference_low": low, "difference_high": high}
        table.append(row)
    return table


def main(arguments: list[str] | None = None) -> None:
    """Scores the vocabularies, prints a line each and stores them as CSV.

    Raises:
        DataError: data that cannot be read.
        InputError: a vocabulary, method or weights that cannot be used.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vocabulary", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("setting", choices=list(DATASETS), help="a setting with several vocabularies, such as VOC21")
    parser.add_argument("--vocabularies", nargs="+", help=f"{', '.join(LISTS)}; default: all it has")
    parser.add_argument("--protocol", default="sclip", help="a name, a YAML file or package.module:NAME")
    parser.add_argument("--root", type=Path, default=Path("datasets"), help="folder of the data sets' folders")
    parser.add_argument("--method", default="cliptrase")
    parser.add_argument("--clip", default="ViT-B-16")
    parser.add_argument("--pretrained", default=None, help="open_clip tag or weights file")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    protocol = get_protocol(options.protocol)
    scheme = LabelScheme.of(protocol)
    specs = editions(DATASETS[options.setting], options.vocabularies, scheme.void)
    module = Benchmark([options.setting], options.root, geometry=Geometry.of(protocol), label_scheme=scheme)
    module.setup("test")
    device = torch.device(options.device)
    segmenter = Segmenter(load_clip(options.clip, options.pretrained), protocol, [options.method]).to(device).eval()
    counts = count(segmenter, module.datasets[0], specs, options.batch_size, options.workers)
    table = rows(counts, specs, protocol)
    for row in table:
        print(record.line(row))
    about = record.facts(
        device,
        setting=options.setting,
        edition=module.datasets[0].spec.edition_text,
        protocol=protocol.label,
        protocol_hash=protocol.digest,
        definition=protocol.scoring,
        method=segmenter.methods[0].name,
        clip=segmenter.clip.name,
        weights_hash=segmenter.clip.weights_hash,
    )
    print(f"written to {record.store('vocabulary', table, about, options.out)}")


if __name__ == "__main__":
    try:
        main()
    except (DataError, InputError) as error:
        sys.exit(f"error: {error}")
