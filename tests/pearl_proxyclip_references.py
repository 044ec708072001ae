"""PEARL and ProxyCLIP vector by vector, from their description: no code of the package."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.dino_reference import patch_tokens
from tests.kit import MEAN, STD, dino
from tests.plain_tower import PlainTower
from tests.references import Array, softmax_rows


def pearl_head(query: Array, key: Array, value: Array, alpha: float) -> Array:
    """What a head attends to: (T, D) each."""
    norms = [0.0] + [math.sqrt(float((q**2).sum())) for q in query[1:]]
    weights = [norm / (sum(norms) + 1e-6) for norm in norms]
    centred_query = query - sum(weight * q for weight, q in zip(weights, query, strict=True))
    centred_key = key - sum(weight * k for weight, k in zip(weights, key, strict=True))
    cross = np.array(sum(np.outer(k, q) for k, q in zip(centred_key, centred_query, strict=True)))
    gram = cross.T @ cross
    norm = max(np.sqrt((gram**2).sum()), 1e-6)
    y, z = gram / norm + 1e-6 * np.eye(len(gram)), np.eye(len(gram))
    for _ in range(5):
        step = (3 * np.eye(len(gram)) - z @ y) / 2
        y, z = y @ step, step @ z
    turned = key @ (cross @ z / np.sqrt(norm))
    logits = (query @ turned.T + alpha * centred_key @ centred_key.T) * query.shape[1] ** -0.5
    attended: Array = softmax_rows(logits) @ value
    return attended


def pearl(tower: PlainTower, pixels: Tensor, alpha: float) -> tuple[Array, tuple[int, int]]:
    """(N, E) patch features of (1, 3, H, W), and their grid."""
    heads = tower.heads(-1, tower.after_blocks(pixels)[0][-2])
    gathered = np.stack([pearl_head(*one, alpha) for one in zip(*heads, strict=True)])
    return tower.project(tower.attended(-1, gathered))[1:], tower.grid(pixels)


def proxyclip(tower: PlainTower, pixels: Tensor) -> tuple[Array, tuple[int, int]]:
    """(n, E) features of (1, 3, H, W) on the grid of `tests.kit.dino`, and that grid."""
    own_mean, own_std = (np.array(values).reshape(3, 1, 1) for values in (MEAN, STD))
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (dino.MEAN, dino.STD))
    shown = (pixels[0].double().numpy() * own_std + own_mean - mean) / std
    state = {name: value.numpy() for name, value in dino.state().items()}
    guest = patch_tokens(state, shown, dino.SHAPE["num_heads"])
    side = dino.SHAPE["patch_size"]
    grid = (pixels.shape[2] // side, pixels.shape[3] // side)
    value = tower.heads(-1, tower.after_blocks(pixels)[0][-2]).value[:, 1:]  # (H, N, D)
    maps = torch.from_numpy(value).transpose(1, 2).unflatten(2, tower.grid(pixels))
    value = F.interpolate(maps, grid, mode="bilinear", align_corners=False).flatten(2).transpose(1, 2).numpy()
    unit = guest / np.linalg.norm(guest, axis=1, keepdims=True)
    alike = unit @ unit.T
    alike = 3 * (alike - 1.2 * alike.mean())
    weights = softmax_rows(np.where(alike < 0, -np.inf, alike))
    return tower.project(tower.attended(-1, weights @ value)), grid
