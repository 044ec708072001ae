"""Label maps of pictures too large to be held as the tower sees them: windows row by row, labels block by block.

The tower sees the windows in the order and in the groups of `windows.encode_windows`, and every tile is computed by the
same functions from the same numbers: the label map is the very same, however little is held at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.inference.naming import allowed_names, classify_part
from cliptrase.inference.window_maps import WindowAxis
from cliptrase.inference.windows import Tile, encode_part, tile_maps, windows_at_once
from cliptrase.methods import Method
from cliptrase.ops.classification import Size, TextClassifier
from cliptrase.protocols.protocol import EvaluationProtocol

_NOBODY: Callable[[int], object] = lambda windows: None  # noqa: E731 (nobody is told of progress)


class Band(NamedTuple):
    """Rows of a label map that no later window touches.

    Attributes:
        number: of the band, from 0.
        first: number of its first row.
        labels: (rows, W) uint8, or uint16 over 256 labels.
        areas: (labels,) int64 pixels of each label before the background's threshold; zeros where no rule asks.
    """

    number: int
    first: int
    labels: NDArray[np.unsignedinteger]
    areas: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LargePicture:
    """A picture and all that its label map takes.

    Attributes:
        picture: (h, w, 3) uint8 as shown; see `EvaluationProtocol.size`.
        size: (H, W) of the label map.
        normalise: from (B, 3, h, w) uint8 to what the tower sees, float32.
        encoder: runs the tower.
        patch: (height, width) of a patch.
        method: without refinements, with the data set's values.
        protocol: one with windows, with the data set's values.
        classifier: the names.
        text: what readings are given that ask for names.
        check: questions features by method, and may refuse them.
    """

    picture: NDArray[np.uint8]
    size: Size
    normalise: Callable[[Tensor], Tensor]
    encoder: VisualEncoder
    patch: Size
    method: Method
    protocol: EvaluationProtocol
    classifier: TextClassifier
    text: Tensor | None
    check: Callable[[dict[str, Tensor]], object]
    rows: WindowAxis = field(init=False)
    columns: WindowAxis = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.picture.shape[:2]
        object.__setattr__(self, "rows", WindowAxis.of(height, self.size[0], self.protocol))
        object.__setattr__(self, "columns", WindowAxis.of(width, self.size[1], self.protocol))

    @property
    def windows(self) -> int:
        """Number of windows."""
        return len(self.rows.starts) * len(self.columns.starts)

    @property
    def side(self) -> Size:
        """(height, width) of a window in pixels as shown."""
        return self.rows.side, self.columns.side

    def label_map(self) -> NDArray[np.unsignedinteger]:
        """(H, W) uint8, or uint16 over 256 labels: all bands together."""
        bands = list(self.bands())
        areas = torch.from_numpy(np.stack([band.areas for band in bands]).sum(0, keepdims=True))
        areas = areas.to(self.classifier.name_to_label.device)
        if (allowed := allowed_names(areas, self.classifier, self.protocol)) is not None:
            bands = list(self.bands(allowed=allowed))
        return np.concatenate([band.labels for band in bands])

    @torch.no_grad()
    def bands(
        self, first: int = 0, allowed: Tensor | None = None, advanced: Callable[[int], object] = _NOBODY
    ) -> Iterator[Band]:
        """Label maps from a band on, from top to bottom.

        Args:
            first: number of the first band; those before it are not computed.
            allowed: (1, C) names that may win; see `naming.allowed_names`.
            advanced: is told how many windows were seen since it was told last, those before `first` among them.
        """
        window_rows = _WindowRows(self, advanced)
        across = self.columns.blocks()
        kind = np.uint8 if self.classifier.num_labels <= 256 else np.uint16
        for number, down in enumerate(self.rows.blocks()):
            if number < first:
                continue
            window_rows.hold(down.windows)
            labels = np.empty((len(down), self.size[1]), dtype=kind)
            areas = torch.zeros(self.classifier.num_labels, dtype=torch.int64)
            for column in across:
                with torch.autocast(self.classifier.embeddings.device.type, enabled=False):
                    features, regions = window_rows.under(down.windows, column.windows)
                    tile = Tile(down, column)
                    maps = tile_maps(tile, features, regions, window_rows.grid, self.classifier)
                    named, area = classify_part(maps, self.classifier, self.protocol, allowed=allowed)
                labels[:, column.first : column.last] = named.labels[0].cpu().numpy()
                areas += area[0].cpu()
            yield Band(number, down.first, labels, areas.numpy())


class _WindowRows:
    """Features and regions of those rows of windows that are at work.

    Args:
        large: the picture.
        advanced: see `LargePicture.bands`.
    """

    def __init__(self, large: LargePicture, advanced: Callable[[int], object]) -> None:
        self.large, self.advanced = large, advanced
        self.grid: Size = (0, 0)
        self._across = len(large.columns.starts)
        self._next = 0  # number of the first window not seen yet, all counted row by row
        self._features: dict[int, Tensor] = {}
        self._regions: dict[int, Tensor] = {}

    def hold(self, rows: range) -> None:
        """Sees to it that these rows of windows are there, and forgets those before; rows only rise."""
        begin, end = rows.start * self._across, rows.stop * self._across
        at_once = windows_at_once(self.large.side)
        for held in (self._features, self._regions):
            for number in [number for number in held if number < begin]:
                del held[number]
        if self._next < begin:  # groups of windows stay those of a picture that is seen from its first on
            skipped = begin // at_once * at_once - self._next
            if skipped > 0:
                self._next += skipped
                self.advanced(skipped)
        while self._next < end:
            numbers = range(self._next, min(self._next + at_once, self.large.windows))
            self._see(numbers, begin)
            self._next = numbers.stop
            self.advanced(len(numbers))

    def _see(self, numbers: range, begin: int) -> None:
        large = self.large
        (height, width), name = large.side, large.method.name
        tops, lefts = large.rows.starts, large.columns.starts
        places = [(tops[number // self._across], lefts[number % self._across]) for number in numbers]
        cut = np.stack([large.picture[top : top + height, left : left + width] for top, left in places])
        images = torch.from_numpy(cut).permute(0, 3, 1, 2).contiguous().to(large.classifier.embeddings.device)
        methods = [large.method]
        part = encode_part(
            large.normalise(images), large.encoder, large.patch, methods, large.protocol, large.side, large.text
        )
        large.check(part.features)
        self.grid = part.grids[name]
        for place, number in enumerate(numbers):
            if number >= begin:
                # A copy each: a view would hold the whole group as long as its last window.
                self._features[number] = part.features[name][place].clone()
                if name in part.regions:
                    self._regions[number] = part.regions[name][place].to(torch.int16)

    def under(self, rows: range, columns: range) -> tuple[Tensor, Tensor | None]:
        """(1, ny, nx, n, E) features, and (1, ny, nx, side_y, side_x) int64 regions of a method that votes."""
        numbers = [row * self._across + column for row in rows for column in columns]
        shape = (1, len(rows), len(columns))
        features = torch.stack([self._features[number] for number in numbers]).unflatten(0, shape)
        if not self._regions:
            return features, None
        return features, torch.stack([self._regions[number] for number in numbers]).long().unflatten(0, shape)
