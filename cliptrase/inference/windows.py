"""Label maps from overlapping windows, after mmseg's sliding inference.

Source: SCLIP (Wang et al., ECCV 2024) and ClearCLIP (Lan et al., ECCV 2024), released code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.encoder import Encoding, VisualEncoder
from cliptrase.common.timing import stage
from cliptrase.inference.grid import GridAxis, seam_places, windows_axis
from cliptrase.inference.maps import GuideOf, KeptMaps, refined_level, refined_maps
from cliptrase.inference.naming import Named, allowed_names, classify_part, classify_pixels
from cliptrase.inference.pixels import fit_to_patches, under_patches
from cliptrase.inference.unlikely import PixelMaps, level_map, probabilities
from cliptrase.inference.whole import clusters_otherwise, find_regions
from cliptrase.inference.window_maps import Block, SmoothMaps, VotedMaps, WindowAxis
from cliptrase.methods import Method
from cliptrase.ops.classification import Size, TextClassifier, patch_logits
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.refinements.maps import Maps, NameMaps

_COSINES = 1 << 25  # of patches with names held at once: 128 MiB, more than any benchmark has
_PIXELS = 1 << 21  # of windows that the tower sees at once: about 40 of 224 x 224


@dataclass(frozen=True)
class Windows:
    """A batch of pictures as the tower saw their windows, ready for any names.

    Attributes:
        features: by method (B, ny, nx, n, E) patch features.
        regions: by method that votes (B, ny, nx, side_y, side_x) int64; each window is clustered by itself.
        grids: by method (h, w) patches of a window.
        rows: windows from top to bottom.
        columns: windows from left to right.
        protocol: one with windows, with the data set's values.
        guide: of refinements, where a method of the run refines.
        text: (C, E) embeddings of the names that readings were given, where one asks for them.
        encodings: of all windows, some at a time, where regions are to be made again; else empty.
    """

    features: dict[str, Tensor]
    regions: dict[str, Tensor]
    grids: dict[str, Size]
    rows: WindowAxis
    columns: WindowAxis
    protocol: EvaluationProtocol
    guide: GuideOf | None = None
    text: Tensor | None = None
    encodings: Sequence[Encoding] = ()

    def under(self, method: Method, constants: Mapping[str, Any]) -> "Windows":
        """The same under other constants of the protocol, of those that act after the tower.

        Args:
            method: whose regions are made again, where `eps` or `min_samples` is another.
            constants: fields of the protocol.

        Raises:
            ValueError: regions are to be made again, and `encodings` were not kept.
        """
        protocol = replace(self.protocol, **constants)
        regions = self.regions
        if clusters_otherwise(method, self.protocol, protocol):
            if not self.encodings:
                raise ValueError("regions of windows cannot be made again: encode with keep=True")
            side = (self.rows.side, self.columns.side)
            made = [find_regions(part, [method], protocol, side, side)[method.name] for part in self.encodings]
            regions = regions | {method.name: torch.cat(made).view_as(regions[method.name])}
        return replace(self, protocol=protocol, regions=regions)

    def grid(self, method: str) -> tuple[GridAxis, GridAxis]:
        """How a method's patches of all windows lie on the label map, from top to bottom and from left to right."""
        (height, width), device = self.grids[method], self.features[method].device
        return windows_axis(self.rows, height, device), windows_axis(self.columns, width, device)

    @property
    def seams(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Borders of windows between rows and between columns; see `seam_places`."""
        return seam_places(self.rows), seam_places(self.columns)

    def labels(self, method: Method, classifier: TextClassifier, present: Tensor | None = None) -> Tensor:
        """Names by window, averaged: (B, H, W) int64 in [0, classifier.num_labels).

        With regions a pixel of a window has its region's mean logits. Refinements act on what is averaged over windows.

        Args:
            method: of the run.
            classifier: any names.
            present: (B, num_labels) bool labels that each picture may get, None for all.
        """
        return self.named(method, classifier, present).labels

    def named(self, method: Method, classifier: TextClassifier, present: Tensor | None = None) -> Named:
        """`labels`, with what they are before the background's threshold."""
        whole = Tile(self.rows.whole(), self.columns.whole())
        tiles = [whole] if method.refine else tiles_of(self.rows, self.columns)
        named = [(tile, partial(self._maps, tile, method, classifier)) for tile in tiles]
        device = self.features[method.name].device
        with stage("vote" if method.name in self.regions else "classification", device, [method.name]):
            if len(named) == 1:
                return classify_pixels(named[0][1](), classifier, self.protocol, present)
            return _classify_tiles(named, classifier, self.protocol, present)

    def probabilities(self, method: Method, classifier: TextClassifier, scale: float) -> Tensor:
        """(B, labels, H, W) float32, with regions those of their means in each window; see `unlikely.probabilities`."""
        maps = self._maps(Tile(self.rows.whole(), self.columns.whole()), method, classifier)
        return probabilities(maps, classifier, scale)

    def _maps(self, tile: "Tile", method: Method, classifier: TextClassifier) -> PixelMaps:
        """Maps on a tile, refined where it is the whole label map."""
        features = tile.of(self.features[method.name])
        regions = self.regions.get(method.name)
        grid = self.grids[method.name]
        maps = tile_maps(tile, features, None if regions is None else tile.of(regions), grid, classifier)
        names = refined_maps(maps.names, method, self.guide, classifier.embeddings)
        small = self.protocol.min_area and classifier.background_label is not None
        if method.refine and (small or classifier.none):
            names = KeptMaps(names)
        if classifier.none is None or maps.level is None:
            return PixelMaps(names)
        return PixelMaps(names, refined_level(maps.level, method, self.guide, classifier.none.neutral))


class Tile(NamedTuple):
    """A rectangle of a label map."""

    rows: Block
    columns: Block

    def of(self, windows: Tensor) -> Tensor:
        """Of all windows, (B, ny, nx, ...), those that reach the tile."""
        ys, xs = self.rows.windows, self.columns.windows
        return windows[:, ys.start : ys.stop, xs.start : xs.stop]


def tiles_of(rows: WindowAxis, columns: WindowAxis) -> list[Tile]:
    """All tiles of a label map, row by row: one, or of a large label map several."""
    across = columns.blocks()
    return [Tile(down, column) for down in rows.blocks() for column in across]


def tile_maps(
    tile: Tile, features: Tensor, regions: Tensor | None, grid: Size, classifier: TextClassifier
) -> PixelMaps:
    """Maps on a tile.

    Args:
        tile: of the label map.
        features: (B, ny, nx, n, E) of the windows that reach it.
        regions: (B, ny, nx, side_y, side_x) int64 of a method that votes.
        grid: (h, w) patches of a window.
        classifier: the names.
    """
    text = classifier.embeddings
    step = max(1, _COSINES // features[..., 0].numel())

    def laid(cosines: Tensor) -> NameMaps:
        cosines = cosines.unflatten(0, features.shape[:3])  # (B, ny, nx, c, h, w)
        if regions is None:
            return SmoothMaps(cosines, tile.rows, tile.columns)
        return VotedMaps(cosines, regions, tile.rows, tile.columns)

    def of_names(first: int) -> NameMaps:
        return laid(patch_logits(features.flatten(0, 2), text[first : first + step], 1.0, grid))

    def of_many_names() -> Maps:
        for first in range(0, len(text), step):
            for number, part in of_names(first)():
                yield first + number, part

    names = of_names(0) if len(text) <= step else of_many_names
    if classifier.none is None:
        return PixelMaps(names)
    return PixelMaps(names, laid(level_map(features.flatten(0, 2), classifier.none, grid)))


def encode_windows(
    pixels: Tensor,
    encoder: VisualEncoder,
    patch: Size,
    methods: Sequence[Method],
    protocol: EvaluationProtocol,
    size: Size,
    text: Tensor | None = None,
    guide: GuideOf | None = None,
    keep: bool = False,
) -> Windows:
    """Shows all windows of a batch to the tower, as many at once as memory allows.

    Args:
        pixels: (B, 3, H, W) normalised, any size.
        encoder: runs the tower.
        patch: (height, width) of a patch.
        methods: of the run.
        protocol: one with windows, with the data set's values.
        size: (H, W) of the label maps.
        text: see `Windows`.
        guide: see `Windows`.
        keep: whether `Windows.under` is to make regions again.
    """
    rows = WindowAxis.of(pixels.shape[2], size[0], protocol)
    columns = WindowAxis.of(pixels.shape[3], size[1], protocol)
    side = (rows.side, columns.side)
    cut = [pixels[:, :, y : y + side[0], x : x + side[1]] for y in rows.starts for x in columns.starts]
    shape = (len(pixels), len(rows.starts), len(columns.starts))
    parts = torch.stack(cut, 1).flatten(0, 1).split(windows_at_once(side))  # of (B * ny * nx, 3, h', w')
    found = [encode_part(part, encoder, patch, methods, protocol, side, text, keep) for part in parts]
    return Windows(
        {name: torch.cat([part.features[name] for part in found]).unflatten(0, shape) for name in found[0].features},
        {name: torch.cat([part.regions[name] for part in found]).unflatten(0, shape) for name in found[0].regions},
        found[-1].grids,
        rows,
        columns,
        protocol,
        guide,
        text,
        [part.encoding for part in found if part.encoding],
    )


class EncodedPart(NamedTuple):
    """Some windows as the tower saw them.

    Attributes:
        features: by method (W, n, E) patch features.
        regions: by method that votes (W, side_y, side_x) int64.
        grids: by method (h, w) patches of a window.
        encoding: all that the tower gave, where it is kept.
    """

    features: dict[str, Tensor]
    regions: dict[str, Tensor]
    grids: dict[str, Size]
    encoding: Encoding | None


def windows_at_once(side: Size) -> int:
    """How many windows of (height, width) pixels the tower sees at a time."""
    return max(1, _PIXELS // (side[0] * side[1]))


def encode_part(
    pixels: Tensor,
    encoder: VisualEncoder,
    patch: Size,
    methods: Sequence[Method],
    protocol: EvaluationProtocol,
    side: Size,
    text: Tensor | None,
    keep: bool = False,
) -> EncodedPart:
    """Shows some windows to the tower.

    Args:
        pixels: (W, 3, side_y, side_x) normalised windows.
        encoder: see `encode_windows`.
        patch: see `encode_windows`.
        methods: see `encode_windows`.
        protocol: see `encode_windows`.
        side: (height, width) of a window.
        text: see `Windows`.
        keep: whether all that the tower gave is wanted.
    """
    part = under_patches(pixels, patch, protocol.fit)
    encoding = encoder(fit_to_patches(part, patch, protocol.fit), methods, text, part)
    features = {}
    for name, tokens in encoding.features.items():
        with stage("forward", pixels.device, [name]):
            patches = tokens[:, 1:].float()
            features[name] = F.normalize(patches, dim=-1) if protocol.unit_features else patches
    regions = find_regions(encoding, methods, protocol, side, side)
    return EncodedPart(features, regions, encoding.grids, encoding if keep else None)


def _classify_tiles(
    named: Sequence[tuple[Tile, Callable[[], PixelMaps]]],
    classifier: TextClassifier,
    protocol: EvaluationProtocol,
    present: Tensor | None,
) -> Named:
    """Labels of all tiles; see `classify_pixels`."""

    def labelled(allowed: Tensor | None = None) -> tuple[Named, Tensor]:
        rows: dict[int, list[Named]] = {}
        areas = []
        for tile, maps in named:
            part, area = classify_part(maps(), classifier, protocol, present, allowed)
            rows.setdefault(tile.rows.first, []).append(part)
            areas.append(area)
        return _joined([_joined(row, 2) for row in rows.values()], 1), torch.stack(areas).sum(0)

    labels, areas = labelled()
    if (allowed := allowed_names(areas, classifier, protocol, present)) is not None:
        labels, _ = labelled(allowed)
    return labels


def _joined(parts: Sequence[Named], axis: int) -> Named:
    """Parts of label maps side by side."""
    sure = [part.probability for part in parts if part.probability is not None]
    labels, free = (torch.cat(maps, axis) for maps in zip(*((part.labels, part.free) for part in parts), strict=True))
    return Named(labels, free, torch.cat(sure, axis) if sure else None)
