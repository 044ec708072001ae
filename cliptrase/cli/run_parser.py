"""The parser of `test` and `predict`: Lightning's, with the protocol written out in the files that it makes."""

from collections.abc import Collection
from types import NoneType
from typing import Any, Literal, get_args

from jsonargparse import Namespace
from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser

from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.runs.module import TrainingFreeSegmentation


class RunParser(LightningArgumentParser):
    """A parser that writes every value of the protocol, those that its name stands for.

    The run is made here and is no option.
    """

    def add_class_arguments(self, theclass: type, *args: Any, skip: Collection[str] = (), **kwargs: Any) -> list[str]:
        """Options for a class's parameters."""
        if theclass is Trainer:
            _read_whole_numbers_first()
            _know_own_precisions()
        hidden = {"run", "studies"} if theclass is TrainingFreeSegmentation else set()
        added: list[str] = super().add_class_arguments(theclass, *args, skip={*skip, *hidden}, **kwargs)
        return added

    def dump(self, namespace: Namespace, *args: Any, **kwargs: Any) -> str:
        """The configuration as YAML, for `--print_config` and the run's folder."""
        namespace = namespace.clone()
        if isinstance(protocol := namespace.get("protocol"), EvaluationProtocol):
            namespace.protocol = protocol.values()
        written: str = super().dump(namespace, *args, **kwargs)
        return written


def _read_whole_numbers_first() -> None:
    """Makes `--trainer.limit_test_batches 1` one batch, whatever was imported before Lightning.

    1.0 stands for all batches. `typing` gives a union the order in which the process wrote it first, and the parser
    takes the first type that fits.
    """
    annotations = Trainer.__init__.__annotations__
    for name, kind in annotations.items():
        if set(get_args(kind)) == {int, float, NoneType}:
            annotations[name] = int | float | None


def _know_own_precisions() -> None:
    """Makes `--trainer.precision` take those that Lightning does not know."""
    annotations = Trainer.__init__.__annotations__
    annotations["precision"] = annotations["precision"] | Literal["auto", "int8x3"]
