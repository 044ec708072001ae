"""Global patches: the analysis against explicit loops, the figure by its colours, the command and its errors."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from cliptrase.cli.global_patches import main, parse_patch
from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.drawing.overlay import heat
from cliptrase.drawing.patch_panel import PatchMap
from cliptrase.global_patches.analysis import FACTOR, analyse, denoised_map
from cliptrase.global_patches.figure import WIDE, attention_maps, correlation_maps, figure, picture_panel, share_chart
from cliptrase.global_patches.view import show
from cliptrase.methods import get_method
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from tests.cliptrase.clip.test_encoder import tower
from tests.kit import scene, scene_batch

Array = NDArray[np.float64]
CHOSEN = [(1, 2), (0, 0)]


@pytest.fixture(scope="module")
def peaky() -> open_clip.CLIP:
    """Three blocks of two heads over 3 x 3 patches, whose attention is far from even."""
    model = tower({"layers": 3, "width": 64, "image_size": 48, "patch_size": 16, "head_width": 32})
    for block in model.visual.transformer.resblocks:
        block.attn.in_proj_weight.mul_(3)
    return model


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(1))


def projections(model: open_clip.CLIP, pixels: torch.Tensor) -> list[Array]:
    """Of every block (3, heads, tokens, head width): what open_clip's own run hands to attention, by hooks."""
    seen: list[Array] = []
    handles = []
    for block in model.visual.transformer.resblocks:

        def keep(module: torch.nn.Module, inputs: object, tokens: torch.Tensor, block: torch.nn.Module = block) -> None:
            weight, bias = block.attn.in_proj_weight.double(), block.attn.in_proj_bias.double()  # type: ignore[union-attr, operator]
            flat = (tokens[0].double() @ weight.T + bias).numpy()
            heads = [np.split(part, block.attn.num_heads, axis=1) for part in np.split(flat, 3, axis=1)]  # type: ignore[union-attr, call-overload]
            seen.append(np.array(heads))

        handles.append(block.ln_1.register_forward_hook(keep))
    with torch.no_grad():
        model.visual(pixels)
    for handle in handles:
        handle.remove()
    return seen


def attention(query: Array, key: Array) -> Array:
    """Mean over heads of softmax(q k^T / sqrt(d)), one number at a time."""
    heads, tokens, width = query.shape
    mean = np.zeros((tokens, tokens))
    for q, k in zip(query, key, strict=True):
        for i in range(tokens):
            weights = [np.exp(float(q[i] @ k[j]) / width**0.5) for j in range(tokens)]
            for j in range(tokens):
                mean[i, j] += weights[j] / sum(weights) / heads
    return mean


def correlation(qkv: Array) -> Array:
    """Mean over heads of the three cosines, one number at a time."""
    _, heads, tokens, _ = qkv.shape
    found = np.zeros((tokens, tokens))
    for part in qkv:
        for head in part:
            for i in range(tokens):
                for j in range(tokens):
                    cosine = head[i] @ head[j] / np.linalg.norm(head[i]) / np.linalg.norm(head[j])
                    found[i, j] += cosine / 3 / heads
    return found


def test_analysis_against_loops(peaky: open_clip.CLIP, pixels: torch.Tensor) -> None:
    found = analyse(VisualEncoder(peaky.visual), pixels, CHOSEN)
    assert (found.grid, found.chosen) == ((3, 3), tuple(CHOSEN))
    blocks = projections(peaky, pixels)
    numbers = range(1, 10)
    for block, (query, key, _) in enumerate(blocks):
        weights = attention(query, key)
        received = [np.mean([weights[i, j] for i in numbers if i != j]) for j in numbers]
        chosen = [j for j in numbers if received[j - 1] > FACTOR * np.mean(received)]
        others = [i for i in numbers if i not in chosen]
        np.testing.assert_allclose(found.class_attention[block], weights[0, 1:], atol=1e-5)
        np.testing.assert_allclose(found.received[block], received, atol=1e-5)
        assert (found.is_global[block].nonzero()[:, 0] + 1).tolist() == chosen
        assert float(found.class_share[block]) == pytest.approx(sum(weights[0, j] for j in chosen), abs=1e-5)
        share = np.mean([sum(weights[i, j] for j in chosen) for i in others])
        assert float(found.patch_share[block]) == pytest.approx(share, abs=1e-5)
        assert float(found.chance_share[block]) == pytest.approx(len(chosen) / 10)
    assert found.is_global.any(), "nothing global: the shares above say nothing"

    (query, key, _), expected = blocks[-2], correlation(blocks[-2])
    for number, (row, column) in enumerate(CHOSEN):
        token = 1 + row * 3 + column
        np.testing.assert_allclose(found.attention[number], attention(query, key)[token, 1:], atol=1e-5)
        np.testing.assert_allclose(found.correlation[number], expected[token, 1:], atol=1e-5)
        denoised = [max(expected[token, j] - expected[0, j], 0) for j in numbers]
        np.testing.assert_allclose(found.denoised[number], denoised, atol=1e-5)


def test_even_attention_has_no_global_patch(pixels: torch.Tensor) -> None:
    model = tower({"layers": 2, "width": 64, "image_size": 48, "patch_size": 16, "head_width": 32})
    for block in model.visual.transformer.resblocks:
        block.attn.in_proj_weight.zero_()
        block.attn.in_proj_bias.zero_()
    found = analyse(VisualEncoder(model.visual), pixels, [(0, 0)])
    assert not found.is_global.any()
    assert found.class_share.tolist() == found.patch_share.tolist() == [0, 0]
    torch.testing.assert_close(found.received, torch.full((2, 9), 0.1))
    assert share_chart(found).width + picture_panel(np.zeros((48, 48, 3), np.uint8), found).width <= WIDE


@pytest.mark.parametrize("size", [(16, 16), (48, 80), (80, 16)])
def test_any_grid(peaky: open_clip.CLIP, size: tuple[int, int]) -> None:
    pixels = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(2))
    found = analyse(VisualEncoder(peaky.visual), pixels, [(0, 0)])
    patches = size[0] * size[1] // 256
    assert found.received.shape == found.class_attention.shape == found.is_global.shape == (3, patches)
    for values in (found.received, found.class_share, found.patch_share, found.attention):
        assert values.isfinite().all()
        assert 0 <= values.min() <= values.max() <= 1
    drawn = figure(np.zeros((*size, 3), np.uint8), found, "name")
    assert drawn.shape[1:] == (WIDE, 3)


@pytest.mark.parametrize(
    ("protocol", "size", "cell"),
    [
        (get_protocol(size=64), (64, 64), 16),
        (get_protocol("whole", size=50), (50, 70), 16),
        (get_protocol("detectron2", size=100), (100, 140), 32),
    ],
    ids=lambda value: value.name if isinstance(value, EvaluationProtocol) else None,
)
def test_the_row_of_one_patch(
    loaded_clip: LoadedClip, protocol: EvaluationProtocol, size: tuple[int, int], cell: int
) -> None:
    own = Segmenter(loaded_clip, protocol)
    image = scene(3, *size)[0]
    batch = torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0)
    p = own.encoder(own.prepare(batch), [get_method("vanilla+regions")]).passes[0].penultimate
    assert p is not None
    expected = remove_global_patches(self_correlation(p.query, p.key, p.value))[0]
    found = denoised_map(own, image, (1, 2))
    assert (found.patch, found.cell, found.values.shape) == ((1, 2), (cell, cell), p.grid)
    np.testing.assert_array_equal(found.values.ravel(), expected[p.grid[1] + 2])
    last = (-(-size[0] // cell) - 1, -(-size[1] // cell) - 1)  # of the patches that show something of the picture
    assert denoised_map(own, image, (99, 99)).patch == last
    assert denoised_map(own, image).patch == ((last[0] + 1) // 2, (last[1] + 1) // 2)


def test_a_panel_shows_the_values_where_they_are() -> None:
    """The grid of 2 x 3 patches of 16 pixels reaches beyond the picture of 30 x 40."""
    values = np.array([[0.5, 9.0, 0.1], [-1.0, 0.25, 0.4]])
    panel = PatchMap(values, (0, 1), (16, 16)).panel((30, 40), (80, 60))
    assert panel.shape == (60, 80, 3)
    for row, column in ((0, 0), (0, 2), (1, 0), (1, 1), (1, 2)):
        pixel = panel[min(row * 32 + 24, 59), min(column * 32 + 16, 79)]
        # The chosen patch's own value sets no scale: 0.5 is the lightest.
        assert pixel.tolist() == heat(np.array(values[row, column] / 0.5)).tolist(), (row, column)
    assert (panel[15:17, 34:62] == heat(np.array(1.0))).all()  # inside the frame
    assert panel[15, 33 - 2].tolist() == [255, 255, 255]  # the frame itself


def test_correlation_maps_have_scales_of_their_own(peaky: open_clip.CLIP, pixels: torch.Tensor) -> None:
    found = analyse(VisualEncoder(peaky.visual), pixels, [(1, 1)])
    drawn = np.array(correlation_maps(found))
    light = heat(np.array(1.0))
    for part in np.split(drawn, 3, axis=1):
        assert (part == light).all(-1).sum() > 5000  # a patch of 100 x 100 besides the chosen one, marks on it or not


def test_attention_maps_share_one_scale(peaky: open_clip.CLIP, pixels: torch.Tensor) -> None:
    """Every colour of a patch is that of its attention in times of the block's average."""
    found = analyse(VisualEncoder(peaky.visual), pixels, [(1, 1)])
    drawn = {tuple(colour) for colour in np.array(attention_maps(found)).reshape(-1, 3).tolist()}
    for attention in (found.class_attention, found.received):
        times = attention / attention.mean(1, keepdim=True)
        assert {tuple(colour) for colour in heat((times / (2 * FACTOR)).numpy()).reshape(-1, 3).tolist()} <= drawn


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(scene(5, 60, 100)[0]).save(path)
    return path


def test_the_picture_as_the_tower_sees_it(loaded_clip: LoadedClip, photo: Path) -> None:
    encoder = VisualEncoder(loaded_clip.model.visual)
    with Image.open(photo) as file:
        image, pixels = show(file, loaded_clip, encoder, 60)
    assert image.shape == (64, 112, 3)
    own = Segmenter(loaded_clip, get_protocol("whole", size=60))
    assert torch.equal(pixels, own.prepare(scene_batch([5], 60, 100)))
    assert (image[60:] == image[59]).all()
    with Image.open(photo) as file:
        assert show(file, loaded_clip, encoder)[0].shape == (224, 384, 3)  # the tower's own side


def test_the_command(photo: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "figure.png"
    options = ["--patch", "3,5", "--patch", " 0, 0", "--size", "64", "--model.clip", f"local-dir:{tiny_clip}"]
    assert main([str(photo), "--out", str(out), *options]) == 0
    assert capsys.readouterr().out == f"figure: {out}\n"
    assert [path.name for path in out.parent.iterdir()] == ["figure.png"]
    with Image.open(out) as both:
        assert both.format == "PNG"
        assert both.width == WIDE
        height = both.height
    assert main([str(photo), "--out", str(out), *options[:2], *options[4:]]) == 0
    with Image.open(out) as one:
        assert one.height < height


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--patch", "seven"], "--patch 'seven' is not a row and a column; write them as in --patch 7,3"),
        (["--patch", "7;3"], "--patch '7;3' is not a row and a column"),
        (["--patch", "1,1", "--patch", "1,2,3"], "--patch '1,2,3' is not a row and a column"),
        (["--patch", "4,0"], "--patch 4,0 is outside the picture's grid of 4 x 7 patches; give a row of 0 to 3"),
        (["--patch", "0,7"], "--patch 0,7 is outside the picture's grid of 4 x 7 patches"),
        (["--patch=-1,0"], "--patch -1,0 is outside the picture's grid"),
        (["--patch", "0,0", "--size", "0"], "--size must be at least 1 pixel, not 0"),
        (["--patch", "0,0", "--clip", "ViT-X"], "--model.clip 'ViT-X' is not an architecture of open_clip"),
    ],
)
def test_wrong_values(
    photo: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    out = tmp_path / "figure.png"
    assert main([str(photo), "--size", "64", "--clip", f"local-dir:{tiny_clip}", "--out", str(out), *options]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {words}")
    assert not out.exists()


def test_files_that_cannot_be_used(
    photo: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, out = tmp_path / "broken.png", tmp_path / "figure.png"
    broken.write_bytes(photo.read_bytes()[:200])
    rest = ["--patch", "0,0", "--clip", f"local-dir:{tiny_clip}", "--size", "64"]
    for picture in (broken, tmp_path / "missing.png", tmp_path):
        assert main([str(picture), "--out", str(out), *rest]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {picture} cannot be read as a picture (")
    assert main([str(photo), "--out", str(photo / "figure.png"), *rest]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --out {photo / 'figure.png'} cannot be written (")


def test_wrong_usage(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(photo), "--out", "figure.png"]) == 2
    assert "--patch" in capsys.readouterr().err


def test_a_patch_in_words() -> None:
    assert parse_patch("7,3") == (7, 3)
    with pytest.raises(InputError):
        parse_patch("7,")
