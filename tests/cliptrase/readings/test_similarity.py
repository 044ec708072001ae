"""SC-CLIP and SFP: whole methods and their steps against patch-by-patch references and the released codes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.trunk import Trunk
from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.methods import METHODS, Method, get_method
from cliptrase.ops.classification import Size
from cliptrase.readings import reading, similarity
from cliptrase.readings.scclip import local_outliers
from cliptrase.readings.sfp import attended_outliers
from cliptrase.readings.similarity import Similarity, layers, repair, tokens_read
from tests import similarity_references as plain
from tests.cliptrase.ops.test_upsampling import peak_bytes
from tests.cliptrase.test_methods_parity import GOLDEN, MISPLACED, features_of, pixels
from tests.kit import scene_batch
from tests.plain_tower import PlainTower

SIX = plain.Numbers(compared=4, early=2, first_added=2, last_added=5)
NAMES = ("scclip", "sfp")
CASE = "12_224x336"


@pytest.fixture(scope="module")
def encoder(loaded_clip: LoadedClip) -> VisualEncoder:
    return VisualEncoder(loaded_clip.model.visual)


def patches(*size: int) -> Tensor:
    """Random patches with a few large ones among them, as towers have them."""
    generator = torch.Generator().manual_seed(7)
    tokens = torch.randn(*size, generator=generator) + 0.3
    return tokens * (1 + 9 * (torch.rand(*size[:2], 1, generator=generator) > 0.9))


@pytest.mark.parametrize("size", [(224, 224), (112, 176), (208, 96)])
@pytest.mark.parametrize("clip", ["tiny", "embedded"])
@pytest.mark.parametrize("name", NAMES)
def test_whole_methods(name: str, clip: str, size: tuple[int, int], loaded_clip: LoadedClip) -> None:
    """Three pictures in a batch, each by itself in the reference, in towers of 12 and 6 blocks."""
    model = loaded_clip.model if clip == "tiny" else load_clip("embedded").model
    tower = PlainTower(model.state_dict(), 64 if clip == "tiny" else 32)
    pictures = scene_batch([3, 4, 5], *size) / 127.5 - 1
    with torch.no_grad():
        found = VisualEncoder(model.visual)(pictures, [METHODS[name]]).features[name]
    for picture, ours in zip(pictures, found, strict=True):
        wanted = plain.features(name, tower, picture[None], plain.TWELVE if clip == "tiny" else SIX)
        np.testing.assert_allclose(ours[1:].numpy(), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", NAMES)
def test_the_class_token_is_clips_own(name: str, encoder: VisualEncoder) -> None:
    methods = [METHODS[name], METHODS["vanilla"]]
    with torch.no_grad():
        found = encoder(pixels(12, 112, 176), methods).features
    torch.testing.assert_close(found[name][:, 0], found["vanilla"][:, 0], rtol=0, atol=1e-5)


@torch.no_grad()
def outliers_of(encoder: VisualEncoder, picture: Tensor) -> list[int]:
    """Numbers of SC-CLIP's outliers in one picture."""
    found: list[Tensor] = []

    @reading(tokens=(-2,))
    def watched(trunk: Trunk) -> Tensor:
        found.append(local_outliers(trunk.tokens(-2)[:, 1:], 30, 0.95))
        return trunk.project(trunk.tokens(-2))

    encoder(picture, [Method("watched", "this test", watched)])
    numbers: list[int] = found[0][0].nonzero().flatten().tolist()
    return numbers


def test_every_stored_outlier(encoder: VisualEncoder, parity: Path) -> None:
    """Also of 441 patches, whose quantile is a score itself, and which the released code counts as an outlier."""
    stored = np.load(parity / "methods" / "scclip.npz")
    keys = [key for key in stored.files if key.endswith("/outliers")]
    assert len(keys) == 5
    for key in keys:
        seed, height, width = map(int, key.split("/")[0].replace("_", "x").split("x"))
        assert outliers_of(encoder, pixels(seed, height, width)) == sorted(stored[key].tolist())


def released_repair(tokens: Tensor, outliers: Tensor, grid: Size, keep_isolated: bool) -> Tensor:
    """The outliers moved to where the released code looks for them: it takes the number of rows for that of columns."""
    moved = torch.zeros_like(outliers)
    for picture, number in outliers.nonzero().tolist():
        row, column = divmod(number, grid[0])
        moved[picture, row * grid[1] + column] = True
    return repair(tokens, moved, grid, keep_isolated)


def test_what_the_released_code_makes_of_a_picture_that_is_not_square(
    encoder: VisualEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its arithmetic of rows and columns it is met; that arithmetic is all that we do otherwise."""
    with np.load(GOLDEN) as golden:
        expected: NDArray[np.float32] = golden[MISPLACED]
    rows = 1 + np.linspace(0, 14 * 21 - 1, len(expected), dtype=int)
    assert np.abs(features_of(encoder, "scclip", CASE)[rows] - expected).max() > 1e-3
    monkeypatch.setattr(similarity, "repair", released_repair)
    np.testing.assert_allclose(features_of(encoder, "scclip", CASE)[rows], expected, rtol=0, atol=1e-5)


def test_all_that_the_released_code_makes_of_it(
    encoder: VisualEncoder, parity: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = np.load(parity / "methods" / "scclip.npz")[f"{CASE}/features"]
    monkeypatch.setattr(similarity, "repair", released_repair)
    np.testing.assert_allclose(features_of(encoder, "scclip", CASE)[1:], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("grid", [(5, 7), (7, 5), (6, 6), (1, 8), (1, 1)])
@pytest.mark.parametrize("keep_isolated", [True, False])
def test_repair(keep_isolated: bool, grid: Size) -> None:
    """Borders, neighbouring outliers, outliers without a sound neighbour; one picture has none, one nothing else."""
    count = grid[0] * grid[1]
    tokens = patches(4, count, 6)
    outliers = torch.zeros(4, count, dtype=torch.bool)
    outliers[0, ::3] = True
    outliers[1] = torch.rand(count, generator=torch.Generator().manual_seed(1)) > 0.2
    outliers[2] = True
    found = repair(tokens, outliers, grid, keep_isolated)
    for number in range(4):
        chosen = outliers[number].nonzero().flatten().tolist()
        wanted = plain.repaired(tokens[number].double().numpy(), chosen, grid, keep_isolated)
        np.testing.assert_allclose(found[number].numpy(), wanted, rtol=0, atol=1e-5)
    assert torch.equal(found[3], tokens[3])
    assert torch.equal(found[2], tokens[2] if keep_isolated else torch.zeros_like(tokens[2]))


@pytest.mark.parametrize(
    ("count", "neighbours", "quantile"), [(77, 30, 0.95), (33, 30, 0.95), (9, 30, 0.95), (2, 30, 0.95), (40, 4, 0.77)]
)
def test_local_outliers(count: int, neighbours: int, quantile: float) -> None:
    tokens = patches(3, count, 16)
    found = local_outliers(tokens, neighbours, quantile)
    for one, ours in zip(tokens, found, strict=True):
        wanted = plain.local_outliers(one.double().numpy(), neighbours, quantile)
        assert set(ours.nonzero().flatten().tolist()) == wanted


def test_attended_outliers() -> None:
    attention = torch.rand(3, 31, 31, generator=torch.Generator().manual_seed(2)).softmax(-1)
    sizes = set()
    for factor, most in ((1.5, 10), (1.0, 10), (0.9, 10), (1.5, 3), (0.3, 10), (1.0, 0)):
        found = attended_outliers(attention, factor, most)
        for one, ours in zip(attention, found, strict=True):
            assert set(ours.nonzero().flatten().tolist()) == plain.attended_outliers(one.numpy(), factor, most)
            sizes.add(int(ours.sum()))
    assert {0, 3, 10} <= sizes


@pytest.mark.parametrize("similar_only", [True, False])
@pytest.mark.parametrize("values", [1, 100, 1 << 22])
def test_steps_of_similarity(values: int, similar_only: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows of the map are held at a time; a patch of length 0 is like none and attends to all alike."""
    monkeypatch.setattr(similarity, "_VALUES", values)
    tokens, value = patches(3, 35, 8), patches(3, 35, 12).unflatten(2, (3, 4)).transpose(1, 2)
    tokens[1, 4] = 0
    found = Similarity.of(tokens, 0.4)
    aggregated, attended = found.aggregate(tokens), found.attend(value, 3, similar_only)
    for number, one in enumerate(tokens.double().numpy()):
        cosines = plain.cosines(one)
        wanted = plain.aggregated(cosines, 0.4, one)
        np.testing.assert_allclose(aggregated[number].numpy(), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
        if similar_only:
            cosines = np.where(cosines >= 0.4, cosines, 0)
        weights = plain.masked_softmax(cosines, 3)
        for head in range(3):
            wanted = weights @ value[number, head].double().numpy()
            np.testing.assert_allclose(attended[number, head].numpy(), wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("step", ["aggregate", "attend", "attend to similar ones", "outliers"])
def test_memory_is_that_of_some_rows(step: str, batch: int, tmp_path: Path) -> None:
    """84 x 84 patches, one map of whose pairs takes 190 MiB; a part takes 16, of which a step holds up to five."""
    tokens = torch.randn(batch, 84**2, 16, generator=torch.Generator().manual_seed(1))
    value = tokens.unflatten(2, (2, 8)).transpose(1, 2)
    found = Similarity.of(tokens, 0.4)
    steps = {
        "aggregate": lambda: found.aggregate(tokens),
        "attend": lambda: found.attend(value, 3, similar_only=False),
        "attend to similar ones": lambda: found.attend(value, 3, similar_only=True),
        "outliers": lambda: local_outliers(tokens, 30, 0.95),
    }
    assert 2**24 < peak_bytes(steps[step], tmp_path) < 5.5 * 2**24


def test_decisions_are_float32_under_autocast() -> None:
    tokens = patches(40, 77, 16)
    exact = Similarity.of(tokens, 0.4).aggregate(tokens), local_outliers(tokens, 30, 0.95)
    with torch.autocast("cpu", torch.bfloat16):
        half = Similarity.of(tokens, 0.4).aggregate(tokens), local_outliers(tokens, 30, 0.95)
    assert torch.equal(exact[0], half[0])
    assert torch.equal(exact[1], half[1])


def test_layers() -> None:
    """Those of the released code, of its author's words on 24 blocks, and proportionally."""
    assert layers(12) == (8, 3, tuple(range(3, 10)))
    assert layers(24) == (16, 6, tuple(range(8, 19)))
    assert layers(6) == (3, 1, (1, 2, 3, 4))
    assert layers(32) == (23, 10, tuple(range(10, 27)))
    assert layers(2) == (0, 0, (0,))
    for blocks in range(2, 60):
        found = layers(blocks)
        assert all(0 <= number < blocks - 1 for number in (found.middle, found.early, *found.summed))
        assert set(tokens_read(blocks)) == {-2, found.middle, found.early, *found.summed}


@pytest.mark.parametrize("name", NAMES)
def test_options(name: str, encoder: VisualEncoder) -> None:
    """Each changes features; the class token's weight is another in 24 blocks."""
    options = {option.name: option for option in METHODS[name].options}
    assert (options["class_weight"].at(12), options["class_weight"].at(24)) == (0.3, 0.1)
    own = {"scclip": {"neighbours": 5, "quantile": 0.7}, "sfp": {"factor": 0.8, "outliers": 4}}
    before = features_of(encoder, name, "12_112x176")
    for option, value in {"similarity": 0.6, "scale": 9, "class_weight": 0, **own[name]}.items():
        changed = get_method(f"{name}+{option}={value}")
        assert changed.name == f"{name}+{option}={value}"
        assert np.abs(features_of(encoder, changed.name, "12_112x176") - before).max() > 1e-3, option
    assert len(options) == 5
