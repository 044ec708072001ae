"""Nothing from pixels and words to counts mixes devices: every protocol and method on a device that is pretended."""

import copy
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from cliptrase import Segmenter, Vocabulary
from cliptrase.cli.evaluate import EvaluationCLI
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.timing import StageTimer, listening
from cliptrase.evaluation.counts import SegmentationCounts
from cliptrase.evaluation.scoreboard import Setting
from cliptrase.global_patches.analysis import denoised_map
from cliptrase.methods import METHODS
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols import table
from cliptrase.protocols.table import get_protocol
from cliptrase.studies.base import Seen
from cliptrase.studies.boundary import BoundaryIoU
from cliptrase.studies.budget import ErrorBudget
from datamodules import VOC20
from tests.command import run
from tests.kit import scene_batch, write_detectron2_tree
from tests.kit.dino import dino
from tests.pretend_device import DEVICE, PretendDevice, PretendTensor

NAMES = Vocabulary((("cat", "kitten"), ("dog",), ("grass",)), ("wall", "sky"))


PROTOCOLS = {
    "paper": get_protocol("paper", size=224, eps=0.7, min_samples=3),
    "detectron2": get_protocol("detectron2", templates="imagenet"),
    "whole": get_protocol("whole"),
    "photos": get_protocol("photos"),
    "clearclip": get_protocol("clearclip", window=128, stride=64),
    "sclip": get_protocol(
        "sclip",
        window=112,
        stride=56,
        eps=1.1,
        min_samples=7,
        background_threshold=0.3,
        overrides={"VOC21": {"min_area": 0.05}},
    ),
    "naclip": get_protocol("naclip"),
    "scclip": get_protocol("scclip", window=112, stride=56, eps=1.1, min_samples=7),
    "sfp": get_protocol("sfp"),
    "proxyclip": get_protocol("proxyclip"),
    "tiles": get_protocol("tiles"),
}


def test_every_protocol_is_here() -> None:
    assert set(PROTOCOLS) == {row.name for row in table.PROTOCOLS.values()}


@pytest.fixture
def pretended() -> Iterator[None]:
    with PretendDevice(), torch.no_grad():
        yield


@pytest.mark.usefixtures("pretended")
def test_the_pretence_holds() -> None:
    values = torch.ones(2, 3).to(DEVICE)
    assert ((values @ values.mT).device, values.cpu().device.type) == (DEVICE, "cpu")
    with pytest.raises(RuntimeError, match="same device"):
        values + torch.ones(2, 3)
    assert values[torch.tensor([1])].device == DEVICE
    with pytest.raises(RuntimeError, match="same device"):
        torch.ones(3)[values.long()]  # a table left behind
    with pytest.raises(RuntimeError, match="same device"):
        values[torch.tensor([0])] = torch.ones(3)
    with pytest.raises(TypeError, match="cpu"):
        values.numpy()


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("name", PROTOCOLS)
def test_label_maps_and_counts(name: str, loaded_clip: LoadedClip, tmp_path: Path) -> None:
    """Text too is encoded on the device: each has a cache of its own.

    Its last digits hang on the processor's attention kernels, and with them a pixel where two names tie: label maps are
    compared for the same numbers.
    """
    protocol = PROTOCOLS[name]
    height, width = (224, 224) if name == "paper" else (240, 256)
    images = scene_batch((21, 22), height, width)
    truth = torch.arange(height).view(-1, 1).expand(2, height, width) % 5
    found: list[dict[str, Tensor]] = []
    encoded = torch.empty(0)
    for device in (torch.device("cpu"), DEVICE):
        clip = replace(loaded_clip, model=copy.deepcopy(loaded_clip.model).requires_grad_(False))
        methods = [*METHODS, "vanilla+regions", "cliptrase-denoise+mean", "naclip+pamr+tlp", "cliptrase+mean+pamr"]
        segmenter = Segmenter(clip, protocol, methods, tmp_path / device.type, dino()).to(device)
        timer = StageTimer()
        with listening(timer):
            classifier = segmenter.classifier(NAMES, class_token_weighting=True, progress=False, setting="VOC21")
        encoded = encoded if found else classifier.embeddings
        torch.testing.assert_close(classifier.embeddings.cpu(), encoded, rtol=0, atol=1e-6)
        classifier = replace(classifier, embeddings=encoded.to(device))
        with sdpa_kernel(SDPBackend.MATH), listening(timer):
            labels = segmenter(images.to(device), classifier).labels
        assert {isinstance(maps, PretendTensor) for maps in labels.values()} == {device == DEVICE}
        counter = SegmentationCounts(list(labels), classifier.num_labels).to(device)
        with listening(timer):
            counter.update(labels, truth.to(device), [0, 1])
        totals = counter.compute()
        found.append({method: maps.cpu() for method, maps in labels.items()})
        found[-1] |= {f"counts of {method}": totals[method].confusion for method in labels}
        assert set(timer.seconds()) >= {"text", "forward", "classification", "scores"}
    for key, expected in found[0].items():
        assert torch.equal(found[1][key], expected), key
    assert len(found[0]["vanilla"].unique()) > 2


@dataclass(frozen=True)
class Named:
    """A data set as studies see it."""

    name: str = "VOC21"
    vocabulary: Vocabulary = NAMES


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("name", ["paper", "sclip"])
def test_label_maps_of_studies(name: str, loaded_clip: LoadedClip, tmp_path: Path) -> None:
    """Grid, borders, seams, regions and thresholds, with pixels that are not scored."""
    protocol, setting = PROTOCOLS[name], cast(Setting, Named())
    size = (224, 224) if name == "paper" else (240, 256)
    images = scene_batch((21, 22), *size)
    truth = (torch.arange(size[0]) // 30 % 5).view(-1, 1).expand(2, *size).clone()
    truth[:, :9] = 255
    found: list[dict[str, Tensor]] = []
    for device in (torch.device("cpu"), DEVICE):
        clip = replace(loaded_clip, model=copy.deepcopy(loaded_clip.model).requires_grad_(False))
        segmenter = Segmenter(clip, protocol, ["cliptrase", "vanilla"], tmp_path).to(device)
        classifier = segmenter.classifier(NAMES, progress=False, setting="VOC21")
        with sdpa_kernel(SDPBackend.MATH):
            prediction = segmenter(images.to(device), classifier)
            seen = Seen(prediction.encoded, classifier, prediction.labels, truth.to(device))
            maps: dict[str, Tensor] = {}
            for study in (ErrorBudget(protocol), BoundaryIoU()):
                prepared = study.prepare(segmenter, setting, progress=False)
                maps |= prepared.label_maps(seen)
                maps[f"truth of {study.name}"] = prepared.truth(seen)
        assert {isinstance(one, PretendTensor) for one in maps.values()} == {device == DEVICE}
        found.append({key: one.cpu() for key, one in maps.items()})
    for key, expected in found[0].items():
        assert torch.equal(found[1][key], expected), key


@pytest.mark.usefixtures("pretended")
def test_pictures_for_people(loaded_clip: LoadedClip, tmp_path: Path) -> None:
    picture = Image.fromarray(scene_batch((21,), 120, 150)[0].permute(1, 2, 0).numpy())
    shares, rows = [], []
    for device in (torch.device("cpu"), DEVICE):
        clip = replace(loaded_clip, model=copy.deepcopy(loaded_clip.model).requires_grad_(False))
        segmenter = Segmenter(clip, get_protocol("whole"), ["naclip"], tmp_path).to(device)
        with sdpa_kernel(SDPBackend.MATH):
            shares.append(segmenter.segment(picture, "cat, kitten; dog", "wall").shares)
            rows.append(denoised_map(segmenter, np.array(picture)).values)
    assert shares[0] == shares[1]
    np.testing.assert_array_equal(*rows)


class Accelerator(pl.accelerators.CPUAccelerator):
    """The pretended device for a Trainer."""

    def setup_device(self, device: torch.device) -> None: ...

    @staticmethod
    def get_parallel_devices(devices: int) -> list[torch.device]:
        return [DEVICE] * devices


@pytest.mark.parametrize("protocol", ["paper_224", "sclip"])
def test_whole_runs(protocol: str, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line with sheets, scores and masks: what it leaves behind is the same on either device."""
    root = write_detectron2_tree(tmp_path / "datasets", VOC20.spec, sizes=((120, 150), (96, 96)))
    options = ["--config", f"configs/{protocol}.yaml", "--protocol.size", "64", "--data.root", str(root)]
    options += ["--data", "VOC20", "--model.clip", f"local-dir:{tiny_clip}", "--model.compare", "[cliptrase, gem]"]
    options += ["--protocol.window", "48", "--protocol.stride", "32"] if protocol == "sclip" else []
    instantiate = EvaluationCLI._instantiate_trainer

    def elsewhere(self: EvaluationCLI, config: dict[str, Any], callbacks: list[Any]) -> pl.Trainer:
        strategy = SingleDeviceStrategy(DEVICE)
        other = {"accelerator": Accelerator(), "strategy": strategy, "inference_mode": False}
        return instantiate(self, {**config, **other}, callbacks)

    seen: list[str] = []

    def watched(self: Segmenter, encoded: Any, classifier: TextClassifier) -> dict[str, Tensor]:
        seen.extend({self.device.type} - set(seen))
        return label(self, encoded, classifier)

    label = Segmenter.label
    monkeypatch.setattr(Segmenter, "label", watched)
    scored, masks, sheets = [], [], []
    for device in ("cpu", "pretended"):
        with ExitStack() as stack:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            if device == "pretended":
                monkeypatch.setattr(EvaluationCLI, "_instantiate_trainer", elsewhere)
                stack.enter_context(PretendDevice())
            scored.append(run("test", tmp_path / f"{device} test", *options))
            predicted = run("predict", tmp_path / f"{device} predict", *options)
        masks.append([predicted.mask("VOC20", f"scene_{number}") for number in range(2)])
        sheets.append(sorted(path.read_bytes() for path in (scored[-1].folder / "sheets").rglob("*.png")))
    assert seen == ["cpu", DEVICE.type]
    assert scored[1].results["methods"] == scored[0].results["methods"]
    for ours, theirs in zip(*masks, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert sheets[0]
    assert sheets[1] == sheets[0]
