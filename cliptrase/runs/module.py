"""The method under a Lightning Trainer: devices, nodes, precision and loggers come from there."""

import time
import warnings
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from cliptrase.clip import towers
from cliptrase.clip.guest_weights import find_guest, load_guest
from cliptrase.clip.requirements import check_guest, check_methods
from cliptrase.clip.weights import Activation, load_clip
from cliptrase.common.console import remark
from cliptrase.common.errors import InputError
from cliptrase.common.timing import listening
from cliptrase.evaluation.counts import Counts, SegmentationCounts
from cliptrase.evaluation.provenance import peak_memory_mib
from cliptrase.inference.batches import Encoded
from cliptrase.inference.checks import check_votes
from cliptrase.methods import Method, get_methods, split_methods
from cliptrase.ops.classification import TextClassifier
from cliptrase.ops.precision import PRECISIONS
from cliptrase.protocols import table as protocols
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.runs.band_file import UNFINISHED
from cliptrase.runs.batches import AsksForProbabilities, Data, ImageBatch, LabelMaps, ShowsPictures
from cliptrase.runs.large_pictures import LargeLabels, label_large
from cliptrase.runs.plan import Plan
from cliptrase.runs.progress import windows_bar
from cliptrase.runs.run import Run
from cliptrase.runs.study_counts import SettingStudies
from cliptrase.segmenter import Segmenter
from cliptrase.studies.base import Seen, Study

if TYPE_CHECKING:
    MethodLike = str | Method
else:  # of a record the command line would make an option for each field
    MethodLike = str


class TrainingFreeSegmentation(LightningModule):
    """Segments and scores with CLIP and nothing trained.

    Weights are read when the data's files have been checked, by Lightning's `configure_model`, which may be called
    without a Trainer too.

    Args:
        clip: open_clip architecture, `local-dir:DIR`, `hf-hub:REPOSITORY` or `embedded`.
        pretrained: open_clip tag or weights file; not used with `local-dir:` and `hf-hub:`.
        activation: `auto`, or the GELU that a weights file was trained with.
        method: a name with switches, such as `cliptrase-regions` or `naclip+pamr`, `FILE.py:NAME` or
            `package.module:NAME`; see `methods.get_method`, which takes a `Method`, too.
        compare: further methods scored in the same run: a list, or names with commas between them.
        guest: a second tower for methods that read one: a timm name, a folder or a file; see
            `guest_weights.load_guest`.
        protocol: geometry, templates, clustering parameters, scoring.
        studies: what else is counted in the same pass over the images; see `studies`.
        run: where results go; without it they stay in memory, in the module's `run`.

    Attributes:
        segmenter: the model and what it makes of images; there once the weights are read.
        classifiers: of the data sets that are computed, one a data loader.

    Raises:
        InputError: a model, method or weights file that does not exist, or that its name shows to be of no use.
    """

    segmenter: Segmenter

    def __init__(
        self,
        clip: str = "ViT-B-16",
        pretrained: str | None = None,
        activation: Activation = "auto",
        method: MethodLike = "cliptrase",
        compare: list[MethodLike] | str | None = None,
        guest: str | None = None,
        protocol: EvaluationProtocol | None = None,
        studies: Sequence[Study] = (),
        run: Run | None = None,
    ) -> None:
        super().__init__()
        towers.check(clip, pretrained)
        protocol, methods = protocol or protocols.get_protocol(), get_methods([method, *split_methods(compare)])
        check_methods(methods, towers.number_of_blocks(clip))
        check_guest(methods, guest)
        check_votes(protocol, methods)
        self._load = partial(load_clip, clip, pretrained, activation)
        if guest is not None:
            find_guest(guest)
        self._load_guest = None if guest is None else partial(load_guest, guest)
        self.run = run or Run()
        self.run.begin(protocol, methods)
        self.classifiers: list[TextClassifier] = []
        self.studies = list(studies)
        self._keep = any(study.remakes_regions for study in self.studies)
        self._counts = nn.ModuleList()
        self._studied = nn.ModuleList()
        self._waiting_since = 0.0

    @property
    def data(self) -> Data:
        """The data module that the Trainer was given."""
        data: Data = getattr(self.trainer, "datamodule")  # noqa: B009 (Lightning attaches it untyped)
        return data

    @property
    def finished(self) -> Collection[str]:
        """Names of data sets that need no loader: an interrupted run finished them."""
        return self.run.resumed

    @property
    def counted(self) -> Mapping[str, Collection[int]]:
        """By data set numbers of images that an interrupted run looked at."""
        return self.run.partial.counted

    def setup(self, stage: str) -> None:
        """Looks at the Trainer's options before anything large is read.

        Raises:
            InputError: a precision that would round what clustering compares with a threshold.
        """
        if self.trainer.precision not in PRECISIONS:
            raise InputError(
                f"--trainer.precision {self.trainer.precision} would round text and clustering too; "
                f"take one of {', '.join(PRECISIONS)}"
            )

    def configure_model(self) -> None:
        """Reads the weights, once, and under a Trainer opens the run.

        Raises:
            InputError: weights or a tower that cannot be used, or no folder for the run can be made.
        """
        trainer = self._trainer
        # Lightning makes tensors on its device here; what is read and hashed belongs on the CPU.
        with torch.device("cpu"):
            if "segmenter" not in self._modules:
                self._read_weights()
            if trainer is not None:
                self._open()

    def _read_weights(self) -> None:
        """The first process of a node reads, and perhaps downloads, before the others."""
        others_wait = self._trainer is not None and self.trainer.num_devices > 1
        if others_wait and self.trainer.local_rank != 0:
            self.trainer.strategy.barrier("weights")
        guest = self._load_guest() if self._load_guest else None
        self.segmenter = Segmenter(self._load(), self.run.protocol, self.run.methods, guest=guest).eval()
        if others_wait and self.trainer.local_rank == 0:
            self.trainer.strategy.barrier("weights")

    def _open(self) -> None:
        trainer = self.trainer
        plan = Plan(
            self.run.protocol,
            self.run.methods,
            self.segmenter.clip,
            self.data,
            scores=bool(trainer.testing),
            precision=str(trainer.precision),
            device=trainer.strategy.root_device,
            processes=trainer.world_size,
            limit=trainer.limit_test_batches,
            guest=self.segmenter.encoder.guest,
            studies=self.studies if trainer.testing else [],
            fast_dev_run=getattr(trainer, "fast_dev_run", False),  # Lightning attaches it untyped
        )
        self.run.open(plan, trainer.is_global_zero, trainer.strategy.broadcast)
        stems = {dataset.spec.name: dataset.stems for dataset in self.data.datasets}
        self._counts = nn.ModuleList(
            SegmentationCounts(self.run.method_names, setting.vocabulary.num_labels, stems[setting.name])
            for setting in self.run.left
        )
        self._studied = nn.ModuleList(
            SettingStudies(self.run.plan.studies, setting, self.run.methods, stems[setting.name])
            for setting in self.run.left
        )
        if not self.run.left:  # so it is meant
            warnings.filterwarnings("ignore", message="Total length of `list` across ranks is zero")

    def on_test_start(self) -> None:
        """Encodes the vocabularies, once for all processes of a node, and takes up what was counted before."""
        self._start()
        for setting, counts, studies in zip(self.run.left, self._counts, self._studied, strict=True):
            if earlier := self.run.partial.states(setting.name):
                counts.go_on(earlier[""])  # type: ignore[operator]
                studies.go_on(earlier)  # type: ignore[operator]

    def on_predict_start(self) -> None:
        """Encodes the vocabularies, once for all processes of a node."""
        self._start()

    def _start(self) -> None:
        # The first process of a node encodes; the others then find the result in the cache.
        if self.trainer.local_rank != 0:
            self.trainer.strategy.barrier("text")
        with listening(self.run.timer):
            self.classifiers = [
                self.segmenter.classifier(
                    setting.vocabulary, setting.class_token_weighting, self.trainer.is_global_zero, setting.name
                )
                for setting in self.run.left
            ]
            for studies in self._studied:
                studies.prepare(self.segmenter, self.trainer.is_global_zero)  # type: ignore[operator]
        if self.trainer.local_rank == 0:
            self.trainer.strategy.barrier("text")
        if self.trainer.is_global_zero:
            names = [setting.name for setting in self.run.left]
            for sentence in protocols.notes(self.run.protocol, self.run.method_names, names):
                remark(sentence)
        self._waiting_since = time.perf_counter()

    def on_test_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Counts the time spent waiting for data."""
        self.run.timer.add("data", time.perf_counter() - self._waiting_since)

    def on_test_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Waiting for data starts here."""
        self._waiting_since = time.perf_counter()

    def test_step(  # type: ignore[override]  # Lightning passes on whatever a step returns
        self, batch: Sequence[ImageBatch], batch_idx: int, dataloader_idx: int = 0
    ) -> list[LabelMaps]:
        """Predicts and scores a batch; images without a label to score are passed over.

        With the last batch the data set is finished: before the next one's first image is read, which may end the run.
        """
        outputs = []
        counts, studies = self._counts[dataloader_idx], self._studied[dataloader_idx]
        classifier = self.classifiers[dataloader_idx]
        for group in batch:
            if group.labels is None:
                raise ValueError("a test batch holds no label maps; give the data module's test loader")
            left_out = [number for number, valid in zip(group.numbers, group.valid, strict=True) if not valid]
            index = [number for number, valid in zip(group.numbers, group.valid, strict=True) if valid]
            labels = group.labels[_valid(group)]
            maps, encoded = self._segment(group, classifier)
            predictions = maps.predictions if maps else {}
            seen = Seen(encoded, classifier, predictions, labels) if encoded else None
            with listening(self.run.timer):
                counts.update(predictions, labels, index, left_out)  # type: ignore[operator]
                studies.update(seen, index, left_out)  # type: ignore[operator]
            outputs += [maps] if maps else []
        if batch_idx + 1 >= self.trainer.num_test_batches[dataloader_idx]:
            self._finish(dataloader_idx)
        else:
            name = self.run.left[dataloader_idx].name
            self.run.keep(name, self.global_rank, lambda: {"": counts.so_far(), **studies.so_far()})  # type: ignore[operator]
        return outputs

    def predict_step(
        self, batch: Sequence[ImageBatch], batch_idx: int, dataloader_idx: int = 0
    ) -> list[LabelMaps | LargeLabels]:
        """Predicts a batch with every method of the run, large pictures with the main one."""
        classifier = self.classifiers[dataloader_idx]
        outputs: list[LabelMaps | LargeLabels] = []
        for group in batch:
            if group.large:
                outputs += [self._label_large(group.stems[place], classifier) for place in _valid(group)]
                continue
            maps, encoded = self._segment(group, classifier)
            if maps and encoded:
                outputs.append(maps._replace(probabilities=self._probabilities(encoded, classifier)))
        return outputs

    def _probabilities(self, encoded: Encoded, classifier: TextClassifier) -> Tensor | None:
        """Those of the main method where the data asks for them; see `Segmenter.probabilities`."""
        if not isinstance(self.data, AsksForProbabilities) or not self.data.probabilities:
            return None
        main = self.segmenter.methods[0]
        with listening(self.run.timer):
            return self.segmenter.probabilities(encoded, classifier, [main])[main.name]

    def _label_large(self, stem: str, classifier: TextClassifier) -> LargeLabels:
        data, run = self.data, self.run
        if not isinstance(data, ShowsPictures):
            raise TypeError(f"{type(data).__name__} leaves large pictures out and cannot show them")
        folder = None if run.folder is None else run.folder / UNFINISHED
        bar = partial(windows_bar, self.trainer)
        with listening(run.timer):
            return label_large(stem, data, self.segmenter, classifier, folder, run.identity, bar)

    def label_maps(self, group: ImageBatch, classifier: TextClassifier) -> LabelMaps | None:
        """Label maps of those images of a group that are valid; None where there are none.

        Args:
            group: images of one size on the module's device.
            classifier: from `segmenter.classifier`.
        """
        return self._segment(group, classifier)[0]

    def _segment(self, group: ImageBatch, classifier: TextClassifier) -> tuple[LabelMaps, Encoded] | tuple[None, None]:
        if not (valid := _valid(group)):
            return None, None
        images = group.images[valid]
        with listening(self.run.timer):
            found = self.segmenter(images, classifier, group.size, self._keep)
        labels = None if group.labels is None else group.labels[valid]
        maps = LabelMaps([group.stems[place] for place in valid], images, found.labels, labels, found.regions)
        return maps, found.encoded

    def _finish(self, number: int) -> None:
        """Brings together what all processes counted of a data set; every one must take part."""
        metric = self._counts[number]
        counts: Mapping[str, Counts] = metric.compute()  # type: ignore[operator]
        metric.reset()  # type: ignore[operator]  # frees the counts of each image
        peak = torch.tensor(peak_memory_mib(self.device), device=self.device)
        most = self.trainer.strategy.reduce(peak, reduce_op="max")
        studied = self._studied[number].finish()  # type: ignore[operator]
        name = self.run.left[number].name
        first = self.trainer.is_global_zero
        self.run.finish(name, counts if first else {}, int(most), studied if first else {})


def _valid(group: ImageBatch) -> list[int]:
    return [place for place, valid in enumerate(group.valid) if valid]
