"""What a run leaves behind, as callbacks of the Trainer: results, masks, TensorBoard pictures, the report."""

from cliptrase.runs.callbacks.photo_writer import PhotoWriter
from cliptrase.runs.callbacks.tensorboard import TensorBoardMasks, TensorBoardSummary
from cliptrase.runs.callbacks.writers import ResultsWriter

__all__ = ["PhotoWriter", "ResultsWriter", "TensorBoardMasks", "TensorBoardSummary"]
