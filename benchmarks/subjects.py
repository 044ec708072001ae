"""What is measured on: CLIP with random weights, vocabularies of random directions, pictures of coloured regions."""

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import open_clip
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from cliptrase import Segmenter
from cliptrase.clip.weights import LoadedClip
from cliptrase.methods import get_methods
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.table import get_protocol

# The published values by size; DBSCAN's cost hardly depends on them.
CLUSTERING = {224: (0.7, 3), 336: (1.1, 7)}


@cache
def random_tower(architecture: str, size: int | None = None) -> Any:
    """An open_clip model with seeded random weights, quick GELU as OpenAI's; `size` forces its input in pixels."""
    torch.manual_seed(0)
    model = open_clip.create_model(architecture, pretrained=None, force_quick_gelu=True, force_image_size=size)
    return model.eval().requires_grad_(False)


def random_clip(architecture: str) -> LoadedClip:
    """`random_tower` with its tokenizer, as `load_clip` gives a model."""
    return LoadedClip(
        model=random_tower(architecture),
        tokenizer=open_clip.get_tokenizer(architecture),
        name=architecture,
        pretrained=None,
        activation="quick_gelu",
        weights_hash="random",
        config_hash="random",
        mean=open_clip.OPENAI_DATASET_MEAN,
        std=open_clip.OPENAI_DATASET_STD,
    )


def segmenter(architecture: str, size: int, device: torch.device, methods: Sequence[str] = ("cliptrase",)) -> Segmenter:
    """Methods under protocol `paper` at size x size pixels, with DINO's ViT-B/8 beside them where one reads it."""
    eps, min_samples = CLUSTERING.get(size, CLUSTERING[336])
    protocol = get_protocol(size=size, eps=eps, min_samples=min_samples)
    guest = None
    if any(method.load_reading().guest for method in get_methods(methods)):
        torch.manual_seed(0)
        guest = timm.create_model("vit_base_patch8_224", num_classes=0, dynamic_img_size=True)
    return Segmenter(random_clip(architecture), protocol, methods, guest=guest).to(device)


def classifier(names: int, width: int, device: torch.device) -> TextClassifier:
    """`names` random unit vectors about a common direction, as text embeddings lie in a narrow cone."""
    generator = torch.Generator().manual_seed(names)
    embeddings = torch.randn(1, width, generator=generator) + torch.randn(names, width, generator=generator)
    return TextClassifier(F.normalize(embeddings, dim=-1).to(device), torch.arange(names, device=device), names)


def picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3) RGB: a dozen regions, each with its colour and its own grain."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, [height, width], (12, 2))
    rows, columns = np.mgrid[:height, :width]
    nearest = ((rows[..., None] - centres[:, 0]) ** 2 + (columns[..., None] - centres[:, 1]) ** 2).argmin(-1)
    grain = rng.normal(size=(height, width, 1)) * rng.uniform(2, 50, 12)[nearest][..., None]
    pixels: NDArray[np.uint8] = np.clip(rng.uniform(0, 255, (12, 3))[nearest] + grain, 0, 255).astype(np.uint8)
    return pixels


def pictures(count: int, size: int) -> Tensor:
    """(count, 3, size, size) uint8."""
    return torch.from_numpy(np.stack([picture(seed, size, size) for seed in range(count)])).permute(0, 3, 1, 2)


def jpeg(seed: int) -> bytes:
    """A file of 500 x 375 pixels, as the data sets' pictures are."""
    file = io.BytesIO()
    Image.fromarray(picture(seed, 375, 500)).save(file, "JPEG", quality=92)
    return file.getvalue()
