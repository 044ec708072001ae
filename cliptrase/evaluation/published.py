"""Figures that other systems publish, and where they may stand: never in a column with figures of another protocol."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib import resources
from typing import NamedTuple, get_args

import yaml

from cliptrase.errors import InputError
from cliptrase.protocol import EvaluationProtocol, ProtocolName
from cliptrase.protocols import get_protocol

TITLE = "Published elsewhere, each under its own protocol"


class PublishedFigure(NamedTuple):
    """A figure that may stand beside a run's: mIoU in percent, where it was read, and the protocol that it names."""

    mIoU: float  # noqa: N815 (the field's name)
    source: str
    protocol: str


@dataclass(frozen=True)
class PublishedSystem:
    """What one source gives for a system.

    Attributes:
        system: its name.
        source: where the figures were read.
        mIoU: percent, by setting.
        adds: what it uses besides CLIP ViT-B/16.
        method: the method that is this system; it need not be in the table of methods yet.
        protocol: name of the protocol here that is the system's own.
    """

    system: str
    source: str
    mIoU: Mapping[str, float] = field(hash=False)  # noqa: N815 (the field's name)
    adds: str = ""
    method: str = ""
    protocol: str = ""

    def stands_beside(self, protocol: EvaluationProtocol, method: str, setting: str) -> bool:
        """Whether its figure of a setting may stand beside that of `method` under `protocol`.

        The values for the setting count, not the protocols' names: NACLIP's figure of PC59 stands under `sclip` too.
        """
        return (
            self.protocol in get_args(ProtocolName)
            and self.method == method
            and setting in self.mIoU
            and get_protocol(self.protocol).agrees_on(setting, protocol)  # type: ignore[arg-type]  # one of the names
        )


@cache
def published_systems() -> tuple[PublishedSystem, ...]:
    """All of `published.yaml`."""
    text = resources.files("cliptrase.evaluation").joinpath("published.yaml").read_text(encoding="utf-8")
    return tuple(PublishedSystem(**entry) for entry in yaml.safe_load(text))


def published_beside(protocol: EvaluationProtocol, method: str, setting: str) -> PublishedFigure | None:
    """The mIoU that the method's authors publish on a setting under a protocol of these values.

    Weights and pictures are not asked for here: the figures are those of OpenAI's ViT-B/16 on the whole split.

    Args:
        protocol: the run's.
        method: name, with its switches.
        setting: name.
    """
    for system in published_systems():
        if system.stands_beside(protocol, method, setting):
            return PublishedFigure(system.mIoU[setting], system.source, system.protocol)
    return None


def published_elsewhere(
    protocol: EvaluationProtocol | None, methods: Collection[str], settings: Collection[str]
) -> list[PublishedSystem]:
    """Systems with those of their figures for the settings that do not stand beside a method of the run.

    Args:
        protocol: the run's, None where it is not known.
        methods: of the run.
        settings: of the run.
    """
    found = []
    for system in published_systems():
        mIoU = {  # noqa: N806 (the field's name)
            setting: figure
            for setting, figure in system.mIoU.items()
            if setting in settings
            and not any(protocol and system.stands_beside(protocol, method, setting) for method in methods)
        }
        if mIoU:
            found.append(replace(system, mIoU=mIoU))
    return found


def protocol_of(provenance: Mapping[str, object]) -> EvaluationProtocol | None:
    """The protocol that `results.json` names under `provenance`, None where it does not hold all values."""
    values = provenance.get("protocol")
    keys = [key.name for key in fields(EvaluationProtocol)]
    if not isinstance(values, Mapping) or any(key not in values for key in keys):
        return None
    try:
        return EvaluationProtocol(**{key: values[key] for key in keys})
    except InputError:
        return None


def elsewhere_rows(systems: Collection[PublishedSystem], settings: Collection[str]) -> list[list[str]]:
    """A table of their mIoU: a line of heads, then system, source, what it adds, and each setting with a figure."""
    shown = [setting for setting in settings if any(setting in system.mIoU for system in systems)]
    heads = ["system", "source", "beyond CLIP ViT-B/16", *shown]
    rows = [[row.system, row.source, row.adds, *(str(row.mIoU.get(name, "")) for name in shown)] for row in systems]
    return [heads, *rows]
