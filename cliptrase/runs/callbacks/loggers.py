"""What Lightning's loggers can hold beside numbers: tables, pictures, hyperparameters, each in the logger's own way.

A logger of another kind gets numbers and hyperparameters, which every logger of Lightning takes.
"""

import csv
import io
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from torch.utils.tensorboard.summary import hparams

from cliptrase.common.errors import InputError, one_line
from cliptrase.common.io import write_bytes, write_text

Parameters = Mapping[str, Any]


class LogWriter:
    """Numbers and hyperparameters for any of Lightning's loggers; subclasses add what theirs can hold besides.

    Only the first process may make one: a logger opens its files, or its run, with the first thing that it is told.

    Args:
        logger: a logger of the Trainer.
    """

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def figures(self, figures: Mapping[str, float]) -> None:
        """Scores by name, percent."""
        self.logger.log_metrics(figures)

    def parameters(self, parameters: Parameters, figures: Sequence[str]) -> None:
        """What the run was asked for.

        Args:
            parameters: values by name.
            figures: names of the scores that belong to them.
        """
        self.logger.log_hyperparams(dict(parameters))

    def text(self, tag: str, markdown: str) -> None:
        """A text with tables."""

    def table(self, name: str, content: str) -> None:
        """A table as CSV, its heads first; its name has `/` between its parts."""

    def picture(self, tag: str, encoded: bytes) -> None:
        """A picture as PNG."""


class TensorBoardWriter(LogWriter):
    """TensorBoard shows texts, so that tables are not sent twice."""

    def parameters(self, parameters: Parameters, figures: Sequence[str]) -> None:
        """They are logged with the names of figures, so that the table of hyperparameters holds them."""
        for summary in hparams(parameters, dict.fromkeys(figures, 0.0)):
            self.logger.experiment._get_file_writer().add_summary(summary)

    def text(self, tag: str, markdown: str) -> None:
        """Under Text."""
        self.logger.experiment.add_text(tag, markdown)

    def picture(self, tag: str, encoded: bytes) -> None:
        """Under Images, not encoded again."""
        width, height = _size(encoded)
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=encoded)
        summary = Summary(value=[Summary.Value(tag=tag, image=image)])
        self.logger.experiment._get_file_writer().add_summary(summary)


class WandbWriter(LogWriter):
    """Tables and pictures of Weights & Biases, by their names."""

    def table(self, name: str, content: str) -> None:
        """A table that can be sorted and filtered."""
        heads, *rows = csv.reader(io.StringIO(content))
        values = [[_number(cell) for cell in row] for row in rows]
        # A column of Weights & Biases has one kind: one with any text is text.
        words = [any(isinstance(row[place], str) for row in values) for place in range(len(heads))]
        data = [
            [cell if word and cell else value for cell, value, word in zip(row, typed, words, strict=True)]
            for row, typed in zip(rows, values, strict=True)
        ]
        self.logger.log_table(name, columns=heads, data=data)

    def picture(self, tag: str, encoded: bytes) -> None:
        """A picture with its name as caption."""
        with Image.open(io.BytesIO(encoded)) as picture:
            self.logger.log_image(tag, [picture], caption=[tag.rpartition("/")[2]])


class MLFlowWriter(LogWriter):
    """Artifacts of MLflow's run: `tables/`, `texts/` and `pictures/`."""

    def figures(self, figures: Mapping[str, float]) -> None:
        """MLflow takes fewer signs in names than methods have."""
        self.logger.log_metrics({mlflow_name(name): value for name, value in figures.items()})

    def parameters(self, parameters: Parameters, figures: Sequence[str]) -> None:
        """MLflow takes fewer signs in names than methods have."""
        self.logger.log_hyperparams({mlflow_name(name): value for name, value in parameters.items()})

    def text(self, tag: str, markdown: str) -> None:
        """A file."""
        self._file(f"texts/{tag}.md", markdown.encode())

    def table(self, name: str, content: str) -> None:
        """A file."""
        self._file(f"tables/{name}.csv", content.encode())

    def picture(self, tag: str, encoded: bytes) -> None:
        """A file."""
        self._file(f"pictures/{tag}.png", encoded)

    def _file(self, name: str, content: bytes) -> None:
        path = Path(_file_name(name))
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / path.name).write_bytes(content)
            self.logger.experiment.log_artifact(self.logger.run_id, str(Path(folder) / path.name), str(path.parent))


class CSVWriter(LogWriter):
    """Files beside the `metrics.csv` of Lightning's CSVLogger: `tables/` and `pictures/`."""

    def table(self, name: str, content: str) -> None:
        """A file."""
        write_text(Path(self.logger.log_dir, _file_name(f"tables/{name}.csv")), content)

    def picture(self, tag: str, encoded: bytes) -> None:
        """A file."""
        write_bytes(Path(self.logger.log_dir, _file_name(f"pictures/{tag}.png")), encoded)


_WRITERS: dict[type[Logger], type[LogWriter]] = {
    TensorBoardLogger: TensorBoardWriter,
    WandbLogger: WandbWriter,
    MLFlowLogger: MLFlowWriter,
    CSVLogger: CSVWriter,
}


def log_writers(trainer: Trainer) -> list[LogWriter]:
    """A writer for each logger of the Trainer; none in processes that write nothing."""
    if not trainer.is_global_zero:
        return []
    return [
        next((writer for kind, writer in _WRITERS.items() if isinstance(logger, kind)), LogWriter)(logger)
        for logger in trainer.loggers
    ]


@contextmanager
def told(writer: LogWriter) -> Iterator[LogWriter]:
    """Says in a sentence what a logger's own library complains of: it raises what it likes.

    Raises:
        OSError: a file cannot be written.
        InputError: anything else that the logger refuses.
    """
    try:
        yield writer
    except (OSError, InputError):
        raise
    except Exception as error:
        raise InputError(
            f"{type(writer.logger).__name__} takes no more ({one_line(error).rstrip('.')}); mend what it names, or "
            "leave it out by --trainer.logger false"
        ) from error


def mlflow_name(name: str) -> str:
    """A name in the signs that MLflow takes: letters, digits, blanks and any of `_-./`.

    >>> mlflow_name("naclip+sigma=5/VOC20/mIoU")
    'naclip plus sigma is 5/VOC20/mIoU'
    """
    spelt = name.replace("+", " plus ").replace("=", " is ")
    return re.sub(r"[^a-zA-Z0-9_/. -]", lambda sign: f"-{ord(sign[0]):x}-", spelt)


def _file_name(name: str) -> str:
    """A relative path of signs that every system takes; a data set's name leads nowhere else."""
    parts = (re.sub(r"[^\w.+= -]", "-", part).lstrip(".") or "-" for part in name.split("/"))
    return "/".join(parts)


def _number(cell: str) -> str | float | None:
    """A number where the cell holds one; None for an empty one."""
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


def _size(encoded: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    with Image.open(io.BytesIO(encoded)) as picture:
        return picture.size
