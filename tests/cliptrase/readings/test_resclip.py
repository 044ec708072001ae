"""ResCLIP against the loops of `tests.plain_resclip`, stage by stage, and the released code's names of patches."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.trunk import Trunk
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.inference.pixels import fit_to_patches, under_patches
from cliptrase.inference.whole import WholePictures
from cliptrase.methods import METHODS, Method, get_method, get_methods
from cliptrase.ops.classification import TextClassifier
from cliptrase.protocols.table import get_protocol
from cliptrase.readings import resclip as module
from cliptrase.readings.resclip import correlated_blocks, most_frequent, pair_weights
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests import plain_resclip
from tests.cliptrase.clip.test_encoder import tower
from tests.kit import MEAN, STD, scene_batch

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "methods.npz")
TEXT = torch.from_numpy(GOLDEN["resclip/text"])
# Numbers of single data sets, far apart.
SPECS = ("resclip", "resclip+lambda_r=0.2+tau_s=2.2+lambda_s=0.6+temp_thd=0.5", "resclip-sfr", "resclip-sfr+tau_r=1.5")


@pytest.fixture(scope="module")
def encoder(loaded_clip: LoadedClip) -> VisualEncoder:
    return VisualEncoder(loaded_clip.model.visual)


def windows(seeds: Sequence[int], height: int, width: int) -> Tensor:
    """(B, 3, H, W) normalised scenes."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (scene_batch(seeds, height, width) / 255 - mean) / std


@torch.no_grad()
def features(encoder: VisualEncoder, window: Tensor, method: Method, text: Tensor | None) -> Tensor:
    fitted = fit_to_patches(window, (16, 16), "trim")
    return encoder(fitted, [method], text, window).features[method.name]


def names_given(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The first pass's names of patches, as they are made."""
    seen: list[Tensor] = []

    def watched(*arguments: Any) -> Tensor:
        seen.append(patch_names(*arguments))
        return seen[-1]

    patch_names = module.patch_names
    monkeypatch.setattr(module, "patch_names", watched)
    return seen


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("size", [(96, 96), (80, 144), (144, 80), (100, 123)])
def test_a_window_is_that_of_the_loops(
    spec: str, size: tuple[int, int], encoder: VisualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Square and not, also with pixels beyond whole patches, which guide the refinement and move what is upsampled."""
    seen = names_given(monkeypatch)
    method = get_method(spec)
    values = {option.name: option.value for option in method.options}
    text = TEXT if method.load_reading().text else None
    batch = windows([31, 32, 33], *size)
    found = features(encoder, batch, method, text).numpy()
    for number, window in enumerate(batch):
        wanted, names = plain_resclip.resclip(encoder.tower, window, values, text)
        np.testing.assert_allclose(found[number], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
        if text is not None:
            assert names is not None
            np.testing.assert_array_equal(seen[0][number].numpy(), names)


@pytest.mark.parametrize("case", ["11_224x224", "11_336x336", "12_224x336"])
def test_released_names_of_patches(case: str, encoder: VisualEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    compare_names(case, GOLDEN[f"resclip/{case}/patch_labels"], encoder, monkeypatch)


def test_every_stored_name(encoder: VisualEncoder, parity: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = np.load(parity / "methods" / "resclip.npz")
    cases = [key.partition("/")[0] for key in stored.files if key.endswith("/patch_labels")]
    assert len(cases) == 5
    assert max(len(np.unique(stored[f"{case}/patch_labels"])) for case in cases) > 2
    for case in cases:
        compare_names(case, stored[f"{case}/patch_labels"], encoder, monkeypatch)


def compare_names(case: str, wanted: Any, encoder: VisualEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = names_given(monkeypatch)
    seed, _, size = case.partition("_")
    features(encoder, windows([int(seed)], *map(int, size.split("x"))), METHODS["resclip"], TEXT)
    np.testing.assert_array_equal(seen[0][0].numpy(), wanted)


def blobs(grid: tuple[int, int], names: int, seed: int, batch: int = 2) -> Tensor:
    """Names of patches in stretches, so that lines between two of one name leave it and come back."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, names, max(1, grid[0] // 3), max(1, grid[1] // 3), generator=generator)
    return F.interpolate(coarse, grid, mode="bilinear", align_corners=False).argmax(1)


@pytest.mark.parametrize("grid", [(1, 1), (1, 2), (1, 9), (4, 4), (5, 6), (7, 5), (9, 13), (14, 9), (3, 21)])
def test_weights_of_pairs(grid: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Odd and even distances, of which the even have halves to round; few and many patches at a time."""
    names = blobs(grid, 3, seed=sum(grid))
    found = pair_weights(names)
    assert found.dtype == torch.float16
    for image, weights in zip(names, found, strict=True):
        wanted = plain_resclip.pairs(image.numpy())
        # A last digit of float16 may be rounded to either side.
        np.testing.assert_allclose(weights.float().numpy(), wanted.astype(np.float32), rtol=2**-10, atol=2**-24)
        assert (weights.numpy() != wanted).mean() < 1e-3
    monkeypatch.setattr(module, "_PAIRS", 1)
    assert torch.equal(pair_weights(names), found)


def test_paths_matter() -> None:
    """Neighbours are always connected; others of one name only where the looked-at part of the line bears it."""
    names = torch.zeros(1, 1, 9, dtype=torch.int64)
    names[0, 0, 3] = 1
    ((_, raw),) = module._connected(names)
    # Four steps of 4/8 end at the second patch, five of 5/8 at the third.
    assert raw[0, 0].tolist() == pytest.approx([1, 1, 1, 0, 1, *(np.exp(-apart / 8) for apart in (5, 6, 7, 8))])
    assert raw[0, 3].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_most_frequent_name() -> None:
    """The lowest of equals; what lies beyond whole patches has no say."""
    generator = torch.Generator().manual_seed(5)
    names = torch.randint(0, 4, (3, 11, 17), generator=generator)
    found = most_frequent(names, (2, 4), (5, 4), 4)
    assert found.shape == (3, 2, 4)
    tied = 0
    for image in range(3):
        for y in range(2):
            for x in range(4):
                tile = names[image, 5 * y : 5 * y + 5, 4 * x : 4 * x + 4].flatten().tolist()
                counts = [tile.count(name) for name in range(4)]
                assert found[image, y, x] == counts.index(max(counts))
                tied += counts.count(max(counts)) > 1
    assert tied > 1


def test_few_tokens_at_a_time_change_nothing(encoder: VisualEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = windows([31, 32], 80, 144)
    whole = features(encoder, batch, METHODS["resclip"], TEXT)
    monkeypatch.setattr(module, "_LOGITS", 2 * 46 * 7)
    torch.testing.assert_close(features(encoder, batch, METHODS["resclip"], TEXT), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("blocks", "wanted"),
    [
        (2, (0, 1)),
        (6, (2, 3, 4)),
        (8, (3, 4, 5)),
        (9, (5, 6, 7, 8)),
        (12, (5, 6, 7, 8)),
        (24, (5, 6, 7, 8)),
    ],
)
def test_blocks_by_depth(blocks: int, wanted: tuple[int, ...]) -> None:
    """Released for twelve blocks and hard-coded beyond; a shallow tower takes those as deep."""
    assert correlated_blocks(blocks) == wanted
    shape = {"width": 32, "head_width": 16, "patch_size": 16, "image_size": 64, "layers": blocks}
    encoder = VisualEncoder(tower(shape, quick_gelu=True).visual)
    method = get_method("resclip-sfr")
    window = windows([31], 48, 64)
    values = {option.name: option.value for option in method.options}
    expected, _ = plain_resclip.resclip(encoder.tower, window[0], values, blocks=wanted)
    found = features(encoder, window, method, None)[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("protocol", "fit"), [("naclip", "trim"), ("whole", "pad")])
@pytest.mark.parametrize("setting", ["VOC20", "PC60"])
def test_what_the_segmenter_gives(
    protocol: str, fit: str, setting: str, loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window with pixels beyond whole patches, and the names with the background's first."""
    seen: list[Trunk] = []

    def watched(features: Tensor, trunk: Trunk, threshold: float) -> Tensor:
        seen.append(trunk)
        return patch_names(features, trunk, threshold)

    patch_names = module.patch_names
    monkeypatch.setattr(module, "patch_names", watched)
    segmenter = Segmenter(loaded_clip, get_protocol(protocol), ["resclip"])
    names = segmenter.classifier(Vocabulary(single_names(["cat", "dog"]), ("wall", "sky")), progress=False)
    names = replace(names, setting=setting)
    images = scene_batch([5], 100, 123)
    segmenter(images, names)
    windowed = segmenter.protocol.on(setting).windowed
    assert windowed == (protocol == "naclip")
    pixels = under_patches(segmenter._normalised(images), (16, 16), fit)
    assert torch.equal(seen[0].window, pixels)
    assert pixels.shape[2:] == ((100, 123) if fit == "trim" else (112, 128))
    assert torch.equal(seen[0].text, names.embeddings[[2, 3, 0, 1]])
    expected = {"VOC20": (0.6, 2.1, 0.6, 0.1), "PC60": (0.3, 1.8, 0.7, 0.3)}[setting]
    assert tuple(seen[0].options[name] for name in ("lambda_r", "tau_s", "lambda_s", "temp_thd")) == expected


def test_names_in_the_order_of_released_lists() -> None:
    embeddings = torch.eye(5)
    labels = torch.tensor([0, 0, 1, 2, 2])
    assert torch.equal(TextClassifier(embeddings, labels, 3).background_first, embeddings)
    assert torch.equal(TextClassifier(embeddings, labels, 3, 2).background_first, embeddings[[3, 4, 0, 1, 2]])
    assert torch.equal(TextClassifier(embeddings, labels, 3, 0).background_first, embeddings)


def test_features_of_one_vocabulary_are_not_named_by_another(loaded_clip: LoadedClip) -> None:
    segmenter = Segmenter(loaded_clip, get_protocol("whole"), ["naclip", "resclip"])
    words = [segmenter.classifier(Vocabulary(single_names(names)), progress=False) for names in (["cat"], ["cat", "a"])]
    images = scene_batch([5], 64, 80)
    encoded = segmenter.encode(images, names=words[0])
    assert isinstance(encoded, WholePictures)
    segmenter.label(encoded, words[0])
    with pytest.raises(InputError, match="method resclip reads the names, and the images were encoded for others"):
        segmenter.label(encoded, words[1])
    with pytest.raises(InputError, match="method resclip reads the names' text embeddings; give them as `names`"):
        segmenter.encode(images)
    first_part = Segmenter(loaded_clip, get_protocol("whole"), ["naclip", "resclip-sfr"])
    assert not first_part.reads_names
    for classifier in words:  # one pass for both
        first_part.label(first_part.encode(images), classifier)


def test_the_first_part_alone_is_a_method_of_its_own() -> None:
    method = get_method("resclip-sfr")
    assert method.name == "resclip-sfr"
    assert [option.name for option in method.options] == ["tau_r", "lambda_r"]
    assert method.load_reading() is module.resclip_rcs
    assert get_method(method) == method
    assert get_method("resclip+pamr-sfr+tau_r=1.50+regions").name == "resclip-sfr+regions+pamr+tau_r=1.5"
    assert [one.name for one in get_methods(["resclip-sfr", "resclip", "resclip-regions-sfr"])] == [
        "resclip-sfr",
        "resclip",
    ]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("naclip-sfr", "method naclip has no part -sfr; it has none that can be left out"),
        ("resclip-rcs", "method resclip has no part -rcs; it has -sfr"),
        ("resclip-sfrs", r"method resclip has no part -sfrs; did you mean -sfr\?"),
        ("resclip-regoins", r"method resclip has no part -regoins; did you mean -regions\?"),
        ("resclip-sfr-sfr", "method 'resclip-sfr-sfr' leaves out -sfr and -sfr; parts are left out one at a time"),
        ("resclip+sfr", r"unknown method 'resclip\+sfr' \(did you mean resclip-sfr\?\)"),
        ("resclip-sfr+temp_thd=0.2", "method resclip-sfr has no option 'temp_thd'"),
        ("resclip+lambda_r=1.5", "option lambda_r must be at most 1"),
        ("resclip+tau_r=0", "option tau_r must be greater than 0"),
    ],
)
def test_what_cannot_be(spec: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        get_method(spec)


def test_other_parts_are_left_out_one_at_a_time() -> None:
    """Of a method of one's own with several."""
    row = METHODS["resclip"]
    method = replace(row, name="mine", parts=(*row.parts, replace(row.parts[0], name="other", options=("tau_s",))))
    assert [option.name for option in method.without("other").options] == ["tau_r", "lambda_r", "lambda_s", "temp_thd"]
    assert method.without("other").name == "mine-other"
    assert not method.without("other").parts
