"""What is wrong with the words of `test` and `predict`, told before torch or Lightning is loaded.

Options are known from the sources of the classes that take them. What cannot be known here is let through to the
parser: classes of the user's own, values within values, kinds of values.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cliptrase.cli import arguments, configs, sources
from cliptrase.cli.arguments import DATA, NO_DATA, class_of, options
from cliptrase.clip import towers
from cliptrase.common.errors import InputError, UsageError, did_you_mean, suggestion
from cliptrase.common.options import unknown_option
from cliptrase.protocols.protocol import FIELDS
from datamodules.layouts import checked_layout
from datamodules.photo_exports import chosen_exports
from datamodules.spec import AUTO

DATA_MODULES = sources.PACKAGE.parent / "datamodules"
PUBLISHED = "SpecDataModule"  # class of the data sets that are a spec and nothing else
# Parameters that others decide on: the protocol, or options of their own.
_LINKED = {"model": ("protocol", "run", "studies"), "data": ("geometry", "label_scheme")}
_WHOLE = (
    *("--audit", "--check", "--config", "-c", "--data", "--explain", "--help", "-h", "--model", "--print_config"),
    *("--protocol", "--resume", "--stress", "--sweep"),
)
_FURTHER = ("--seed_everything", "--trainer")
_SECTIONS = (
    *("audit", "check", "data", "explain", "model", "protocol", "resume", "seed_everything", "stress", "sweep"),
    "trainer",
)
_FEW = 3  # data sets that share an option, so that it names them
_OF_DATA = ("class_path", "init_args", "dict_kwargs", "help")


@cache
def parameters(section: str) -> Mapping[str, sources.Parameter]:
    """What a section of the configuration takes: `model`, `protocol`, `trainer` or the name of a data set's class."""
    if section == "trainer":
        return sources.parameters(sources.path_of("pytorch_lightning.trainer.trainer"), "Trainer")
    if section == "model":
        taken = sources.parameters(sources.PACKAGE / "runs" / "module.py", "TrainingFreeSegmentation")
    elif section == "protocol":
        taken = {name: sources.Parameter(name, "", "", "") for name in FIELDS}
    else:
        places = sources.definitions(DATA_MODULES)
        name = section if section in places and sources.parameters(places[section], section) else PUBLISHED
        taken = sources.parameters(places[name], name) if name in places else {}
        section = "data"
    return {name: one for name, one in taken.items() if name not in _LINKED.get(section, ())}


def options_by_parameter() -> dict[str, str]:
    """The option for each parameter of model, data sets and protocol, to be shown in its place."""
    names = {name: f"--data.{name}" for data in DATA for name in parameters(data)}
    names |= {name: f"--model.{name}" for name in parameters("model")}
    names |= {f"protocol.{name}": f"--protocol.{name}" for name in parameters("protocol")}
    return (
        names | {f"trainer.{name}": f"--trainer.{name}" for name in parameters("trainer")} | {"protocol": "--protocol"}
    )


def check(command: str, words: Sequence[str]) -> None:
    """Refuses what the words alone show to be wrong.

    Args:
        command: `test` or `predict`.
        words: what follows, made ready by `arguments.with_defaults`.

    Raises:
        UsageError: an option, data set or configuration's key that does not exist, or no data set.
        InputError: a method or protocol that does not exist, or a place of data or weights that is not there.
    """
    values = _of_config(configs.base())
    pairs = list(options(words))
    for option, value in pairs:
        if option in ("--config", "-c"):
            values |= _of_config(Path(value or ""))
    if typed := next((value for option, value in reversed(pairs) if option == "--data"), None):
        values["data"] = typed
    data = class_of(str(values.get("data") or "").removeprefix("datamodules."))
    for option, value in pairs:
        _check_name(command, option, data)
        if option.startswith("--"):
            values[option[2:].replace("data.init_args.", "data.")] = value
    if not data:
        raise UsageError(_no_data([option for option, _ in pairs]))
    if data not in DATA and "." not in data:
        meant = suggestion(data, DATA)
        raise UsageError(f"--data {data} is not a data set; {meant} one of {', '.join(DATA)}")
    if values.get("check") not in (None, arguments.PUBLISHED):
        raise UsageError(f"--check {values['check']} is not known; take {arguments.PUBLISHED}")
    _check_stress(any(option == "--stress" for option, _ in pairs), values.get("stress"))
    _check_methods(values)
    _check_towers(pairs, values)
    if data in DATA and not any(option == "--print_config" for option, _ in pairs):
        _check_places(command, data, values)


def _no_data(typed: Sequence[str]) -> str:
    """What is said where no data set is named; an option that few have names them."""
    for option in typed:
        of = [name for name in DATA if option.startswith("--data.") and option[7:] in parameters(name)]
        if 0 < len(of) <= _FEW:
            demo = ", or --config demo" if "Shapes" in of else ""
            return f"{option} is an option of {' and '.join(of)}: give --data {of[0]} beside it{demo}"
    return NO_DATA


def _check_name(command: str, option: str, data: str) -> None:
    """Refuses an option that does not exist."""
    if not option.startswith("-"):
        raise UsageError(f"{option!r} stands alone: values follow their option, as in --data VOC20")
    section, dot, rest = option.removeprefix("--").partition(".")
    if not dot and option in (*_WHOLE, *_FURTHER):
        return
    name = rest.removeprefix("init_args.").partition(".")[0].removesuffix("+")
    if section == "data":
        if data not in DATA or name in _OF_DATA:
            return
        known = parameters(data)
    elif section in ("model", "protocol", "trainer") and dot:
        known = parameters(section)
    else:
        known = {}
    if name in known or name == "help" or (section in _SECTIONS and dot and not known):
        return
    raise unknown_option(option, [*_WHOLE, *_FURTHER, *(f"--{text}" for text in _all_options(data))], command)


def _all_options(data: str) -> Iterator[str]:
    for section in ("model", "protocol", "trainer"):
        yield from (f"{section}.{name}" for name in parameters(section))
    yield from (f"data.{name}" for name in parameters(data if data in DATA else PUBLISHED))


def _of_config(path: Path) -> dict[str, Any]:
    """A configuration's values by option; its keys must be known."""
    content = configs.read(path)
    values: dict[str, Any] = {}
    for section, entries in content.items():
        if section not in _SECTIONS:
            raise _unknown_key(path, str(section), _SECTIONS)
        if not isinstance(entries, Mapping):
            values[section] = entries
        elif section == "data":
            data = class_of(str(entries.get("class_path") or "").removeprefix("datamodules."))
            inner = entries.get("init_args") or {}
            if data in DATA and isinstance(inner, Mapping):
                _check_keys(path, "data.init_args", inner, parameters(data))
            values |= {"data": data}
            values |= {f"data.{name}": value for name, value in inner.items()} if isinstance(inner, Mapping) else {}
        else:
            known = parameters(section) if section in ("model", "trainer") else {}  # `with_protocol` knows the other
            _check_keys(path, section, entries, known)
            values |= {f"{section}.{name}": value for name, value in entries.items()}
    return values


def _check_keys(path: Path, section: str, entries: Mapping[Any, Any], known: Mapping[str, Any]) -> None:
    for name in entries:
        if known and name not in known:
            raise _unknown_key(path, f"{section}.{name}", [f"{section}.{one}" for one in known])


def _unknown_key(path: Path, key: str, known: Sequence[str]) -> UsageError:
    near = did_you_mean(key, known)
    meant = f"did you mean {near}?" if near else f"take one of {', '.join(known)}"
    return UsageError(f"--config {path} has an entry {key} that nothing reads; {meant}")


def _check_stress(typed: bool, stress: Any) -> None:
    """Refuses a study that there is not; nothing typed, or null in a configuration, asks for none."""
    if stress not in arguments.STRESSES and (typed or stress is not None):
        said = f"--stress {stress} is nothing that can be studied" if stress is not None else "--stress has no value"
        raise UsageError(f"{said}; take {', '.join(arguments.STRESSES)}")


def _check_methods(values: Mapping[str, Any]) -> None:
    """Looks methods up, but for those of a user's own module, whose import takes what it takes."""
    from cliptrase.methods import get_method

    compared = _yaml(values.get("model.compare"))
    for spec in (values.get("model.method"), *(compared if isinstance(compared, list) else ())):
        if isinstance(spec, str) and ":" not in spec and not spec.endswith(".py"):
            get_method(spec)


def _yaml(value: Any) -> Any:
    """A value as the parser will have it; None where it is no YAML."""
    try:
        return yaml.safe_load(value) if isinstance(value, str) else value
    except yaml.YAMLError:
        return None


def _check_towers(pairs: Sequence[tuple[str, str | None]], values: Mapping[str, Any]) -> None:
    """Questions model and guest; a configuration's `pretrained` does not apply to one that brings its own weights."""
    clip, pretrained = values.get("model.clip"), values.get("model.pretrained")
    if isinstance(clip, str) and clip.startswith(towers.OWN_WEIGHTS):
        pretrained = next((value for option, value in reversed(pairs) if option == "--model.pretrained"), None)
    if isinstance(clip, str) and isinstance(pretrained, str | None):
        towers.check(clip, pretrained)
    if isinstance(guest := values.get("model.guest"), str):
        towers.check_guest(guest)


def _check_places(command: str, data: str, values: Mapping[str, Any]) -> None:
    """Looks for the folders that the data set's options name."""

    def place(option: str) -> Path | None:
        value = values.get(f"data.{option}")
        try:
            return Path(value).expanduser() if isinstance(value, str) and value else None
        except RuntimeError:  # ~somebody who is not there
            return Path(str(value))

    if "layout" in parameters(data):
        checked_layout(str(values.get("data.layout", AUTO)))
    if "export" in parameters(data) and isinstance(asked := _yaml(values.get("data.export")), str | list):
        chosen_exports(asked)
    root = place("root")
    if data not in ("Folder", "Photos", "Shapes") and root and not _is_dir(root):
        raise InputError(f"`root` {root} is no folder; name the one that holds the data sets' folders")
    if data == "Folder":
        for option in ("images", "labels") if command == "test" else ("images",):
            if (folder := place(option)) and not _is_dir(folder):
                raise InputError(f"no folder {folder}; name another place by `{option}`")
        if not place("images") and root and not _is_dir(root):
            raise InputError(f"`root` {root} is no folder; name the one that holds the images and label maps")


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no system takes
        return False
