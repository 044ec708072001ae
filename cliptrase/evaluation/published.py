"""Figures that other systems publish, and where they may stand: never in a column with figures of another protocol."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import yaml

TITLE = "Published elsewhere, each under its own protocol"


@dataclass(frozen=True)
class PublishedSystem:
    """What one source gives for a system.

    Attributes:
        system: its name.
        source: where the figures were read.
        mIoU: percent, by setting.
        adds: what it uses besides CLIP ViT-B/16.
        method: the method here that is this system.
        protocol: label of the protocol here that is the system's own.
    """

    system: str
    source: str
    mIoU: Mapping[str, float] = field(hash=False)  # noqa: N815 (the field's name)
    adds: str = ""
    method: str = ""
    protocol: str = ""

    def is_of(self, protocol: str, method: str) -> bool:
        """Whether its figures may stand beside those of `method` under a protocol's label."""
        return bool(self.protocol) and (self.protocol, self.method) == (protocol, method)


@cache
def published_systems() -> tuple[PublishedSystem, ...]:
    """All of `published.yaml`."""
    text = resources.files("cliptrase.evaluation").joinpath("published.yaml").read_text(encoding="utf-8")
    return tuple(PublishedSystem(**entry) for entry in yaml.safe_load(text))


def published_beside(protocol: str, method: str, setting: str) -> tuple[float, str] | None:
    """The mIoU that the method's authors publish on a setting under this very protocol, and its source.

    Args:
        protocol: label; one with changed values is another protocol.
        method: name, with its switches.
        setting: name.
    """
    for system in published_systems():
        if system.is_of(protocol, method) and setting in system.mIoU:
            return system.mIoU[setting], system.source
    return None


def published_elsewhere(protocol: str, methods: Collection[str], settings: Collection[str]) -> list[PublishedSystem]:
    """Systems with a figure for one of the settings that do not stand beside a method of the run.

    Args:
        protocol: label of the run's.
        methods: of the run.
        settings: of the run.
    """
    return [
        system
        for system in published_systems()
        if system.mIoU.keys() & set(settings) and not any(system.is_of(protocol, method) for method in methods)
    ]


def elsewhere_rows(systems: Collection[PublishedSystem], settings: Collection[str]) -> list[list[str]]:
    """A table of their mIoU: a line of heads, then system, source, what it adds, and each setting with a figure."""
    shown = [setting for setting in settings if any(setting in system.mIoU for system in systems)]
    heads = ["system", "source", "beyond CLIP ViT-B/16", *shown]
    rows = [[row.system, row.source, row.adds, *(str(row.mIoU.get(name, "")) for name in shown)] for row in systems]
    return [heads, *rows]
