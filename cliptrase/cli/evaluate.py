"""`test` and `predict`: wiring of configuration, data, model and Trainer."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from cliptrase.callbacks.photo_writer import PhotoWriter, failure_sentence
from cliptrase.callbacks.run_folder import RunFolder, RunLogger, new_run_folder
from cliptrase.callbacks.tensorboard import TensorBoardSummary
from cliptrase.callbacks.writers import MaskWriter, ReportWriter, ResultsWriter
from cliptrase.cli.arguments import DATA, SUBCOMMANDS
from cliptrase.errors import InputError
from cliptrase.lightning_module import TrainingFreeSegmentation
from cliptrase.protocol import Protocol
from datamodules import Geometry, SegmentationDataModule
from datamodules.card import Edition
from datamodules.transforms import Interpolation


def geometry(values: Namespace | Protocol) -> Geometry:
    """How a protocol shows pictures; `values` are its own, an object yet or not."""
    protocol = Protocol(**vars(values))
    mode: Literal["crop", "whole"] = "crop" if protocol.name == "paper" else "whole"
    if protocol.windowed:
        interpolation: Interpolation = "opencv"
    else:
        interpolation = "bilinear" if protocol.name == "detectron2" else "bicubic"
    if unknown := sorted(protocol.own.keys() - set(DATA)):
        raise InputError(f"protocol.own names {unknown[0]!r}, which is no setting; take some of {', '.join(DATA)}")
    sizes = {name: protocol.of(name).size for name in protocol.own}
    return Geometry(mode, protocol.size, protocol.longest, interpolation, sizes)


def edition(values: Namespace | Protocol) -> Edition:
    """Which names and labels a protocol asks for; `values` as in `geometry`."""
    protocol = Protocol(**vars(values))
    return Edition(protocol.vocabulary, void=protocol.windowed)


class _Parser(LightningArgumentParser):
    """A parser whose configurations hold every value of the protocol, also those that its name stands for."""

    def dump(self, namespace: Namespace, *args: Any, **kwargs: Any) -> str:
        """The configuration as YAML, for `--print_config` and the run's folder."""
        namespace = namespace.clone()
        if "protocol" in namespace:
            namespace.protocol = Namespace(asdict(Protocol(**vars(namespace.protocol))))
        return super().dump(namespace, *args, **kwargs)


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
            parser_class=_Parser,
            seed_everything_default=False,
            parser_kwargs={name: {"exit_on_error": False} for name in self.subcommands()}
            | {"exit_on_error": False, "description": "Evaluates training-free open-vocabulary segmentation."},
            args=arguments,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Only what makes sense without training; arguments about checkpoints and returned values are left out."""
        fixed = {"model", "dataloaders", "datamodule", "ckpt_path", "weights_only", "verbose", "return_predictions"}
        return dict.fromkeys(SUBCOMMANDS, fixed)

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
        parser.add_argument("--protocol", type=Protocol, help="see cliptrase/protocol.py")
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
