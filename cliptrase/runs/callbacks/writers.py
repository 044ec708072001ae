"""Writers of results, the report and masks."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from pytorch_lightning import Callback, LightningModule, Trainer

from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.document import results_document
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.evaluation.provenance import environment
from cliptrase.evaluation.records import SettingResult
from cliptrase.io import write_bytes, write_json, write_text
from cliptrase.report.csv_tables import comparison_csv, results_csv
from cliptrase.report.load import read_run
from cliptrase.report.markdown import comparison_markdown
from cliptrase.report.page import page
from cliptrase.report.terminal import comparison_table, narrow_comparison_table, print_table, score_table
from cliptrase.runs.callbacks.counts_file import write_counts
from cliptrase.runs.callbacks.run_folder import RunFolder
from cliptrase.runs.module import TrainingFreeSegmentation

_MEASURED = ("images_per_second", "images_per_second_by_method", "seconds", "device", "peak_memory_mib")


class ResultsWriter(Callback):
    """Writes `results.json` and tables as files, each time that a setting is finished, and logs scores.

    Nothing that only decorates comes before it.

    Args:
        folder: the run's.

    Attributes:
        document: content of `results.json` as last written.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.document: dict[str, Any] = {}
        self._written: dict[str, str] = {}  # SHA-256 of files of counts by setting

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Knows what an earlier, interrupted run wrote."""
        self._written = dict(self.folder.kept)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps every finished setting before the next one's first picture is read, which may end the run."""
        if isinstance(pl_module, TrainingFreeSegmentation):
            if batch_idx + 1 >= trainer.num_test_batches[dataloader_idx]:
                pl_module.finish_settings(dataloader_idx + 1)
            self._write(trainer, pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes what is left."""
        if not trainer.is_global_zero or not isinstance(pl_module, TrainingFreeSegmentation):
            return
        results = self._write(trainer, pl_module, last=True)
        for logger in trainer.loggers:
            logger.log_metrics(
                {
                    f"{method}/{result.name}/{column}": getattr(result.headline, column)
                    for method, settings in results.items()
                    for result in settings
                    for column in COLUMNS
                }
            )

    def _write(
        self, trainer: Trainer, module: TrainingFreeSegmentation, last: bool = False
    ) -> Mapping[str, Sequence[SettingResult]]:
        """The first process writes the files anew when a setting has been finished, and at the end."""
        new = [name for name in module.counts if name not in self._written]
        if not trainer.is_global_zero or not (new or last):
            return {}
        for name in new:
            self._written[name] = write_counts(self.folder.path, name, module.counts[name])
        results = module.results
        self.document = results_document(results, module.scoreboard.averages(results), self.provenance(trainer, module))
        write_json(self.folder.path / "results.json", self.document)
        write_text(self.folder.path / "results.csv", results_csv(results))
        if len(results) > 1:
            compared = Comparison(self.document)
            write_text(self.folder.path / "comparison.csv", comparison_csv(compared))
            write_text(self.folder.path / "comparison.md", comparison_markdown(compared))
        return results

    def provenance(self, trainer: Trainer, module: TrainingFreeSegmentation) -> dict[str, Any]:
        """How the figures were made; everything that may differ between equal runs is here."""
        scored = {setting.name for setting in module.settings}
        images = sum(counts[module.method].images for name, counts in module.counts.items() if name in scored)
        work = sum(seconds for stage, seconds in module.seconds.items() if stage != "text")
        clip = module.segmenter.clip
        # Where nothing is computed any more, how long it took is what the interrupted run measured.
        measured = {} if module.settings else self.folder.earlier
        return {
            "protocol": {"label": module.protocol.label, **module.protocol.values(), "hash": module.protocol.digest},
            "method": module.method,
            "methods": {method.name: method.source for method in module.segmenter.methods},
            "model": {
                "clip": clip.name,
                "pretrained": clip.pretrained,
                "activation": clip.activation,
                "weights_hash": clip.weights_hash,
            },
            "vocabularies": {
                setting.name: {"hash": setting.vocabulary.digest, "names": len(setting.vocabulary.names)}
                for setting in module.all_settings
            },
            "identity": self.folder.identity,
            "counts": {name: self._written[name] for name in module.counts},
            "unfinished": module.unfinished,
            "limits": limits(trainer, module),
            "precision": str(trainer.precision),
            "processes": trainer.world_size,
            "images_per_second": round(images / work, 3) if work else None,
            "images_per_second_by_method": {
                method: round(images / seconds, 3) if seconds > 0 else None
                for method, seconds in seconds_alone(module).items()
            },
            "seconds": {stage: round(seconds, 3) for stage, seconds in module.seconds.items()},
            **environment(module.device, self.folder.start),
            "peak_memory_mib": module.peak_memory_mib,
            **{name: measured[name] for name in _MEASURED if name in measured},
        }


def limits(trainer: Trainer, module: TrainingFreeSegmentation) -> dict[str, Any] | None:
    """Lightning's options that cut settings short; None where none is."""
    if not any(extent.cut for extent in module.extents.values()):
        return None
    found = {"limit_test_batches": trainer.limit_test_batches}
    fast = getattr(trainer, "fast_dev_run", False)  # Lightning attaches it untyped
    return found | ({"fast_dev_run": fast} if fast else {})


def seconds_alone(module: TrainingFreeSegmentation) -> dict[str, float]:
    """By method the seconds that a run of it alone would take, text left out: it is kept between runs."""
    return {
        method: sum(seconds for stage, seconds in module.timer.seconds(method).items() if stage != "text")
        for method in module.methods
    }


class ReportWriter(Callback):
    """Writes `report.html` beside `results.json`, from what the run's folder holds.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The first process writes; it comes after the writers of results and sheets."""
        if trainer.is_global_zero and (self.folder.path / "results.json").exists():
            write_text(self.folder.path / "report.html", page([read_run(self.folder.path)]))


class ResultsPrinter(Callback):
    """Shows the figures, and says where the files are, when every file is written: printing decides on none.

    Args:
        results: whose figures.
    """

    def __init__(self, results: ResultsWriter) -> None:
        self.results = results

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """The first process prints."""
        if not (trainer.is_global_zero and trainer.testing and isinstance(pl_module, TrainingFreeSegmentation)):
            return
        if not self.results.document:
            return
        results, compared = pl_module.results, Comparison(self.results.document)
        shown = results, pl_module.protocol.label, compared.notes
        print_table(score_table(*shown), score_table(*shown, narrow=True))
        if len(results) > 1:
            print_table(comparison_table(compared), narrow_comparison_table(compared))
        for name in ("results.json", "report.html"):
            path = self.results.folder.path / name
            if path.exists():
                print(f"{path.stem}: {path}")


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
