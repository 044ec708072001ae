"""The method under a Lightning Trainer: devices, nodes, precision and loggers come from there."""

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pytorch_lightning import LightningModule
from torch import Tensor, nn

from cliptrase.classification import Size
from cliptrase.metrics import SegmentationScores
from cliptrase.protocol import Protocol as EvaluationProtocol
from cliptrase.results import SettingResult
from cliptrase.segmenter import Segmenter, TextClassifier
from cliptrase.vocabulary import Vocabulary
from cliptrase.weights import Activation, load_clip


class Setting(Protocol):
    """What the module asks of a data module's settings."""

    @property
    def name(self) -> str: ...
    @property
    def vocabulary(self) -> Vocabulary: ...
    @property
    def class_token_weighting(self) -> bool: ...
    @property
    def published(self) -> Mapping[str, Any]: ...


class PictureGroup(Protocol):
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
    def counted(self) -> list[bool]: ...  # False for pictures that are neither scored nor written


class LabelMaps(NamedTuple):
    """Label maps of pictures of one size, as callbacks get them."""

    stems: list[str]
    images: Tensor  # (B, 3, h, w) uint8
    predictions: dict[str, Tensor]  # by method (B, H, W) int64
    labels: Tensor | None  # (B, H, W)


class TrainingFreeSegmentation(LightningModule):
    """Segments and scores with CLIP and nothing trained.

    Args:
        clip: open_clip architecture, `local-dir:DIR`, `hf-hub:REPOSITORY` or `embedded`.
        pretrained: open_clip tag or weights file; not used with `local-dir:` and `hf-hub:`.
        activation: `auto`, or the GELU that a weights file was trained with.
        method: the method scored under `settings`; `+regions` or `-regions` after a name switches the region vote.
        compare: further methods scored in the same run.
        protocol: geometry, templates, clustering parameters, scoring.

    Raises:
        InputError: weights, tower or method that cannot be used.
    """

    def __init__(
        self,
        clip: str = "ViT-B-16",
        pretrained: str | None = None,
        activation: Activation = "auto",
        method: str = "cliptrase",
        compare: list[str] | None = None,
        protocol: EvaluationProtocol | None = None,
    ) -> None:
        super().__init__()
        self.protocol = protocol or EvaluationProtocol()
        self.method = method
        loaded = load_clip(clip, pretrained, activation)
        self.segmenter = Segmenter(loaded, self.protocol, [method, *(compare or [])])
        self.settings: list[Setting] = []
        self.classifiers: list[TextClassifier] = []
        self.scores = nn.ModuleList()
        self.results: dict[str, list[SettingResult]] = {}
        self.seconds: dict[str, float] = {}
        self._waiting_since = 0.0
        self.strict_loading = False
        self.eval().requires_grad_(False)

    @property
    def methods(self) -> list[str]:
        """Names of the methods of this run, the main one first."""
        return [method.name for method in self.segmenter.methods]

    def setup(self, stage: str) -> None:
        """Takes the vocabularies from the data module and makes a confusion matrix for each setting and method."""
        datamodule: Any = getattr(self.trainer, "datamodule")  # noqa: B009 (Lightning attaches it untyped)
        self.settings = list(datamodule.settings)
        self.scores = nn.ModuleList(
            nn.ModuleDict({method: SegmentationScores(setting.vocabulary.num_labels) for method in self.methods})
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
        self.segmenter.timer.reset()
        # The first process of a node encodes; the others then find the result in the cache.
        if self.trainer.local_rank != 0:
            self.trainer.strategy.barrier("text")
        self.classifiers = [
            self.segmenter.classifier(
                setting.vocabulary, setting.class_token_weighting, progress=self.trainer.is_global_zero
            )
            for setting in self.settings
        ]
        if self.trainer.local_rank == 0:
            self.trainer.strategy.barrier("text")
        self._waiting_since = time.perf_counter()

    def on_test_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Counts the time spent waiting for data."""
        self.segmenter.timer.add("data", time.perf_counter() - self._waiting_since)

    def on_test_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Waiting for data starts here."""
        self._waiting_since = time.perf_counter()

    def test_step(  # type: ignore[override]  # Lightning passes on whatever a step returns
        self, batch: Sequence[PictureGroup], batch_idx: int, dataloader_idx: int = 0
    ) -> list[LabelMaps]:
        """Predicts and scores a batch; pictures without a label to score are passed over."""
        outputs = []
        for group in batch:
            if group.labels is None:
                raise ValueError("a test batch holds no label maps; give the data module's test loader")
            kept = _counted(group)
            if not kept:
                continue
            images, labels = group.images[kept], group.labels[kept]
            predictions = self.segmenter(images, self.classifiers[dataloader_idx], group.size)
            with self.segmenter.timer.stage("scores", images.device):
                for method, metric in self.scores[dataloader_idx].items():  # type: ignore[operator]
                    metric.update(predictions[method], labels)
            outputs.append(LabelMaps([group.stems[index] for index in kept], images, predictions, labels))
        return outputs

    def predict_step(self, batch: Sequence[PictureGroup], batch_idx: int, dataloader_idx: int = 0) -> list[LabelMaps]:
        """Predicts a batch with every method of the run."""
        outputs = []
        for group in batch:
            if kept := _counted(group):
                images = group.images[kept]
                predictions = self.segmenter(images, self.classifiers[dataloader_idx], group.size)
                outputs.append(LabelMaps([group.stems[index] for index in kept], images, predictions, None))
        return outputs

    def on_test_epoch_end(self) -> None:
        """Sums the confusion matrices over processes; every process takes part."""
        self.seconds = self.segmenter.timer.seconds()
        self.results = {
            method: [
                SettingResult.from_confusion(
                    setting.name,
                    setting.vocabulary.label_names,
                    *self._totals(metrics[method]),  # type: ignore[index]
                    published=setting.published.get(self.protocol.label) if method == "cliptrase" else None,
                )
                for setting, metrics in zip(self.settings, self.scores, strict=True)
            ]
            for method in self.methods
        }

    @staticmethod
    def _totals(metric: SegmentationScores) -> tuple[Tensor, int]:
        """(C, C) confusion matrix on the CPU and the number of pictures, over all processes."""
        with warnings.catch_warnings():
            # A process may have had no picture to score; that is no mistake.
            warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
            confusion, images = metric.compute()
        return confusion.cpu(), int(images)


def _counted(group: PictureGroup) -> list[int]:
    return [index for index, counted in enumerate(group.counted) if counted]
