"""A DINO with random weights: the small one of the golden arrays, as a state dict and as a folder for `--model.guest`.

Numpy alone draws the numbers, in the sorted order of the names.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

ARCHITECTURE = "vit_tiny_patch16_224"  # timm's, before SHAPE makes another of it
SHAPE: dict[str, Any] = {"img_size": 224, "patch_size": 8, "embed_dim": 96, "depth": 4, "num_heads": 3}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


def state(seed: int = 3, registers: int = 0, scaled: bool = False, **shape: int) -> dict[str, Tensor]:
    """Random float32 parameters by facebookresearch's names, which timm shares but for registers.

    Args:
        seed: 3 for the golden arrays.
        registers: number of register tokens, by DINOv2's name.
        scaled: whether DINOv2's LayerScale and mask token are there.
        shape: of `SHAPE`, what is another.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = {}
    for name, size in sorted(_shapes({**SHAPE, **shape}, registers, scaled)):
        values = rng.standard_normal(size, dtype=np.float32)
        if "norm" in name:
            values = values * 0.1 + name.endswith("weight")
        elif name.endswith("bias"):
            values = values * 0.05
        elif name in ("pos_embed", "cls_token", "register_tokens"):
            values = values * 0.3
        elif name.endswith("gamma"):
            values = 1 + values * 0.1
        else:
            values = values * 0.7 / np.sqrt(math.prod(size[1:]))
        drawn[name] = torch.from_numpy(values.astype(np.float32))
    return drawn


def _shapes(shape: dict[str, Any], registers: int, scaled: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, patch = shape["embed_dim"], shape["patch_size"]
    yield "cls_token", (1, 1, width)
    yield "pos_embed", (1, (shape["img_size"] // patch) ** 2 + 1, width)
    yield "patch_embed.proj.weight", (width, 3, patch, patch)
    yield "patch_embed.proj.bias", (width,)
    if registers:
        yield "register_tokens", (1, registers, width)
    if scaled:
        yield "mask_token", (1, width)
    linear = (("attn.qkv", 3, 1), ("attn.proj", 1, 1), ("mlp.fc1", 4, 1), ("mlp.fc2", 1, 4))
    for block in (f"blocks.{number}" for number in range(shape["depth"])):
        for norm in ("norm1", "norm2"):
            yield f"{block}.{norm}.weight", (width,)
            yield f"{block}.{norm}.bias", (width,)
        for name, rows, columns in linear:
            yield f"{block}.{name}.weight", (rows * width, columns * width)
            yield f"{block}.{name}.bias", (rows * width,)
        if scaled:
            yield f"{block}.ls1.gamma", (width,)
            yield f"{block}.ls2.gamma", (width,)
    yield "norm.weight", (width,)
    yield "norm.bias", (width,)


def save_dino(folder: Path, seed: int = 3, **shape: int) -> Path:
    """Writes a random DINO as a folder that `--model.guest` takes."""
    return _save(folder, state(seed, **shape), ARCHITECTURE, "dino", shape)


def save_dinov2(folder: Path, seed: int = 3, registers: int = 0, **shape: int) -> Path:
    """Writes a random DINOv2, its parameters by facebookresearch/dinov2's names."""
    architecture = "vit_small_patch14_reg4_dinov2" if registers else "vit_small_patch14_dinov2"
    return _save(folder, state(seed, registers, scaled=True, **shape), architecture, "lvd142m", shape)


def _save(folder: Path, weights: dict[str, Tensor], architecture: str, tag: str, shape: dict[str, int]) -> Path:
    config = {
        "architecture": architecture,
        "num_classes": 0,
        "model_args": {**SHAPE, **shape},
        "pretrained_cfg": {"tag": tag, "mean": MEAN, "std": STD, "num_classes": 0},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    save_file(weights, folder / "model.safetensors")
    return folder


def dino(seed: int = 3, **shape: int) -> nn.Module:
    """`save_dino`'s as a module of timm."""
    module: nn.Module = timm.create_model(
        ARCHITECTURE,
        num_classes=0,
        dynamic_img_size=True,
        pretrained_cfg_overlay={"tag": "dino", "mean": MEAN, "std": STD},
        **{**SHAPE, **shape},
    )
    module.load_state_dict(state(seed, **shape))
    return module.eval()
