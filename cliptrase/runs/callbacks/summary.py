"""What a run tells its loggers once: figures, tables, charts, hyperparameters."""

from collections.abc import Iterator, Sequence

import numpy as np

from cliptrase.drawing.canvas import png_bytes
from cliptrase.drawing.charts import class_bars, confusion_picture
from cliptrase.evaluation.comparison import Comparison
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.evaluation.records import SettingResult
from cliptrase.report.csv_tables import run_tables
from cliptrase.report.markdown import comparison_texts, markdown_pairs, markdown_scores
from cliptrase.runs.callbacks.base import RunCallback
from cliptrase.runs.callbacks.loggers import log_writers, told
from cliptrase.runs.module import TrainingFreeSegmentation
from cliptrase.runs.run import Run


class RunSummary(RunCallback):
    """Tells each logger the scores beside the published ones, IoU of the classes, what is confused, hyperparameters.

    It comes after the writers of results and report: what a logger refuses takes nothing from them.
    """

    def end_scoring(self, module: TrainingFreeSegmentation) -> None:
        """Tells them."""
        writers, run = log_writers(module.trainer), module.run
        if not writers:
            return
        texts, tables, pictures = _texts(run), run_tables(run.document), dict(_pictures(run))
        figures = {
            f"{method}/{result.name}/{column}": getattr(result.headline, column)
            for method, results in run.results.items()
            for result in results
            for column in COLUMNS
        }
        for writer in writers:
            with told(writer):
                writer.figures(figures)
                for tag, text in texts.items():
                    writer.text(tag, text)
                for name, table in tables.items():
                    writer.table(name, table)
                for tag, picture in pictures.items():
                    writer.picture(tag, picture)
                writer.parameters(_parameters(run), list(figures))


def _texts(run: Run) -> dict[str, str]:
    """Tables as Markdown by tag."""
    found = Comparison(run.document)
    texts = {"scores": markdown_scores(run.results, run.protocol.label, found.notes), **comparison_texts(found)}
    for result in _seen(run):
        confusion = run.finished[result.name][run.main_method].confusion.numpy()
        texts[f"most confused/{result.name}"] = markdown_pairs(confusion, result.label_names)
    return texts


def _pictures(run: Run) -> Iterator[tuple[str, bytes]]:
    """Charts of the main method, as PNG by tag."""
    main = run.main_method
    for result in _seen(run):
        present = result.pixels > 0
        title = ", ".join([result.name, main, run.protocol.label, f"{result.definition} definitions", *result.remarks])
        names = [name for name, there in zip(result.label_names, present, strict=True) if there]
        bars = class_bars(names, (100 * result.headline_classes.iou[present]).tolist(), f"IoU: {title}")
        yield f"class IoU/{result.name}", png_bytes(bars)
        confusion = run.finished[result.name][main].confusion.numpy().astype(np.int64)
        matrix = confusion_picture(confusion, result.label_names, f"Most confused: {title}")
        yield f"confusion/{result.name}", png_bytes(matrix)


def _seen(run: Run) -> Sequence[SettingResult]:
    """The main method's results in which something is scored."""
    return [result for result in run.results[run.main_method] if bool((result.pixels > 0).any())]


def _parameters(run: Run) -> dict[str, object]:
    """What decides the figures, by name."""
    clip = run.plan.clip
    parameters = {f"protocol/{key}": value for key, value in run.protocol.values().items() if key != "overrides"}
    parameters["protocol/hash"] = run.protocol.digest
    parameters |= {"data": ", ".join(setting.name for setting in run.settings)}
    parameters |= {"method": run.main_method, "compared": ", ".join(run.method_names[1:])}
    parameters |= {"clip": clip.name, "weights": clip.weights_hash, "activation": clip.activation}
    return parameters | {"precision": run.plan.precision, "devices": run.plan.processes}
