"""The command line: wiring of configuration, data, model and Trainer, and errors in one sentence."""

import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ArgumentError, Namespace
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

import datamodules
from cliptrase.callbacks.photo_writer import PhotoWriter, failure_sentence
from cliptrase.callbacks.run_folder import RunFolder, RunLogger, new_run_folder
from cliptrase.callbacks.tensorboard import TensorBoardSummary
from cliptrase.callbacks.writers import MaskWriter, ReportWriter, ResultsWriter
from cliptrase.errors import InputError
from cliptrase.lightning_module import TrainingFreeSegmentation
from cliptrase.protocol import Protocol
from datamodules import DataError, Geometry, SegmentationDataModule
from datamodules.card import Edition
from datamodules.transforms import Interpolation

_UNTRAINED = ("fit", "validate")
_DEMO = "configs/demo.yaml"
_DEFAULT_CONFIG = "configs/paper_336.yaml"
_DATA = [name for name in datamodules.__all__ if name not in ("DataError", "Geometry", "SegmentationDataModule")]
_NO_DATA = f"no data: give --data with one of {', '.join(_DATA)}, or --config {_DEMO}"
# Lines in which jsonargparse tells of its own types, not of the user's input.
_ABOUT_TYPES = (
    "Given value",
    "Subtypes:",
    "Errors:",
    "- Expected a <class 'NoneType'>",
    "Does not validate",
    "- Does not",
)


def geometry(values: Namespace | Protocol) -> Geometry:
    """How a protocol shows pictures; `values` are its own, an object yet or not."""
    protocol = Protocol(**vars(values))
    mode: Literal["crop", "whole"] = "crop" if protocol.name == "paper" else "whole"
    if protocol.windowed:
        interpolation: Interpolation = "opencv"
    else:
        interpolation = "bilinear" if protocol.name == "detectron2" else "bicubic"
    if unknown := sorted(protocol.own.keys() - set(_DATA)):
        raise InputError(f"protocol.own names {unknown[0]!r}, which is no setting; take some of {', '.join(_DATA)}")
    sizes = {name: protocol.of(name).size for name in protocol.own}
    return Geometry(mode, protocol.size, protocol.longest, interpolation, sizes)


def edition(values: Namespace | Protocol) -> Edition:
    """Which names and labels a protocol asks for; `values` as in `geometry`."""
    protocol = Protocol(**vars(values))
    return Edition(protocol.vocabulary, void=protocol.windowed)


class EvaluationCLI(LightningCLI):
    """`test` and `predict` for a model that is not trained."""

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
            parser_kwargs={name: {"exit_on_error": False} for name in self.subcommands()}
            | {"exit_on_error": False, "description": "Evaluates training-free open-vocabulary segmentation."},
            args=arguments,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Only what makes sense without training; arguments about checkpoints and returned values are left out."""
        fixed = {"model", "dataloaders", "datamodule", "ckpt_path", "weights_only", "verbose", "return_predictions"}
        return {"test": fixed, "predict": fixed}

    def test(self, model: LightningModule, datamodule: LightningDataModule) -> None:
        """Scores; the table is ours, not Lightning's."""
        self.trainer.test(model, datamodule=datamodule, verbose=False)

    def predict(self, model: LightningModule, datamodule: LightningDataModule) -> None:
        """Writes masks; they go to files and are not held in memory."""
        self.trainer.predict(model, datamodule=datamodule, return_predictions=False)
        if self.photos.failures:
            raise InputError(failure_sentence(self.photos.failures))

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The protocol is given once and reaches the model and the data's geometry."""
        parser.add_argument(
            "--resume", action="store_true", help="go on with the newest unfinished run of these inputs"
        )
        parser.add_argument("--protocol", type=Protocol, default=Protocol(), help="see cliptrase/protocol.py")
        parser.link_arguments("protocol", "model.protocol")
        parser.link_arguments("protocol", "data.init_args.geometry", compute_fn=geometry)
        parser.link_arguments("protocol", "data.init_args.edition", compute_fn=edition)

    def before_instantiate_classes(self) -> None:
        """A folder or hub repository brings its own weights: a shipped config's `pretrained` does not apply to it."""
        model = self.config[self.subcommand].model
        own_weights = str(model.clip).startswith(("local-dir:", "hf-hub:", "embedded"))
        if own_weights and not any(argument.startswith("--model.pretrained") for argument in self.arguments):
            model.pretrained = None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer whose files all lie in one new folder."""
        config = self.config[self.subcommand]
        root = Path(config.trainer.default_root_dir or "outputs")
        name = config.data.class_path.rsplit(".", 1)[-1]
        folder = RunFolder(new_run_folder(root, name), self._parser(self.subcommand).dump(config), config.resume)
        if config.trainer.logger in (None, True):
            kwargs["logger"] = RunLogger(folder.path)
        self.photos = PhotoWriter(folder)
        callbacks = [
            folder,
            ResultsWriter(folder),
            TensorBoardSummary(),
            ReportWriter(folder),
            MaskWriter(folder),
            self.photos,
        ]
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
    except ArgumentError as error:
        if sentence := _mendable(error):
            return _complain(sentence)
        return _complain(_usage(str(error)), status=2)
    except KeyboardInterrupt:
        return _complain("interrupted before anything was computed")
    except SystemExit as stop:  # --help and --print_config
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if sentence := _mendable(error):
            return _complain(sentence)
        if "Connection closed by peer" in str(error):
            return _complain("another process of this run stopped, for the reason that it gave")
        raise
    return 0


def console() -> None:
    """The `cliptrase` command."""
    sys.exit(main())


def _with_defaults(arguments: list[str]) -> list[str]:
    """Adds the default configuration where none is given, and brings options into the order that the parser needs.

    Configurations come first, then the data set's class, then its options: so users may write them in any order.
    """
    if not arguments or arguments[0] not in EvaluationCLI.subcommands() or {"-h", "--help"} & set(arguments):
        return arguments
    if not any(argument.startswith(("--config", "-c", "--data", "--model")) for argument in arguments):
        return [arguments[0], "--config", _shipped(_DEMO), *arguments[1:]]
    configs, data, others = [], [], []
    rest = iter(arguments[1:])
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option in ("--config", "-c"):
            configs += ["--config", _shipped(value if equals else next(rest, ""))]
        elif option == "--data":
            data += ["--data", value if equals else next(rest, "")]
        else:
            others.append(argument)
    if not configs:
        if not data:
            raise ArgumentError(None, _NO_DATA)
        configs = ["--config", _shipped(_DEFAULT_CONFIG)]
    return [arguments[0], *configs, *data, *others]


def _shipped(path: str) -> str:
    """A path `configs/NAME.yaml` as it lies beside the package, where the working folder has none."""
    if path.startswith("configs/") and not Path(path).exists():
        for place in (Path(__file__).parent.parent, Path(__file__).parent):
            if (place / path).is_file():
                return str(place / path)
    return path


def _mendable(error: BaseException) -> str:
    """The sentence of the user's error that led to `error`, or nothing where there is none.

    Such an error comes wrapped by jsonargparse while objects are made, and with a traceback from a data worker.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, InputError | DataError):
            return str(cause).rsplit("Error: ", 1)[-1].strip()
        cause = cause.__cause__ or cause.__context__
    return ""


def _usage(message: str) -> str:
    """One line of what jsonargparse complains of."""
    if message.endswith(("required: test.data", "required: predict.data")):
        return _NO_DATA
    unknown = re.search(r"Expected a dot import path string: (\S+)", message)
    if unknown and 'key "data"' in message:
        return f"--data {unknown[1]} is not a data set; take one of {', '.join(_DATA)}"
    lines = [line.strip() for line in message.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(_ABOUT_TYPES))


def _complain(sentence: str, status: int = 1) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return status


def _quiet_libraries() -> None:
    """Keeps the log lines and hints of libraries out of the way of the run's own output."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # Lightning's calls, not ours
    for name in ("pytorch_lightning", "lightning_fabric", "torch.distributed", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter is intended")
    warnings.formatwarning = _one_line


def _one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning to the user is its sentence; where in the code it arose matters for the others only."""
    if category is UserWarning:
        return f"warning: {message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"
