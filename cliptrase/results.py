"""Result files and tables: JSON and CSV for scripts, a table for people."""

import csv
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import Tensor

from cliptrase.metrics import (
    ClassScores,
    Scores,
    released_class_scores,
    released_scores,
    textbook_class_scores,
    textbook_scores,
)

COLUMNS = Scores._fields


@dataclass(frozen=True)
class SettingResult:
    """Scores of one method on one setting.

    Attributes:
        name: the setting's.
        label_names: a name for each label.
        images: pictures scored.
        scores: percent, released definitions.
        textbook: percent, textbook definitions.
        classes: per class, released definitions.
        textbook_classes: per class, textbook definitions.
        published: the paper's figures, where this run is under the paper's protocol.
    """

    name: str
    label_names: Sequence[str]
    images: int
    scores: Scores
    textbook: Scores
    classes: ClassScores
    textbook_classes: ClassScores
    published: Scores | None

    @classmethod
    def from_confusion(
        cls, name: str, label_names: Sequence[str], confusion: Tensor, images: int, published: Sequence[float] | None
    ) -> "SettingResult":
        """Scores of a (C, C) int64 confusion matrix, rows being ground truth."""
        return cls(
            name,
            label_names,
            images,
            released_scores(confusion),
            textbook_scores(confusion),
            released_class_scores(confusion),
            textbook_class_scores(confusion),
            Scores(*published) if published is not None else None,
        )

    def as_dict(self) -> dict[str, Any]:
        """The form in which `results.json` holds it."""
        return {
            "images": self.images,
            "scores": self.scores.rounded(),
            "textbook": self.textbook.rounded(),
            "published": self.published._asdict() if self.published else None,
            "per_class": [
                {
                    "label": label,
                    "name": name,
                    "pixels": int(self.classes.pixels[label]),
                    "accuracy": _percent(self.classes.accuracy[label]),
                    "IoU": _percent(self.classes.iou[label]),
                    "textbook": {
                        "accuracy": _percent(self.textbook_classes.accuracy[label]),
                        "IoU": _percent(self.textbook_classes.iou[label]),
                    },
                }
                for label, name in enumerate(self.label_names)
            ],
        }


def _percent(fraction: Tensor) -> float | None:
    value = float(fraction)
    return None if value != value else round(100 * value, 2)


def results_document(results: Mapping[str, Sequence[SettingResult]], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Content of `results.json`: the first method's settings, every method's, and how they were made."""
    by_method = {
        method: {"settings": {result.name: result.as_dict() for result in settings}}
        for method, settings in results.items()
    }
    main = next(iter(by_method.values()))["settings"] if by_method else {}
    return {"settings": main, "methods": by_method, "provenance": dict(provenance)}


def csv_text(results: Mapping[str, Sequence[SettingResult]], protocol: str) -> str:
    """Content of `results.csv`: a line for each method, setting and definition."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", "setting", "protocol", "definition", "images", *COLUMNS])
    for method, settings in results.items():
        for result in settings:
            rows = {"released": result.scores, "textbook": result.textbook, "published": result.published}
            for definition, scores in rows.items():
                if scores is not None:
                    images = result.images if definition != "published" else ""
                    writer.writerow([method, result.name, protocol, definition, images, *scores.rounded().values()])
    return buffer.getvalue()


def score_table(results: Mapping[str, Sequence[SettingResult]], protocol: str) -> Table:
    """A table of all methods and settings, published figures beside ours."""
    with_published = any(result.published for settings in results.values() for result in settings)
    table = Table(title=f"protocol {protocol}, percent, released definitions", title_justify="left")
    table.add_column("method")
    table.add_column("setting")
    table.add_column("images", justify="right")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    table.add_column("textbook mIoU", justify="right")
    if with_published:
        for column in COLUMNS:
            table.add_column(f"{column}\npublished", justify="right", style="dim")
    for method, settings in results.items():
        for result in settings:
            row = [method, result.name, str(result.images), *_figures(result.scores), f"{result.textbook.mIoU:.2f}"]
            if with_published:
                row += _figures(result.published) if result.published else [""] * len(COLUMNS)
            table.add_row(*row)
    return table


def _figures(scores: Scores) -> list[str]:
    return [f"{value:.2f}" for value in scores]


def print_table(table: Table) -> None:
    """Prints a table as wide as it needs to be where the output is a file, and within the window on a terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)
    console.print(table)


def write_text(path: Path, text: str) -> None:
    """Writes a file beside its place and renames it, so that nobody reads half of it."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside its place and renames it, so that nobody reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        umask = os.umask(0)
        os.umask(umask)
        Path(aside).chmod(0o666 & ~umask)  # mkstemp makes files that only the owner reads
        os.replace(aside, path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes JSON that a person can read."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
