"""Weights that lie in their file's pages: what is copied when, and what becomes of a file that is written to."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.factory import _MODEL_CONFIGS
from safetensors.torch import save_file
from torch import Tensor

from cliptrase.clip.filling import Unfilled
from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.common.errors import InputError
from cliptrase.segmenter import Segmenter
from tests.kit import MODEL_CONFIG, tiny_state

Save = Callable[[dict[str, Tensor], Path], object]


@pytest.fixture(autouse=True)
def small_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_MODEL_CONFIGS, "ViT-B-16", MODEL_CONFIG)


@pytest.fixture(params=["safetensors", "pt"])
def save(request: pytest.FixtureRequest) -> Save:
    return save_file if request.param == "safetensors" else torch.save


def load(path: Path) -> LoadedClip:
    return load_clip("ViT-B-16", str(path), "quick_gelu")


def lying(loaded: LoadedClip) -> set[str]:
    """Names of the parameters in the file's pages."""
    assert loaded.file is not None
    return {name for name, value in loaded.model.named_parameters() if value.data_ptr() in loaded.file.addresses}


def rewrite(path: Path, state: dict[str, Tensor], save: Save) -> None:
    """Other values into the very file, as `cp` puts them there."""
    other = path.with_name("other")
    save({name: value + 1 for name, value in state.items()}, other)
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(0, 0))  # a time of change that differs however coarse the clock


def test_the_text_tower_lies_in_the_file_until_it_is_used(save: Save, tmp_path: Path) -> None:
    state, path = tiny_state(), tmp_path / "weights"
    save(state, path)
    loaded = load(path)
    expected = {name for name in state if not name.startswith(("visual.", "logit_scale"))}
    assert lying(loaded) == expected
    segmenter = Segmenter(loaded, cache_dir=tmp_path / "cache")
    first = segmenter.embeddings(["cat", "dog"], ["{}"], progress=False)
    assert lying(loaded) == set()
    again = load(path)
    assert torch.equal(Segmenter(again, cache_dir=tmp_path / "cache").embeddings(["cat", "dog"], ["{}"]), first)
    assert lying(again) == expected  # what was kept needs no tower
    for name, value in [*loaded.model.named_parameters(), *again.model.named_parameters()]:
        assert torch.equal(value, state[name])


def test_a_file_of_half_precision_lies_nowhere(save: Save, tmp_path: Path) -> None:
    save({name: value.half() for name, value in tiny_state().items()}, tmp_path / "weights")
    assert lying(load(tmp_path / "weights")) == set()


def test_a_file_that_is_cut_short_ends_in_a_sentence(save: Save, tmp_path: Path) -> None:
    """A page that it has no more would end the process."""
    path = tmp_path / "weights"
    save(tiny_state(), path)
    loaded = load(path)
    os.truncate(path, 10)
    with pytest.raises(InputError, match="was written to while it was in use"):
        Segmenter(loaded, cache_dir=tmp_path / "cache").embeddings(["cat", "dog"])


def test_a_file_that_is_written_to_names_nothing(save: Save, tmp_path: Path) -> None:
    state, path = tiny_state(), tmp_path / "weights"
    save(state, path)
    loaded = load(path)
    visual = {name: value.clone() for name, value in loaded.model.visual.named_parameters()}
    rewrite(path, state, save)
    segmenter = Segmenter(loaded, cache_dir=tmp_path / "cache")
    for _ in range(2):
        with pytest.raises(InputError, match="was written to while it was in use; start again when it is whole"):
            segmenter.embeddings(["cat"], ["{}"], progress=False)
    assert not (tmp_path / "cache").exists()
    assert all(torch.equal(value, visual[name]) for name, value in loaded.model.visual.named_parameters())


def test_a_file_that_is_replaced_or_taken_away_changes_nothing(save: Save, tmp_path: Path) -> None:
    state, path = tiny_state(), tmp_path / "weights"
    save(state, path)
    expected = Segmenter(load(path), cache_dir=tmp_path / "a").embeddings(["cat"], ["{}"], progress=False)
    replaced, taken = load(path), load(path)
    save({name: value + 1 for name, value in state.items()}, tmp_path / "other")
    (tmp_path / "other").replace(path)
    assert torch.equal(Segmenter(replaced, cache_dir=tmp_path / "b").embeddings(["cat"], ["{}"]), expected)
    path.unlink()
    assert torch.equal(Segmenter(taken, cache_dir=tmp_path / "c").embeddings(["cat"], ["{}"]), expected)


def test_a_model_without_values_has_the_buffers_of_one_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    usual: Any = open_clip.create_model("ViT-B-16", load_weights=False)
    with Unfilled():
        empty: Any = open_clip.create_model("ViT-B-16", load_weights=False)
        assert torch.equal(torch.nn.init.normal_(torch.ones(3)), torch.ones(3))
    assert dict(usual.named_buffers()).keys() == dict(empty.named_buffers()).keys()
    for name, value in usual.named_buffers():
        assert torch.equal(value, dict(empty.named_buffers())[name])
    assert torch.nn.init.ones_(torch.empty(2)).sum() == 2


def test_a_tag_whose_file_has_other_shapes_is_read_by_open_clip(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    state = tiny_state()
    save_file(state | {"logit_scale": state["logit_scale"].reshape(1)}, tmp_path / "weights.safetensors")
    monkeypatch.setattr("cliptrase.clip.hub.require", lambda *_: None)
    monkeypatch.setattr("cliptrase.clip.weights.download_pretrained", lambda _: str(tmp_path / "weights.safetensors"))
    loaded = load_clip("ViT-B-16", "openai")
    assert loaded.file is None
    assert loaded.weights_hash == load(tmp_path / "weights.safetensors").weights_hash
    save_file(state, tmp_path / "weights.safetensors")
    assert lying(load_clip("ViT-B-16", "openai"))
