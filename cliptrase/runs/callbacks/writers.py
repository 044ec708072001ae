"""Writers of results, the report and masks."""

from cliptrase.common.io import write_bytes, write_json, write_text
from cliptrase.drawing.files import mask_png
from cliptrase.evaluation.comparison import Comparison
from cliptrase.report.csv_tables import run_tables
from cliptrase.report.load import read_run
from cliptrase.report.markdown import comparison_markdown
from cliptrase.report.page import page
from cliptrase.runs.callbacks.base import RunCallback, Step
from cliptrase.runs.module import TrainingFreeSegmentation
from cliptrase.runs.run import Run


class ResultsWriter(RunCallback):
    """Writes `results.json` and tables as files, each time that a data set is finished.

    Nothing that only decorates comes before it.
    """

    def __init__(self) -> None:
        self._written = 0  # data sets that the files hold
        self._complete = False  # whether the files are this run's

    def begin(self, module: TrainingFreeSegmentation) -> None:
        """Starts anew; an interrupted run's files hold what it finished."""
        self._written, self._complete = len(module.run.finished), False

    def scored(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """Keeps a finished data set before the next one's first image is read, which may end the run."""
        if len(module.run.finished) > self._written:
            self._write(module.run)

    def end_scoring(self, module: TrainingFreeSegmentation) -> None:
        """Writes the files of a run that had nothing left to compute."""
        if not self._complete:
            self._write(module.run)

    def _write(self, run: Run) -> None:
        self._written, self._complete = len(run.finished), True
        if run.folder is None:
            return
        write_json(run.folder / "results.json", run.document)
        for name, table in run_tables(run.document).items():
            write_text(run.folder / f"{name}.csv", table)
        if len(run.results) > 1:
            write_text(run.folder / "comparison.md", comparison_markdown(Comparison(run.document)))


class ReportWriter(RunCallback):
    """Writes `report.html` beside `results.json`, from what the run's folder holds."""

    def end_scoring(self, module: TrainingFreeSegmentation) -> None:
        """It comes after the writers of results and sheets."""
        folder = module.run.folder
        if folder is not None and (folder / "results.json").exists():
            write_text(folder / "report.html", page([read_run(folder)]))


class MaskWriter(RunCallback):
    """Writes a label map for every predicted image to `masks/<setting>/<stem>.png`."""

    everywhere = True

    def predicted(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """Every process writes its images; the masks are those that `test` scores."""
        run, vocabulary = module.run, step.setting.vocabulary
        if run.folder is None:
            return
        for maps in step.maps:
            predictions = maps.predictions[run.main_method].cpu().numpy()
            for stem, labels in zip(maps.stems, predictions, strict=True):
                path = run.folder / "masks" / step.setting.name / f"{stem}.png"
                write_bytes(path, mask_png(labels, vocabulary.num_labels, vocabulary.none_index))
        for large in step.large:
            if large.file is not None and large.file.counts is None:  # those were written by an interrupted run
                path = run.folder / "masks" / step.setting.name / f"{large.stem}.png"
                write_bytes(path, mask_png(large.file.labels, vocabulary.num_labels, vocabulary.none_index))
