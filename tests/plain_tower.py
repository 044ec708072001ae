"""CLIP's visual tower once more, in NumPy and float64, one picture at a time: for references of whole methods."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from torch import Tensor

from tests.references import Array, position_embedding, softmax_rows


class Heads(NamedTuple):
    """What tokens become in a block's attention: (H, T, D) each."""

    query: Array
    key: Array
    value: Array


class PlainTower:
    """Quick GELU, layer-norm eps 1e-5 and the `dino` position embedding.

    Args:
        state: of an open_clip model, by its names.
        head_width: D.
    """

    def __init__(self, state: Mapping[str, Tensor], head_width: int) -> None:
        self.state = {
            name.removeprefix("visual."): value.double().numpy()
            for name, value in state.items()
            if name.startswith("visual.")
        }
        self.width = head_width
        self.patch = self.state["conv1.weight"].shape[-1]
        self.blocks = 1 + max(int(name.split(".")[2]) for name in self.state if "resblocks" in name)

    def grid(self, pixels: Tensor) -> tuple[int, int]:
        """(h, w) patches of (1, 3, H, W)."""
        return pixels.shape[2] // self.patch, pixels.shape[3] // self.patch

    def after_blocks(self, pixels: Tensor) -> tuple[list[Array], list[Array]]:
        """(N+1, W) tokens after every block, and (N+1, N+1) mean attention over heads in every block."""
        x = self._embed(pixels)
        tokens, attention = [], []
        for block in range(self.blocks):
            heads = self.heads(block, x)
            weights = self.attention(heads.query, heads.key)
            x = x + self.attended(block, weights @ heads.value)
            x = x + self._mlp(block, x)
            tokens.append(x)
            attention.append(weights.mean(0))
        return tokens, attention

    def heads(self, block: int, tokens: Array) -> Heads:
        """Of (T, W) tokens that go into a block, counted from 0 or from the end."""
        joined = self._linear(block, "attn.in_proj_", self._norm(f"{self._block(block)}ln_1", tokens))
        split = joined.reshape(len(tokens), 3, -1, self.width).transpose(1, 2, 0, 3)
        return Heads(*split)

    def attention(self, query: Array, key: Array) -> Array:
        """(H, T, T) softmax of scaled products."""
        return softmax_rows(query @ key.swapaxes(1, 2) / math.sqrt(self.width))

    def attended(self, block: int, gathered: Array) -> Array:
        """Output projection of (H, T, D): (T, W)."""
        return self._linear(block, "attn.out_proj.", gathered.swapaxes(0, 1).reshape(gathered.shape[1], -1))

    def project(self, tokens: Array) -> Array:
        """(T, W) to the text's space, (T, E)."""
        projected: Array = self._norm("ln_post", tokens) @ self.state["proj"]
        return projected

    def _embed(self, pixels: Tensor) -> Array:
        (rows, columns), side = self.grid(pixels), self.patch
        picture = pixels[0].double().numpy()
        kernel = self.state["conv1.weight"].reshape(-1, 3 * side**2)
        patches = [
            kernel @ picture[:, y * side : (y + 1) * side, x * side : (x + 1) * side].ravel()
            for y in range(rows)
            for x in range(columns)
        ]
        position = self.state["positional_embedding"]
        native = math.isqrt(len(position) - 1)
        position = position_embedding(position, (native, native), (rows, columns))
        return self._norm("ln_pre", np.stack([self.state["class_embedding"], *patches]) + position)

    def _mlp(self, block: int, tokens: Array) -> Array:
        hidden = self._linear(block, "mlp.c_fc.", self._norm(f"{self._block(block)}ln_2", tokens))
        return self._linear(block, "mlp.c_proj.", hidden / (1 + np.exp(-1.702 * hidden)))

    def _norm(self, name: str, tokens: Array) -> Array:
        centred = tokens - tokens.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
        normed: Array = scaled * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]
        return normed

    def _linear(self, block: int, name: str, tokens: Array) -> Array:
        weight, bias = (self.state[f"{self._block(block)}{name}{kind}"] for kind in ("weight", "bias"))
        made: Array = tokens @ weight.T + bias
        return made

    def _block(self, block: int) -> str:
        return f"transformer.resblocks.{block % self.blocks}."
