"""What a method reads: a tower's blocks as they pass, what is kept of them, and the record that asks for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor

from cliptrase.attention import Projections
from cliptrase.clip.block import complete_block, project
from cliptrase.common.errors import InputError
from cliptrase.ops.classification import Size

_T = TypeVar("_T")

Numbers = tuple[int, ...] | Callable[[int], tuple[int, ...]]
"""Blocks of a tower, or a function that tells them from how many it has."""


@dataclass(frozen=True)
class Block:
    """One block of the tower while CLIP's own pass goes through it.

    Attributes:
        module: the open_clip `ResidualAttentionBlock`.
        number: its place, counted from 0.
        tokens: (B, N+1, W) that go in, class token first.
        projections: what it attends with.
    """

    module: Any
    number: int
    tokens: Tensor
    projections: Projections

    def complete(self, attended: Tensor, residual: Tensor | None = None, mlp: bool = True) -> Tensor:
        """The rest of the block after attention; see `block.complete_block`."""
        return complete_block(self.module, attended, residual, mlp)


@dataclass(frozen=True)
class GuestFeatures:
    """What a guest tower says of the images.

    Attributes:
        tokens: (B, n, E') patch features, not of unit length.
        grid: (h, w) patches, h * w = n.
    """

    tokens: Tensor
    grid: Size


@dataclass(frozen=True)
class DenseFeatures:
    """Features on another grid than the tower's.

    Attributes:
        tokens: (B, n+1, E) after ln_post and projection, class token first.
        grid: (h, w) patches, h * w = n.
    """

    tokens: Tensor
    grid: Size


@dataclass(frozen=True, eq=False)
class Reading:
    """How features are read from what CLIP computed, and what of it must be kept until then.

    Blocks are counted from 0, or from the end: -1 is the last. Where they depend on how many blocks a tower has, a
    function of that number tells them.

    Attributes:
        read: from a `Trunk` to (B, N+1, E) tokens after ln_post and projection, class token first, or to
            `DenseFeatures` on a grid of its own; a pure function.
        projections: blocks whose `Projections` it reads.
        tokens: blocks after which it reads the tokens.
        attention: blocks whose mean attention over heads it reads.
        text: whether it reads the names' text embeddings.
        guest: whether it reads a guest tower's features.
        step: called with each of the last `depth` blocks as the tower passes it and with what the call before
            returned (None at first). `read` finds what the last call returned in `Trunk.carried`. Only one block's
            projections are then in memory at a time.
        depth: see `step`.

    Raises:
        InputError: `step` without `depth` or `depth` without `step`.
    """

    read: Callable[["Trunk"], "Tensor | DenseFeatures"]
    projections: Numbers = ()
    tokens: Numbers = ()
    attention: Numbers = ()
    text: bool = False
    guest: bool = False
    step: Callable[[Block, Any], Any] | None = None
    depth: int = 0

    def __post_init__(self) -> None:
        for name in ("projections", "tokens", "attention"):
            numbers = getattr(self, name)
            object.__setattr__(self, name, numbers if callable(numbers) else tuple(numbers))
        if (self.step is None) != (self.depth == 0) or self.depth < 0:
            raise InputError(
                f"a reading's step is called at the last `depth` blocks; depth {self.depth} does not go with "
                f"{'no step' if self.step is None else 'a step'}"
            )

    def __call__(self, trunk: "Trunk") -> "Tensor | DenseFeatures":
        """`read`."""
        return self.read(trunk)

    def asks(self, kind: str, blocks: int) -> tuple[int, ...]:
        """The blocks that it names, as it counts them.

        Args:
            kind: `projections`, `tokens` or `attention`.
            blocks: how many the tower has.
        """
        numbers: Numbers = getattr(self, kind)
        return numbers(blocks) if callable(numbers) else numbers

    def numbers(self, blocks: int) -> tuple[int, ...]:
        """All blocks of a tower of so many that it names, as it counts them."""
        named = [self.asks(kind, blocks) for kind in ("projections", "tokens", "attention")]
        return (*sum(named, ()), *((-self.depth,) if self.depth else ()))


@dataclass(frozen=True)
class Kept:
    """What readings asked for in one pass of the tower, by block counted from 0.

    Attributes:
        projections: of blocks.
        tokens: (B, N+1, W) after blocks.
        attention: (B, N+1, N+1) mean over heads, float32.
    """

    projections: dict[int, Projections] = field(default_factory=dict)
    tokens: dict[int, Tensor] = field(default_factory=dict)
    attention: dict[int, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Trunk:
    """What CLIP's visual tower computed for a batch, as one reading asked for it.

    Attributes:
        tower: the open_clip `VisionTransformer`.
        reading: that asked.
        grid: (h, w) patches, h * w = N.
        kept: of the pass.
        pixels: (B, 3, H, W) normalised, that the tower saw.
        window: (B, 3, H', W') normalised, that the grid is stretched over: the pixels, and those right and below that a
            protocol leaves out because they fill no patch.
        options: the method's numbers by name, for this data set and tower.
        carried: what the last call of the reading's `step` returned; None without one.
        text_embeddings: (C, E) unit embeddings of the names, where they are known, the background's first.
        guest_features: of the guest tower, where there is one.
    """

    tower: Any
    reading: Reading
    grid: Size
    kept: Kept
    pixels: Tensor
    window: Tensor
    options: Mapping[str, float] = field(default_factory=dict)
    carried: Any = None
    text_embeddings: Tensor | None = None
    guest_features: GuestFeatures | None = None

    @property
    def blocks(self) -> int:
        """How many the tower has."""
        return len(self.tower.transformer.resblocks)

    @property
    def patch(self) -> Size:
        """(height, width) of a patch in pixels."""
        height, width = self.tower.patch_size
        return int(height), int(width)

    def projections(self, block: int) -> Projections:
        """What a block attends with: q, k, v by head, and the normalised tokens they are made of.

        Raises:
            InputError: the reading did not ask for this block's.
        """
        return self._asked("projections", block, self.kept.projections)

    def tokens(self, block: int) -> Tensor:
        """(B, N+1, W) tokens after a block, class token first.

        Raises:
            InputError: the reading did not ask for this block's.
        """
        return self._asked("tokens", block, self.kept.tokens)

    def mean_attention(self, block: int) -> Tensor:
        """(B, N+1, N+1) a block's softmax(q k^T s), mean over heads, float32; rows sum to 1.

        Raises:
            InputError: the reading did not ask for this block's.
        """
        return self._asked("attention", block, self.kept.attention)

    @property
    def text(self) -> Tensor:
        """(C, E) unit embeddings of the names that the images are segmented by, the background's first.

        Raises:
            InputError: the reading did not ask for them.
        """
        if self.text_embeddings is None:
            raise InputError("a reading that uses trunk.text asks for it: Reading(..., text=True)")
        return self.text_embeddings

    @property
    def guest(self) -> GuestFeatures:
        """What the guest tower says of the images.

        Raises:
            InputError: the reading did not ask for it.
        """
        if self.guest_features is None:
            raise InputError("a reading that uses trunk.guest asks for it: Reading(..., guest=True)")
        return self.guest_features

    def enter(self, block: int, tokens: Tensor, grid: Size) -> Projections:
        """What a block would attend with if these tokens went in: its ln_1 and its projections of them.

        Args:
            block: counted from 0, or from the end.
            tokens: (B, T, W), with or without a class token.
            grid: (h, w) patches.
        """
        return project(self.tower.transformer.resblocks[block], tokens, grid)

    def complete(self, block: int, attended: Tensor, residual: Tensor | None = None, mlp: bool = True) -> Tensor:
        """The rest of a block after attention: output projection, residual connection, MLP.

        Args:
            block: counted from 0, or from the end.
            attended: (B, H, T, D) values that its attention gathered, of all or of some tokens.
            residual: (B, T, W) tokens that its residual connection adds, those that went in; None leaves it out.
            mlp: whether the MLP follows.

        Returns:
            (B, T, W).
        """
        return complete_block(self.tower.transformer.resblocks[block], attended, residual, mlp)

    def project(self, tokens: Tensor) -> Tensor:
        """ln_post and projection to the text's space: (B, T, W) to (B, T, E)."""
        projected: Tensor = self.tower.ln_post(tokens) @ self.tower.proj
        return projected

    def _asked(self, kind: str, block: int, kept: Mapping[int, _T]) -> _T:
        asked = self.reading.asks(kind, self.blocks)
        if from_start(block, self.blocks) not in {from_start(number, self.blocks) for number in asked}:
            used = "mean_attention" if kind == "attention" else kind
            raise InputError(
                f"a reading that uses trunk.{used}({block}) asks for it: Reading(..., {kind}=({block},)); this one "
                f"asks for {kind} of {', '.join(map(str, asked)) or 'no block'}"
            )
        return kept[from_start(block, self.blocks)]


def from_start(block: int, count: int) -> int:
    """A block's number from 0, of `count`."""
    return block + count if block < 0 else block
