"""What classes take and say of it, read from their sources' syntax trees: importing them would load torch."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1]


class Parameter(NamedTuple):
    """One parameter of a class.

    Attributes:
        name: as in Python.
        kind: its type as the source writes it; empty where there is none.
        default: likewise; empty where a value must be given.
        about: its entry in the docstring's `Args:`, in one line.
    """

    name: str
    kind: str
    default: str
    about: str


def path_of(module: str) -> Path:
    """File of a module, found without importing its package.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    package, *names = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    return Path(next(iter(spec.submodule_search_locations)), *names).with_suffix(".py")


@cache
def parameters(path: Path, name: str) -> dict[str, Parameter]:
    """Parameters of the class `name` in a file, by name and in order; none where it defines no such class."""
    tree = _class(path, name)
    if tree is None:
        return {}
    init = next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)
    return {} if init is None else {one.name: one for one in _parameters(init, ast.get_docstring(tree) or "")}


def summary(path: Path, name: str) -> str:
    """First sentence of a class's docstring."""
    tree = _class(path, name)
    return (ast.get_docstring(tree) or "").partition("\n")[0] if tree else ""


def definitions(folder: Path) -> dict[str, Path]:
    """The file that defines a class, by the class's name, for all files of a folder."""
    return {
        name: path
        for path in sorted(folder.glob("*.py"))
        for name in re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }


def _class(path: Path, name: str) -> ast.ClassDef | None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)


def _parameters(init: ast.FunctionDef, docstring: str) -> Iterator[Parameter]:
    about = _entries(docstring)
    listed = [*init.args.posonlyargs, *init.args.args][1:]  # without self
    defaults: list[ast.expr | None] = [None] * len(listed)
    if init.args.defaults:
        defaults[-len(init.args.defaults) :] = init.args.defaults
    pairs = [*zip(listed, defaults, strict=True), *zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)]
    for argument, default in pairs:
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        value = ast.unparse(default) if default else ""
        yield Parameter(argument.arg, kind, value, about.get(argument.arg, ""))


def _entries(docstring: str) -> dict[str, str]:
    """Entries of a docstring's `Args:` in Google's style, each in one line."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", docstring, flags=re.MULTILINE | re.DOTALL)
    if not section:
        return {}
    entries = re.split(r"^    (\w+)[^:\n]*: ", section[1], flags=re.MULTILINE)[1:]
    return {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}
