"""What a run is called, by data, method and model: its folder, and its name in the loggers that are asked for."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from cliptrase.clip.towers import OWN_WEIGHTS

_LONGEST = 40  # letters of each part
_DATA_SETS = 3  # most that a name lists
PROJECT = "cliptrase"  # in loggers that gather runs
_UNNAMED = "lightning_logs"  # what Lightning's loggers call what nobody named
# By logger its option for a run's name, and for the project that gathers runs.
_NAMES = {
    "CSVLogger": ("name", None),
    "TensorBoardLogger": ("name", None),
    "WandbLogger": ("name", "project"),
    "MLFlowLogger": ("run_name", "experiment_name"),
}
# What libraries of loggers would tell their makers, or ask before they write; the user's own value stays.
_ENVIRONMENT = {
    "MLFlowLogger": {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"},
    "WandbLogger": {"WANDB_ERROR_REPORTING": "false"},
}


def run_name(config: Namespace) -> str:
    """Data, method and model, such as `VOC20_cliptrase_ViT-B-16-openai`, in signs that a folder's name may have.

    Args:
        config: of `test` or `predict`, with `data` and `model`.
    """
    model = config.model
    clip, pretrained = str(model.clip), model.pretrained
    own = clip.startswith(OWN_WEIGHTS)
    weights = "" if own or not pretrained else Path(str(pretrained)).stem
    architecture = Path(clip.partition(":")[2] or clip).name if own else clip
    return "_".join(
        map(_plain, (_data(config.data), str(model.method), "-".join(filter(None, (architecture, weights)))))
    )


def _data(data: Namespace) -> str:
    """The data set's name, those of a few, or the class."""
    options: Mapping[str, Any] = vars(data.get("init_args") or Namespace())
    kind = str(data.class_path).rpartition(".")[2]
    settings = options.get("settings")
    if isinstance(settings, Sequence) and not isinstance(settings, str) and 0 < len(settings) <= _DATA_SETS:
        return "-".join(Path(str(one)).stem for one in settings)
    if name := options.get("name"):
        return str(name)
    return Path(str(spec)).stem if (spec := options.get("spec")) else kind


def _plain(text: str) -> str:
    """A part of a folder's name."""
    return re.sub(r"[^\w.+=-]+", "-", text.rpartition("/")[2]).strip("-.")[:_LONGEST] or "-"


def named(loggers: Any, name: str) -> Any:
    """Lightning's loggers as asked for, with the run's name where they have none.

    Args:
        loggers: what `--trainer.logger` says: one, several, or whether to log.
        name: see `run_name`.
    """
    if isinstance(loggers, list):
        return [named(one, name) for one in loggers]
    kind = str(loggers.get("class_path", "")).rpartition(".")[2] if isinstance(loggers, Namespace) else ""
    if kind not in _NAMES:
        return loggers
    own, gathered = _NAMES[kind]
    found = loggers.clone()
    options = found.get("init_args") or Namespace()
    if options.get(own) in (None, _UNNAMED):
        options[own] = name
    if gathered and options.get(gathered) in (None, _UNNAMED) and not os.environ.get("WANDB_PROJECT"):
        options[gathered] = PROJECT
    found["init_args"] = options
    for variable, value in _ENVIRONMENT.get(kind, {}).items():
        os.environ.setdefault(variable, value)
    return found
