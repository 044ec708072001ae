"""The command line: wiring of configuration, data, model and Trainer, and errors in one sentence."""

import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pytorch_lightning import Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

import datamodules
from cliptrase.callbacks import MaskWriter, ResultsWriter, RunFolder, new_run_folder
from cliptrase.errors import InputError
from cliptrase.lightning_module import TrainingFreeSegmentation
from cliptrase.protocol import Protocol
from datamodules import DataError, Geometry, SegmentationDataModule

_UNTRAINED = ("fit", "validate")
_DEFAULT_CONFIG = "configs/paper_336.yaml"


def geometry(protocol: Protocol) -> Geometry:
    """How a protocol shows pictures."""
    return Geometry("crop" if protocol.name == "paper" else "whole", protocol.size, protocol.longest)


class EvaluationCLI(LightningCLI):
    """`test` and `predict` for a model that is not trained."""

    _datamodule_names: ClassVar[list[str]] = [
        name for name in datamodules.__all__ if name not in ("DataError", "Geometry", "SegmentationDataModule")
    ]

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        super().__init__(
            TrainingFreeSegmentation,
            SegmentationDataModule,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_callback=None,
            seed_everything_default=False,
            parser_kwargs={"description": "Evaluates training-free open-vocabulary segmentation."},
            args=arguments,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Only what makes sense without training."""
        return {name: {"model", "dataloaders", "datamodule"} for name in ("test", "predict")}

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The protocol is given once and reaches the model and the data's geometry."""
        parser.add_argument("--protocol", type=Protocol, default=Protocol(), help="see cliptrase/protocol.py")
        parser.link_arguments("protocol", "model.protocol")
        parser.link_arguments("protocol", "data.init_args.geometry", compute_fn=geometry)

    def before_instantiate_classes(self) -> None:
        """A folder or hub repository brings its own weights: a shipped config's `pretrained` does not apply to it."""
        model = self.config[self.subcommand].model
        own_weights = str(model.clip).startswith(("local-dir:", "hf-hub:"))
        if own_weights and not any(argument.startswith("--model.pretrained") for argument in self.arguments):
            model.pretrained = None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer whose files all lie in one new folder."""
        config = self.config[self.subcommand]
        root = Path(config.trainer.default_root_dir or "outputs")
        name = config.data.class_path.rsplit(".", 1)[-1]
        folder = RunFolder(new_run_folder(root, name), self.parser.dump(self.config))
        if config.trainer.logger in (None, True):
            kwargs["logger"] = TensorBoardLogger(root, name="", version=folder.path.name, default_hp_metric=False)
        callbacks = [folder, ResultsWriter(folder), MaskWriter(folder)]
        trainer_config = {**self._get(self.config_init, "trainer", default={}), **kwargs}
        trainer_config["default_root_dir"] = str(root)
        return self._instantiate_trainer(trainer_config, callbacks)


def main(args: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        args: arguments after the program's name; the process's own by default.

    Returns:
        exit status: 0 where everything asked was done, 1 for input that cannot be used, 2 for wrong usage.
    """
    arguments = list(sys.argv[1:] if args is None else args)
    if arguments and arguments[0] in _UNTRAINED:
        return _complain(
            f"nothing is trained here, so there is no {arguments[0]!r}: take 'test' or 'predict'", status=2
        )
    _quiet_libraries()
    try:
        EvaluationCLI(_with_defaults(arguments))
    except (InputError, DataError) as error:
        return _complain(_sentence(error))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def console() -> None:
    """The `cliptrase` command."""
    sys.exit(main())


def _with_defaults(arguments: list[str]) -> list[str]:
    """Adds the default configuration where none is given, and finds shipped ones from any folder."""
    if not arguments or arguments[0] not in EvaluationCLI.subcommands() or {"-h", "--help"} & set(arguments):
        return arguments
    given = {argument.split("=", 1)[0].split(".", 1)[0] for argument in arguments if argument.startswith("--")}
    if "--data" not in given and "--config" not in given:
        raise InputError(f"no data: give --data with one of {', '.join(EvaluationCLI._datamodule_names)}")
    if "--config" not in given:
        arguments = [arguments[0], "--config", _DEFAULT_CONFIG, *arguments[1:]]
    return [_shipped(argument) for argument in arguments]


def _shipped(argument: str) -> str:
    """A path `configs/NAME.yaml` as it lies beside the package, where the working folder has none."""
    option, equals, path = argument.rpartition("=")
    if not path.startswith("configs/") or Path(path).exists():
        return argument
    for place in (Path(__file__).parent.parent, Path(__file__).parent):
        if (place / path).is_file():
            return f"{option}{equals}{place / path}"
    return argument


def _sentence(error: Exception) -> str:
    """The message alone, also of an error that crossed a data worker with its traceback."""
    return str(error).rsplit("Error: ", 1)[-1].strip()


def _complain(sentence: str, status: int = 1) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return status


def _quiet_libraries() -> None:
    """Keeps the log lines and hints of libraries out of the way of the run's own output."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("pytorch_lightning", "lightning.pytorch", "torch.distributed", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING if rank_zero_only.rank == 0 else logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
