"""The method under a Lightning Trainer: devices, nodes, precision and loggers come from there."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pytorch_lightning import LightningModule
from torch import Tensor, nn

from cliptrase import protocols
from cliptrase.clip.encoder import check_guest
from cliptrase.clip.guest import load_guest
from cliptrase.clip.weights import Activation, load_clip
from cliptrase.distributed import all_gather_rows
from cliptrase.errors import InputError
from cliptrase.evaluation.conditions import Conditions, Extent, Model, extent
from cliptrase.evaluation.counts import Counts, SegmentationCounts
from cliptrase.evaluation.provenance import peak_memory_mib
from cliptrase.evaluation.records import SettingResult
from cliptrase.evaluation.scoreboard import Scoreboard, Setting
from cliptrase.methods import Method, get_methods, split_methods
from cliptrase.ops.classification import Size, TextClassifier
from cliptrase.protocol import EvaluationProtocol
from cliptrase.segmenter import Prediction, Segmenter
from cliptrase.timing import StageTimer, listening

if TYPE_CHECKING:
    MethodLike = str | Method
else:  # of a record the command line would make an option for each field
    MethodLike = str

_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


class ImageBatch(Protocol):
    """What the module asks of a batch: pictures of one size."""

    @property
    def images(self) -> Tensor: ...  # (B, 3, h, w) uint8
    @property
    def labels(self) -> Tensor | None: ...  # (B, H, W) integer, -1 where not scored
    @property
    def size(self) -> Size: ...
    @property
    def stems(self) -> list[str]: ...
    @property
    def numbers(self) -> list[int]: ...  # in the data set; negative for pictures that stand for none
    @property
    def valid(self) -> list[bool]: ...  # False for pictures that are neither scored nor written


class LabelMaps(NamedTuple):
    """Label maps of pictures of one size, as callbacks get them."""

    stems: list[str]
    images: Tensor  # (B, 3, h, w) uint8
    predictions: dict[str, Tensor]  # by method (B, H, W) int64
    labels: Tensor | None  # (B, H, W)
    regions: dict[str, Tensor]  # by method that votes (B, H, W) int64, -1 for none


class TrainingFreeSegmentation(LightningModule):
    """Segments and scores with CLIP and nothing trained.

    Args:
        clip: open_clip architecture, `local-dir:DIR`, `hf-hub:REPOSITORY` or `embedded`.
        pretrained: open_clip tag or weights file; not used with `local-dir:` and `hf-hub:`.
        activation: `auto`, or the GELU that a weights file was trained with.
        method: the method scored under `settings`: a name with switches, `FILE.py:NAME`, `package.module:NAME`, or in
            Python a `Method`; see `methods.get_method`.
        compare: further methods scored in the same run: a list, or names with commas between them.
        guest: a second tower for methods that read one: a timm name, a folder or a file; see `guest.load_guest`.
        protocol: geometry, templates, clustering parameters, scoring.

    Raises:
        InputError: weights, tower or method that cannot be used.
    """

    def __init__(
        self,
        clip: str = "ViT-B-16",
        pretrained: str | None = None,
        activation: Activation = "auto",
        method: MethodLike = "cliptrase",
        compare: list[MethodLike] | str | None = None,
        guest: str | None = None,
        protocol: EvaluationProtocol | None = None,
    ) -> None:
        super().__init__()
        self.protocol = protocol or protocols.get_protocol()
        methods = get_methods([method, *split_methods(compare)])
        check_guest(methods, guest)
        loaded = load_clip(clip, pretrained, activation)
        self.segmenter = Segmenter(loaded, self.protocol, methods, guest=load_guest(guest) if guest else None)
        self.method = self.methods[0]  # under its own name: `cliptrase+regions` is `cliptrase`
        self.settings: list[Setting] = []
        self.classifiers: list[TextClassifier] = []
        self.counters = nn.ModuleList()
        self.timer = StageTimer()
        self.scoreboard = Scoreboard(self.methods, self.protocol)
        self.peak_memory_mib = 0  # most of any process, as of the last finished setting
        self.all_settings: list[Setting] = []
        self.extents: dict[str, Extent] = {}
        self.left_out: dict[str, list[str]] = {}  # by finished setting, pictures with nothing to score
        self._waiting_since = 0.0
        self.strict_loading = False
        self.eval().requires_grad_(False)

    @property
    def methods(self) -> list[str]:
        """Names of the methods of this run, the main one first."""
        return [method.name for method in self.segmenter.methods]

    def setup(self, stage: str) -> None:
        """Takes the vocabularies from the data module and makes a counter for each setting.

        Raises:
            InputError: a precision that would round what clustering compares with a threshold.
        """
        if self.trainer.precision not in _PRECISIONS:
            raise InputError(
                f"--trainer.precision {self.trainer.precision} would round text and clustering too; "
                f"take one of {', '.join(_PRECISIONS)}"
            )
        datamodule: Any = getattr(self.trainer, "datamodule")  # noqa: B009 (Lightning attaches it untyped)
        self.all_settings = list(datamodule.settings)
        self.settings = [setting for setting in self.all_settings if setting.name not in datamodule.skipped]
        trainer, size = self.trainer, datamodule.batch_size
        self.extents = {
            dataset.spec.name: extent(len(dataset), size, trainer.world_size, trainer.limit_test_batches)
            for dataset in datamodule.datasets
        }
        stems = {dataset.spec.name: dataset.stems for dataset in datamodule.datasets}
        self.counters = nn.ModuleList(
            SegmentationCounts(self.methods, setting.vocabulary.num_labels, stems[setting.name])
            for setting in self.settings
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """CLIP's weights are given, not learned: they stay out of checkpoints."""
        checkpoint["state_dict"] = {}

    def on_test_start(self) -> None:
        """Encodes the vocabularies, once for all processes of a node."""
        self._start()

    def on_predict_start(self) -> None:
        """Encodes the vocabularies, once for all processes of a node."""
        self._start()

    def _start(self) -> None:
        self.eval()
        self.timer.reset()
        # The first process of a node encodes; the others then find the result in the cache.
        if self.trainer.local_rank != 0:
            self.trainer.strategy.barrier("text")
        with listening(self.timer):
            self.classifiers = [
                self.segmenter.classifier(
                    setting.vocabulary, setting.class_token_weighting, self.trainer.is_global_zero, setting.name
                )
                for setting in self.settings
            ]
        if self.trainer.local_rank == 0:
            self.trainer.strategy.barrier("text")
        if self.trainer.is_global_zero:
            for sentence in protocols.notes(self.protocol, self.methods, [setting.name for setting in self.settings]):
                print(f"note: {sentence}", file=sys.stderr)
        self._waiting_since = time.perf_counter()

    def on_test_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Sums up settings that are through, and counts the time spent waiting for data."""
        self.finish_settings(dataloader_idx)
        self.timer.add("data", time.perf_counter() - self._waiting_since)

    def on_test_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Waiting for data starts here."""
        self._waiting_since = time.perf_counter()

    def test_step(  # type: ignore[override]  # Lightning passes on whatever a step returns
        self, batch: Sequence[ImageBatch], batch_idx: int, dataloader_idx: int = 0
    ) -> list[LabelMaps]:
        """Predicts and scores a batch; pictures without a label to score are passed over."""
        outputs = []
        for group in batch:
            if group.labels is None:
                raise ValueError("a test batch holds no label maps; give the data module's test loader")
            kept = _valid(group)
            images, labels = group.images[kept], group.labels[kept]
            index = [group.numbers[place] for place in kept]
            left_out = [number for number, valid in zip(group.numbers, group.valid, strict=True) if not valid]
            found, classifier = Prediction({}, {}), self.classifiers[dataloader_idx]
            with listening(self.timer):
                if kept:
                    found = self.segmenter(images, classifier, group.size)
                self.counters[dataloader_idx].update(found.labels, labels, index, left_out)  # type: ignore[operator]
            if kept:
                stems = [group.stems[place] for place in kept]
                outputs.append(LabelMaps(stems, images, found.labels, labels, found.regions))
        return outputs

    def predict_step(self, batch: Sequence[ImageBatch], batch_idx: int, dataloader_idx: int = 0) -> list[LabelMaps]:
        """Predicts a batch with every method of the run."""
        outputs = []
        for group in batch:
            if kept := _valid(group):
                images = group.images[kept]
                with listening(self.timer):
                    found = self.segmenter(images, self.classifiers[dataloader_idx], group.size)
                stems = [group.stems[index] for index in kept]
                outputs.append(LabelMaps(stems, images, found.labels, None, found.regions))
        return outputs

    def on_test_epoch_end(self) -> None:
        """Sums up the last setting; every process takes part."""
        self.finish_settings(len(self.settings))

    def finish_settings(self, end: int) -> None:
        """Brings together what all processes counted of settings before `end`, where that is not done yet."""
        for setting, counter in zip(self.settings[:end], self.counters, strict=False):
            if setting.name not in self.counts:
                counts: dict[str, Counts] = counter.compute()  # type: ignore[operator]
                counter.reset()  # type: ignore[operator]  # frees the counts of each image
                self.counts[setting.name] = counts if self.trainer.is_global_zero else {}
                self.left_out[setting.name] = counts[self.method].left_out
                self.peak_memory_mib = max(all_gather_rows([peak_memory_mib(self.device)]))

    @property
    def counts(self) -> dict[str, Mapping[str, Counts]]:
        """Of finished settings, those of an earlier, interrupted run included; see `Scoreboard`."""
        return self.scoreboard.counts

    @property
    def results(self) -> dict[str, list[SettingResult]]:
        """Scores of the finished settings by method."""
        return self.scoreboard.results(self.all_settings, self.conditions)

    @property
    def conditions(self) -> Conditions:
        """What belongs to all figures of the run."""
        clip = self.segmenter.clip
        return Conditions(Model(clip.name, clip.pretrained, clip.activation), self.extents)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of every stage so far."""
        return self.timer.seconds()

    @property
    def unfinished(self) -> list[str]:
        """Settings that are not scored yet."""
        return [setting.name for setting in self.settings if setting.name not in self.counts]


def _valid(group: ImageBatch) -> list[int]:
    return [index for index, valid in enumerate(group.valid) if valid]
