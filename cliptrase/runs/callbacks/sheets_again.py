"""Sheets of settings that an interrupted run had scored, or begun to: their pictures are computed anew."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from cliptrase.drawing.sheets import Example
from cliptrase.evaluation.counts import Counts
from cliptrase.runs.callbacks.sheet_choice import Line, chosen, example_of, lines_of
from cliptrase.runs.module import TrainingFreeSegmentation


def sheets_left(
    module: TrainingFreeSegmentation, folder: Path, pictures: int, names: set[str], worst: int
) -> Iterator[tuple[str, list[Line], Example]]:
    """Setting, lines and picture of each sheet that an earlier run should have drawn and that `folder` lacks.

    Args:
        module: of this run.
        folder: of the sheets.
        pictures: how many of the first ones.
        names: stems of pictures wanted besides.
        worst: how many of the lowest mean IoU.
    """
    run = module.run
    drawn = {(line["setting"], line["kind"], line["stem"]) for line in lines_of(folder)}
    for dataset in module.data.datasets:
        setting = dataset.spec
        if setting.name not in run.resumed and setting.name not in run.partial.counted:
            continue
        counts = run.finished[setting.name][run.main_method]
        lines = chosen(lines_from_counts(counts, names, worst), pictures, worst)
        left = [row for row in lines if (setting.name, row.kind, row.stem) not in drawn]
        if not left:
            continue
        stems = list(dataset.stems)
        classifier = module.segmenter.classifier(setting.vocabulary, setting.class_token_weighting, False, setting.name)
        for stem in dict.fromkeys(row.stem for row in left):
            item = dataset[stems.index(stem)]
            group: Any = SimpleNamespace(
                images=item.image[None].to(module.device),
                size=item.size,
                stems=[stem],
                valid=[True],
                labels=item.labels[None].to(module.device),
            )
            with torch.inference_mode(), module.trainer.precision_plugin.predict_step_context():
                maps = module.label_maps(group, classifier)
            if maps is not None:
                yield setting.name, [row for row in left if row.stem == stem], example_of(maps, 0)


def lines_from_counts(counts: Counts, names: set[str], worst: int) -> Sequence[Line]:
    """What every picture of a scored setting may be chosen as.

    Args:
        counts: of the main method.
        names: stems of pictures wanted besides.
        worst: how many of the lowest are wanted; IoU are NaN where none is.
    """
    hit, truth, predicted = counts.pictures.double().unbind(1)  # (P, C) each
    iou = (hit / (truth + predicted - hit)).where(truth > 0, torch.nan).nanmean(1) * 100
    shown = iou.tolist() if worst else [float("nan")] * len(counts.stems)
    lines = []
    for stem, value in zip(counts.stems, shown, strict=True):
        lines += [Line("first", stem, value), Line("worst", stem, value)]
        lines += [Line("named", stem, value)] if stem in names else []
    return lines
