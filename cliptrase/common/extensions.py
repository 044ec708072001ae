"""What users write outside the package, by name: `FILE.py:NAME`, `package.module:NAME`, or an entry point."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from cliptrase.common.errors import InputError, did_you_mean, one_line


def load_object(spec: str, kind: str, is_candidate: Callable[[Any], bool]) -> Any:
    """The object that `FILE.py:NAME` or `package.module:NAME` names.

    A file is run once for each content it has; modules are also found in the working directory.

    Args:
        spec: place and name, with a colon between them.
        kind: what it should be, for messages: `method`.
        is_candidate: whether a public object of the module could be meant; such names are listed where NAME is absent.

    Raises:
        InputError: no such file, module or name, or an error while the module is imported.
    """
    place, _, name = spec.rpartition(":")
    module = _module_of_file(Path(place), spec, kind) if place.endswith(".py") else _module_of_name(place, spec, kind)
    value = module
    for part in name.split("."):
        if not part or not hasattr(value, part):
            names = [key for key, one in vars(module).items() if key[0] != "_" and is_candidate(one)]
            meant = did_you_mean(name, names)
            raise InputError(
                f"{kind} {spec!r}: {place} has no {name!r}"
                + (f" (did you mean {meant}?)" if meant else "")
                + (f"; it has {', '.join(names)}" if names else f" and nothing else that is a {kind}")
            )
        value = getattr(value, part)
    return value


def installed(group: str) -> dict[str, EntryPoint]:
    """What other distributions offer under an entry-point group, by name."""
    return {point.name: point for point in entry_points(group=group)}


def load_entry_point(point: EntryPoint, kind: str) -> Any:
    """What an entry point stands for.

    Raises:
        InputError: it cannot be loaded.
    """
    try:
        return point.load()
    except Exception as error:
        raise InputError(
            f"{kind} {point.name!r}, installed as {point.value}, cannot be loaded: {_told(error, '')}"
        ) from error


def _module_of_file(path: Path, spec: str, kind: str) -> ModuleType:
    path = path.expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        cure = "give FILE.py:NAME with a file that can be read"
        raise InputError(f"{kind} {spec!r}: file {path} cannot be read ({error.strerror}); {cure}") from error
    digest = hashlib.sha256(str(path.resolve()).encode() + b"\0" + content).hexdigest()[:16]
    name = f"cliptrase_file_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    found = importlib.util.spec_from_file_location(name, path.resolve())
    if found is None or found.loader is None:
        raise InputError(f"{kind} {spec!r}: {path} is no Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        # From the content that was read: the interpreter's cache of compiled files goes by time and size.
        exec(compile(content, str(path.resolve()), "exec"), vars(module))
    except Exception as error:
        del sys.modules[name]
        raise InputError(
            f"{kind} {spec!r}: {path} cannot be imported: {_told(error, str(path.resolve()))}; mend the file"
        ) from error
    return module


def _module_of_name(name: str, spec: str, kind: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise InputError(
                f"{kind} {spec!r}: there is no module {error.name}; install it, or give FILE.py:NAME"
            ) from error
        raise InputError(f"{kind} {spec!r}: module {name} cannot be imported: {_told(error, '')}") from error
    except Exception as error:
        raise InputError(f"{kind} {spec!r}: module {name} cannot be imported: {_told(error, '')}") from error
    finally:
        sys.path.remove(str(Path.cwd()))


def _told(error: BaseException, file: str) -> str:
    """An error with its kind and, where it can be said, the line of `file`."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    place = f" in line {line}" if line else ""
    return f"{type(error).__name__}{place}: {one_line(error)}"
