"""The run's end: its folder is let go, whole or not."""

from pytorch_lightning import LightningModule, Trainer

from cliptrase.runs.callbacks.base import RunCallback, typed
from cliptrase.runs.callbacks.sheet_choice import tidy
from cliptrase.runs.logger import RunLogger
from cliptrase.runs.module import TrainingFreeSegmentation


class RunEnding(RunCallback):
    """Closes the run when its last file is written, and lets its folder go where the run breaks off."""

    def begin(self, module: TrainingFreeSegmentation) -> None:
        """Leaves out what an interrupted run spoilt."""
        if module.run.folder is not None:
            tidy(module.run.folder / "sheets")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Ends the run, so that `--resume` looks for no more."""
        run = typed(pl_module).run
        if trainer.testing and not run.left:
            _call_endings(trainer, pl_module)
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger):
                logger.finalize("success")  # closes what Lightning closes only after this
        run.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Lets others go on with the folder."""
        typed(pl_module).run.release()


def _call_endings(trainer: Trainer, module: LightningModule) -> None:
    """Calls what callbacks do at a run's start and end: Lightning leaves that out where no batch is left."""
    for hook in ("on_test_start", "on_test_end"):
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if not type(callback).__module__.startswith("pytorch_lightning"):
                getattr(callback, hook)(trainer, module)
