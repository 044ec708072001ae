"""Tiny deterministic CLIP and pictures for every test: nothing is downloaded, nothing is left behind."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from datamodules.spec import DatasetSpec
from tests.kit import fixture
from tests.kit.fixture import MODEL_CONFIG, label_map, scene, weights

__all__ = [
    "MEAN",
    "MODEL_CONFIG",
    "STD",
    "fixture",
    "label_map",
    "save_labels",
    "save_tiny_clip",
    "scene",
    "scene_batch",
    "tiny_state",
    "weights",
    "write_detectron2_tree",
]

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def tiny_state(seed: int = 0) -> dict[str, Tensor]:
    """The tiny CLIP's parameters by open_clip's names."""
    return {name: torch.from_numpy(np.array(value)) for name, value in weights(seed).items()}


def save_tiny_clip(folder: Path, seed: int = 0) -> Path:
    """Writes the tiny CLIP as a folder that `local-dir:` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": MODEL_CONFIG, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(tiny_state(seed), folder / "open_clip_model.safetensors")
    return folder


def scene_batch(seeds: Sequence[int], height: int, width: int) -> Tensor:
    """Scenes of one size, (B, 3, H, W) uint8."""
    pictures = np.stack([scene(seed, height, width)[0] for seed in seeds])
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))


def save_labels(path: Path, labels: NDArray[np.integer]) -> None:
    """Writes a label map: 8-bit PNG, 16-bit where a label needs it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels.astype(np.uint16 if labels.max() > 255 else np.uint8)).save(path)


def write_detectron2_tree(
    root: Path, spec: DatasetSpec, sizes: Sequence[tuple[int, int]] = ((120, 150), (96, 96), (150, 100)), seed: int = 0
) -> Path:
    """Pictures `scene_0 ...` of the given (height, width) and their label maps, laid out as the setting wants them."""
    folder = root / spec.folder
    for number, (height, width) in enumerate(sizes):
        image, index = scene(seed + number, height, width)
        pictures = folder / spec.images[0]
        pictures.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(pictures / f"scene_{number}.png")
        raw = label_map(seed + number, index, spec.valid_labels, spec.ignore_label)
        raw[raw != spec.ignore_label] += spec.label_offset
        suffix = ".tif" if spec.ignore_label > 255 else ".png"
        save_labels(folder / spec.labels / f"scene_{number}{suffix}", raw)
    return root
