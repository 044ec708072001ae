"""The protocols that there are."""

from typing import Any

from cliptrase.protocol import EvaluationProtocol, ProtocolName


def get_protocol(name: ProtocolName = "paper", **values: Any) -> EvaluationProtocol:
    """The protocol of a name, with the published values where none are given.

    Raises:
        InputError: an unknown name, a value of another type or out of range, or one that the protocol does not use.
    """
    return EvaluationProtocol(name, **values)
