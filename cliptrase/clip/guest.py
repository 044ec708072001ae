"""A guest: a second tower beside CLIP's, whose patch features readings may use (ProxyCLIP's DINO, say)."""

import hashlib
from typing import Any

import torch
from timm.layers.patch_embed import PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.clip.checkpoint import check_finite, hash_parameters
from cliptrase.clip.trunk import GuestFeatures
from cliptrase.common.errors import InputError
from cliptrase.ops.classification import Size, has_direction
from cliptrase.ops.position import PositionEmbedding, resample_position_embedding

SUPPORTED = "supported are timm's vision transformers, such as vit_base_patch8_224.dino"
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_TOKENS = 1800  # that a CPU takes through the blocks at a time; see `encoder._TOKENS`


class GuestTower(nn.Module):
    """Patch features of a vision transformer of timm: the last block's patch tokens after the final LayerNorm.

    The position embedding goes to other grids as the tower's authors resample it: DINO's and DINOv2's without registers
    bicubically by the scale factor (h + 0.1) / g, which the factor rather than the output size governs
    (`interpolate_pos_encoding` of facebookresearch/dino, and of facebookresearch/dinov2 with `interpolate_offset` 0.1);
    that of DINOv2 with registers, and of all others, bicubically with antialias to the exact size (dinov2's
    `interpolate_antialias`, timm). timm itself treats all in the last way, which moves DINO's features by some percent.

    Args:
        module: made with `dynamic_img_size=True`; its `pretrained_cfg` names architecture and tag, which tell DINO, and
            mean and standard deviation, without which ImageNet's are taken. It is frozen, in float32.
        name: as it is called in results; None takes the architecture.

    Attributes:
        architecture: timm's name with the tag of the weights, `vit_base_patch8_224.dino`.
        position_embedding: how it is resampled: `dino` or `antialias`; see `ops.position`.
        patch: (height, width) pixels.
        weights_hash: SHA-256 over the names, shapes and values of all parameters, 16 hexadecimal digits.
        config_hash: likewise over what else decides its features: modules, heads, normalisation, position embedding.

    Raises:
        InputError: a module of another kind, one for images of one size alone, or weights that are not finite.
    """

    def __init__(self, module: nn.Module, name: str | None = None) -> None:
        super().__init__()
        config = getattr(module, "pretrained_cfg", None) or {}
        patch = getattr(getattr(module, "patch_embed", None), "patch_size", None)
        if patch is None or not hasattr(module, "forward_features") or not hasattr(module, "num_prefix_tokens"):
            raise InputError(f"a guest tower of type {type(module).__name__} gives no patch features; {SUPPORTED}")
        if not getattr(module, "dynamic_img_size", False):
            raise InputError(
                f"the guest tower {type(module).__name__} takes images of one size alone; make it with "
                "timm.create_model(..., dynamic_img_size=True)"
            )
        self.module: Any = module.float().eval().requires_grad_(False)
        self.architecture = ".".join(filter(None, (config.get("architecture"), config.get("tag"))))
        self.architecture = self.architecture or type(module).__name__
        self.name = name or self.architecture
        self.position_embedding = _resampling(self.architecture)
        self.patch = (int(patch[0]), int(patch[1]))
        check_finite(module, f"guest {self.name}")
        self.weights_hash = hash_parameters(module)
        self.mean: Tensor
        self.std: Tensor
        for key, usual in (("mean", _IMAGENET_MEAN), ("std", _IMAGENET_STD)):
            value = torch.tensor(config.get(key) or usual, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(key, value, persistent=False)
        heads = [getattr(part, "num_heads", None) for part in module.modules()]
        decides = (repr(module), heads, self.mean.tolist(), self.std.tolist(), self.position_embedding)
        self.config_hash = hashlib.sha256(repr(decides).encode()).hexdigest()[:16]

    def forward(self, pixels: Tensor) -> GuestFeatures:
        """Patch features of images, which are resized bilinearly to the nearest whole number of patches.

        A CPU takes a few images at a time, so that memory grows by their features alone.

        Args:
            pixels: (B, 3, H, W) RGB in [0, 1].

        Raises:
            InputError: features that are zero or not finite.
        """
        grid = tuple(max(1, round(side / step)) for side, step in zip(pixels.shape[2:], self.patch, strict=True))
        size = (grid[0] * self.patch[0], grid[1] * self.patch[1])
        at_a_time = len(pixels) if pixels.is_cuda else max(1, _TOKENS // (grid[0] * grid[1] + 1))
        tokens = torch.cat([self._tokens(part, size) for part in pixels.split(at_a_time)])
        if not has_direction(tokens).all():
            in_half = tokens.dtype != torch.float32 or torch.is_autocast_enabled(tokens.device.type)
            raise InputError(
                f"guest {self.name}: features are zero or not finite (NaN or infinite); take "
                f"{'`trainer.precision` 32-true, or ' if in_half else ''}undamaged weights"
            )
        return GuestFeatures(tokens, (grid[0], grid[1]))

    def _tokens(self, pixels: Tensor, size: Size) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1], shown at `size`, to (B, n, E') patch features."""
        if size != tuple(pixels.shape[2:]):
            pixels = F.interpolate(pixels, size, mode="bilinear", align_corners=False, antialias=True)
        pixels = (pixels - self.mean) / self.std
        if type(self.module) is VisionTransformer:
            module = self.module
            tokens: Tensor = module.norm(module.blocks(module.norm_pre(self._embed(pixels))))
        else:  # timm's relatives, DINOv3 among them, whose positions need no table
            tokens = self.module.forward_features(pixels)
        return tokens[:, self.module.num_prefix_tokens :]

    def _embed(self, pixels: Tensor) -> Tensor:
        """Normalised pixels to (B, P + n, W): class token and registers first, the position embedding added."""
        module = self.module
        grid = (pixels.shape[2] // self.patch[0], pixels.shape[3] // self.patch[1])
        patches = self._patches(pixels)
        before = [
            token.expand(len(pixels), -1, -1) for token in (module.cls_token, module.reg_token) if token is not None
        ]
        if module.pos_embed is None:
            return torch.cat([*before, patches], dim=1)
        native = module.patch_embed.grid_size
        position = resample_position_embedding(module.pos_embed[0], native, grid, self.position_embedding)
        if module.no_embed_class:
            return torch.cat([*before, patches + position], dim=1)
        return torch.cat([*before, patches], dim=1) + position

    def _patches(self, pixels: Tensor) -> Tensor:
        """Patch embedding, (B, n, W).

        The convolution does not overlap, so it is one matrix product, which unlike cuDNN's convolution is not rounded
        to TF32 by default.
        """
        embed = self.module.patch_embed
        if type(embed) is not PatchEmbed:
            patches: Tensor = embed(pixels).flatten(1, 2)
            return patches
        rows = F.unfold(pixels, self.patch, stride=self.patch).mT  # (B, n, 3 * p * p)
        embedded: Tensor = embed.norm(F.linear(rows, embed.proj.weight.flatten(1), embed.proj.bias))
        return embedded


def _resampling(architecture: str) -> PositionEmbedding:
    """How the authors of an architecture's weights resample its position embedding."""
    name, _, tag = architecture.partition(".")
    return "dino" if tag == "dino" or ("dinov2" in name and "_reg" not in name) else "antialias"
