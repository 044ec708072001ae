"""Reads back what a run left, and only that: folders come from other people, and a page is passed on."""

import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cliptrase.common.errors import InputError
from cliptrase.drawing.overlay import palette
from cliptrase.drawing.sheets import Panel
from cliptrase.report.checks import check_results, is_kind, optional_number
from cliptrase.report.confusion_file import confusions
from cliptrase.report.foreign import MIB, SchemaError, ShapeError, path_inside, read_json, read_regular, sentence_of

_KINDS = ("first", "named", "worst")
_LARGEST_SHEET = 20 * MIB
_ALL_SHEETS = 200 * MIB
_LONGEST_SIDE = 20_000  # pixels of a sheet
_MOST_SHEETS = 10_000
_LABELS = len(palette())
_MOST_PARTS = 1_000  # panels of a sheet, or names in its legend


@dataclass(frozen=True)
class LoadedRun:
    """What the page shows of one run.

    Attributes:
        name: of its folder.
        document: content of `results.json`.
        sheets: of its images: `setting`, `kind`, `stem`, `mIoU`, the `picture` as PNG, and where known its `panels` and
            `legend`.
        confusions: by setting and method (C, C) int64, rows are ground truth; only where the counts are there.
    """

    name: str
    document: Mapping[str, Any]
    sheets: Sequence[Mapping[str, Any]] = ()
    confusions: Mapping[str, Mapping[str, NDArray[np.int64]]] = field(default_factory=dict)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """How the scores were made."""
        provenance: Mapping[str, Any] = self.document["provenance"]
        return provenance

    @property
    def protocol(self) -> str:
        """The protocol's label."""
        return str((self.provenance.get("protocol") or {}).get("label", "of an unknown protocol"))

    @property
    def rows(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Setting, method and result, settings together, the main method first."""
        for setting in self.document["settings"]:
            for method, part in self.document["methods"].items():
                yield setting, method, part["settings"][setting]


def read_run(path: Path) -> LoadedRun:
    """Reads a run from its `results.json` or its folder.

    Sheets that cannot be shown are left out with a warning.

    Raises:
        InputError: the file is missing, is no regular file, is not a run's results or is of another schema.
    """
    file = results_file(path)
    document = read_document(path)
    return LoadedRun(folder_name(file), document, list(_sheets(file.parent)), confusions(file.parent, document))


def results_file(path: Path) -> Path:
    """`results.json` of a run that is named by its folder or by that file."""
    return path / "results.json" if path.is_dir() else path


def folder_name(file: Path) -> str:
    """Name of the folder that a run's file lies in."""
    return file.resolve().parent.name.encode("utf-8", "replace").decode()


def read_document(path: Path) -> Mapping[str, Any]:
    """Content of a run's `results.json`, of which all is there that tables and the page read; see `read_run`.

    Raises:
        InputError: the file is missing, is no regular file, is not a run's results or is of another schema.
    """
    file = results_file(path)
    try:
        document: Mapping[str, Any] = read_json(file)
        check_results(document)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except SchemaError as fault:
        raise InputError(f"{file} {fault}") from None
    except ShapeError as fault:
        raise InputError(f"{file} is not the results.json of a run: {fault}") from None
    return document


def _sheets(run: Path) -> Iterator[Mapping[str, Any]]:
    """A run's sheets with their pictures; a warning for each that cannot be shown."""
    index = run / "sheets" / "sheets.json"
    if not os.path.lexists(index):
        return
    try:
        document = read_json(path_inside(run, "sheets/sheets.json"))
        lines = document.get("sheets") if isinstance(document, Mapping) else None
        if not isinstance(lines, list) or len(lines) > _MOST_SHEETS:
            raise ShapeError("it holds no list of sheets")
    except (ValueError, OSError, RuntimeError, ShapeError) as fault:
        warnings.warn(f"the page has no sheets, for {index} cannot be used: {sentence_of(fault)}", stacklevel=2)
        return
    room, left_out = _ALL_SHEETS, []
    for line in lines:
        try:
            _check_sheet(line)
            picture = _picture(run / "sheets", line["file"])
            room -= len(picture)
            if room < 0:
                raise ShapeError(f"it is beyond {_ALL_SHEETS // MIB} MiB of sheets")
            yield {**line, "picture": picture}
        except (ValueError, OSError, RuntimeError, ShapeError) as fault:
            left_out.append(sentence_of(fault))
            if room < 0:
                break
    if left_out:
        more = f" (and {len(left_out) - 1} more)" if len(left_out) > 1 else ""
        warnings.warn(f"a sheet of {index} is left out: {left_out[0]}{more}", stacklevel=2)


def _check_sheet(line: Any) -> None:
    if not isinstance(line, Mapping) or not all(isinstance(line.get(key), str) for key in ("setting", "stem", "file")):
        raise ShapeError("it has no setting, stem and file")
    if line.get("kind") not in _KINDS:
        raise ShapeError(f"its kind is none of {', '.join(_KINDS)}")
    optional_number(line, "mIoU", "it", 0, 100)
    for panel in _listed(line, "panels"):
        if not isinstance(panel, Mapping) or panel.get("kind") not in get_args(Panel.__annotations__["kind"]):
            raise ShapeError("a panel of it is of no known kind")
        if not all(isinstance(panel.get(key), str) for key in ("title", "method", "note")):
            raise ShapeError("a panel of it has no title, method and note")
        box = panel.get("box")
        if not isinstance(box, list) or len(box) != 4 or not all(is_kind(side, int) and side >= 0 for side in box):
            raise ShapeError("a panel of it has no box of four numbers")
    for entry in _listed(line, "legend"):
        if not isinstance(entry, list) or len(entry) != 2 or not is_kind(entry[0], int, type(None)):
            raise ShapeError("its legend has an entry that is no label and name")
        if not isinstance(entry[1], str) or not -1 <= (entry[0] or 0) < _LABELS:
            raise ShapeError("its legend has an entry without a name, or of a label that has no colour")


def _listed(line: Mapping[str, Any], key: str) -> list[Any]:
    """A list of a sheet, empty where it has none."""
    entries = line.get(key, [])
    if not isinstance(entries, list) or len(entries) > _MOST_PARTS:
        raise ShapeError(f"it holds no list of {key}")
    return entries


def _picture(folder: Path, name: str) -> bytes:
    """A PNG file of the folder of sheets.

    Raises:
        OSError: it cannot be read.
        ValueError: it lies elsewhere, is no regular file, too large, or no picture in PNG.
    """
    content = read_regular(path_inside(folder, name), _LARGEST_SHEET)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
                size = picture.size
                picture.verify()
    except Exception as error:  # Pillow raises whatever it meets in a damaged file
        raise ValueError(f"{name!r} is no picture in PNG") from error
    if max(size) > _LONGEST_SIDE:
        raise ValueError(f"{name!r} has {size[0]} x {size[1]} pixels")
    return content
