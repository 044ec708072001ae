"""Methods as a user writes them: tests name them by `FILE.py:NAME`, and the contract test runs over them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.attention import Projections
from cliptrase.clip.trunk import Trunk
from cliptrase.methods import Method
from cliptrase.readings import last_block, reading


def key_key(p: Projections) -> Tensor:
    """softmax(k k^T s) v. Returns (B, H, N+1, D)."""
    return F.scaled_dot_product_attention(p.key, p.key, p.value)


KEY_KEY = Method("key_key", "tests", last_block(key_key, residual=False, mlp=False))


@reading(projections=(-1,), tokens=(1, -2), attention=(-2,))
def mixed(trunk: Trunk) -> Tensor:
    """The last block's values, spread by the attention of the block before, on tokens of two depths."""
    weights = trunk.mean_attention(-2).to(trunk.projections(-1).value.dtype).unsqueeze(1)  # (B, 1, N+1, N+1)
    attended = weights @ trunk.projections(-1).value
    tokens = trunk.complete(-1, attended, torch.lerp(trunk.tokens(-2), trunk.tokens(1), 0.5), mlp=False)
    return trunk.project(tokens)


MIXED = Method("mixed", "tests", mixed, position_embedding="bilinear", regions=True)
