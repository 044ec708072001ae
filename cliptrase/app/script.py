"""The Python lines that give what the page shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol, rows_named


@dataclass(frozen=True)
class ModelChoice:
    """How the model was named; see `Segmenter.from_pretrained`.

    Attributes:
        clip: architecture, folder or repository.
        pretrained: tag or file, None where there is none or the usual one.
        activation: `auto` or another.
        guest: a second tower, None without one.
    """

    clip: str
    pretrained: str | None = None
    activation: str = "auto"
    guest: str | None = None


def python_lines(
    model: ModelChoice,
    protocol: EvaluationProtocol,
    methods: Sequence[str],
    name: str,
    words: str,
    background: str = "",
    threshold: float | str | None = None,
) -> str:
    """A script that labels a picture as the page does, and writes a folder of mask, overlay and legend by method.

    Args:
        model: how it was named.
        protocol: under which the page answers.
        methods: names with their switches.
        name: of the picture's file.
        words: as typed.
        background: likewise.
        threshold: of "none of these".
    """
    further = [f"activation={model.activation!r}"] if model.activation != "auto" else []
    first = [repr(model.clip), *([repr(model.pretrained)] if model.pretrained else []), "protocol=protocol", *further]
    lines = ["from cliptrase import Segmenter, get_protocol", "", f"protocol = {_protocol(protocol)}"]
    stem = Path(name).stem
    what = f"{name!r}, {words.strip()!r}" + (f", {background.strip()!r}" if background.strip() else "")
    what += f", threshold={threshold!r}" if threshold is not None else ""
    for method in dict.fromkeys(methods):
        guest = [f"guest={model.guest!r}"] if model.guest and _reads_guest(method) else []
        arguments = ", ".join([*first, f"methods={method!r}", *guest])
        lines += [
            "",
            f"segmenter = Segmenter.from_pretrained({arguments})",
            f"result = segmenter.segment({what})",
            f"result.save({f'{stem}_{method}'!r}, {stem!r})",
            "print(result.shares)",
        ]
    return "\n".join(lines) + "\n"


def _protocol(protocol: EvaluationProtocol) -> str:
    """A call that gives the protocol."""
    values = protocol.values()
    for row in rows_named(protocol.name):
        changed = {field: value for field, value in values.items() if value != row.values()[field]}
        call: dict[str, Any] = {"spec": protocol.name} | changed
        if get_protocol(**call).values() == values:
            return (
                ", ".join([f"get_protocol({protocol.name!r}", *(f"{key}={value!r}" for key, value in changed.items())])
                + ")"
            )
    return f"get_protocol({values!r})"


def _reads_guest(method: str) -> bool:
    from cliptrase.clip.requirements import loaded_reading
    from cliptrase.methods import get_method

    return loaded_reading(get_method(method)).guest
