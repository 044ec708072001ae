"""Sheets of settings that an interrupted run had scored, but not drawn to the end: their pictures are computed anew."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from pytorch_lightning import Trainer

from cliptrase.callbacks.sheet_choice import Chosen, Kind, example_of, lines_of, main_iou
from cliptrase.evaluation.counting import Counts
from cliptrase.lightning_module import TrainingFreeSegmentation


def sheets_left(
    trainer: Trainer, module: TrainingFreeSegmentation, folder: Path, pictures: int, names: set[str], worst: int
) -> Iterator[Chosen]:
    """Pictures of settings scored by an earlier run that should have a sheet in `folder` and have none.

    Args:
        trainer: of this run.
        module: of this run.
        folder: of the sheets.
        pictures: how many of the first ones.
        names: stems of pictures wanted besides.
        worst: how many of the lowest mean IoU.
    """
    data: Any = getattr(trainer, "datamodule")  # noqa: B009 (Lightning attaches it untyped)
    drawn = {(line["setting"], line["kind"], line["stem"]) for line in lines_of(folder)}
    for dataset in data.datasets:
        setting = dataset.card
        if setting.name not in data.skipped:
            continue
        stems = list(dataset.stems)
        chosen = choose(stems, module.counts[setting.name][module.method], pictures, names, worst)
        left = [(kind, stem) for kind, stem in chosen if (setting.name, kind, stem) not in drawn]
        if not left:
            continue
        own, module.classifiers = (
            module.classifiers,
            [module.segmenter.classifier(setting.vocabulary, setting.class_token_weighting, False, setting.name)],
        )
        try:
            for kind, stem in left:
                item = dataset[stems.index(stem)]
                group: Any = SimpleNamespace(
                    images=item.image[None].to(module.device), size=item.size, stems=[stem], counted=[True], labels=None
                )
                with torch.inference_mode(), trainer.precision_plugin.predict_step_context():
                    (maps,) = module.predict_step([group], 0)
                maps = maps._replace(labels=item.labels[None].to(module.device))
                yield Chosen(setting.name, kind, example_of(maps, 0), main_iou(maps, 0) if worst else float("nan"))
        finally:
            module.classifiers = own


def choose(stems: Sequence[str], counts: Counts, pictures: int, names: set[str], worst: int) -> list[tuple[Kind, str]]:
    """Which pictures of a scored setting get a sheet, from its counts: as `TensorBoardMasks` chooses them on the way.

    Args:
        stems: of the data set, in its order.
        counts: of the main method.
        pictures: how many of the first ones.
        names: stems of pictures wanted besides.
        worst: how many of the lowest mean IoU over their own classes.
    """
    scored = set(counts.stems)
    inside = [stem for stem in stems if stem in scored]
    first = inside[:pictures]
    hit, truth, predicted = counts.pictures.double().unbind(1)  # (P, C) each
    iou = (hit / (truth + predicted - hit)).where(truth > 0, torch.nan).nanmean(1).tolist()
    lowest = sorted((value, stem) for value, stem in zip(iou, counts.stems, strict=True) if value == value)[:worst]
    named: list[tuple[Kind, str]] = [("named", stem) for stem in inside if stem in names and stem not in first]
    return [*(("first", stem) for stem in first), *named, *(("worst", stem) for _, stem in lowest)]
