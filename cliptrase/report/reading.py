"""Reads back what a run left, and only that: folders come from other people, and a page is passed on."""

import io
import json
import math
import os
import stat
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from cliptrase.errors import InputError, one_line
from cliptrase.evaluation.results import COLUMNS
from cliptrase.report.page import Run

_DEFINITIONS = ("released", "detectron2", "mmseg")
_KINDS = ("first", "named", "worst")
_MIB = 1 << 20
_LARGEST_DOCUMENT = 64 * _MIB
_LARGEST_SHEET = 20 * _MIB
_ALL_SHEETS = 200 * _MIB
_LONGEST_SIDE = 20_000  # pixels of a sheet
_MOST_SHEETS = 10_000
_DEEPEST = 16  # levels of a document; a run's own has eight
_LONGEST_TEXT = 1_000_000
_UNBOUNDED = 1e15  # no number of a run is as large


class _ShapeError(Exception):
    """Something of a document is not as a run writes it."""


def read_run(path: Path) -> Run:
    """Reads a run from its `results.json` or its folder.

    Sheets that cannot be shown are left out with a warning.

    Raises:
        InputError: the file is missing, is no regular file or is not a run's results.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        document = _json(file)
        _check_results(document)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except _ShapeError as fault:
        raise InputError(f"{file} is not the results.json of a run: {fault}") from None
    name = file.resolve().parent.name.encode("utf-8", "replace").decode()
    return Run(name, document, list(_sheets(file.parent)))


def _json(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: it cannot be read.
        _ShapeError: it is no regular file, too large, no JSON, or holds what no run writes.
    """
    try:
        document = json.loads(_regular(file, _LARGEST_DOCUMENT).decode("utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise _ShapeError("it is nested too deeply") from None
    except ValueError as error:
        raise _ShapeError(one_line(error)) from None
    _check_plain(document)
    return document


def _regular(file: Path, most: int) -> bytes:
    """Content of a regular file: others may wait for ever or never end.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is no regular file, or larger than `most` bytes.
    """
    handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no regular file")
        content = opened.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most // _MIB} MiB")
    return content


def _refuse(constant: str) -> float:
    raise _ShapeError(f"it holds {constant}, which is no number")


def _check_plain(document: Any) -> None:
    """Refuses what no run writes anywhere: endless nesting, numbers beyond all bounds, text that is no Unicode."""
    level = [document]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value, *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                _check_text(value)
            elif isinstance(value, int | float) and not abs(value) < _UNBOUNDED:
                raise _ShapeError("it holds a number beyond all bounds")
        level = below
    if level:
        raise _ShapeError("it is nested too deeply")


def _check_text(text: str) -> None:
    if len(text) > _LONGEST_TEXT:
        raise _ShapeError("it holds a text of more than a million letters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _ShapeError("it holds text that is no Unicode") from None


def _check_results(document: Any) -> None:
    """Everything that the page reads of `results.json`.

    Raises:
        _ShapeError: something is of another kind; the message says where.
    """
    settings = _mapping(document, "settings", "the document")
    methods = _mapping(document, "methods", "the document")
    if not settings or not methods:
        raise _ShapeError("it holds no setting or no method")
    for method, part in [("", document), *methods.items()]:
        own = _mapping(part, "settings", f"method {method!r}")
        if own.keys() != settings.keys():
            raise _ShapeError(f"method {method!r} has other settings than the run")
        for setting, result in own.items():
            names = [row["name"] for row in _result(result, f"{method} {setting}".strip())]
            if names != [row["name"] for row in settings[setting]["per_class"]]:
                raise _ShapeError(f"{method} {setting} has other classes than the run's first method")
        if part is document:
            continue
        if isinstance(average := part.get("average"), Mapping):
            _optional_number(average, "mIoU", method, 0, 100)
            _intervals(average.get("intervals"), method)
        elif average is not None:
            raise _ShapeError(f"average of {method!r} is no table")
    _provenance(document.get("provenance"))


def _result(result: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """Checks a method's result on a setting and gives its classes."""
    if not isinstance(result, Mapping):
        raise _ShapeError(f"{where} is no table of figures")
    _count(result, "images", where)
    if result.get("definition", "released") not in _DEFINITIONS:
        raise _ShapeError(f"definition of {where} is none of {', '.join(_DEFINITIONS)}")
    for group in (*_DEFINITIONS, "published"):
        key = "scores" if group == "released" else group
        figures = result.get(key)
        if figures is None and (group == "published" or group != result.get("definition", "released")):
            if group == "released":
                raise _ShapeError(f"{where} has no scores")
            continue
        if not isinstance(figures, Mapping):
            raise _ShapeError(f"{key} of {where} is no table of figures")
        for column in COLUMNS:
            _optional_number(figures, column, f"{key} of {where}", 0, 100)
    if "published" not in result:
        raise _ShapeError(f"{where} does not say what is published")
    _intervals(result.get("intervals"), where)
    for key in ("vocabulary_hash", "published_source", "cut"):
        _optional(result, key, str, where)
    _optional(result, "published_comparable", bool, where)
    for key, kind in (("remarks", str), ("images_expected", int), ("simulated_coverage", int)):
        values = result.get(key)
        if values is None and not (key == "remarks" and "published_comparable" in result):
            continue
        if key == "simulated_coverage" and isinstance(values, list) and len(values) != 2:
            raise _ShapeError(f"{key} of {where} is no pair")
        if not isinstance(values, list) or not all(_is(value, kind) for value in values) or len(values) > 100:
            raise _ShapeError(f"{key} of {where} is no short list")
    for key in ("images_found", "rare_classes"):
        if key in result and not (key == "rare_classes" and result[key] is None):
            _count(result, key, where)
    return _classes(result, where)


def _classes(result: Mapping[str, Any], where: str) -> Sequence[Mapping[str, Any]]:
    """Checks the figures of each class and gives them."""
    rows = result.get("per_class")
    if not isinstance(rows, list):
        raise _ShapeError(f"{where} has no list of classes")
    for place, row in enumerate(rows):
        named = f"class {place} of {where}"
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str):
            raise _ShapeError(f"{named} has no name")
        if not _is(row.get("label"), int) or row["label"] != place:
            raise _ShapeError(f"{named} has another label")
        _count(row, "pixels", named)
        _optional_number(row, "IoU", named, 0, 100)
        if result.get("definition", "released") != "released" or "detectron2" in row:
            if not isinstance(row.get("detectron2"), Mapping):
                raise _ShapeError(f"{named} has no detectron2 figures")
            _optional_number(row["detectron2"], "IoU", named, 0, 100)
    return rows


def _intervals(intervals: Any, where: str) -> None:
    """Bounds of mIoU, and of a difference."""
    if intervals is None:
        return
    if not isinstance(intervals, Mapping):
        raise _ShapeError(f"intervals of {where} are no table")
    _bounds(intervals.get("mIoU"), where)
    if (difference := intervals.get("difference_to_first")) is not None:
        if not isinstance(difference, Mapping):
            raise _ShapeError(f"difference of {where} is no table")
        _optional_number(difference, "mIoU", where, -100, 100)
        _bounds(difference.get("interval"), where)


def _bounds(bounds: Any, where: str) -> None:
    if not isinstance(bounds, list) or len(bounds) != 2 or not all(_in(bound, -100, 100) for bound in bounds):
        raise _ShapeError(f"an interval of {where} is not two numbers")


def _provenance(made: Any) -> None:
    """What the page reads of how the figures were made; the rest is shown as it is."""
    if made is None:
        return
    if not isinstance(made, Mapping):
        raise _ShapeError("provenance is no table")
    for key in ("protocol", "model", "images_per_second_by_method"):
        if not isinstance(made.get(key) or {}, Mapping):
            raise _ShapeError(f"{key} of provenance is no table")
    protocol = made.get("protocol") or {}
    overrides = protocol.get("overrides") or {}
    if not isinstance(overrides, Mapping) or not all(isinstance(values, Mapping) for values in overrides.values()):
        raise _ShapeError("values for settings of the protocol are no table")
    model = made.get("model")
    if model is not None:
        if not isinstance(model, Mapping) or not isinstance(model.get("clip"), str) or "pretrained" not in model:
            raise _ShapeError("model of provenance has no name")
        _optional(model, "pretrained", str, "model")
    for method, speed in (made.get("images_per_second_by_method") or {}).items():
        if speed is not None and not _in(speed, 0, _UNBOUNDED):
            raise _ShapeError(f"images per second of {method!r} are no number")


def _mapping(value: Any, key: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not isinstance(found := value.get(key), Mapping):
        raise _ShapeError(f"{where} has no table {key!r}")
    return found


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _in(value: Any, low: float, high: float) -> bool:
    return (_is(value, int) or isinstance(value, float)) and math.isfinite(value) and low <= value <= high


def _count(values: Mapping[str, Any], key: str, where: str) -> None:
    if not _is(values.get(key), int) or values[key] < 0:
        raise _ShapeError(f"{key} of {where} is no number of them")


def _optional(values: Mapping[str, Any], key: str, kind: type, where: str) -> None:
    if values.get(key) is not None and not _is(values[key], kind):
        raise _ShapeError(f"{key} of {where} is of another kind")


def _optional_number(values: Mapping[str, Any], key: str, where: str, low: float, high: float) -> None:
    if key not in values:
        raise _ShapeError(f"{where} has no {key}")
    if values[key] is not None and not _in(values[key], low, high):
        raise _ShapeError(f"{key} of {where} is no figure from {low:g} to {high:g}")


def _sheets(run: Path) -> Iterator[Mapping[str, Any]]:
    """A run's sheets with their pictures; a warning for each that cannot be shown."""
    index = run / "sheets" / "sheets.json"
    if not os.path.lexists(index):
        return
    try:
        document = _json(_inside(run, "sheets/sheets.json"))
        lines = document.get("sheets") if isinstance(document, Mapping) else None
        if not isinstance(lines, list) or len(lines) > _MOST_SHEETS:
            raise _ShapeError("it holds no list of sheets")
    except (ValueError, OSError, RuntimeError, _ShapeError) as fault:
        warnings.warn(f"the page has no sheets, for {index} cannot be used: {_words(fault)}", stacklevel=2)
        return
    room, left_out = _ALL_SHEETS, []
    for line in lines:
        try:
            _check_sheet(line)
            picture = _picture(run / "sheets", line["file"])
            room -= len(picture)
            if room < 0:
                raise _ShapeError(f"it is beyond {_ALL_SHEETS // _MIB} MiB of sheets")
            yield {**line, "picture": picture}
        except (ValueError, OSError, RuntimeError, _ShapeError) as fault:
            left_out.append(_words(fault))
            if room < 0:
                break
    if left_out:
        more = f" (and {len(left_out) - 1} more)" if len(left_out) > 1 else ""
        warnings.warn(f"a sheet of {index} is left out: {left_out[0]}{more}", stacklevel=2)


def _words(fault: Exception) -> str:
    """What a fault says, in one line."""
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.filename}: {fault.strerror}"
    return one_line(fault)


def _check_sheet(line: Any) -> None:
    if not isinstance(line, Mapping) or not all(isinstance(line.get(key), str) for key in ("setting", "stem", "file")):
        raise _ShapeError("it has no setting, stem and file")
    if line.get("kind") not in _KINDS:
        raise _ShapeError(f"its kind is none of {', '.join(_KINDS)}")
    _optional_number(line, "mIoU", "it", 0, 100)


def _inside(folder: Path, name: str) -> Path:
    """A file of a folder, by its real path.

    Raises:
        ValueError: it lies elsewhere, by its name or by a link.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name!r} lies outside of {folder}")
    found = (folder / name).resolve()
    if not found.is_relative_to(folder.resolve()):
        raise ValueError(f"{name!r} leads out of {folder}")
    return found


def _picture(folder: Path, name: str) -> bytes:
    """A PNG file of the folder of sheets.

    Raises:
        OSError: it cannot be read.
        ValueError: it lies elsewhere, is no regular file, too large, or no picture in PNG.
    """
    content = _regular(_inside(folder, name), _LARGEST_SHEET)
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
