"""Pictures chosen for sheets: copied out of their batch, and kept as files with an index."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from cliptrase.figures.sheets import Example, picture_iou
from cliptrase.files import read_regular, write_bytes, write_json
from cliptrase.lightning_module import LabelMaps

Kind = Literal["first", "named", "worst"]


class Chosen(NamedTuple):
    """A picture that gets a sheet."""

    setting: str
    kind: Kind
    example: Example
    iou: float  # of the main method on this picture, percent; NaN without truth

    @property
    def rank(self) -> tuple[float, str]:
        """Lowest first."""
        return self.iou, self.example.stem


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Lines of `sheets.json`, less what is not there or cannot be read."""
    try:
        lines = json.loads(read_regular(folder / "sheets.json"))["sheets"]
        return [line for line in lines if (folder / line["file"]).is_file()]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def tidy(folder: Path) -> None:
    """Leaves out of `sheets.json` what an interrupted run, or whoever came after it, took away."""
    if (folder / "sheets.json").exists():
        write_json(folder / "sheets.json", {"sheets": lines_of(folder)})


def keep(folder: Path, sheets: Mapping[str, tuple[Chosen, bytes]]) -> None:
    """Writes sheets by their files' names, and a line for each in `sheets.json`."""
    lines = [line for line in lines_of(folder) if line["file"] not in sheets]
    for file, (row, encoded) in sheets.items():
        iou = None if np.isnan(row.iou) else round(row.iou, 2)
        lines.append({"setting": row.setting, "kind": row.kind, "stem": row.example.stem, "mIoU": iou, "file": file})
        write_bytes(folder / file, encoded)
    write_json(folder / "sheets.json", {"sheets": lines})


def example_of(maps: LabelMaps, number: int) -> Example:
    """One picture of a batch, copied to the CPU: the batch can go."""
    regions = next(iter(maps.regions.values()), None)
    return Example(
        maps.stems[number],
        maps.images[number].permute(1, 2, 0).cpu().numpy().copy(),
        {method: _copied(labels[number]) for method, labels in maps.predictions.items()},
        None if maps.labels is None else _copied(maps.labels[number]),
        None if regions is None else _copied(regions[number]),
    )


def main_iou(maps: LabelMaps, number: int) -> float:
    """Mean IoU of the main method on one picture of a batch, percent; NaN without truth."""
    if maps.labels is None:
        return float("nan")
    prediction = next(iter(maps.predictions.values()))[number]
    return picture_iou(maps.labels[number].cpu().numpy(), prediction.cpu().numpy())


def _copied(labels: Any) -> np.ndarray[Any, np.dtype[np.int32]]:
    copied: np.ndarray[Any, np.dtype[np.int32]] = labels.cpu().numpy().astype(np.int32)
    return copied
