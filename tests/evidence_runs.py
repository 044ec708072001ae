"""Finished runs of drawn counts, written by the code that writes runs, for tests of what checks them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from cliptrase.common.io import write_json, write_text
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.conditions import Conditions, Extent, Model
from cliptrase.evaluation.counts import Counts
from cliptrase.evaluation.scoreboard import Scoreboard
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.report.csv_tables import benchmarks_csv, comparison_csv, results_csv
from cliptrase.runs.counts_file import write_counts
from datamodules.spec import DatasetSpec, LabelScheme
from datamodules.specs import DATASETS

OPENAI = Model("ViT-B-16", "openai", "quick_gelu")


def drawn_counts(labels: int, pictures: int, truth: int, prediction: int) -> Counts:
    """Counts of small random label maps; equal seeds give equal ground truth, or equal predictions."""
    of_truth, of_prediction = torch.Generator().manual_seed(truth), torch.Generator().manual_seed(prediction)
    most = min(labels, 5)
    confusion, rows = torch.zeros(labels, labels, dtype=torch.int64), []
    for _ in range(pictures):
        true = torch.randint(most, (64,), generator=of_truth)
        right = torch.rand(64, generator=of_prediction) < 0.6
        said = torch.where(right, true, torch.randint(most, (64,), generator=of_prediction))
        pairs = torch.bincount(true * labels + said, minlength=labels**2).view(labels, labels)
        confusion += pairs
        rows.append(torch.stack([pairs.diagonal(), pairs.sum(1), pairs.sum(0)]))
    return Counts(confusion, pictures, torch.stack(rows).int(), [f"p{number:03d}" for number in range(pictures)])


def write_run(
    folder: Path,
    methods: Sequence[str] = ("cliptrase", "gem"),
    names: Sequence[str] = ("VOC20",),
    protocol: EvaluationProtocol | None = None,
    pictures: int = 12,
    truth: int = 1,
    predictions: int = 2,
    model: Model = OPENAI,
    available: int | None = None,
    specs: Sequence[DatasetSpec] = (),
    counts: Callable[[str, str], Counts] | None = None,
) -> Path:
    """Writes a run and gives its folder.

    Args:
        folder: to be made.
        methods: names, the main one first.
        names: of known data sets.
        protocol: of the run, `paper_336` by default.
        pictures: of each data set.
        truth: seed of the ground truth.
        predictions: seed of the first method's predictions; those of the others follow.
        model: that the run names.
        available: pictures in the data sets' folders, as many as scored by default.
        specs: other data sets instead of `names`.
        counts: by data set and method, drawn by default.
    """
    protocol = protocol or get_protocol()
    settings = [spec.with_labels(LabelScheme.of(protocol)) for spec in specs or [DATASETS[name] for name in names]]
    board = Scoreboard(list(methods), protocol)
    hashes = {}
    for spec in settings:
        labels = spec.vocabulary.num_labels
        drawn = counts or (
            lambda _, method, labels=labels: drawn_counts(
                labels, pictures, truth, predictions + list(methods).index(method)
            )
        )
        board.add(spec.name, {method: drawn(spec.name, method) for method in methods})
        hashes[spec.name] = write_counts(folder, spec.name, board.counts[spec.name])
    extents = {spec.name: Extent(available or board.counts[spec.name][methods[0]].images) for spec in settings}
    results = board.results(settings, Conditions(model, extents))
    run = {
        "protocol": protocol.digest,
        "methods": ", ".join(methods),
        "weights": "5806e77cd80f8b59",
        "activation": model.activation,
        "guest": "none",
        "precision": "32-true",
        "commit": "None",
        "source code": "0123456789abcdef",
        "version of torch": torch.__version__,
    }
    provenance: dict[str, Any] = {
        "protocol": {"label": protocol.label, **protocol.values(), "hash": protocol.digest},
        "method": methods[0],
        "methods": dict.fromkeys(methods, "a paper"),
        "model": {**model._asdict(), "weights_hash": "5806e77cd80f8b59", "guest": None},
        "vocabularies": {
            spec.name: {"hash": spec.vocabulary.digest, "names": len(spec.vocabulary.names)} for spec in settings
        },
        "identity": {
            "run": run,
            "settings": {
                spec.name: {"vocabulary": spec.vocabulary.digest, "edition": spec.edition_text} for spec in settings
            },
        },
        "counts": hashes,
        "unfinished": [],
        "limits": None,
        "precision": "32-true",
        "images_per_second_by_method": dict.fromkeys(methods, 1.5),
        "commit": None,
        "sources": "0123456789abcdef",
        "versions": {"torch": torch.__version__},
        "date": "2026-11-28T10:00:00+00:00",
        "peak_memory_mib": 100,
    }
    document = board.document(results, settings, provenance)
    write_json(folder / "results.json", document)
    write_tables(folder)
    return folder


def write_tables(folder: Path) -> None:
    """The csv files that go with a run's `results.json`."""
    document = json.loads((folder / "results.json").read_text())
    write_text(folder / "results.csv", results_csv(document))
    if len(document["methods"]) > 1:
        write_text(folder / "comparison.csv", comparison_csv(Comparison(document)))
    if table := benchmarks_csv(document):
        write_text(folder / "benchmarks.csv", table)


def change_document(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Forges a run's `results.json`."""
    document = json.loads((folder / "results.json").read_text())
    change(document)
    write_json(folder / "results.json", document)
