"""Dense features of one picture: those that patches are named by, and where each patch lies."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cliptrase import Segmenter
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.inference.whole import WholePictures
from cliptrase.methods import METHODS, get_method
from cliptrase.protocols.table import get_protocol
from tests.kit import scene

PICTURE = scene(3, 70, 100)[0]
PHOTOS = get_protocol("photos", size=64)


@pytest.fixture(scope="module")
def photos(loaded_clip: LoadedClip) -> Segmenter:
    return Segmenter(loaded_clip, PHOTOS, ["cliptrase", "vanilla", "naclip"])


def alone(segmenter: Segmenter) -> WholePictures:
    shown = torch.from_numpy(PICTURE).permute(2, 0, 1).unsqueeze(0)
    found = segmenter.encode(shown, PICTURE.shape[:2])
    assert isinstance(found, WholePictures)
    return found


@pytest.mark.parametrize("fit", ["pad", "trim", "pad_and_halve"])
def test_features_are_those_that_patches_are_named_by(loaded_clip: LoadedClip, fit: str) -> None:
    """And the boxes are the pixels to which `encode` gives a patch."""
    segmenter = Segmenter(loaded_clip, get_protocol("photos", size="own", fit=fit), ["cliptrase", "vanilla", "naclip"])
    encoded = alone(segmenter)
    for method in segmenter.methods:
        found = segmenter.features(PICTURE, method.name)
        tokens = encoded.encoding.features[method.name][0]
        assert found.grid == encoded.encoding.grids[method.name]
        torch.testing.assert_close(found.values.flatten(0, 1), tokens[1:])
        torch.testing.assert_close(found.class_token, tokens[0])
        assert (found.in_text_space, found.size, found.reach) == (True, (70, 100), encoded.canvas)
        down, across = encoded.grid(method.name)
        for row, column in ((0, 0), (found.grid[0] - 1, 1), (1, found.grid[1] - 1)):
            left, top, right, bottom = found.boxes[row, column]
            rows, columns = down.covers[row].nonzero().flatten() + 0.5, across.covers[column].nonzero().flatten() + 0.5
            assert bool(((rows >= top) & (rows < bottom)).all())
            assert bool(((columns >= left) & (columns < right)).all())
            assert found.patch_at(float(columns[0]), float(rows[0])) == (row, column)
    assert segmenter.features(PICTURE).values.equal(segmenter.features(PICTURE, segmenter.methods[0]).values)


def test_blocks_before_the_last_give_clips_own_tokens(photos: Segmenter) -> None:
    """Plain CLIP's features follow from the tokens before its last block."""
    blocks = len(photos.encoder.tower.transformer.resblocks)
    before = photos.features(PICTURE, "vanilla", -2)
    assert not before.in_text_space
    (h, w), width = before.grid, before.values.shape[2]
    assert repr(before) == (
        f"PatchFeatures({h} x {w} patches of 70 x 100 pixels, {width} numbers in the tower's own space)"
    )
    assert before.values.equal(photos.features(PICTURE, "vanilla", blocks - 2).values)
    tokens = torch.cat([before.class_token.unsqueeze(0), before.values.flatten(0, 1)]).unsqueeze(0)
    tower = photos.encoder.tower
    with torch.no_grad():
        plain = tower.ln_post(tower.transformer.resblocks[-1](tokens)) @ tower.proj
    last = photos.features(PICTURE, "vanilla", -1)
    assert last.in_text_space
    torch.testing.assert_close(last.values.flatten(0, 1), plain[0, 1:], atol=1e-5, rtol=1e-4)


def test_similarity_is_a_cosine(photos: Segmenter) -> None:
    found = photos.features(PICTURE)
    values = found.similarity(1, 2)
    plain = F.cosine_similarity(found.values, found.values[1, 2], dim=-1)
    torch.testing.assert_close(values, plain, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.unit.norm(dim=-1), torch.ones(found.grid))
    drawn = found.picture(1, 2)
    assert drawn.size == (100, 70)
    assert len(np.unique(np.array(drawn).reshape(-1, 3), axis=0)) > 3


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_features_or_says_what_it_needs(loaded_clip: LoadedClip, name: str) -> None:
    method = get_method(name)
    reading = method.load_reading()
    if reading.guest:
        pytest.skip("needs a second tower")
    segmenter = Segmenter(loaded_clip, PHOTOS, name)
    found = segmenter.features(PICTURE, words="cat; dog" if reading.text else "")
    assert found.values.isfinite().all()
    assert found.values.ndim == 3


def test_what_cannot_be_given_is_said_in_a_sentence(photos: Segmenter, loaded_clip: LoadedClip) -> None:
    for wrong, words in (
        ({"method": "gem"}, "the segmenter has no method 'gem'; it has cliptrase, vanilla, naclip"),
        ({"method": 3}, "the segmenter has no method 3"),
        ({"layer": 99}, "`layer` 99 is no block of this tower; give 0 to"),
        ({"layer": "last"}, "`layer` 'last' is no block"),
    ):
        with pytest.raises(InputError, match=words):
            photos.features(PICTURE, **wrong)  # type: ignore[arg-type]
    found = photos.features(PICTURE)
    with pytest.raises(InputError, match="patch 99, 0 is outside the grid of"):
        found.similarity(99, 0)
    with pytest.raises(InputError, match=r"the point 100, 3 is outside the picture of 100 x 70 pixels"):
        found.patch_at(100, 3)
    for name in ("paper", "sclip"):
        with pytest.raises(InputError, match=r"features\(\) shows pictures whole"):
            Segmenter(loaded_clip, get_protocol(name)).features(PICTURE)
    streamed = Segmenter(loaded_clip, PHOTOS, next(name for name in METHODS if get_method(name).load_reading().depth))
    with pytest.raises(InputError, match="has a second stream from block 6 on, and features of its last block only"):
        streamed.features(PICTURE, layer=-2)


def test_completion_shows_the_segmenters_own_names(photos: Segmenter) -> None:
    names = dir(photos)
    assert {"segment", "features", "classifier", "forward", "encode", "label", "protocol", "methods"} <= set(names)
    assert len(names) < 30
    assert all(hasattr(photos, name) for name in names)
    functions = [value for name in names if callable(value := getattr(type(photos), name, None))]
    assert all(function.__doc__ for function in functions)
