"""What `test` and `predict` refuse or warn of beforehand: data sets, words, folders, options of the Trainer."""

import inspect
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from jsonargparse import Namespace
from pytorch_lightning import Trainer

from cliptrase.cli.processes import is_first
from cliptrase.common.console import remark
from cliptrase.common.errors import InputError, first_few, one_line, suggestion
from cliptrase.protocols.protocol import EvaluationProtocol
from datamodules import SegmentationDataModule
from datamodules.shapes_scenes import NAMES
from datamodules.spec import DatasetSpec
from datamodules.specs import DATASETS

_HARMLESS = ("callbacks", "default_root_dir", "enable_progress_bar", "logger", "max_epochs")


def require_datasets(protocol: EvaluationProtocol, data: SegmentationDataModule) -> None:
    """Refuses a protocol's values for a data set that there is not: its name is misspelt.

    Raises:
        InputError: there is such a name.
    """
    known = [*dict.fromkeys([*(spec.name for spec in data.settings), *DATASETS])]
    if unknown := sorted(protocol.overrides.keys() - set(known)):
        meant = suggestion(unknown[0], known)
        raise InputError(
            f"`protocol.overrides` names {unknown[0]!r}, which is no data set; {meant} some of {', '.join(known)}"
        )


def note_stand_in(clip: str, settings: Iterable[DatasetSpec]) -> None:
    """Says which words the embedded model was never taught: it knows the materials of the demo's scenes alone."""
    if clip != "embedded" or not is_first():
        return
    words = dict.fromkeys(name for setting in settings for name in setting.vocabulary.names)
    if strange := [word for word in words if word not in NAMES]:
        remark(
            f"the embedded model is a stand-in that does not know {first_few(strange)}, and where it finds that means "
            f"nothing; it knows {len(NAMES)} words ({', '.join(NAMES)}); --model.clip ViT-B-16 knows others"
        )


def check_writable(root: Path) -> None:
    """Tries the folder that a run's folder will be made in, before there is any work to lose.

    Raises:
        InputError: it cannot be made or written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except (OSError, ValueError) as error:  # ValueError is of names that no system takes
        raise InputError(
            f"no folder for this run can be made in {str(root)!r} ({getattr(error, 'strerror', None) or error}); "
            "name another place by --trainer.default_root_dir"
        ) from error


def refusal(error: Exception, asked: Namespace) -> str:
    """Why Lightning makes no Trainer, and of which options it may be."""
    usual = {name: parameter.default for name, parameter in inspect.signature(Trainer).parameters.items()}
    given = [
        f"--trainer.{name} {value}"
        for name, value in vars(asked).items()
        if isinstance(value, str | int | float | list) and value != usual.get(name) and name not in _HARMLESS
    ]
    reason = re.sub(r"<[\w.]*?(\w+) object at 0x[0-9a-f]+>", r"\1", one_line(error)).rstrip(".")
    if any(name.startswith("SLURM_") for name in os.environ) and "SLURM" in reason:
        return f"this job of SLURM cannot be used ({reason}); start by srun, or set SLURM_JOB_NAME=interactive"
    options = " ".join(given) or "the usual --trainer options"
    return f"{options} cannot be used here ({reason}); change or leave out what it names"
