"""Pictures chosen for sheets: copied out of their batch, and kept as files with an index."""

import io
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

from cliptrase.common.io import read_regular, write_bytes, write_json
from cliptrase.drawing.sheets import Example, Panel, picture_iou
from cliptrase.runs.batches import LabelMaps

Kind = Literal["first", "named", "worst"]


class Line(NamedTuple):
    """A line of `sheets.json`."""

    kind: Kind
    stem: str
    iou: float  # of the main method on this picture, percent; NaN without truth


class Sheet(NamedTuple):
    """A picture's sheet, drawn."""

    setting: str
    lines: Sequence[Line]  # that it may have
    encoded: bytes  # PNG
    panels: Sequence[Panel] = ()  # where they are on it
    legend: Sequence[tuple[int | None, str]] = ()  # see `drawing.sheets.Drawn`

    @property
    def parts(self) -> dict[str, Any]:
        """What a page needs to show the panels one by one."""
        return {"panels": [panel._asdict() for panel in self.panels], "legend": [list(entry) for entry in self.legend]}


class Choice:
    """Pictures of one setting and process that may get a sheet, whatever batch they come in.

    Args:
        pictures: how many of the first ones.
        names: stems of pictures wanted besides.
        worst: how many with the lowest mean IoU over their own classes.
    """

    def __init__(self, pictures: int, names: Collection[str], worst: int) -> None:
        self.pictures, self.names, self.worst = pictures, names, worst
        self.lines: list[Line] = []
        self.examples: dict[str, Example] = {}  # of all lines, by stem

    def look(self, maps: LabelMaps) -> None:
        """Takes what may be chosen of a batch, and lets go what may no more."""
        for number, stem in enumerate(maps.stems):
            iou = main_iou(maps, number) if self.worst else float("nan")
            kinds: list[Kind] = ["first", *(["named"] if stem in self.names else []), "worst"]  # type: ignore[list-item]
            self.lines = best_lines(
                [*self.lines, *(Line(kind, stem, iou) for kind in kinds)], self.pictures, self.worst
            )
            kept = {row.stem for row in self.lines}
            if stem in kept:
                self.examples[stem] = example_of(maps, number)
            self.examples = {name: example for name, example in self.examples.items() if name in kept}


def best_lines(lines: Sequence[Line], pictures: int, worst: int) -> list[Line]:
    """The first ones by stem, which is a data set's order, the named ones, and the lowest; equals go by their stems.

    Args:
        lines: of one setting, of all pictures or of those that may be chosen.
        pictures: how many first ones.
        worst: how many lowest.
    """
    ordered = sorted(lines, key=lambda row: row.stem)
    lowest = sorted((row for row in ordered if row.kind == "worst" and not np.isnan(row.iou)), key=lambda row: row.iou)
    first, named = ([row for row in ordered if row.kind == kind] for kind in ("first", "named"))
    return [*first[:pictures], *named, *lowest[:worst]]


def chosen(lines: Sequence[Line], pictures: int, worst: int) -> list[Line]:
    """`best_lines` of all processes as they stand in the index: a first one that is also named stands there once."""
    found = best_lines(lines, pictures, worst)
    first = {row.stem for row in found if row.kind == "first"}
    return [row for row in found if row.kind != "named" or row.stem not in first]


def keep(folder: Path, setting: str, sheets: Mapping[str, tuple[Line, Sheet]], settings: Sequence[str]) -> None:
    """Writes sheets of a setting by their files' names, and a line for each in `sheets.json`.

    Lines are in an order of their own, by setting, kind and picture, so that an interrupted run comes to the same file.

    Args:
        folder: of the sheets.
        setting: its name.
        sheets: by file.
        settings: names of all settings, in the run's order.
    """
    lines = [line for line in lines_of(folder) if line["file"] not in sheets]
    for file, (row, own) in sheets.items():
        iou = None if np.isnan(row.iou) else round(row.iou, 2)
        about = {"setting": setting, "kind": row.kind, "stem": row.stem, "mIoU": iou, "file": file}
        lines.append({**about, **own.parts})
        write_bytes(folder / file, own.encoded)

    def place(line: Mapping[str, Any]) -> tuple[int, int, float, str]:
        lowest = (line["mIoU"] or 0.0) if line["kind"] == "worst" else 0.0
        return settings.index(line["setting"]), get_args(Kind).index(line["kind"]), lowest, line["stem"]

    lines = [line for line in lines if line["setting"] in settings and line["kind"] in get_args(Kind)]
    write_json(folder / "sheets.json", {"sheets": sorted(lines, key=place)})


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
