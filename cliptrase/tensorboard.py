"""What a run shows in TensorBoard: sheets of chosen pictures, and once a run tables, charts and hyperparameters.

Nothing here changes a figure. The sheets are also kept as files, from which the report takes them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple
from warnings import warn

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from cliptrase.charts import class_bars, confusion_picture, markdown_pairs, markdown_scores
from cliptrase.distributed import from_all
from cliptrase.drawing import png_bytes
from cliptrase.lightning_module import LabelMaps, TrainingFreeSegmentation
from cliptrase.results import COLUMNS, write_bytes, write_json
from cliptrase.run_folder import RunFolder
from cliptrase.sheets import Example, picture_iou, sheet
from cliptrase.visualization import Picture

Kind = Literal["first", "named", "worst"]


class Chosen(NamedTuple):
    """A picture that gets a sheet."""

    setting: str
    kind: Kind
    example: Example
    iou: float  # of the main method on this picture, percent; NaN without truth


class TensorBoardMasks(Callback):
    """Draws a sheet for chosen pictures of each setting: see `sheets.sheet`.

    Sheets go to TensorBoard under `<setting>/<stem>` and `<setting> worst/<stem>`, and to the run's folder under
    `sheets/`. The first and the named pictures of the first process come as soon as they are there.

    Args:
        pictures: how many of the first ones (of the first process).
        names: stems of pictures wanted besides.
        worst: how many of those with the lowest mean IoU over their own classes (`test` only).
    """

    def __init__(self, pictures: int = 4, names: list[str] | None = None, worst: int = 0) -> None:
        self.pictures = pictures
        self.names = set(names or [])
        self.worst = worst
        self._start()

    def _start(self) -> None:
        self._shown: dict[str, int] = {}
        self._found: list[str] = []
        self._waiting: list[Chosen] = []
        self._worst: dict[str, list[Chosen]] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts anew for every run."""
        self._start()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts anew for every run."""
        self._start()

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Looks through a batch."""
        self._look(trainer, pl_module, outputs, dataloader_idx)

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Looks through a batch."""
        self._look(trainer, pl_module, outputs, dataloader_idx)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the worst pictures, and named ones that other processes had."""
        self._finish(trainer, pl_module)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows named pictures that other processes had."""
        self._finish(trainer, pl_module)

    def _look(self, trainer: Trainer, module: LightningModule, outputs: Sequence[LabelMaps] | None, index: int) -> None:
        if not isinstance(module, TrainingFreeSegmentation):
            return
        setting = module.settings[index].name
        for maps in outputs or ():
            for number, stem in enumerate(maps.stems):
                iou = _iou(maps, number) if self.worst else float("nan")
                first = trainer.is_global_zero and self._shown.get(setting, 0) < self.pictures
                if first or stem in self.names:
                    self._shown[setting] = self._shown.get(setting, 0) + first
                    self._found.append(stem)
                    chosen = Chosen(setting, "first" if first else "named", example_of(maps, number), iou)
                    self._waiting.append(chosen)
                worst = self._worst.setdefault(setting, [])
                if not np.isnan(iou) and (len(worst) < self.worst or iou < worst[-1].iou):
                    worst.append(Chosen(setting, "worst", example_of(maps, number), iou))
                    worst.sort(key=_by_iou)
                    del worst[self.worst :]
        if trainer.is_global_zero:
            self._show(trainer, module, self._waiting)
            self._waiting = []

    def _finish(self, trainer: Trainer, module: LightningModule) -> None:
        if not isinstance(module, TrainingFreeSegmentation):
            return
        named, worst = from_all(self._waiting), from_all([row for rows in self._worst.values() for row in rows])
        missing = self.names - set(from_all(self._found))
        if not trainer.is_global_zero:
            return
        for setting in module.settings:
            of_name = [row for row in named if row.setting == setting.name]
            lowest = sorted((row for row in worst if row.setting == setting.name), key=_by_iou)[: self.worst]
            self._show(trainer, module, of_name + lowest)
        if missing:
            warn(f"no picture is named {', '.join(sorted(missing))}, so it has no sheet", stacklevel=2)

    @staticmethod
    def _show(trainer: Trainer, module: TrainingFreeSegmentation, rows: Sequence[Chosen]) -> None:
        """The first process draws, sends and keeps sheets."""
        names = {setting.name: setting.vocabulary.label_names for setting in module.settings}
        writer = writer_of(trainer)
        folder = next((call.path for call in trainer.callbacks if isinstance(call, RunFolder)), None)  # type: ignore[attr-defined]
        for row in rows:
            group = f"{row.setting} worst" if row.kind == "worst" else row.setting
            picture = sheet(row.example, names[row.setting])
            encoded = png_bytes(picture)
            if writer is not None:
                add_png(writer, f"{group}/{row.example.stem}", encoded, picture)
            if folder is not None:
                keep(folder / "sheets", row, f"{group}/{row.example.stem}.png", encoded)


class TensorBoardSummary(Callback):
    """Once a run: scores beside the published figures, per-class IoU, the most confused classes, hyperparameters."""

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first process writes."""
        writer = writer_of(trainer)
        if writer is None or not trainer.is_global_zero or not isinstance(pl_module, TrainingFreeSegmentation):
            return
        results, protocol = pl_module.results, pl_module.protocol.label
        writer.add_text("scores", markdown_scores(results, protocol))
        main = pl_module.methods[0]
        for result in results[main]:
            confusion = pl_module.counts[result.name][main][0].numpy()
            present = (result.classes.pixels > 0).nonzero()[:, 0].tolist()
            if not present:
                continue
            title = f"{result.name}, {main}, {protocol}"
            shown = [result.label_names[label] for label in present]
            bars = class_bars(shown, [100 * float(result.classes.iou[label]) for label in present], f"IoU: {title}")
            add_png(writer, f"class IoU/{result.name}", png_bytes(bars), bars)
            matrix = confusion_picture(confusion, result.label_names, f"Most confused: {title}")
            add_png(writer, f"confusion/{result.name}", png_bytes(matrix), matrix)
            writer.add_text(f"most confused/{result.name}", markdown_pairs(confusion, result.label_names))
        names = [f"{method}/{row.name}" for method, rows in results.items() for row in rows]
        figures = [f"{name}/{column}" for name in names for column in COLUMNS]
        card = pl_module.segmenter.card
        parameters = {f"protocol/{key}": value for key, value in asdict(pl_module.protocol).items()}
        parameters |= {"method": main, "clip": card.name, "weights": card.weights_hash, "activation": card.activation}
        parameters |= {"precision": str(trainer.precision), "devices": trainer.world_size}
        # The figures are logged already; this only says which of them belong to the hyperparameters.
        for summary in hparams(parameters, dict.fromkeys(figures, 0.0)):
            writer._get_file_writer().add_summary(summary)


def writer_of(trainer: Trainer) -> SummaryWriter | None:
    """The TensorBoard writer of this process, if the run has one."""
    return next((log.experiment for log in trainer.loggers if isinstance(log, TensorBoardLogger)), None)


def add_png(writer: SummaryWriter, tag: str, encoded: bytes, picture: Picture) -> None:
    """Logs an (H, W, 3) picture that is encoded already."""
    image = Summary.Image(height=picture.shape[0], width=picture.shape[1], colorspace=3, encoded_image_string=encoded)
    writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]))


def keep(folder: Path, row: Chosen, file: str, encoded: bytes) -> None:
    """Writes a sheet's file and its line in `sheets.json`."""
    index = folder / "sheets.json"
    lines = json.loads(index.read_text())["sheets"] if index.exists() else []
    iou = None if np.isnan(row.iou) else round(row.iou, 2)
    line = {"setting": row.setting, "kind": row.kind, "stem": row.example.stem, "mIoU": iou, "file": file}
    write_bytes(folder / file, encoded)
    write_json(index, {"sheets": [*(old for old in lines if old["file"] != file), line]})


def example_of(maps: LabelMaps, number: int) -> Example:
    """One picture of a batch, copied to the CPU: the batch can go."""
    regions = next(iter(maps.regions.values()), None)
    return Example(
        maps.stems[number],
        maps.images[number].permute(1, 2, 0).cpu().numpy().copy(),
        {method: _copied(labels[number]) for method, labels in maps.predictions.items()},
        None if maps.labels is None else _copied(maps.labels[number]),
        None if regions is None else _copied(regions[number]),
    )


def _copied(labels: Any) -> np.ndarray[Any, np.dtype[np.int32]]:
    copied: np.ndarray[Any, np.dtype[np.int32]] = labels.cpu().numpy().astype(np.int32)
    return copied


def _iou(maps: LabelMaps, number: int) -> float:
    """Of the main method on one picture, percent; NaN without truth."""
    if maps.labels is None:
        return float("nan")
    prediction = next(iter(maps.predictions.values()))[number]
    return picture_iou(maps.labels[number].cpu().numpy(), prediction.cpu().numpy())


def _by_iou(row: Chosen) -> tuple[float, str]:
    return row.iou, row.example.stem
