"""Whether a document is a run's `results.json`: everything that tables and the page read of it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cliptrase.evaluation.document import MEANS, SCHEMA
from cliptrase.evaluation.domains import DomainScores
from cliptrase.evaluation.formatting import COLUMNS
from cliptrase.evaluation.study_table import CHARTS, KINDS
from cliptrase.protocols.definitions import DEFINITIONS
from cliptrase.report.foreign import UNBOUNDED, SchemaError, ShapeError

_MOST_REMARKS = 100
_MOST_ROWS = 100_000  # of a study's table


def check_results(document: Any) -> None:
    """Checks a whole document.

    Raises:
        SchemaError: it is of another schema.
        ShapeError: something is of another kind; the message says where.
    """
    _schema(document)
    _headline(_mapping(document, "headline", "the document"))
    settings = _mapping(document, "settings", "the document")
    methods = _mapping(document, "methods", "the document")
    if not settings or not methods:
        raise ShapeError("it holds no setting or no method")
    for method, part in [("", document), *methods.items()]:
        results = _mapping(part, "settings", f"method {method!r}")
        if results.keys() != settings.keys():
            raise ShapeError(f"method {method!r} has other settings than the run")
        for setting, result in results.items():
            names = [row["name"] for row in _result(result, f"{method} {setting}".strip())]
            if names != [row["name"] for row in settings[setting]["per_class"]]:
                raise ShapeError(f"{method} {setting} has other classes than the run's first method")
        if part is not document:
            _average(part, method)
            _benchmarks(part, method, settings)
    _same_benchmarks(methods)
    _studies(_mapping(document, "studies", "the document"))
    _provenance(_mapping(document, "provenance", "the document"))


def _schema(document: Any) -> None:
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if not is_kind(schema, int):
        raise ShapeError("it names no schema; if an older version wrote it, run again")
    if schema != SCHEMA:
        raise SchemaError(f"is a results.json of schema {schema}, and this version reads schema {SCHEMA}; run again")


def _headline(headline: Mapping[str, Any]) -> None:
    _definition(headline, "the headline")
    optional_number(headline, "mIoU", "the headline", 0, 100)
    if headline.get("interval") is not None:
        _bounds(headline["interval"], "the headline")


def _definition(values: Mapping[str, Any], where: str) -> None:
    if not isinstance(values.get("definition"), str) or values["definition"] not in DEFINITIONS:
        raise ShapeError(f"definition of {where} is none of {', '.join(DEFINITIONS)}")


def _average(part: Mapping[str, Any], method: str) -> None:
    if "average" not in part:
        raise ShapeError(f"method {method!r} has no average")
    average = part["average"]
    if average is None:
        return
    if not isinstance(average, Mapping):
        raise ShapeError(f"average of {method!r} is no table")
    optional_number(average, "mIoU", f"average of {method!r}", 0, 100)
    _intervals(average, f"average of {method!r}")


def _benchmarks(part: Mapping[str, Any], method: str, settings: Mapping[str, Any]) -> None:
    """Figures of benchmarks, and means over them: of the same data sets and domains for every method."""
    for name, found in _mapping(part, "benchmarks", f"method {method!r}").items():
        where = f"{name} of {method!r}"
        for key in ("source", "note"):
            if not isinstance(found, Mapping) or not isinstance(found.get(key), str):
                raise ShapeError(f"{where} has no {key}")
        _definition(found, where)
        _short_list(found, "missing", str, where)
        for key, columns in (("figures", DomainScores._fields), ("domains", MEANS)):
            rows = found.get(key)
            if not isinstance(rows, list) or len(rows) > _MOST_REMARKS:
                raise ShapeError(f"{where} has no list of {key}")
            for row in rows:
                _domain_row(row, columns, f"{key} of {where}")
                if key == "figures":
                    _count(row, "images", f"{key} of {where}")
                    _short_list(row, "settings", str, f"{key} of {where}")
                    if not isinstance(row.get("domain"), str) or not set(row["settings"]) <= settings.keys():
                        raise ShapeError(f"{key} of {where} are of no domain, or of data sets that are not there")
        _domain_row(_mapping(found, "mean", where), MEANS, f"mean of {where}")
        for mean in (*found["domains"], found["mean"]):
            for key in ("figures", "figures_expected"):
                _count(mean, key, f"a mean of {where}")


def _studies(studies: Mapping[str, Any]) -> None:
    """Tables of studies: a title, columns of known kinds and rows of as many values of those kinds."""
    for name in studies:
        tables = _mapping(studies, name, "studies").get("tables")
        where = f"study {name!r}"
        if not isinstance(tables, list) or len(tables) > _MOST_REMARKS:
            raise ShapeError(f"{where} has no list of tables")
        for table in tables:
            if not isinstance(table, Mapping) or not isinstance(table.get("title"), str):
                raise ShapeError(f"a table of {where} has no title")
            _short_list(table, "notes", str, where)
            _short_list(table, "columns", Mapping, where)
            if table.get("chart") not in CHARTS:
                raise ShapeError(f"a table of {where} has a chart that is none of {', '.join(filter(None, CHARTS))}")
            columns, rows = table["columns"], table.get("rows")
            if any(column.get("kind") not in KINDS or not isinstance(column.get("name"), str) for column in columns):
                raise ShapeError(f"a column of {where} has no name, or a kind that is none of {', '.join(KINDS)}")
            if not isinstance(rows, list) or len(rows) > _MOST_ROWS:
                raise ShapeError(f"a table of {where} has no list of rows")
            for row in rows:
                if not isinstance(row, list) or len(row) != len(columns):
                    raise ShapeError(f"a row of {where} has not as many values as the table has columns")
                for column, value in zip(columns, row, strict=True):
                    _study_value(column["kind"], value, where)


def _study_value(kind: str, value: Any, where: str) -> None:
    if value is None:
        return
    if "interval" in kind:
        _bounds(value, where)
    elif kind == "text" and not isinstance(value, str):
        raise ShapeError(f"{where} has something else than text, {value!r:.40}")
    elif kind != "text":
        optional_number({"value": value}, "value", where, *((0, 100) if kind == "score" else (-UNBOUNDED, UNBOUNDED)))


def _domain_row(row: Any, columns: Sequence[str], where: str) -> None:
    if not isinstance(row, Mapping) or not isinstance(row.get("name"), str):
        raise ShapeError(f"{where} has no name")
    scores = _mapping(row, "scores", where)
    for definition in DEFINITIONS:
        for column in columns:
            optional_number(_mapping(scores, definition, where), column, where, 0, 100)
    _intervals(row, where)


def _same_benchmarks(methods: Mapping[str, Mapping[str, Any]]) -> None:
    """Tables show all methods in the order of the first one's figures."""
    shapes = [
        {
            name: [[(row["name"], row.get("domain")) for row in found[key]] for key in ("figures", "domains")]
            for name, found in part["benchmarks"].items()
        }
        for part in methods.values()
    ]
    if any(shape != shapes[0] for shape in shapes):
        raise ShapeError("its methods have figures of different benchmarks")


def _result(result: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """Checks a method's result on a setting and gives its classes."""
    if not isinstance(result, Mapping):
        raise ShapeError(f"{where} is no table of scores")
    for key in ("images", "images_available"):
        _count(result, key, where)
    _definition(result, where)
    scores = _mapping(result, "scores", where)
    for definition in DEFINITIONS:
        _columns(_mapping(scores, definition, f"scores of {where}"), f"{definition} scores of {where}")
    if _required(result, "published", where) is not None:
        _columns(_mapping(result, "published", where), f"published scores of {where}")
    _intervals(result, where)
    for key, kind in (("protocol", str), ("protocol_hash", str), ("vocabulary_hash", str), ("edition", str)):
        if not is_kind(result.get(key), kind):
            raise ShapeError(f"{key} of {where} is no text")
    for key in ("published_source", "cut"):
        if not is_kind(_required(result, key, where), str, type(None)):
            raise ShapeError(f"{key} of {where} is no text")
    if not is_kind(result.get("published_comparable"), bool):
        raise ShapeError(f"{where} does not say whether published scores are comparable")
    _short_list(result, "remarks", str, where)
    for key in ("images_expected", "simulated_coverage"):
        if _required(result, key, where) is not None:
            _short_list(result, key, int, where)
    if result["simulated_coverage"] is not None and len(result["simulated_coverage"]) != 2:
        raise ShapeError(f"simulated_coverage of {where} is no pair")
    if _required(result, "rare_classes", where) is not None:
        _count(result, "rare_classes", where)
    return _classes(result, where)


def _columns(scores: Mapping[str, Any], where: str) -> None:
    for column in COLUMNS:
        optional_number(scores, column, where, 0, 100)


def _classes(result: Mapping[str, Any], where: str) -> Sequence[Mapping[str, Any]]:
    """Checks the scores of each class and gives them."""
    rows = result.get("per_class")
    if not isinstance(rows, list):
        raise ShapeError(f"{where} has no list of classes")
    for place, row in enumerate(rows):
        named = f"class {place} of {where}"
        if not isinstance(row, Mapping) or not isinstance(row.get("name"), str):
            raise ShapeError(f"{named} has no name")
        if not is_kind(row.get("label"), int) or row["label"] != place:
            raise ShapeError(f"{named} has another label")
        _count(row, "pixels", named)
        scores = _mapping(row, "scores", named)
        for definition in DEFINITIONS:
            by_definition = _mapping(scores, definition, f"scores of {named}")
            for key in ("accuracy", "IoU"):
                optional_number(by_definition, key, named, 0, 100)
    return rows


def _intervals(part: Mapping[str, Any], where: str) -> None:
    """Bounds of mIoU, and of a difference."""
    if _required(part, "intervals", where) is None:
        return
    intervals = _mapping(part, "intervals", where)
    _bounds(intervals.get("mIoU"), where)
    if (difference := intervals.get("difference_to_first")) is not None:
        if not isinstance(difference, Mapping):
            raise ShapeError(f"difference of {where} is no table")
        optional_number(difference, "mIoU", where, -100, 100)
        _bounds(difference.get("interval"), where)


def _bounds(bounds: Any, where: str) -> None:
    if not isinstance(bounds, list) or len(bounds) != 2 or not all(_in(bound, -100, 100) for bound in bounds):
        raise ShapeError(f"an interval of {where} is not two numbers")


def _provenance(made: Mapping[str, Any]) -> None:
    """What the page reads of how the scores were made; the rest is shown as it is."""
    for key in ("protocol", "model", "images_per_second_by_method"):
        if not isinstance(made.get(key) or {}, Mapping):
            raise ShapeError(f"{key} of provenance is no table")
    protocol = made.get("protocol") or {}
    overrides = protocol.get("overrides") or {}
    if not isinstance(overrides, Mapping) or not all(isinstance(values, Mapping) for values in overrides.values()):
        raise ShapeError("values for settings of the protocol are no table")
    model = made.get("model")
    if model is not None:
        if not isinstance(model, Mapping) or not isinstance(model.get("clip"), str) or "pretrained" not in model:
            raise ShapeError("model of provenance has no name")
        if not is_kind(model["pretrained"], str, type(None)):
            raise ShapeError("pretrained of model is no text")
        guest = model.get("guest")
        told = ("name", "architecture", "weights_hash")
        if guest is not None and not (
            isinstance(guest, Mapping) and all(isinstance(guest.get(key), str) for key in told)
        ):
            raise ShapeError("guest of model has no name, architecture and hash")
    for method, speed in (made.get("images_per_second_by_method") or {}).items():
        if speed is not None and not _in(speed, 0, UNBOUNDED):
            raise ShapeError(f"images per second of {method!r} are no number")


def _mapping(value: Any, key: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not isinstance(table := value.get(key), Mapping):
        raise ShapeError(f"{where} has no table {key!r}")
    return table


def _required(values: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in values:
        raise ShapeError(f"{where} has no {key}")
    return values[key]


def _short_list(values: Mapping[str, Any], key: str, kind: type, where: str) -> None:
    entries = values.get(key)
    if not isinstance(entries, list) or not all(is_kind(entry, kind) for entry in entries):
        raise ShapeError(f"{key} of {where} is no list of that kind")
    if len(entries) > _MOST_REMARKS:
        raise ShapeError(f"{key} of {where} has more than {_MOST_REMARKS} entries")


def is_kind(value: Any, *kinds: type) -> bool:
    """Whether a value is of one of those kinds; a bool is no number."""
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _in(value: Any, low: float, high: float) -> bool:
    return is_kind(value, int, float) and math.isfinite(value) and low <= value <= high


def _count(values: Mapping[str, Any], key: str, where: str) -> None:
    if not is_kind(values.get(key), int) or values[key] < 0:
        raise ShapeError(f"{key} of {where} is no number of them")


def optional_number(values: Mapping[str, Any], key: str, where: str, low: float, high: float) -> None:
    """Checks that a key is there and holds null or a number within bounds.

    Raises:
        ShapeError: it does not.
    """
    number = _required(values, key, where)
    if number is not None and not _in(number, low, high):
        raise ShapeError(f"{key} of {where} is no score from {low:g} to {high:g}")
