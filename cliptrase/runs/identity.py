"""What a run is: everything that decides a figure, by name, so that `--resume` can say what differs."""

import hashlib
import inspect
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import torch

from cliptrase.clip.templates import TEMPLATES
from cliptrase.clip.text import tokenizer_hash
from cliptrase.evaluation.provenance import Start
from cliptrase.methods import Method
from cliptrase.runs.plan import Plan

_SOURCE = "source of method "
_COUNTS = "counts of each picture, 2"  # the form in which a finished data set is kept


def identity(plan: Plan, start: Start) -> dict[str, Any]:
    """Everything that decides a figure: `run` by part, and `settings` by name and part, as words and hashes.

    Where something is scored it reads every file of the data; to be called by one process, once, before the first image
    is computed. Where nothing is, files are no part of it: each label map is of one picture, and knows it.

    Raises:
        DataError: a file of the data cannot be read.
    """
    clip = plan.clip
    templates = TEMPLATES[plan.protocol.templates]
    run = {
        "protocol": plan.protocol.digest,
        "methods": ", ".join(method.name for method in plan.methods),
        **{f"{_SOURCE}{method.name}": source_of(method) for method in plan.methods},
        "weights": clip.weights_hash,
        "activation": clip.activation,
        "guest": f"{plan.guest.weights_hash} {plan.guest.config_hash}" if plan.guest else "none",
        "model configuration": clip.config_hash,
        "precision": plan.precision,
        "device": plan.device.type,
        **{f"study {study.name}": study.identity for study in plan.studies},
        "limit_test_batches": limit_of(plan),
        "commit": str(start.commit),
        "source code": start.sources,
        **{f"version of {name}": version for name, version in start.versions.items()},
        "form of counts": _COUNTS,
    }
    digests: Mapping[str, Mapping[str, str]] = plan.data.digests() if plan.scores else {}
    by_setting = {
        row.name: {
            "vocabulary": row.vocabulary.digest,
            "tokenizer": tokenizer_hash(clip.tokenizer, row.vocabulary.names, templates)[:16],
            "class token weighting": str(row.class_token_weighting),
            **digests.get(row.name, {}),
        }
        for row in plan.settings
    }
    return {"run": run, "settings": by_setting}


def differences(one: Any, other: Any) -> list[str]:
    """Names of the parts in which two identities differ: `limit_test_batches`, `data of VOC20`.

    Either may be what stands in a file that somebody changed.
    """
    try:
        found = _unequal(one["run"], other["run"])
        if list(one["settings"]) != list(other["settings"]):
            found.append("data sets")
        for name in one["settings"]:
            if name in other["settings"]:
                found += [f"{part} of {name}" for part in _unequal(one["settings"][name], other["settings"][name])]
    except (TypeError, KeyError, AttributeError, IndexError):
        return ["what it says of itself"]
    return found


def limit_of(plan: Plan) -> str:
    """Which share of every data set is scored; with a limit also what makes the images of a batch."""
    if isinstance(plan.limit, float) and plan.limit == 1:
        return "all"
    return f"{plan.limit} batches of {plan.data.batch_size} in {plan.processes} processes"


def source_of(method: Method) -> str:
    """A hash of a method's record, of the source of its reading and of what the reading carries with it."""
    record = {row.name: getattr(method, row.name) for row in fields(method) if row.name not in ("source", "parts")}
    record |= {"reading": method.load_reading(), "refine": method.load_refinements()}
    return hashed(*((name, _source(value)) for name, value in record.items()))


def hashed(*parts: Any) -> str:
    """SHA-256 of the parts' texts, 16 hexadecimal digits."""
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:16]


def _unequal(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    found = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    if one.get("methods") == other.get("methods"):
        return found
    # A method that one of them lacks is said by "methods"; nobody knows that its source would be another.
    return [name for name in found if not name.startswith(_SOURCE) or (name in one and name in other)]


def _source(value: Any) -> Any:
    """What decides how a value acts, as something whose text is the same in every process."""
    if isinstance(value, partial):
        return "partial", _source(value.func), _source(value.args), _source(sorted(value.keywords.items()))
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return value.__qualname__, _text(value), _source([*(value.__defaults__ or ()), *cells])
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.tolist()
    if isinstance(value, list | tuple):
        return [_source(part) for part in value]
    if callable(value):  # an object or a class
        kind = value if isinstance(value, type) else type(value)
        return kind.__qualname__, _text(kind), _source(sorted(getattr(value, "__dict__", {}).items()))
    return repr(value)


def _text(source: Any) -> str:
    """The file that defines a function or class; its own text, or its code, where there is no file."""
    try:
        file = inspect.getsourcefile(source)
        if file and Path(file).is_file():
            return Path(file).read_text(encoding="utf-8", errors="replace")
        return inspect.getsource(source)
    except (OSError, TypeError):
        code = getattr(source, "__code__", None)
        return repr((code.co_code, code.co_consts, code.co_names)) if code else getattr(source, "__qualname__", "")
