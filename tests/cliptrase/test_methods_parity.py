"""Dense features of every method against its own released code, to 1e-5 before unit length.

`tests/golden/methods.npz` holds a few rows of each file; where the whole parity kit lies beside the checkout, every
stored feature is compared.
"""

import copy
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.methods import METHODS, get_method
from tests.kit import MEAN, STD, scene_batch
from tests.kit.dino import dino

GOLDEN = Path(__file__).parents[1] / "golden" / "methods.npz"
TEXT = torch.from_numpy(np.load(GOLDEN)["resclip/text"])  # for methods that read the names
OTHERS = ("maskclip", "cliptrase")  # under other names, in other files
FILES = {name: name for name in METHODS if name not in OTHERS} | {
    "maskclip": "maskclip",  # as its released config runs: exact GELU, layer-norm eps 1e-6
    "maskclip_clipexact": "maskclip",  # as the table runs it
}

SQUARE_CODE = ("clip_surgery", "proxyclip", "scclip", "sfp")  # released code for square pictures
# Runs on another picture too, and repairs the wrong patches of it; see `readings/test_similarity.py`.
MISPLACED = "scclip/12_224x336/features"


@pytest.fixture(scope="module")
def encoder(loaded_clip: LoadedClip) -> VisualEncoder:
    return VisualEncoder(loaded_clip.model.visual, GuestTower(dino()), MEAN, STD)


@pytest.fixture(scope="module")
def released_maskclip(tiny_clip: Path) -> VisualEncoder:
    visual = copy.deepcopy(load_clip(f"local-dir:{tiny_clip}", activation="gelu").model.visual)
    for module in visual.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-6
    return VisualEncoder(visual)


def pixels(seed: int, height: int, width: int) -> Tensor:
    return (scene_batch([seed], height, width) / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(
        3, 1, 1
    )


def features_of(encoder: VisualEncoder, method: str, case: str) -> NDArray[np.float32]:
    """(N+1, E) features of `<seed>_<height>x<width>`, class token first."""
    seed, size = case.split("_")
    height, width = map(int, size.split("x"))
    with torch.no_grad():
        (features,) = encoder(pixels(int(seed), height, width), [get_method(method)], TEXT).features.values()
    return features[0].numpy()


def compare(encoder: VisualEncoder, method: str, expected: dict[str, NDArray[np.float32]]) -> None:
    """Every `<case>/features` (all patches, or rows evenly drawn from them) and `<case>/cls`.

    `<case>/<option><value>/features` is with another value of an option.
    """
    for key in sorted(expected):
        case, *option, kind = key.split("/")
        setting = re.sub(r"([a-z_]+)(.*)", r"+\1=\2", "".join(option))
        ours = features_of(encoder, method + setting, case)
        rows = ours[0] if kind == "cls" else ours[1:][np.linspace(0, len(ours) - 2, len(expected[key]), dtype=int)]
        np.testing.assert_allclose(rows, expected[key], rtol=0, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("file", FILES)
def test_golden_rows(file: str, encoder: VisualEncoder, released_maskclip: VisualEncoder) -> None:
    golden = np.load(GOLDEN)
    keys = [key for key in golden.files if key.startswith(f"{file}/") and key.endswith(("/features", "/cls"))]
    expected = {key.removeprefix(f"{file}/"): golden[key] for key in keys if key != MISPLACED}
    assert len(expected) >= 3 - (file in SQUARE_CODE)
    compare(released_maskclip if file == "maskclip" else encoder, FILES[file], expected)


@pytest.mark.parametrize("file", FILES)
def test_every_stored_feature(
    file: str, encoder: VisualEncoder, released_maskclip: VisualEncoder, parity: Path
) -> None:
    (path,) = parity.glob(f"methods*/{file}.npz")
    stored = np.load(path)
    keys = [key for key in stored.files if key.endswith(("/features", "/cls"))]
    expected = {key: stored[key] for key in keys if f"{file}/{key}" != MISPLACED}
    assert len(expected) >= 3
    compare(released_maskclip if file == "maskclip" else encoder, FILES[file], expected)


@pytest.mark.parametrize("size", [(224, 224), (224, 336)])
def test_all_methods_together_are_each_alone(size: tuple[int, int], encoder: VisualEncoder) -> None:
    """Sharing passes changes nothing: one on the native grid, elsewhere one for each way of resampling."""
    picture = pixels(12, *size)
    with torch.no_grad():
        methods = [replace(method, regions=True) for method in METHODS.values()]  # which keeps the projections too
        together = encoder(picture, methods, TEXT)
        assert list(together.features) == list(METHODS)
        resamplings = {method.position_embedding for method in METHODS.values()}
        assert len(together.passes) == (1 if size == (224, 224) else len(resamplings))
        for method in methods:
            alone = encoder(picture, [method], TEXT)
            assert torch.equal(together.features[method.name], alone.features[method.name])
            (shared,) = (each for each in together.passes if method.name in each.features)
            assert shared.penultimate is not None
            assert alone.passes[0].penultimate is not None
            assert torch.equal(shared.penultimate.query, alone.passes[0].penultimate.query)
