"""What a run leaves behind, as callbacks of the Trainer: results, masks, sheets, what loggers hold, the report."""

from cliptrase.runs.callbacks.photo_writer import PhotoWriter
from cliptrase.runs.callbacks.summary import RunSummary
from cliptrase.runs.callbacks.tensorboard import TensorBoardMasks
from cliptrase.runs.callbacks.writers import ResultsWriter

__all__ = ["PhotoWriter", "ResultsWriter", "RunSummary", "TensorBoardMasks"]
