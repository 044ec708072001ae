"""What callbacks of runs have in common: Lightning's hooks once, with a module and data of known types."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pytorch_lightning import Callback, LightningModule, Trainer

from cliptrase.evaluation.scoreboard import Setting
from cliptrase.runs.batches import ImageBatch, LabelMaps
from cliptrase.runs.large_pictures import LargeLabels
from cliptrase.runs.module import TrainingFreeSegmentation


class Step(NamedTuple):
    """What a callback learns of a batch.

    Attributes:
        setting: the data set.
        batch: what the data loader gave.
        maps: what the module made of it.
        large: of large pictures, whose label maps lie in files.
    """

    setting: Setting
    batch: list[ImageBatch]
    maps: list[LabelMaps]
    large: Sequence[LargeLabels] = ()


class RunCallback(Callback):
    """A callback that sees the run through its module; subclasses fill in what they need.

    Attributes:
        everywhere: whether each process calls it, not the first alone.
    """

    everywhere = False

    def begin(self, module: TrainingFreeSegmentation) -> None:
        """Before the first batch of `test` or `predict`, when the run is open."""

    def scored(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """After each batch of `test`; with a data set's last one it is finished."""

    def predicted(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """After each batch of `predict`."""

    def end_scoring(self, module: TrainingFreeSegmentation) -> None:
        """After the last batch of `test`."""

    def end_predicting(self, module: TrainingFreeSegmentation) -> None:
        """After the last batch of `predict`."""

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `begin`."""
        if self._called(trainer):
            self.begin(typed(pl_module))

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `begin`."""
        if self._called(trainer):
            self.begin(typed(pl_module))

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """See `scored`."""
        if self._called(trainer):
            module = typed(pl_module)
            self.scored(module, Step(module.run.left[dataloader_idx], batch, outputs or []))

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """See `predicted`."""
        if self._called(trainer):
            module = typed(pl_module)
            maps = [output for output in outputs or [] if isinstance(output, LabelMaps)]
            large = [output for output in outputs or [] if isinstance(output, LargeLabels)]
            self.predicted(module, Step(module.run.left[dataloader_idx], batch, maps, large))

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `end_scoring`."""
        if self._called(trainer):
            self.end_scoring(typed(pl_module))

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See `end_predicting`."""
        if self._called(trainer):
            self.end_predicting(typed(pl_module))

    def _called(self, trainer: Trainer) -> bool:
        return self.everywhere or trainer.is_global_zero


def typed(module: LightningModule) -> TrainingFreeSegmentation:
    """The module, which must be this project's.

    Raises:
        TypeError: it is another one.
    """
    if not isinstance(module, TrainingFreeSegmentation):
        raise TypeError(f"this callback needs a TrainingFreeSegmentation, not {type(module).__name__}")
    return module
