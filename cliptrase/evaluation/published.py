"""Published scores, and where they may stand: never in a column with scores of another protocol."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import resources
from typing import Any, NamedTuple

import yaml

from cliptrase.common.errors import InputError
from cliptrase.protocols.protocol import FIELDS, EvaluationProtocol
from cliptrase.protocols.table import PROTOCOLS, get_protocol

_REPRODUCED = "CLIPtrase"  # its own scores stand beside a run's or nowhere, all others in the list below
TITLE = "Published elsewhere, each under its own protocol"
WORDS = ("system", "source", "beyond CLIP ViT-B/16", "here")
"""Heads of the columns of a list of systems that hold no score."""


class PublishedScores(NamedTuple):
    """Scores in percent that may stand beside a run's, NaN where the source gives none, and where they were read."""

    pAcc: float
    mAcc: float
    fwIoU: float
    mIoU: float
    source: str
    guest: str = ""  # timm's name of a second tower that they are of
    edition: str = ""  # of the labels that they were scored on, empty where it is not known


@dataclass(frozen=True)
class PublishedSystem:
    """What one source gives for a system.

    Attributes:
        system: its name.
        source: where the scores were read.
        scores: by data set those of pAcc, mAcc, fwIoU and mIoU that the source gives, in percent.
        adds: what it uses besides the tower and text of CLIP ViT-B/16.
        guest: the second tower of its scores by timm's name, where a method here runs the system with it.
        method: the method here that is this system, with its switches; empty where there is none.
        protocol: name of the protocol here that is the system's own; empty where that is not known.
        editions: by data set whose labels it was scored on, where several are in use and that is known.
    """

    system: str
    source: str
    scores: Mapping[str, Mapping[str, float]] = field(hash=False)
    adds: str = ""
    guest: str = ""
    method: str = ""
    protocol: str = ""
    editions: Mapping[str, str] = field(default_factory=dict, hash=False)

    @cached_property
    def mIoU(self) -> Mapping[str, float]:  # noqa: N802 (the field's name)
        """Percent, by data set."""
        return {name: scores["mIoU"] for name, scores in self.scores.items()}

    @property
    def here(self) -> str:
        """Which method, and under which protocol, runs the system here; empty where none does."""
        return f"{self.method} under {self.protocol}" if self.protocol else self.method

    @property
    def mean(self) -> float:
        """Percent: mean mIoU over its data sets."""
        return sum(self.mIoU.values()) / len(self.mIoU)

    def stands_beside(self, protocol: EvaluationProtocol, method: str, setting: str) -> bool:
        """Whether its figure of a setting may stand beside that of `method` under `protocol`.

        The values for the setting count, not the protocols' names: NACLIP's figure of PC59 stands under `sclip` too.
        """
        return (
            self.protocol in PROTOCOLS
            and self.method == method
            and setting in self.scores
            and PROTOCOLS[self.protocol].agrees_on(setting, protocol)
        )


@cache
def published_systems() -> tuple[PublishedSystem, ...]:
    """All of `published.yaml`."""
    text = resources.files("cliptrase.evaluation").joinpath("published.yaml").read_text(encoding="utf-8")
    return tuple(_system(**entry) for entry in yaml.safe_load(text))


def _system(mIoU: Mapping[str, float] | None = None, **entry: Any) -> PublishedSystem:  # noqa: N803 (the field's name)
    """An entry; `mIoU` by data set stands for scores of which a source gives mIoU alone."""
    if mIoU is not None:
        entry["scores"] = {name: {"mIoU": value} for name, value in mIoU.items()}
    return PublishedSystem(**entry)


def published_beside(protocol: EvaluationProtocol, method: str, setting: str) -> PublishedScores | None:
    """The scores that the method's authors publish on a data set under a protocol of these values.

    Weights and images are not asked for here: the scores are those of OpenAI's ViT-B/16 on the whole split.

    Args:
        protocol: the run's.
        method: name, with its switches.
        setting: name.
    """
    for system in published_systems():
        if system.stands_beside(protocol, method, setting):
            scores = system.scores[setting]
            pixel, mean, weighted = (scores.get(column, math.nan) for column in ("pAcc", "mAcc", "fwIoU"))
            edition = system.editions.get(setting, "")
            return PublishedScores(pixel, mean, weighted, scores["mIoU"], system.source, system.guest, edition)
    return None


def published_elsewhere(
    protocol: EvaluationProtocol | None, methods: Collection[str], settings: Collection[str]
) -> list[PublishedSystem]:
    """Other systems with those of their scores for the data sets that do not stand beside a method of the run.

    Args:
        protocol: the run's, None where it is not known.
        methods: of the run.
        settings: of the run.
    """
    systems = []
    for system in published_systems():
        scores = {
            setting: values
            for setting, values in system.scores.items()
            if setting in settings
            and not any(protocol and system.stands_beside(protocol, method, setting) for method in methods)
        }
        if scores and system.system != _REPRODUCED:
            systems.append(replace(system, scores=scores))
    return systems


def protocol_of(provenance: Mapping[str, object]) -> EvaluationProtocol | None:
    """The protocol that `results.json` names under `provenance`, None where it does not hold all values."""
    values = provenance.get("protocol")
    if not isinstance(values, Mapping) or any(name not in values for name in FIELDS):
        return None
    try:
        return get_protocol({name: values[name] for name in FIELDS})
    except InputError:
        return None


def elsewhere_rows(systems: Collection[PublishedSystem], settings: Collection[str]) -> list[list[str]]:
    """A table of their mIoU: a line of heads, then system, source, `adds`, `here`, and each setting with a figure."""
    shown = [setting for setting in settings if any(setting in system.mIoU for system in systems)]
    heads = [*WORDS, *shown]
    rows = [
        [row.system, row.source, row.adds, row.here, *(str(row.mIoU.get(name, "")) for name in shown)]
        for row in systems
    ]
    return [heads, *rows]
