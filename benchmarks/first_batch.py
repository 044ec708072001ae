"""A callback that writes when a run's first batch begins and ends."""

import time
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer


class FirstBatch(Callback):
    """Writes two lines, seconds since the epoch: when the first test batch begins and when it ends.

    Args:
        file: to write.
    """

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """The first line."""
        if batch_idx == dataloader_idx == 0:
            self.file.write_text(f"{time.time()}\n", encoding="utf-8")

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """The second line."""
        if batch_idx == dataloader_idx == 0:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(f"{time.time()}\n")
