"""`test` and `predict`: wiring of configuration, data, model and Trainer."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI

from cliptrase.cli import configs
from cliptrase.cli.arguments import PUBLISHED, STRESSES, SUBCOMMANDS
from cliptrase.cli.complaints import of_other_processes
from cliptrase.cli.processes import Fallen, WatchedLauncher, supervise
from cliptrase.cli.protocol_option import parsed
from cliptrase.cli.refusals import check_writable, note_stand_in, refusal, require_datasets
from cliptrase.cli.run_names import named, run_name
from cliptrase.cli.run_parser import RunParser
from cliptrase.cli.studies import asked_studies, with_parts_off
from cliptrase.clip.towers import OWN_WEIGHTS
from cliptrase.common.console import at_forced_end, remark, signal_received, stop_sentence
from cliptrase.common.errors import InputError, one_line
from cliptrase.methods import split_methods
from cliptrase.ops.precision import AUTO
from cliptrase.protocols.table import get_protocol
from cliptrase.runs.band_file import UNFINISHED
from cliptrase.runs.callbacks.ending import RunEnding
from cliptrase.runs.callbacks.export_writer import ExportWriter
from cliptrase.runs.callbacks.photo_writer import PhotoWriter, failure_sentence
from cliptrase.runs.callbacks.probability_writer import ProbabilityWriter
from cliptrase.runs.callbacks.summary import RunSummary
from cliptrase.runs.callbacks.tensorboard import TensorBoardMasks
from cliptrase.runs.callbacks.writers import MaskWriter, ReportWriter, ResultsWriter
from cliptrase.runs.logger import RunLogger
from cliptrase.runs.module import TrainingFreeSegmentation
from cliptrase.runs.partial import kept_datasets
from cliptrase.runs.precision import precision_options
from cliptrase.runs.printing import left_out_sentences, print_results, require_published, say_published, say_written
from cliptrase.runs.run import Run
from datamodules import Geometry, SegmentationDataModule
from datamodules.spec import LabelScheme

OneCallback = TypeVar("OneCallback")


class StoppedRun(Exception):  # noqa: N818 (a stop, no error)
    """A run that did not come to its end.

    Args:
        sentence: why, what is left, how to go on.
        status: exit status.
    """

    def __init__(self, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.status = status


def signal_of(error: BaseException | None) -> int | None:
    """The signal that stopped this process, if one did."""
    if (signum := signal_received()) is not None:
        return signum
    return signal.SIGINT if isinstance(error, KeyboardInterrupt) else None


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
            parser_class=RunParser,
            seed_everything_default=False,
            parser_kwargs={
                name: {"exit_on_error": False, "default_config_files": [str(configs.base())]}
                for name in self.subcommands()
            }
            | {"exit_on_error": False, "description": "Evaluates training-free open-vocabulary segmentation."},
            args=arguments,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Only what makes sense without training; arguments about checkpoints and returned values are left out."""
        fixed = {"model", "dataloaders", "datamodule", "ckpt_path", "weights_only", "verbose", "return_predictions"}
        return dict.fromkeys(SUBCOMMANDS, fixed)

    def test(self, model: TrainingFreeSegmentation, datamodule: LightningDataModule) -> None:
        """Scores; the table is ours, not Lightning's.

        Raises:
            InputError: of a setting no picture could be scored, or a figure is not the published one that it should be.
        """
        checked = self.config_init[self.subcommand].check == PUBLISHED
        if checked:
            require_published(self.run, [setting.name for setting in self.datamodule.settings])
        with self._to_the_end():
            self.trainer.test(model, datamodule=datamodule, verbose=False)
        if not self.trainer.is_global_zero:
            return
        if not self.run.finished:
            raise InputError("nothing was scored: the data, or what --trainer.limit_test_batches leaves, is empty")
        print_results(self.run)
        for sentence in left_out_sentences(self.run):
            remark(sentence)
        self._require_sheets()
        if empty := [name for name, counts in self.run.finished.items() for one in counts.values() if not one.images]:
            raise InputError(
                f"{', '.join(dict.fromkeys(empty))}: no picture was scored, for the label maps hold nothing to "
                "score where the protocol looks; take a protocol that sees whole pictures, or other label maps"
            )
        if checked:
            say_published(self.run)

    def predict(self, model: LightningModule, datamodule: LightningDataModule) -> None:
        """Writes masks; they go to files and are not held in memory."""
        with self._to_the_end():
            self.trainer.predict(model, datamodule=datamodule, return_predictions=False)
        written = [row for writer in self._callbacks(PhotoWriter) for row in writer.written]
        written += [row for writer in self._callbacks(ExportWriter) for row in writer.written]
        written += [row for writer in self._callbacks(ProbabilityWriter) for row in writer.written]
        if written and self.run.folder is not None and self.trainer.is_global_zero:
            say_written(self.run.folder, written)
        self._require_sheets()
        failures = [failure for writer in self._callbacks(PhotoWriter) for failure in writer.failures]
        if failures and self.trainer.is_global_zero:
            raise InputError(failure_sentence(failures))

    def _require_sheets(self) -> None:
        """Says at the end, when all else is written, that sheets are missing."""
        for sheets in self._callbacks(TensorBoardMasks):
            if sheets.failed:
                raise InputError(f"sheets are missing: {sheets.failed}; figures and masks are whole")

    def _callbacks(self, kind: type[OneCallback]) -> list[OneCallback]:
        callbacks: list[Any] = self.trainer.callbacks  # type: ignore[attr-defined]
        return [callback for callback in callbacks if isinstance(callback, kind)]

    @contextmanager
    def _to_the_end(self) -> Iterator[None]:
        """Every process comes to the end of the run, or all end with the reason.

        Raises:
            StoppedRun: a signal stopped this process or another.
            InputError: another process fell, or the machine lacks something.
        """
        launcher = self.trainer.strategy.launcher
        at_forced_end(self._last_words)
        try:
            yield
            self.trainer.strategy.barrier("end")
        except BaseException as error:
            try:
                self._end(launcher, error)
            except KeyboardInterrupt as stop:  # a signal, or the watch over the others, came in the midst; none follows
                self._end(launcher, stop)
            raise

    def _end(self, launcher: object, error: BaseException) -> None:
        """Ends the other processes after an error of this one.

        Raises:
            StoppedRun: the error is no more than what a signal or another process's end led to.
        """
        others = of_other_processes(error)
        fallen = launcher.end(wait=others) if isinstance(launcher, WatchedLauncher) else None
        # Lightning ends a run that Ctrl-C stops by SystemExit.
        signum = signal_of(error.__context__ if isinstance(error, SystemExit) else error)
        if signum is not None or (others and fallen):
            sentence, status = self._ending(signum, fallen)
            raise StoppedRun(sentence, status) from error

    def _ending(self, signum: int | None, fallen: Fallen | None) -> tuple[str, int]:
        """What to say of a run that was stopped, and its exit status."""
        if fallen is not None and fallen.signum is None:
            return (f"{fallen.sentence}; {self._left}" if fallen.status < 0 else fallen.sentence), 1
        signum = (fallen and fallen.signum) or signum or signal.SIGINT
        return stop_sentence(signum, self._left), 128 + signum

    def _last_words(self, signum: int) -> tuple[str, int]:
        launcher = self.trainer.strategy.launcher
        if not isinstance(launcher, WatchedLauncher):
            return self._ending(signum, None)
        launcher.kill(signal.SIGKILL)
        return self._ending(signum, launcher.fallen)

    @property
    def _left(self) -> str:
        """What a run that was stopped leaves, and how to go on."""
        path = self.run.folder
        if path is None:
            return "nothing was finished yet; start again by the same command"
        if self.subcommand == "predict" and any((path / UNFINISHED).glob("*.labels")):
            return f"what is finished is in {path}; the same command with --resume goes on with large pictures there"
        if self.subcommand == "predict" and (path / "masks").is_dir():
            return f"finished masks are in {path / 'masks'}; the same command makes all anew"
        if (path / "results.json").is_file():
            return f"finished settings are in {path}; the same command with --resume goes on"
        if kept_datasets(path):
            return f"what was counted is in {path}; the same command with --resume goes on"
        return "nothing was finished yet; start again by the same command"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The protocol is given once and reaches the model and the data's geometry."""
        parser.add_argument(
            "--resume", action="store_true", help="go on with the newest unfinished run of these inputs"
        )
        parser.add_argument("--check", choices=[PUBLISHED], help="end with status 1 unless published scores come out")
        parser.add_argument("--explain", action="store_true", help="split what is lost of mIoU by cause")
        parser.add_argument("--audit", action="store_true", help="run each method without each of its parts, too")
        parser.add_argument("--sweep", action="store_true", help="score other constants of the protocol, too")
        parser.add_argument("--stress", choices=STRESSES, help="score other names and absent ones in the same pass")
        parser.add_argument("--protocol", type=parsed, default=get_protocol(), help="see cliptrase/protocols/table.py")
        parser.link_arguments("protocol", "model.protocol")
        parser.link_arguments("protocol", "data.init_args.geometry", compute_fn=Geometry.of)
        parser.link_arguments("protocol", "data.init_args.label_scheme", compute_fn=LabelScheme.of)

    def before_instantiate_classes(self) -> None:
        """A folder or hub repository brings its own weights: a shipped config's `pretrained` does not apply to it."""
        model = self.config[self.subcommand].model
        own_weights = str(model.clip).startswith(OWN_WEIGHTS)
        if own_weights and not any(argument.startswith("--model.pretrained") for argument in self.arguments):
            model.pretrained = None
        if self.config[self.subcommand].audit:
            model.compare = with_parts_off(model.method, split_methods(model.compare))
        self.run = self._make_run()
        trainer = self.config[self.subcommand].trainer
        trainer.logger = named(trainer.logger, self.run.name)
        self.parser.add_instantiator(self._instantiate_model, TrainingFreeSegmentation, subclasses=False, prepend=True)

    def _make_run(self) -> Run:
        """The run, whose files all lie in one new folder.

        Raises:
            InputError: a folder that cannot be written.
        """
        config = self.config[self.subcommand]
        root = Path(config.trainer.default_root_dir or "outputs")
        check_writable(root)
        again = config.clone()
        again.resume = False  # the file starts a run anew
        return Run(root, self._parser(self.subcommand).dump(again), config.resume, run_name(config))

    def _instantiate_model(
        self, model: type[TrainingFreeSegmentation], *, applied_instantiation_links: Any = None, **options: Any
    ) -> TrainingFreeSegmentation:
        studies = asked_studies(str(self.subcommand), self.config[self.subcommand])
        return model(**options, studies=studies, run=self.run)

    def _set_seed(self) -> None:
        try:
            super()._set_seed()
        except ValueError as error:
            raise InputError(f"--seed_everything cannot be used: {one_line(str(error))}") from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A Trainer with the callbacks of a run.

        Raises:
            InputError: options that Lightning refuses.
        """
        config = self.config[self.subcommand]
        require_datasets(config.protocol, self.datamodule)
        if config.trainer.logger in (None, True):
            kwargs["logger"] = RunLogger(self.run)
        trainer_config = {**self._get(self.config_init, "trainer", default={}), **kwargs}
        # Results are written before the user's callbacks, such as sheets, get to draw.
        trainer_config["callbacks"] = [RunEnding(), ResultsWriter(), *(trainer_config.get("callbacks") or [])]
        # The writer of overlays is done with the label maps of large pictures.
        callbacks: list[Callback] = [ReportWriter(), MaskWriter(), ExportWriter(), PhotoWriter()]
        callbacks += [ProbabilityWriter(), RunSummary()]
        trainer_config["default_root_dir"] = str(self.run.root)
        trainer_config |= precision_options(trainer_config)
        try:
            trainer = self._instantiate_trainer(trainer_config, callbacks)
        except Exception as error:  # Lightning and its plugins raise what they like
            raise InputError(refusal(error, config.trainer)) from error
        supervise(trainer, config.trainer.strategy)
        note_stand_in(str(config.model.clip), self.datamodule.settings)
        if config.trainer.precision == AUTO and trainer.is_global_zero:
            remark(f"--trainer.precision auto is {trainer.precision} on this machine")
        return trainer
