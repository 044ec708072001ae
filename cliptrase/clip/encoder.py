"""Dense features from an open_clip visual tower whose blocks are walked here."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.attention import AttentionRule, Projections, query_key
from cliptrase.clip.block import complete_block, project
from cliptrase.errors import InputError
from cliptrase.methods import Method
from cliptrase.ops.classification import Size, check_grid
from cliptrase.ops.position import PositionEmbedding, resample_position_embedding
from cliptrase.timing import stage

# Tokens that a CPU walks with at a time. An MLP's hidden values then stay under 32 MiB for the usual widths; larger
# ones glibc takes from the system anew at every use, and clearing their pages costs a tenth of a step and more.
_TOKENS = 1800


@dataclass(frozen=True)
class Walk:
    """What one walk through the tower's blocks gives, under one position embedding.

    Attributes:
        features: by method's name (B, N+1, E) tokens after ln_post and projection, class token first, not of unit
            length.
        penultimate: projections of the block before the last, from which the correlation is taken.
    """

    features: dict[str, Tensor]
    penultimate: Projections


@dataclass(frozen=True)
class Encoding:
    """What the tower gives for a batch under several methods.

    Attributes:
        walks: one for each distinct position embedding; on the native grid all methods share one.
        grid: (h, w) patches, h * w = N.
        features: see `Walk`, of all walks, in the order asked for.
    """

    walks: list[Walk]
    grid: Size
    features: dict[str, Tensor]

    @property
    def penultimate(self) -> Projections:
        """Projections of the block before the last in the first method's walk."""
        return self.walks[0].penultimate


class VisualEncoder(nn.Module):
    """Walks the blocks of an open_clip `VisionTransformer` with a class token.

    Args:
        tower: `model.visual` of an open_clip model.

    Raises:
        InputError: the tower is of another kind (ResNet, timm trunk, attention pooling, no class token).
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = _supported(tower)

    def require(self, methods: Sequence[Method]) -> None:
        """Checks that the tower is deep enough.

        Raises:
            InputError: a method whose rule governs more blocks than there are.
        """
        blocks = len(self.tower.transformer.resblocks)
        for method in methods:
            if method.depth > blocks:
                raise InputError(
                    f"method {method.name} governs the last {method.depth} blocks, but the visual tower has {blocks}; "
                    "take another method or a deeper tower such as ViT-B-16"
                )

    def forward(self, pixels: Tensor, methods: Sequence[Method]) -> Encoding:
        """Features of a batch under several methods.

        The blocks are walked once for all methods that share the position embedding's resampling, on the native
        grid for all.

        Args:
            pixels: (B, 3, H, W) normalised, H and W multiples of the patch.
            methods: at least one.

        Raises:
            InputError: the tower is too shallow for a method.
            ValueError: H or W is not a multiple of the patch.
        """
        self.require(methods)
        grid = self._grid(pixels)
        native = tuple(self.tower.grid_size) == grid
        companies: dict[PositionEmbedding, list[Method]] = {}
        for method in methods:
            companies.setdefault("dino" if native else method.position_embedding, []).append(method)
        at_a_time = len(pixels) if pixels.is_cuda else max(1, _TOKENS // (grid[0] * grid[1] + 1))
        parts = []
        for some in pixels.split(at_a_time):
            with stage("forward", pixels.device):
                patches = self._patches(some, grid)
            parts.append([self._walk(patches, how, group, grid) for how, group in companies.items()])
        with stage("forward", pixels.device):
            walks = [_joined(walk) for walk in zip(*parts, strict=True)]
        found = {name: features for walk in walks for name, features in walk.features.items()}
        return Encoding(walks, grid, {method.name: found[method.name] for method in methods})

    def blocks(self, pixels: Tensor) -> Iterator[Projections]:
        """What every block of CLIP's own walk attends with, first to last, one block in memory at a time.

        Args:
            pixels: (B, 3, H, W) normalised, H and W multiples of the patch.

        Raises:
            ValueError: H or W is not a multiple of the patch.
        """
        grid = self._grid(pixels)
        x = self._embed(self._patches(pixels, grid), grid, "dino")
        *blocks, last = self.tower.transformer.resblocks
        for block in blocks:
            p = project(block, x, grid)
            yield p
            x = complete_block(block, x, query_key(p))
        yield project(last, x, grid)

    def _grid(self, pixels: Tensor) -> Size:
        """(h, w) patches of (B, 3, H, W)."""
        height, width = self.tower.patch_size
        return check_grid((pixels.shape[2], pixels.shape[3]), (int(height), int(width)))

    def _patches(self, pixels: Tensor, grid: Size) -> Tensor:
        """Patch embedding: (B, 3, H, W) to (B, N, W).

        The patch convolution does not overlap, so it is one matrix product, which unlike cuDNN's convolution
        is not rounded to TF32 by default.
        """
        weight = self.tower.conv1.weight.flatten(1)  # (W, 3 * p * p)
        return F.linear(_unfold(pixels, grid), weight, self.tower.conv1.bias)

    def _embed(self, patches: Tensor, grid: Size, how: PositionEmbedding) -> Tensor:
        """Class token and position embedding: (B, N, W) to (B, N+1, W)."""
        tower = self.tower
        token = tower.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        position = resample_position_embedding(tower.positional_embedding, tower.grid_size, grid, how)
        embedded: Tensor = tower.ln_pre(torch.cat([token, patches], dim=1) + position.to(patches.dtype))
        return embedded

    def _walk(self, patches: Tensor, how: PositionEmbedding, methods: Sequence[Method], grid: Size) -> Walk:
        """Runs all blocks over (B, N, W) patches; methods that read alike share the reading."""
        tower = self.tower
        readings: dict[_Reading, list[str]] = {}  # and whose they are
        for method in methods:
            readings.setdefault(_reading(method), []).append(method.name)

        def serving(names: list[str]) -> AbstractContextManager[None]:
            return stage("forward", patches.device, names)

        all_names = [method.name for method in methods]
        deep_names = [method.name for method in methods if method.depth > 1]
        with serving(all_names):
            x = self._embed(patches, grid, how)  # (B, N+1, W)
        blocks = list(tower.transformer.resblocks)
        streams: dict[_Reading, Tensor] = {}
        projected: list[Projections] = []  # of the last two blocks
        for left, block in zip(range(len(blocks), 0, -1), blocks, strict=True):
            with serving(all_names):
                p = project(block, x, grid)
                onward = complete_block(block, x, query_key(p)) if left > 1 else x
            for reading, names in readings.items():
                rule, residual, mlp, depth = reading
                if left <= depth:
                    with serving(names):
                        streams[reading] = complete_block(block, streams.get(reading, x), rule(p), residual, mlp)
            projected, x = [*projected[-1:], p], onward
        if deep_names:
            with serving(deep_names):
                attended = F.scaled_dot_product_attention(p.query[:, :, :1], p.key, p.value)
                token = complete_block(
                    block, x[:, :1], attended
                )  # (B, 1, W): all that is needed of CLIP's own last block
        features: dict[str, Tensor] = {}
        for reading, y in streams.items():
            with serving(readings[reading]):
                if reading[-1] > 1:
                    y = torch.cat([token, y[:, 1:]], dim=1)
                features |= dict.fromkeys(readings[reading], tower.ln_post(y) @ tower.proj)  # (B, N+1, E)
        return Walk(features, projected[0])


def _joined(walks: Sequence[Walk]) -> Walk:
    """Walks of a batch's parts as one of the whole batch."""
    first, *more = walks
    if not more:
        return first
    features = {name: torch.cat([walk.features[name] for walk in walks]) for name in first.features}
    p = [walk.penultimate for walk in walks]
    query, key, value = (torch.cat([getattr(one, name) for one in p]) for name in ("query", "key", "value"))
    return Walk(features, Projections(query, key, value, torch.cat([one.tokens for one in p]), p[0].grid))


_Reading = tuple[AttentionRule, bool, bool, int]


def _reading(method: Method) -> _Reading:
    """What decides a method's features under a given position embedding."""
    return method.attention, method.residual, method.mlp, method.depth


def _unfold(pixels: Tensor, grid: Size) -> Tensor:
    """(B, 3, H, W) to (B, N, 3 * p * p), each row one patch in the convolution's weight order."""
    batch, channels, height, width = pixels.shape
    patches = pixels.reshape(batch, channels, grid[0], height // grid[0], grid[1], width // grid[1])
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def _supported(tower: nn.Module) -> VisionTransformer:
    wanted = "supported are open_clip VisionTransformers with a class token, such as ViT-B-16, ViT-L-14 or ViT-H-14"
    if not isinstance(tower, VisionTransformer):
        raise InputError(f"a visual tower of type {type(tower).__name__} has no dense class-token attention; {wanted}")
    if tower.attn_pool is not None or tower.pool_type != "tok" or tower.proj is None:
        raise InputError(f"the visual tower pools by {tower.pool_type!r}, not by its class token; {wanted}")
    blocks = list(tower.transformer.resblocks)
    if len(blocks) < 2 or any(type(block) is not ResidualAttentionBlock for block in blocks):
        kinds = sorted({type(block).__name__ for block in blocks})
        raise InputError(f"the visual tower has {len(blocks)} blocks of type {', '.join(kinds)}; {wanted}")
    return tower
