"""What a run leaves behind, as callbacks of the Trainer: results, masks, TensorBoard pictures, the report."""

from cliptrase.callbacks.photo_writer import PhotoWriter
from cliptrase.callbacks.tensorboard import TensorBoardMasks, TensorBoardSummary
from cliptrase.callbacks.writers import ResultsWriter

__all__ = ["PhotoWriter", "ResultsWriter", "TensorBoardMasks", "TensorBoardSummary"]
