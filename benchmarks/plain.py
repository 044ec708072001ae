"""CLIPtrase a picture at a time, as one would first write it from the paper: the measure of what batching brings.

Protocol `paper`. Blocks with explicit attention, cosine similarity of broadcast heads, scikit-learn's DBSCAN, SciPy's
median filter, whole stacks of upsampled maps. It shares no code with the package, and its label maps must equal the
package's (tests/benchmarks/test_plain.py).

The released code broadcasts one head after the other, where here all heads go at once, and computes more than anything
reads: the similarity in the last block too, and the mean over heads of what every other block attends by. With
`as_released` this does the same work, in the same order and to the same end.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.cluster import DBSCAN
from torch import Tensor
from torch.nn import functional as F


class PlainSegmenter:
    """The method on single pictures.

    Args:
        clip: an open_clip model with a ViT that has a class token.
        mean: (3,) RGB mean in [0, 1].
        std: (3,) RGB standard deviation.
        eps: DBSCAN's radius.
        min_samples: DBSCAN's neighbours of a core point.
        as_released: whether to do all the work of the released code, also what nothing reads.
    """

    def __init__(
        self, clip: Any, mean: Tensor, std: Tensor, eps: float, min_samples: int, as_released: bool = False
    ) -> None:
        self.tower = clip.visual
        self.scale = clip.logit_scale.exp()
        self.mean, self.std = mean.view(3, 1, 1), std.view(3, 1, 1)
        self.eps, self.min_samples = eps, min_samples
        self.as_released = as_released

    @torch.no_grad()
    def __call__(self, image: Tensor, text: Tensor) -> NDArray[np.int64]:
        """(3, n, n) uint8 picture and (C, E) unit text embeddings to an (n, n) map of names."""
        size = image.shape[1:]
        tokens, correlation = self.encode((image / 255 - self.mean) / self.std)
        side = size[0] // self.tower.patch_size[0]
        logits = (self.scale * tokens[1:].float() @ text.T).T.reshape(1, len(text), side, side)
        full = F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)
        names = full[0].argmax(0).cpu().numpy()
        affinity = (correlation[1:, 1:] - correlation[:1, 1:]).clamp(min=0).cpu().numpy()
        clusters = DBSCAN(eps=self.eps, min_samples=self.min_samples).fit_predict(affinity)
        if clusters.max() < 0:
            return names
        regions = self.regions(affinity, clusters, side, size[0])
        voted = names.copy()
        for region in np.unique(regions):
            inside = regions == region
            voted[inside] = np.bincount(names[inside]).argmax()
        return voted

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(3, n, n) to unit tokens (N + 1, E) and the correlation (N + 1, N + 1) of the block before the last."""
        tower = self.tower
        patches = tower.conv1(pixels.unsqueeze(0)).flatten(2).transpose(1, 2)  # (1, N, W)
        x = torch.cat([tower.class_embedding.view(1, 1, -1).to(patches.dtype), patches], 1)[0]  # (N + 1, W)
        x = tower.ln_pre(x + self.position(round(patches.shape[1] ** 0.5)))
        *_, before_last, last = blocks = list(tower.transformer.resblocks)
        unread: list[Tensor] = []
        for block in blocks:
            query, key, value = self.heads(block, x)  # (H, N + 1, D)
            if block is before_last:
                correlation = self.correlation(query, key, value)
            pairs = [(query, query), (key, key), (value, value)] if block is last else [(query, key)]
            factor = query.shape[-1] ** -0.5
            products = [a * factor @ b.mT for a, b in pairs]  # each (H, N + 1, N + 1)
            if self.as_released:
                similar = self.correlation(query, key, value) if block is last else products[0].clone().mean(0)
                unread.append(similar)
            weights = torch.stack([product.softmax(-1) for product in products]).sum(0)  # (H, N + 1, N + 1)
            attended = (weights.to(value.dtype) @ value).transpose(0, 1).flatten(1)  # (N + 1, W)
            x = x + block.attn.out_proj(attended)
            x = x + block.mlp(block.ln_2(x))
        tokens = tower.ln_post(x) @ tower.proj
        if unread:
            torch.stack(unread)
        return tokens / tokens.norm(dim=-1, keepdim=True), correlation

    @staticmethod
    def heads(block: Any, x: Tensor) -> list[Tensor]:
        """Query, key and value, each (H, N + 1, D)."""
        qkv = F.linear(block.ln_1(x), block.attn.in_proj_weight, block.attn.in_proj_bias)
        return [part.unflatten(1, (block.attn.num_heads, -1)).transpose(0, 1) for part in qkv.chunk(3, -1)]

    def correlation(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Cosine similarity of every pair of tokens, mean over q, k, v and heads: (N + 1, N + 1)."""
        parts = (query.float(), key.float(), value.float())
        if self.as_released:
            by_head = []
            for head in zip(*parts, strict=True):
                cosines = [F.cosine_similarity(part.unsqueeze(1), part.unsqueeze(0), dim=-1) for part in head]
                by_head.append((cosines[0] + cosines[1] + cosines[2]) / 3)
            return torch.stack(by_head).mean(0)
        similar = [F.cosine_similarity(part.unsqueeze(1), part.unsqueeze(2), dim=-1) for part in parts]
        mean: Tensor = torch.stack(similar).mean((0, 1))
        return mean

    def position(self, side: int) -> Tensor:
        """Position embedding for side x side patches: (N + 1, W)."""
        embedding: Tensor = self.tower.positional_embedding
        native = self.tower.grid_size[0]
        if side == native:
            return embedding
        grid = embedding[1:].T.reshape(1, -1, native, native)
        grid = F.interpolate(grid, scale_factor=(side + 0.1) / native, mode="bicubic")
        return torch.cat([embedding[:1], grid[0].flatten(1).T])

    @staticmethod
    def regions(affinity: NDArray[np.float32], clusters: NDArray[np.int64], side: int, size: int) -> NDArray[np.int64]:
        """(N, N) rows and their (N,) clusters to a (size, size) map of clusters."""
        means = [affinity[clusters == number].mean(0).reshape(side, side) for number in range(clusters.max() + 1)]
        maps = torch.from_numpy(np.stack(means)).unsqueeze(0)  # (1, K, h, w)
        enlarged = F.interpolate(maps, scale_factor=4, mode="bilinear", align_corners=False)[0].numpy()
        smooth = np.stack([ndimage.median_filter(one, size=7) for one in enlarged])
        full = F.interpolate(torch.from_numpy(smooth).unsqueeze(0), size=(size, size), mode="bilinear")
        return full[0].argmax(0).numpy()
