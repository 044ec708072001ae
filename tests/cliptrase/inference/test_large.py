"""Tiles give the very same label maps as whole pictures, wherever an axis is cut and wherever a run goes on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.weights import LoadedClip
from cliptrase.common import resizing
from cliptrase.common.errors import InputError
from cliptrase.drawing.picture import fit
from cliptrase.inference import window_maps, windows
from cliptrase.inference.window_maps import WindowAxis
from cliptrase.ops.classification import NoneOfThese, TextClassifier
from cliptrase.ops.upsampling import bilinear_matrix, bilinear_rows
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from tests.kit import scene

NAMES = 7


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Axes of more than 64 pixels are cut, and the tower sees five windows at a time."""
    monkeypatch.setattr(window_maps, "_UNCUT", 64)
    monkeypatch.setattr(window_maps, "_BLOCK", 40)
    monkeypatch.setattr(windows, "_PIXELS", 5 * 64 * 64)


def classifier(segmenter: Segmenter, image: Tensor, background: bool, least: float | None = -1) -> TextClassifier:
    """Names that tell the patches of a picture apart, two of one class; the last is background where asked for.

    With a `least` probability or None, and not by default, pixels may be none of them.
    """
    encoding = segmenter.encoder(segmenter.prepare(image[:, :, :48, :96]), segmenter.methods)
    tokens = F.normalize(encoding.features[segmenter.methods[0].name][0, 1:], dim=-1)
    text = F.normalize(tokens[:: len(tokens) // NAMES][:NAMES] - 0.9 * tokens.mean(0), dim=-1)
    labels = torch.tensor([0, 1, 2, 3, 4, 4, 5])
    if least == -1:
        return TextClassifier(text, labels, 6, 5 if background else None)
    neutral = F.normalize(tokens[3 :: len(tokens) // 11] - 0.8 * tokens.mean(0), dim=-1)
    return TextClassifier(text, labels, 7, 5 if background else None, none=NoneOfThese(neutral, 3, 20.0, least))


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("method", ["sclip", "vanilla", "cliptrase", "clearclip+regions"])
@pytest.mark.parametrize(
    ("size", "window", "stride", "own"),
    [
        ("own", 64, 32, (150, 203)),
        ("own", 64, 50, (203, 101)),
        (96, 64, 32, (150, 203)),
        (170, 48, 48, (131, 90)),
        ("own", 64, 64, (50, 300)),
    ],
)
@torch.no_grad()
def test_tiles_are_the_whole_picture(
    size: int | str,
    window: int,
    stride: int,
    own: tuple[int, int],
    method: str,
    background: bool,
    loaded_clip: LoadedClip,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = {"background_threshold": 0.25, "min_area": 0.12} if background else {"background_threshold": 0.0}
    protocol = get_protocol("tiles", size=size, window=window, stride=stride, **rules)
    segmenter = Segmenter(loaded_clip, protocol, [method])
    picture = scene(3, *own)[0]

    shown = fit(picture, protocol.size, protocol.longest, protocol.interpolation)
    names = classifier(segmenter, shown, background)
    whole = segmenter(shown, names, own).labels[method][0].numpy()
    large = segmenter.large(shown[0].permute(1, 2, 0).numpy(), names, own)
    assert len(large.rows.blocks()) * len(large.columns.blocks()) > 2
    found = large.label_map()
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, whole)
    assert len(np.unique(found)) >= 2
    # The same as without any cut, but for what rounding moves.
    monkeypatch.setattr(window_maps, "_UNCUT", 4096)
    uncut = segmenter(shown, names, own).labels[method][0].numpy()
    assert (uncut != whole).mean() < 1e-4


@pytest.mark.parametrize("least", [None, 0.3])
@pytest.mark.parametrize("method", ["sclip", "cliptrase"])
@pytest.mark.parametrize("area", [0.0, 0.12])
@torch.no_grad()
def test_tiles_know_none_of_these(method: str, area: float, least: float | None, loaded_clip: LoadedClip) -> None:
    """Beside both rules of the background, and with its rule for small classes in two passes."""
    protocol = get_protocol("tiles", window=64, stride=32, background_threshold=0.25, min_area=area)
    segmenter = Segmenter(loaded_clip, protocol, [method])
    picture = scene(3, 150, 203)[0]
    shown = torch.from_numpy(picture).permute(2, 0, 1)[None]
    free = segmenter(shown, classifier(segmenter, shown, True)).labels[method][0].numpy()
    names = classifier(segmenter, shown, True, least)
    whole = segmenter(shown, names).labels[method][0].numpy()
    np.testing.assert_array_equal(segmenter.large(picture, names, (150, 203)).label_map(), whole)
    assert 0 < (whole == 6).mean() < 1
    np.testing.assert_array_equal(whole[whole != 6], free[whole != 6])


@torch.no_grad()
def test_the_rule_for_small_classes_sees_the_whole_picture(loaded_clip: LoadedClip) -> None:
    """Not a class that is small in one tile alone."""
    protocol = get_protocol("tiles", window=64, stride=32, min_area=0.2, background_threshold=0.0)
    segmenter = Segmenter(loaded_clip, protocol, ["sclip"])
    picture = scene(3, 150, 203)[0]
    names = classifier(segmenter, torch.from_numpy(picture).permute(2, 0, 1)[None], background=True)
    freely = Segmenter(loaded_clip, replace(protocol, min_area=0.0), ["sclip"])
    free = freely.large(picture, names, (150, 203)).label_map()
    held = segmenter.large(picture, names, (150, 203)).label_map()
    areas = np.bincount(free.ravel(), minlength=6)
    small = {label for label in range(5) if areas[label] <= 0.2 * areas[:5].sum()}
    assert small & set(np.unique(free))
    assert not small & set(np.unique(held))


@torch.no_grad()
def test_going_on_from_any_band(loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter(loaded_clip, get_protocol("tiles", window=64, stride=32), ["cliptrase"])
    picture = scene(5, 150, 120)[0]
    names = classifier(segmenter, torch.from_numpy(picture).permute(2, 0, 1)[None], background=True)
    large = segmenter.large(picture, names, (150, 120))
    seen: list[int] = []
    bands = list(large.bands(advanced=seen.append))
    assert sum(seen) == large.windows
    assert len(bands) == 4
    for first in range(1, len(bands)):
        seen.clear()
        later = list(large.bands(first, advanced=seen.append))
        assert sum(seen) == large.windows
        assert [band.number for band in later] == list(range(first, len(bands)))
        for band, again in zip(bands[first:], later, strict=True):
            np.testing.assert_array_equal(again.labels, band.labels)


@pytest.mark.parametrize("method", ["sclip", "cliptrase"])
@torch.no_grad()
def test_many_names_are_taken_some_at_a_time(
    method: str, loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = get_protocol("tiles", window=64, stride=32, background_threshold=0.25)
    segmenter = Segmenter(loaded_clip, protocol, [method])
    picture = scene(3, 150, 120)[0]
    names = classifier(segmenter, torch.from_numpy(picture).permute(2, 0, 1)[None], background=True)
    together = segmenter.large(picture, names, (150, 120)).label_map()
    monkeypatch.setattr(windows, "_COSINES", 1500)  # two or three names of a tile
    np.testing.assert_array_equal(segmenter.large(picture, names, (150, 120)).label_map(), together)


def test_segment_takes_tiles_where_a_picture_is_large(
    loaded_clip: LoadedClip, text_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = get_protocol("tiles", window=64, stride=32, min_area=0.3, templates="vild")
    segmenter = Segmenter(loaded_clip, protocol, ["cliptrase"], cache_dir=text_cache)
    picture = scene(3, 150, 120)[0]
    whole = segmenter.segment(picture, "cat; dog; tree", "wall")
    monkeypatch.setattr(resizing, "_LARGE", 100 * 100)
    tiled = segmenter.segment(picture, "cat; dog; tree", "wall")
    assert (whole.labels.dtype, tiled.labels.dtype) == (np.int64, np.uint8)
    np.testing.assert_array_equal(tiled.labels, whole.labels)
    assert tiled.shares == whole.shares
    assert whole.none is tiled.none is None
    np.testing.assert_array_equal(np.array(tiled.overlay()), np.array(whole.overlay()))


def test_segment_knows_none_of_these_by_tiles(
    loaded_clip: LoadedClip, text_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol = get_protocol("tiles", window=64, stride=32, templates="vild")
    segmenter = Segmenter(loaded_clip, protocol, ["sclip"], cache_dir=text_cache)
    picture = scene(3, 150, 120)[0]
    whole = segmenter.segment(picture, "cat; dog", threshold=0.34)
    monkeypatch.setattr(resizing, "_LARGE", 100 * 100)
    tiled = segmenter.segment(picture, "cat; dog", threshold=0.34)
    assert (tiled.none, tiled.labels.dtype) == (2, np.uint8)
    np.testing.assert_array_equal(tiled.labels, whole.labels)


def test_many_names_take_sixteen_bits(loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter(loaded_clip, get_protocol("tiles", window=64, stride=64), ["vanilla"])
    text = F.normalize(torch.randn(300, loaded_clip.model.visual.output_dim), dim=-1)
    names = TextClassifier(text, torch.arange(300), 300)
    (band, *_) = segmenter.large(scene(1, 64, 64)[0], names, (64, 64)).bands()
    assert band.labels.dtype == np.uint16


def test_what_cannot_be_by_tiles_is_refused(loaded_clip: LoadedClip) -> None:
    names = TextClassifier(torch.eye(2), torch.arange(2), 2)
    picture = scene(1, 64, 64)[0]
    with pytest.raises(InputError, match="protocol photos shows pictures whole; a large one needs windows"):
        Segmenter(loaded_clip, "photos").large(picture, names, (64, 64))
    with pytest.raises(InputError, match=r"method sclip\+pamr refines maps of whole pictures; leave out what refines"):
        Segmenter(loaded_clip, "tiles", ["sclip+pamr"]).large(picture, names, (64, 64))


@pytest.mark.parametrize(("length", "size"), [(150, 150), (37, 150), (150, 37)])
def test_blocks_are_rows_of_the_whole_matrix(length: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    axis = WindowAxis.of(length, size, get_protocol("tiles", window=32, stride=20))
    whole = axis.whole().matrix(4, torch.device("cpu"))
    monkeypatch.setattr(window_maps, "_UNCUT", 30)
    monkeypatch.setattr(window_maps, "_BLOCK", 16)
    blocks = axis.blocks()
    assert len(blocks) > 1
    for block in blocks:
        part = torch.zeros(len(block), whole.shape[1])
        part[:, block.windows.start * 4 : block.windows.stop * 4] = block.matrix(4, torch.device("cpu"))
        torch.testing.assert_close(part, whole[block.first : block.last], atol=1e-6, rtol=0)
    for first, last in ((0, 3), (5, 9), (size - 2, size)):
        rows, low, high = bilinear_rows(length, size, first, last, torch.device("cpu"))
        assert torch.equal(rows, bilinear_matrix(length, size, torch.device("cpu"))[first:last, low:high])
