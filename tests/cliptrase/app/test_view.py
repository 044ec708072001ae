"""What the page's script gets, and the files that people take away, hold the answer and nothing else."""

import base64
import io
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cliptrase.app.downloads import overlay_png, write_legend, write_masks, write_overlays
from cliptrase.app.patches import patch_html
from cliptrase.app.script import ModelChoice, python_lines
from cliptrase.app.studio import Answer, Studio
from cliptrase.app.view import view_of
from cliptrase.drawing.overlay import overlay, palette
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import PROTOCOLS, get_protocol
from tests.cliptrase.app.conftest import BACKGROUND, WORDS


def unpacked(values: str, shape: tuple[int, int]) -> np.ndarray[Any, Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(values)), "<u2").reshape(shape)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_the_view_holds_the_labels(answer: Answer) -> None:
    view = json.loads(json.dumps(view_of(answer, (0.1, 0.2))))
    shape = (view["height"], view["width"])
    assert shape == answer.shown.pixels.shape[:2]
    for map_, labels in zip(view["maps"], answer.maps.values(), strict=True):
        assert np.array_equal(unpacked(map_["values"], shape), labels)
        for label, x, y in map_["marks"]:
            assert labels[int(y * shape[0]), int(x * shape[1])] == label
    assert [entry["name"] for entry in view["labels"]] == [
        *("wood", "apple", "strawberry", "background", "none of these")
    ]
    assert [entry["colour"] for entry in view["labels"]] == [*palette()[:4].tolist(), None]
    assert all(label != 4 for map_ in view["maps"] for label, *_ in map_["marks"])
    shares = np.array([entry["share"] for entry in view["labels"]])
    assert shares.sum(0) == pytest.approx(1)
    assert shares[0, 1] == pytest.approx((answer.maps["vanilla"] == 0).mean())
    picture = opened(base64.b64decode(view["picture"].partition(",")[2]))
    assert np.abs(np.asarray(picture, int) - answer.shown.pixels).mean() < 8


def test_a_large_picture_is_shown_small(answer: Answer) -> None:
    pixels = np.repeat(np.repeat(answer.shown.pixels, 10, 0), 10, 1)
    maps = {"vanilla": np.repeat(np.repeat(answer.maps["vanilla"], 10, 0), 10, 1)}
    view = view_of(replace(answer, shown=replace(answer.shown, pixels=pixels), maps=maps), (0.1, 0.1))
    assert (view["width"], view["height"]) == (1024, 768)
    assert unpacked(view["maps"][0]["values"], (768, 1024))[0, 0] == maps["vanilla"][0, 0]


def test_masks_are_the_labels_in_the_legends_colours(answer: Answer, tmp_path: Path) -> None:
    paths = write_masks(tmp_path, answer)
    assert [path.name for path in paths] == ["my photo_cliptrase.png", "my photo_vanilla.png"]
    for path, labels in zip(paths, answer.maps.values(), strict=True):
        with Image.open(path) as mask:
            assert mask.mode == "P"
            assert np.array_equal(np.array(mask), labels)
            assert np.array_equal(np.array(mask.convert("RGB")), np.where(labels[..., None] == 4, 0, palette()[labels]))
    legend = json.loads(write_legend(tmp_path, answer).read_text())
    assert [entry["words"] for entry in legend] == [["wood", "plank"], ["apple"], ["strawberry"], ["sky"], []]
    assert legend[1]["colour"] == "#{:02x}{:02x}{:02x}".format(*palette()[1])


def test_overlays_follow_the_strength(answer: Answer, tmp_path: Path) -> None:
    height, width = answer.shown.pixels.shape[:2]
    for strength in (0.0, 0.5, 1.0):
        shown = np.array(opened(overlay_png(answer, "vanilla", strength)).convert("RGB"))[:height, :width]
        labels = np.where(answer.maps["vanilla"] == 4, -1, answer.maps["vanilla"].astype(int))  # none of these is grey
        expected = overlay(answer.shown.pixels, labels, strength)
        assert (shown == expected).mean() > 0.8  # but for the names in place
    assert [path.name for path in write_overlays(tmp_path, answer, 0.5)] == [
        "my photo_cliptrase_overlay.png",
        "my photo_vanilla_overlay.png",
    ]


def test_the_python_lines_give_what_the_page_shows(
    studio: Studio, answer: Answer, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / picture.name).write_bytes(picture.read_bytes())
    lines = python_lines(
        ModelChoice("embedded"), studio.protocol, list(answer.maps), answer.shown.name, WORDS, BACKGROUND, "auto"
    )
    names: dict[str, Any] = {}
    exec(lines, names)
    assert np.array_equal(names["result"].labels, answer.maps["vanilla"])  # the last one
    assert names["result"].names == answer.vocabulary.label_names
    for method, page in zip(answer.maps, write_masks(tmp_path / "page", answer), strict=True):
        assert (tmp_path / f"my photo_{method}" / "masks" / "my photo.png").read_bytes() == page.read_bytes()


@pytest.mark.parametrize(
    "protocol",
    [
        *(row for row in PROTOCOLS.values() if row.view == "whole_image"),
        get_protocol("photos", size=224, eps=0.5),
        get_protocol("tiles", size="own"),
        get_protocol("sclip", name="mine", window=112, stride=56),
    ],
    ids=lambda protocol: protocol.label,
)
def test_the_python_lines_name_any_protocol(protocol: EvaluationProtocol) -> None:
    lines = python_lines(ModelChoice("ViT-B-16", "openai", "gelu"), protocol, ["sclip"], "a'b.png", 'a "b"; c', "")
    made = next(line for line in lines.splitlines() if line.startswith("protocol = "))
    names: dict[str, Any] = {"get_protocol": get_protocol}
    exec(made, names)
    assert names["protocol"].values() == protocol.values()
    assert "from_pretrained('ViT-B-16', 'openai', protocol=protocol, activation='gelu', methods='sclip')" in lines
    assert """segment("a'b.png", 'a "b"; c')""" in lines


def test_a_patch_is_told_in_numbers(studio: Studio, answer: Answer) -> None:
    result = studio.patches(answer.shown)
    html = patch_html(result, (2, 3))
    assert f"Patch 2,3</strong> of {result.grid[0]} x {result.grid[1]}" in html
    assert html.count("<img") == html.count("<figure>") == 3
    others = np.delete(result.denoised[2 * result.grid[1] + 3].numpy(), 2 * result.grid[1] + 3)
    assert f"</i>{others.max():.2f}</div>" in html
    assert patch_html(result, (999, -1)) == patch_html(result, (result.grid[0] - 1, 0))
