"""What a run leaves behind: one folder with results, masks and TensorBoard pictures."""

import io
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch.nn import functional as F

from cliptrase.lightning_module import LabelMaps, TrainingFreeSegmentation
from cliptrase.provenance import environment
from cliptrase.results import (
    COLUMNS,
    csv_text,
    print_table,
    results_document,
    score_table,
    write_bytes,
    write_json,
    write_text,
)
from cliptrase.visualization import overlay, side_by_side


def new_run_folder(root: Path, name: str) -> Path:
    """A folder under `root` that does not exist yet, named by time and `name`; it is not made."""
    base = root / f"{datetime.now().strftime('%Y-%m-%d_%H-%M-%S')}_{name}"
    folder, count = base, 1
    while folder.exists():
        count += 1
        folder = base.with_name(f"{base.name}-{count}")
    return folder


class RunFolder(Callback):
    """Holds the run's folder; all processes agree on the first one's.

    Args:
        path: where the run's files go.
        config: the run's configuration as YAML, kept as `config.yaml`.
    """

    def __init__(self, path: Path, config: str) -> None:
        self.path = path
        self.config = config

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes the folder."""
        self.path = Path(trainer.strategy.broadcast(str(self.path)))
        if trainer.is_global_zero:
            write_text(self.path / "config.yaml", self.config)


class ResultsWriter(Callback):
    """Writes `results.json` and `results.csv`, prints the table and sends scores to TensorBoard.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first process writes."""
        if not trainer.is_global_zero or not isinstance(pl_module, TrainingFreeSegmentation):
            return
        results = pl_module.results
        document = results_document(results, self.provenance(trainer, pl_module))
        write_json(self.folder.path / "results.json", document)
        write_text(self.folder.path / "results.csv", csv_text(results, pl_module.protocol.label))
        print_table(score_table(results, pl_module.protocol.label))
        print(f"results: {self.folder.path / 'results.json'}")
        for logger in trainer.loggers:
            logger.log_metrics(
                {
                    f"{method}/{result.name}/{column}": getattr(result.scores, column)
                    for method, settings in results.items()
                    for result in settings
                    for column in COLUMNS
                }
            )

    @staticmethod
    def provenance(trainer: Trainer, module: TrainingFreeSegmentation) -> dict[str, Any]:
        """How the figures were made; everything that may differ between equal runs is here."""
        images = sum(result.images for result in module.results[module.method])
        work = {stage: seconds for stage, seconds in module.seconds.items() if stage != "text"}
        total = sum(work.values())
        card = module.segmenter.card
        return {
            "protocol": {"label": module.protocol.label, **asdict(module.protocol), "hash": module.protocol.digest},
            "method": module.method,
            "methods": {method.name: method.source for method in module.segmenter.methods},
            "model": {
                "clip": card.name,
                "pretrained": card.pretrained,
                "activation": card.activation,
                "weights_hash": card.weights_hash,
            },
            "vocabularies": {
                setting.name: {"hash": setting.vocabulary.digest, "names": len(setting.vocabulary.names)}
                for setting in module.settings
            },
            "precision": str(trainer.precision),
            "processes": trainer.world_size,
            "images_per_second": round(images / total, 3) if total else None,
            "seconds": {stage: round(seconds, 3) for stage, seconds in module.seconds.items()},
            **environment(module.device),
        }


class MaskWriter(Callback):
    """Writes a label map for every predicted picture to `masks/<setting>/<stem>.png`.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Every process writes its own pictures; the masks are those that `test` scores."""
        if not isinstance(pl_module, TrainingFreeSegmentation):
            return
        setting = pl_module.settings[dataloader_idx]
        for maps in outputs:
            predictions = maps.predictions[pl_module.methods[0]].cpu().numpy()
            for stem, labels in zip(maps.stems, predictions, strict=True):
                path = self.folder.path / "masks" / setting.name / f"{stem}.png"
                write_bytes(path, mask_png(labels, setting.vocabulary.num_labels))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Says where the masks are."""
        if trainer.is_global_zero:
            print(f"masks: {self.folder.path / 'masks'}")


def mask_png(labels: np.ndarray[Any, Any], num_labels: int) -> bytes:
    """A label map (H, W) as PNG: 8-bit, 16-bit over 255 labels."""
    buffer = io.BytesIO()
    Image.fromarray(labels.astype(np.uint16 if num_labels > 255 else np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


class TensorBoardMasks(Callback):
    """Shows the first pictures of each setting in TensorBoard: picture, truth, then each method's prediction.

    Args:
        pictures: how many a setting.
    """

    def __init__(self, pictures: int = 4) -> None:
        self.pictures = pictures
        self._shown: dict[str, int] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts anew for every run."""
        self._shown = {}

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts anew for every run."""
        self._shown = {}

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Shows what is still wanted of this batch."""
        self._show(trainer, pl_module, outputs, dataloader_idx)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Shows what is still wanted of this batch."""
        self._show(trainer, pl_module, outputs, dataloader_idx)

    def _show(
        self,
        trainer: Trainer,
        module: LightningModule,
        outputs: Sequence[LabelMaps] | None,
        index: int,
    ) -> None:
        writer = next((log.experiment for log in trainer.loggers if isinstance(log, TensorBoardLogger)), None)
        if (
            writer is None
            or not trainer.is_global_zero
            or not isinstance(module, TrainingFreeSegmentation)
            or not outputs
        ):
            return
        name = module.settings[index].name
        for maps in outputs:
            for number in range(len(maps.stems)):
                if self._shown.get(name, 0) >= self.pictures:
                    return
                self._shown[name] = self._shown.get(name, 0) + 1
                writer.add_image(f"{name}/{maps.stems[number]}", picture_row(maps, number), dataformats="HWC")


def picture_row(maps: LabelMaps, number: int) -> np.ndarray[Any, Any]:
    """Picture, truth where there is one, and every method's prediction, side by side at the label map's size."""
    predictions = [labels[number].cpu().numpy() for labels in maps.predictions.values()]
    size = predictions[0].shape
    image = maps.images[number].float().unsqueeze(0)
    shown = F.interpolate(image, size, mode="bilinear", antialias=True)[0] if image.shape[2:] != size else image[0]
    picture = shown.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    truth = [] if maps.labels is None else [overlay(picture, maps.labels[number].cpu().numpy())]
    return side_by_side([picture, *truth, *(overlay(picture, labels) for labels in predictions)])
