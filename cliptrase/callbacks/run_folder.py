"""One folder a run: made new, or an unfinished one taken up again."""

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from cliptrase.evaluation.counting import Counts
from cliptrase.evaluation.scoreboard import Scoreboard
from cliptrase.files import write_bytes, write_text
from cliptrase.lightning_module import TrainingFreeSegmentation


def new_run_folder(root: Path, name: str) -> Path:
    """A folder under `root` that does not exist yet, named by time and `name`; it is not made."""
    base = root / f"{datetime.now().strftime('%Y-%m-%d_%H-%M-%S')}_{name}"
    folder, count = base, 1
    while folder.exists():
        count += 1
        folder = base.with_name(f"{base.name}-{count}")
    return folder


class RunLogger(TensorBoardLogger):
    """TensorBoard events in the run's folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent, name="", version=path.name, default_hp_metric=False)

    def move(self, path: Path) -> None:
        """Goes on in another folder beside the first, and takes away the first, which holds nothing yet.

        Lightning opens the event file before anybody knows that a run is taken up.
        """
        first = Path(self.log_dir)
        self.experiment.close()
        self._experiment = None
        self._version = path.name
        shutil.rmtree(first)


class RunFolder(Callback):
    """Holds the run's folder; all processes agree on the first one's.

    Args:
        path: where the run's files go, unless an unfinished run is taken up.
        config: the run's configuration as YAML, kept as `config.yaml`.
        resume: whether to go on in the newest unfinished folder beside `path` whose inputs are the same.
    """

    def __init__(self, path: Path, config: str, resume: bool = False) -> None:
        self.path = path
        self.config = config
        self.resume = resume

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Makes or finds the folder, and hands finished settings to the model and the data module."""
        finished: dict[str, Mapping[str, Counts]] = {}
        if trainer.is_global_zero and self.resume and isinstance(pl_module, TrainingFreeSegmentation):
            finished = self._take_up(identities(trainer, pl_module))
        self.path = Path(trainer.strategy.broadcast(str(self.path)))
        done = frozenset(trainer.strategy.broadcast(list(finished)))
        if isinstance(pl_module, TrainingFreeSegmentation):
            pl_module.scoreboard = Scoreboard(pl_module.methods, pl_module.protocol)  # a module may be run again
            pl_module.counts.update(finished or {name: {} for name in done})
            data: Any = getattr(trainer, "datamodule")  # noqa: B009 (Lightning attaches it untyped)
            data.skipped = done
        for logger in trainer.loggers:
            if isinstance(logger, RunLogger) and done and trainer.is_global_zero:
                logger.move(self.path)
        if trainer.is_global_zero and not done:
            write_text(self.path / "config.yaml", self.config)

    def _take_up(self, wanted: Mapping[str, str]) -> dict[str, Mapping[str, Counts]]:
        """Finds an unfinished run of the same inputs and reads what it finished."""
        for document_path in sorted(self.path.parent.glob("*/results.json"), reverse=True):
            try:
                provenance = json.loads(document_path.read_text())["provenance"]
            except (OSError, ValueError, KeyError):
                continue
            if provenance.get("unfinished") and provenance.get("identities") == dict(wanted):
                self.path = document_path.parent
                done = [name for name in wanted if name not in provenance["unfinished"]]
                print(f"resumed: {self.path} holds {', '.join(done)}")
                return {name: read_counts(self.path, name) for name in done}
        print(f"nothing to resume: no unfinished run of these inputs under {self.path.parent}; a new one starts")
        return {}


def identities(trainer: Trainer, module: TrainingFreeSegmentation) -> dict[str, str]:
    """For each setting a hash of all that decides its figures: protocol, methods, weights, names, data, precision."""
    data: Any = getattr(trainer, "datamodule")  # noqa: B009 (Lightning attaches it untyped)
    card = module.segmenter.card
    common = [module.protocol.digest, module.methods, card.weights_hash, card.activation, str(trainer.precision)]
    common.append("counts of each picture")  # what is kept of a finished setting
    return {
        setting.name: hashlib.sha256(
            json.dumps([common, setting.vocabulary.digest, setting.class_token_weighting, fingerprint]).encode()
        ).hexdigest()[:16]
        for setting, fingerprint in zip(data.settings, data.fingerprints(), strict=True)
    }


def write_counts(folder: Path, name: str, counts: Mapping[str, Counts]) -> None:
    """Keeps a setting's counts, from which every score and interval can be computed again: `confusion/<name>.npz`.

    For each method `<method>/confusion` (C, C) int64, `<method>/images` and `<method>/pictures` (P, 3, C) int32: hits,
    truth and predicted pixels of each picture; `stems` (P,) names the pictures.
    """
    arrays = {"stems": np.array(next(iter(counts.values())).stems, dtype=np.str_)}
    for method, own in counts.items():
        arrays[f"{method}/confusion"] = own.confusion.numpy()
        arrays[f"{method}/images"] = np.array(own.images, dtype=np.int64)
        arrays[f"{method}/pictures"] = own.pictures.numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # names hold arrays only
    write_bytes(folder / "confusion" / f"{name}.npz", buffer.getvalue())


def read_counts(folder: Path, name: str) -> dict[str, Counts]:
    """What `write_counts` kept."""
    with np.load(folder / "confusion" / f"{name}.npz") as stored:
        methods = [key.removesuffix("/images") for key in stored.files if key.endswith("/images")]
        return {
            method: Counts(
                torch.from_numpy(stored[f"{method}/confusion"]),
                int(stored[f"{method}/images"]),
                torch.from_numpy(stored[f"{method}/pictures"]),
                stored["stems"].tolist(),
            )
            for method in methods
        }
