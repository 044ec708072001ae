"""TensorBoard events in the folder of a run."""

from typing import Any

from lightning_fabric.loggers.logger import _DummyExperiment as DoesNothing
from pytorch_lightning.loggers import TensorBoardLogger

from cliptrase.runs.run import Run


class RunLogger(TensorBoardLogger):
    """TensorBoard events in the run's folder.

    Lightning opens its loggers before anybody knows which folder that is, so nothing is written before the run is open.

    Args:
        run: whose folder it is.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(run.root or "", name="", version="", default_hp_metric=False)
        self._run = run

    @property
    def experiment(self) -> Any:
        """The TensorBoard writer; one that does nothing until the run has a folder."""
        return super().experiment if self._run.folder else DoesNothing()

    @property
    def log_dir(self) -> str:
        """The run's folder, or where it will be."""
        return str(self._run.folder or self._run.root)
