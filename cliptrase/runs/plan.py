"""What a run is asked to do, once weights and data are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from cliptrase.clip.guest import GuestTower
from cliptrase.clip.weights import LoadedClip
from cliptrase.evaluation.conditions import Conditions, Extent, Guest, Model, extent
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.methods import Method
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.runs.batches import Data
from cliptrase.studies.base import Study


@dataclass(frozen=True)
class Plan:
    """Model, data and the Trainer's options, as far as figures or their remarks depend on them.

    Attributes:
        protocol: of the run.
        methods: of the run, the main one first.
        clip: the model.
        data: the data module, set up.
        scores: whether label maps are compared with the truth (`test`).
        precision: Lightning's name of it.
        device: where the model runs.
        processes: how many share the images.
        limit: Lightning's `limit_test_batches`.
        guest: the second tower, None without one.
        studies: of the run.
        fast_dev_run: Lightning's option of that name.
    """

    protocol: EvaluationProtocol
    methods: Sequence[Method]
    clip: LoadedClip
    data: Data
    scores: bool = True
    precision: str = "32-true"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    processes: int = 1
    limit: int | float = 1.0
    guest: GuestTower | None = None
    studies: Sequence[Study] = ()
    fast_dev_run: bool | int = False

    @property
    def settings(self) -> list[Setting]:
        """The data sets, in the run's order."""
        return list(self.data.settings)

    @property
    def extents(self) -> dict[str, Extent]:
        """By data set, how much of it is looked at."""
        return {
            dataset.spec.name: extent(len(dataset), self.data.batch_size, self.processes, self.limit)
            for dataset in self.data.datasets
        }

    @property
    def conditions(self) -> Conditions:
        """What belongs to all figures of the run."""
        guest = Guest(self.guest.name, self.guest.architecture) if self.guest else None
        return Conditions(Model(self.clip.name, self.clip.pretrained, self.clip.activation), self.extents, guest)

    @property
    def limits(self) -> Mapping[str, Any] | None:
        """Lightning's options that cut data sets short; None where none is."""
        if not any(extent.cut for extent in self.extents.values()):
            return None
        fast = {"fast_dev_run": self.fast_dev_run} if self.fast_dev_run else {}
        return {"limit_test_batches": self.limit, **fast}
