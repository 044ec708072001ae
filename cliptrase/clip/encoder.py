"""Dense features from an open_clip visual tower whose blocks are run here, one by one."""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.attention import Projections, mean_attention, query_key
from cliptrase.clip.block import complete_block, project
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.requirements import (
    Asked,
    check_guest,
    check_methods,
    checked_features,
    loaded_reading,
    supported_tower,
)
from cliptrase.clip.trunk import Block, DenseFeatures, GuestFeatures, Kept, Reading, Trunk
from cliptrase.common.errors import InputError
from cliptrase.common.timing import stage
from cliptrase.methods import Method
from cliptrase.ops.classification import Size, check_grid
from cliptrase.ops.position import PositionEmbedding, resample_position_embedding
from cliptrase.ops.precision import check_precision, in_precision

_Options = tuple[tuple[str, float], ...]  # names and values

# Tokens that a CPU takes through the blocks at a time. An MLP's hidden values then stay under 32 MiB for the usual
# widths; larger ones glibc takes from the system anew at every use, and clearing their pages costs a tenth of a step
# and more.
_TOKENS = 1800


@dataclass(frozen=True)
class TowerPass:
    """What one pass through the tower's blocks gives, under one position embedding.

    Attributes:
        features: by method's name (B, n+1, E) tokens after ln_post and projection, class token first, not of unit
            length.
        grids: by method's name (h, w) patches of its features, h * w = n.
        penultimate: projections of the block before the last, from which the correlation is taken; None where no
            method of the pass has regions.
    """

    features: dict[str, Tensor]
    grids: dict[str, Size]
    penultimate: Projections | None


@dataclass(frozen=True)
class Encoding:
    """What the tower gives for a batch under several methods.

    Attributes:
        passes: one for each distinct position embedding; on the native grid all methods share one.
        features: see `TowerPass`, of all passes, in the order asked for.
        grids: likewise.
    """

    passes: list[TowerPass]
    features: dict[str, Tensor]
    grids: dict[str, Size]


class VisualEncoder(nn.Module):
    """Runs the blocks of an open_clip `VisionTransformer` with a class token.

    Args:
        tower: `model.visual` of an open_clip model.
        guest: a second tower for readings that ask for one.
        mean: of the pixels' normalisation, RGB in [0, 1]; with `std` it is undone for the guest, which has its own.
        std: likewise.
        precision: of tower and guest; see `ops.precision`.

    Raises:
        InputError: the tower is of another kind (ResNet, timm trunk, attention pooling, no class token), or there is no
            such precision.
    """

    def __init__(
        self,
        tower: nn.Module,
        guest: GuestTower | None = None,
        mean: Sequence[float] = (0, 0, 0),
        std: Sequence[float] = (1, 1, 1),
        precision: str = "32-true",
    ) -> None:
        super().__init__()
        check_precision(precision)
        self.precision = precision
        self.tower = supported_tower(tower)
        self.guest = guest
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1), persistent=False)

    def require(self, methods: Sequence[Method]) -> None:
        """Checks that the tower has what methods read.

        Raises:
            InputError: a method reads a block that the tower does not have or a guest that is not there, its position
                embedding is resampled in no known way, or it reads what is no `Reading`.
        """
        check_methods(methods, len(self.tower.transformer.resblocks))
        if self.guest is None:
            check_guest(methods, None)

    def forward(
        self, pixels: Tensor, methods: Sequence[Method], text: Tensor | None = None, window: Tensor | None = None
    ) -> Encoding:
        """Features of a batch under several methods.

        Methods that share the position embedding's resampling share one pass through the blocks, on the native grid
        all do. Each pass keeps what its methods' readings ask for and nothing else.

        Args:
            pixels: (B, 3, H, W) normalised, H and W multiples of the patch.
            methods: at least one.
            text: (C, E) unit embeddings of the names, for readings that ask for them, the background's first.
            window: (B, 3, H', W') normalised, that the grid is stretched over, where that is more; see `Trunk.window`.

        Raises:
            InputError: the tower is too shallow for a method, text embeddings or a guest that it asks for are missing,
                a reading does not return (B, N+1, E), or the device has not the precision.
            ValueError: H or W is not a multiple of the patch.
        """
        self.require(methods)
        if text is None and (asking := [method.name for method in methods if loaded_reading(method).text]):
            raise InputError(f"method {asking[0]} reads the names' text embeddings; give them as `text`")
        grid = self._grid(pixels)
        native = tuple(self.tower.grid_size) == grid
        by_position: dict[PositionEmbedding, list[Method]] = {}
        for method in methods:
            by_position.setdefault("dino" if native else method.position_embedding, []).append(method)
        at_a_time = len(pixels) if pixels.is_cuda else max(1, _TOKENS // (grid[0] * grid[1] + 1))
        parts = []
        for part, shown in zip(
            pixels.split(at_a_time), (pixels if window is None else window).split(at_a_time), strict=True
        ):
            with in_precision(self.precision, pixels.device):
                with stage("forward", pixels.device):
                    patches = self._patches(part, grid)
                beside = _Beside(shown, text, self._guest_features(part, methods))
                groups = by_position.items()
                parts.append([self._pass(part, patches, how, group, grid, beside) for how, group in groups])
        with stage("forward", pixels.device):
            passes = [_joined(parts_of_pass) for parts_of_pass in zip(*parts, strict=True)]
        features = {name: tokens for each in passes for name, tokens in each.features.items()}
        grids = {name: on_grid for each in passes for name, on_grid in each.grids.items()}
        names = [method.name for method in methods]
        return Encoding(passes, {name: features[name] for name in names}, {name: grids[name] for name in names})

    def blocks(self, pixels: Tensor) -> Iterator[Projections]:
        """What every block of CLIP's own pass attends with, first to last, one block in memory at a time.

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
            x = complete_block(block, query_key(p), x)
        yield project(last, x, grid)

    def tokens(self, pixels: Tensor, block: int, how: PositionEmbedding = "dino") -> Tensor:
        """(B, N+1, W) tokens after a block of CLIP's own pass, class token first.

        Args:
            pixels: (B, 3, H, W) normalised, H and W multiples of the patch.
            block: counted from 0.
            how: how the position embedding is resampled where the grid is not the tower's own.

        Raises:
            ValueError: H or W is not a multiple of the patch.
        """
        grid = self._grid(pixels)
        x = self._embed(self._patches(pixels, grid), grid, "dino" if tuple(self.tower.grid_size) == grid else how)
        with in_precision(self.precision, pixels.device):
            for module in list(self.tower.transformer.resblocks)[: block + 1]:
                x = complete_block(module, query_key(project(module, x, grid)), x)
        return x

    def _guest_features(self, pixels: Tensor, methods: Sequence[Method]) -> GuestFeatures | None:
        """What the guest says of normalised pixels, (B, 3, H, W), where a method asks."""
        names = [method.name for method in methods if loaded_reading(method).guest]
        if self.guest is None or not names:
            return None
        with stage("forward", pixels.device, names):
            features: GuestFeatures = self.guest(pixels * self.std + self.mean)
            return features

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

    def _pass(
        self,
        pixels: Tensor,
        patches: Tensor,
        how: PositionEmbedding,
        methods: Sequence[Method],
        grid: Size,
        beside: "_Beside",
    ) -> TowerPass:
        """Runs all blocks over (B, N, W) patches; methods that read alike share the reading."""
        blocks = list(self.tower.transformer.resblocks)
        count = len(blocks)
        readings: dict[Reading, list[str]] = {}  # and whose they are
        alike: dict[tuple[Reading, _Options], list[str]] = {}
        for method in methods:
            reading = loaded_reading(method)
            options = tuple((option.name, option.at(count)) for option in method.reading_options)
            readings.setdefault(reading, []).append(method.name)
            alike.setdefault((reading, options), []).append(method.name)
        all_names = [method.name for method in methods]
        voters = [method.name for method in methods if method.regions]

        def serving(names: Sequence[str] = all_names) -> AbstractContextManager[None]:
            return stage("forward", patches.device, names)

        asked = Asked.of(readings, count)
        kept, carried, penultimate = Kept(), dict[Reading, Any](), None
        with serving():
            x = self._embed(patches, grid, how)  # (B, N+1, W)
        for number, module in enumerate(blocks):
            with serving():
                p = project(module, x, grid)
                if number in asked.projections:
                    kept.projections[number] = p
            if number == count - 2 and voters:
                penultimate = p
            if names := asked.attention.get(number):
                with serving(names):
                    kept.attention[number] = mean_attention(p)
            for reading, names in readings.items():
                if reading.step and count - number <= reading.depth:
                    with serving(names):
                        block = Block(module, number, x, p)
                        carried[reading] = reading.step(block, carried.get(reading))
            if number < count - 1 or number in asked.tokens:
                with serving(all_names if number < count - 1 else asked.tokens[number]):
                    x = complete_block(module, query_key(p), x)
                    if number in asked.tokens:
                        kept.tokens[number] = x
        features: dict[str, Tensor] = {}
        grids: dict[str, Size] = {}
        for (reading, options), names in alike.items():
            with serving(names):
                window, text, guest = beside.of(reading)
                trunk = Trunk(
                    *(self.tower, reading, grid, kept, pixels, window, dict(options), carried.get(reading), text, guest)
                )
                dense = reading(trunk)
                read = dense if isinstance(dense, DenseFeatures) else DenseFeatures(dense, grid)
                wanted = (len(patches), math.prod(read.grid) + 1, self.tower.proj.shape[1])
                features |= dict.fromkeys(names, checked_features(read.tokens, wanted, names[0]))
                grids |= dict.fromkeys(names, read.grid)
        return TowerPass(features, grids, penultimate)


class _Beside(NamedTuple):
    """What readings see besides the tower; what all may see comes first."""

    window: Tensor
    text: Tensor | None
    guest: GuestFeatures | None

    def of(self, reading: Reading) -> "_Beside":
        """What this reading asked for."""
        return _Beside(self.window, self.text if reading.text else None, self.guest if reading.guest else None)


def _joined(parts: Sequence[TowerPass]) -> TowerPass:
    """Passes of a batch's parts as one of the whole batch."""
    first, *more = parts
    if not more:
        return first
    features = {name: torch.cat([part.features[name] for part in parts]) for name in first.features}
    p = [part.penultimate for part in parts if part.penultimate is not None]
    if not p:
        return TowerPass(features, first.grids, None)
    query, key, value = (torch.cat([getattr(part, name) for part in p]) for name in ("query", "key", "value"))
    joined = Projections(query, key, value, torch.cat([part.tokens for part in p]), p[0].grid)
    return TowerPass(features, first.grids, joined)


def _unfold(pixels: Tensor, grid: Size) -> Tensor:
    """(B, 3, H, W) to (B, N, 3 * p * p), each row one patch in the convolution's weight order."""
    batch, channels, height, width = pixels.shape
    patches = pixels.reshape(batch, channels, grid[0], height // grid[0], grid[1], width // grid[1])
    return patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
