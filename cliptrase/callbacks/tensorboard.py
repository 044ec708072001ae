"""What a run shows in TensorBoard: sheets of chosen pictures, and once a run tables, charts and hyperparameters.

Nothing here changes a figure. The sheets are also kept as files, from which the report takes them.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from cliptrase.callbacks.run_folder import RunFolder
from cliptrase.callbacks.sheet_choice import Chosen, example_of, keep, main_iou
from cliptrase.callbacks.sheets_again import sheets_left
from cliptrase.callbacks.writers import ResultsWriter
from cliptrase.distributed import from_all
from cliptrase.errors import InputError
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.comparison_tables import comparison_texts
from cliptrase.evaluation.markdown import markdown_pairs, markdown_scores
from cliptrase.evaluation.results import COLUMNS
from cliptrase.figures.charts import class_bars, confusion_picture
from cliptrase.figures.drawing import png_bytes
from cliptrase.figures.sheets import sheet
from cliptrase.figures.visualization import Picture
from cliptrase.global_patch_analysis import denoised_map
from cliptrase.lightning_module import LabelMaps, TrainingFreeSegmentation


class TensorBoardMasks(Callback):
    """Draws a sheet for chosen pictures of each setting: see `figures.sheets.sheet`.

    Sheets go to TensorBoard under `<setting>/<stem>` and `<setting> worst/<stem>`, and to the run's folder under
    `sheets/`. The first and the named pictures of the first process come as soon as they are there.

    Args:
        pictures: how many of the first ones (of the first process).
        names: stems of pictures wanted besides.
        worst: how many of those with the lowest mean IoU over their own classes (`test` only).
        patch: row and column of the patch whose correlation is shown, from 0; the middle one by default.

    Raises:
        InputError: a negative row or column.
    """

    def __init__(
        self,
        pictures: int = 4,
        names: list[str] | None = None,
        worst: int = 0,
        patch: tuple[int, int] | None = None,
    ) -> None:
        if min(patch or (0, 0)) < 0:
            raise InputError(
                f"patch {list(patch or ())} of the sheets has a negative number; rows and columns count from 0"
            )
        self.pictures = pictures
        self.names = set(names or [])
        self.worst = worst
        self.patch = patch
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
                iou = main_iou(maps, number) if self.worst else float("nan")
                first = trainer.is_global_zero and self._shown.get(setting, 0) < self.pictures
                if first or stem in self.names:
                    self._shown[setting] = self._shown.get(setting, 0) + first
                    self._found.append(stem)
                    chosen = Chosen(setting, "first" if first else "named", example_of(maps, number), iou)
                    self._waiting.append(chosen)
                worst = self._worst.setdefault(setting, [])
                if not np.isnan(iou) and (len(worst) < self.worst or iou < worst[-1].iou):
                    worst.append(Chosen(setting, "worst", example_of(maps, number), iou))
                    worst.sort(key=lambda row: row.rank)
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
            lowest = sorted((row for row in worst if row.setting == setting.name), key=lambda row: row.rank)[
                : self.worst
            ]
            self._show(trainer, module, of_name + lowest)
        if (folder := folder_of(trainer)) is not None:
            asked = self.pictures, self.names, self.worst
            again = list(sheets_left(trainer, module, folder / "sheets", *asked))
            self._show(trainer, module, again)
            missing -= {stem for counts in module.counts.values() for stem in counts[module.method].stems}
        if missing:
            warn(f"no picture is named {', '.join(sorted(missing))}, so it has no sheet", stacklevel=2)

    def _show(self, trainer: Trainer, module: TrainingFreeSegmentation, rows: Sequence[Chosen]) -> None:
        """The first process draws, sends and keeps sheets."""
        names = {setting.name: setting.vocabulary.label_names for setting in module.all_settings}
        writer, folder = writer_of(trainer), folder_of(trainer)
        drawn: dict[str, tuple[Chosen, bytes]] = {}
        for row in rows:
            group = f"{row.setting} worst" if row.kind == "worst" else row.setting
            # Computed again for these few, so that no correlation is kept and no picture waits for it.
            correlation = denoised_map(module.segmenter, row.example.image, self.patch)
            picture = sheet(replace(row.example, patch_map=correlation), names[row.setting])
            encoded = png_bytes(picture)
            if writer is not None:
                add_png(writer, f"{group}/{row.example.stem}", encoded, picture)
            drawn[f"{group}/{row.example.stem}.png"] = row, encoded
        if folder is not None and drawn:
            keep(folder / "sheets", drawn, list(names))


class TensorBoardSummary(Callback):
    """Once a run: scores beside the published figures, per-class IoU, the most confused classes, hyperparameters."""

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first process writes."""
        writer = writer_of(trainer)
        if writer is None or not trainer.is_global_zero or not isinstance(pl_module, TrainingFreeSegmentation):
            return
        results, protocol = pl_module.results, pl_module.protocol.label
        (written,) = (call for call in trainer.callbacks if isinstance(call, ResultsWriter))  # type: ignore[attr-defined]
        found = Comparison(written.document)
        writer.add_text("scores", markdown_scores(results, protocol, found.notes))
        for tag, text in comparison_texts(found).items():
            writer.add_text(tag, text)
        main = pl_module.methods[0]
        for result in results[main]:
            confusion, classes = pl_module.counts[result.name][main].confusion.numpy(), result.headline_classes
            if not classes.pixels.any():
                continue
            title = ", ".join([result.name, main, protocol, f"{result.definition} definitions", *result.remarks])
            names = [name for name, pixels in zip(result.label_names, classes.pixels, strict=True) if pixels]
            bars = class_bars(names, (100 * classes.iou[classes.pixels > 0]).tolist(), f"IoU: {title}")
            add_png(writer, f"class IoU/{result.name}", png_bytes(bars), bars)
            matrix = confusion_picture(confusion, result.label_names, f"Most confused: {title}")
            add_png(writer, f"confusion/{result.name}", png_bytes(matrix), matrix)
            writer.add_text(f"most confused/{result.name}", markdown_pairs(confusion, result.label_names))
        rows = [f"{method}/{row.name}" for method, rows in results.items() for row in rows]
        figures = [f"{row}/{column}" for row in rows for column in COLUMNS]
        card = pl_module.segmenter.card
        parameters = {f"protocol/{key}": value for key, value in asdict(pl_module.protocol).items() if key != "own"}
        parameters["protocol/hash"] = pl_module.protocol.digest
        parameters |= {"method": main, "clip": card.name, "weights": card.weights_hash, "activation": card.activation}
        parameters |= {"precision": str(trainer.precision), "devices": trainer.world_size}
        # The figures are logged already; this only says which of them belong to the hyperparameters.
        for summary in hparams(parameters, dict.fromkeys(figures, 0.0)):
            writer._get_file_writer().add_summary(summary)


def folder_of(trainer: Trainer) -> Path | None:
    """The run's folder, if it has one."""
    return next((call.path for call in trainer.callbacks if isinstance(call, RunFolder)), None)  # type: ignore[attr-defined]


def writer_of(trainer: Trainer) -> SummaryWriter | None:
    """The TensorBoard writer of this process, if the run has one."""
    return next((log.experiment for log in trainer.loggers if isinstance(log, TensorBoardLogger)), None)


def add_png(writer: SummaryWriter, tag: str, encoded: bytes, picture: Picture) -> None:
    """Logs an (H, W, 3) picture that is encoded already."""
    image = Summary.Image(height=picture.shape[0], width=picture.shape[1], colorspace=3, encoded_image_string=encoded)
    writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]))
