"""Pictures chosen for sheets: copied out of their batch, and kept as files with an index."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

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
    """Lines of `sheets.json`; none where it is not there or cannot be read."""
    try:
        lines: list[dict[str, Any]] = json.loads(read_regular(folder / "sheets.json"))["sheets"]
        return [line for line in lines if {"setting", "kind", "stem", "mIoU", "file"} <= line.keys()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def tidy(folder: Path) -> None:
    """Leaves out of `sheets.json` what an interrupted run, or whoever came after it, spoilt or took away."""
    if (folder / "sheets.json").exists():
        write_json(folder / "sheets.json", {"sheets": [line for line in lines_of(folder) if _is_whole(folder, line)]})


def _is_whole(folder: Path, line: Mapping[str, Any]) -> bool:
    try:
        with Image.open(io.BytesIO(read_regular(folder / line["file"]))) as picture:
            picture.load()
    except (OSError, ValueError, SyntaxError, TypeError):
        return False
    return True


def keep(folder: Path, sheets: Mapping[str, tuple[Chosen, bytes]], settings: Sequence[str]) -> None:
    """Writes sheets by their files' names, and a line for each in `sheets.json`.

    Lines are in an order of their own, by setting, kind and picture, so that an interrupted run comes to the same file.
    """
    lines = [line for line in lines_of(folder) if line["file"] not in sheets]
    for file, (row, encoded) in sheets.items():
        iou = None if np.isnan(row.iou) else round(row.iou, 2)
        lines.append({"setting": row.setting, "kind": row.kind, "stem": row.example.stem, "mIoU": iou, "file": file})
        write_bytes(folder / file, encoded)
    places, kinds = {name: place for place, name in enumerate(settings)}, get_args(Kind)

    def place(line: Mapping[str, Any]) -> tuple[int, int, float, str]:
        worst = line["mIoU"] or 0 if line["kind"] == "worst" else 0
        return places.get(line["setting"], len(places)), kinds.index(line["kind"]), worst, line["stem"]

    write_json(folder / "sheets.json", {"sheets": sorted(lines, key=place)})


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
