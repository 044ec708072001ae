"""Text classifiers against open_clip's own encoder, and the cache that keeps them."""

import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from cliptrase.segmenter import Segmenter
from cliptrase.templates import TEMPLATES
from cliptrase.text import TextCache, default_cache_dir, encode_names, encode_prompts
from cliptrase.vocabulary import Vocabulary
from cliptrase.weights import LoadedClip, load_clip
from tests.kit import save_tiny_clip

NAMES = ["cat", "building, edifice", "a long name that goes on and on, until nobody remembers how it began", "ß {} 猫"]
TEMPLATE = ["a photo of a {}.", "{}", "this is an itap of one of many {} in a video game, rendered."]


@torch.no_grad()
def naive(clip: LoadedClip, names: list[str], templates: list[str]) -> torch.Tensor:
    """One prompt after the other at the full context length."""
    rows = []
    for name in names:
        prompts = [
            F.normalize(clip.model.encode_text(clip.tokenizer([t.replace("{}", name)])), dim=-1) for t in templates
        ]
        rows.append(F.normalize(torch.cat(prompts).mean(0), dim=-1))
    return torch.stack(rows)


@pytest.mark.parametrize("batch", [1, 5, 640])
def test_classifier_is_open_clips_own(loaded_clip: LoadedClip, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliptrase.text._BATCH", batch)
    found = encode_names(loaded_clip.model, loaded_clip.tokenizer, NAMES, TEMPLATE, progress=False)
    torch.testing.assert_close(found, naive(loaded_clip, NAMES, TEMPLATE), rtol=0, atol=1e-6)


def test_prompts_that_fill_the_context(loaded_clip: LoadedClip) -> None:
    names = ["word " * 200, "word"]
    found = encode_names(loaded_clip.model, loaded_clip.tokenizer, names, TEMPLATE, progress=False)
    torch.testing.assert_close(found, naive(loaded_clip, names, TEMPLATE), rtol=0, atol=1e-6)


def test_prompts_are_cut_to_the_longest_of_their_batch(
    loaded_clip: LoadedClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start and end count: "a" has 3 tokens."""
    transformer = loaded_clip.model.transformer
    forward, lengths = transformer.forward, []

    def watch(x: torch.Tensor, **options: Any) -> torch.Tensor:
        lengths.append(x.shape[:2])
        return forward(x, **options)

    monkeypatch.setattr(transformer, "forward", watch)
    monkeypatch.setattr("cliptrase.text._BATCH", 2)
    encode_names(loaded_clip.model, loaded_clip.tokenizer, ["a a a", "a", "a a a a a a", "a a"], ["{}"], progress=False)
    assert lengths == [(2, 4), (2, 8)]


@pytest.mark.parametrize(
    "text",
    [{"no_causal_mask": True}, {"pool_type": "last"}, {"proj_bias": True}, {"proj_type": "none", "width": 32}],
)
@torch.no_grad()
def test_other_text_towers(text: dict[str, Any]) -> None:
    """Not causal or pooled elsewhere: then the full length is run; projections of every kind."""
    torch.manual_seed(0)
    model = open_clip.CLIP(
        32,
        {"layers": 1, "width": 64, "image_size": 32, "patch_size": 16},
        {"context_length": 12, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2} | text,
    ).eval()
    tokens = open_clip.SimpleTokenizer(context_length=12)(["a", "a photo of a cat", "two cats"])
    expected = F.normalize(model.encode_text(tokens), dim=-1)
    torch.testing.assert_close(encode_prompts(model, tokens), expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_a_text_tower_of_its_own() -> None:
    """`custom_text` architectures keep the tower in `model.text`."""
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(
        32,
        {"layers": 1, "width": 64, "image_size": 32, "patch_size": 16},
        {"context_length": 12, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    ).eval()
    tokens = open_clip.SimpleTokenizer(context_length=12)(["a", "a photo of a cat"])
    expected = F.normalize(model.encode_text(tokens), dim=-1)
    torch.testing.assert_close(encode_prompts(model, tokens), expected, rtol=0, atol=1e-6)


VOCABULARY = Vocabulary((("cat",), ("dog", "hound")), ("wall",))


@pytest.fixture
def fresh(loaded_clip: LoadedClip, tmp_path: Path) -> Segmenter:
    """A segmenter with an empty cache."""
    return Segmenter(loaded_clip, cache_dir=tmp_path / "deep" / "cache")


def only_file(segmenter: Segmenter) -> Path:
    (path,) = segmenter.cache.directory.iterdir()
    return path


def test_second_start_does_not_call_the_model(fresh: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fresh.classifier(VOCABULARY, progress=False)
    assert only_file(fresh).name.startswith("text-")
    again = Segmenter(fresh.card, cache_dir=fresh.cache.directory)
    monkeypatch.setattr("cliptrase.segmenter.encode_names", None)
    second = again.classifier(VOCABULARY, progress=False)
    assert torch.equal(first.embeddings, second.embeddings)
    assert first.fold.tolist() == second.fold.tolist() == [0, 1, 1, 2]


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_garbage(path: Path) -> None:
    path.write_bytes(b"not a classifier" * 40)


def damage_last_value(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def damage_no_metadata(path: Path) -> None:
    save_file({"classifier": torch.ones(4, 64)}, path)


def damage_other_tensor(path: Path) -> None:
    save_file({"other": torch.ones(4, 64)}, path)


@pytest.mark.parametrize(
    "damage",
    [
        damage_truncate,
        damage_empty,
        damage_garbage,
        damage_last_value,
        damage_no_metadata,
        damage_other_tensor,
    ],
)
def test_damaged_files_are_made_anew(fresh: Segmenter, damage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fresh.classifier(VOCABULARY, progress=False)
    path = only_file(fresh)
    damage(path)
    with pytest.warns(UserWarning, match="it is made anew"):
        second = fresh.classifier(VOCABULARY, progress=False)
    assert torch.equal(first.embeddings, second.embeddings)
    assert only_file(fresh) == path
    monkeypatch.setattr("cliptrase.segmenter.encode_names", None)
    assert torch.equal(first.embeddings, fresh.classifier(VOCABULARY, progress=False).embeddings)


def test_a_foreign_file_is_made_anew(fresh: Segmenter) -> None:
    """A sound file of other names, under this vocabulary's file name."""
    first = fresh.classifier(VOCABULARY, progress=False)
    path = only_file(fresh)
    other = Vocabulary((("cow",), ("sheep", "ram")), ("door",))
    wrong = fresh.classifier(other, progress=False)
    templates = TEMPLATES[fresh.protocol.templates]
    shutil.copy(fresh.cache.path(other.names, templates), path)
    with pytest.warns(UserWarning, match="was changed or belongs to another run; it is made anew"):
        second = fresh.classifier(VOCABULARY, progress=False)
    assert torch.equal(first.embeddings, second.embeddings)
    assert not torch.equal(second.embeddings, wrong.embeddings)


def test_a_save_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = TextCache(tmp_path, "model", "weights")

    def fail(tensors: Any, path: str, metadata: Any) -> None:
        Path(path).write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr("cliptrase.text.save_file", fail)
    with pytest.raises(OSError, match="no space"):
        cache.save(["cat"], ["{}"], torch.ones(1, 4))
    assert list(tmp_path.iterdir()) == []
    assert cache.load(["cat"], ["{}"]) is None


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = TextCache(tmp_path, "model", "weights")
    seen = []

    def watch(tensors: Any, path: str, metadata: Any) -> None:
        seen.append((Path(path).parent, cache.path(["cat"], ["{}"]).exists(), path.endswith(".safetensors")))
        save_file(tensors, path, metadata=metadata)

    monkeypatch.setattr("cliptrase.text.save_file", watch)
    cache.save(["cat"], ["{}"], torch.ones(1, 4))
    assert seen == [(tmp_path, False, False)]
    assert [path.name for path in tmp_path.iterdir()] == [cache.path(["cat"], ["{}"]).name]
    assert torch.equal(cache.load(["cat"], ["{}"]), torch.ones(1, 4))


def test_whatever_decides_an_embedding_is_in_the_key(tmp_path: Path) -> None:
    names, templates = ["cat", "dog"], ["a {}.", "{}"]
    keys = [
        TextCache(tmp_path, "model", "weights").path(names, templates),
        TextCache(tmp_path, "model 2", "weights").path(names, templates),
        TextCache(tmp_path, "model", "weights 2").path(names, templates),
        TextCache(tmp_path, "model", "weights").path(["dog", "cat"], templates),
        TextCache(tmp_path, "model", "weights").path(["cat", "dog", "dog"], templates),
        TextCache(tmp_path, "model", "weights").path(["catdog"], templates),
        TextCache(tmp_path, "model", "weights").path(names, ["{}", "a {}."]),
        TextCache(tmp_path, "model", "weights").path(names, ["{}"]),
        TextCache(tmp_path, "model", "weights").path([*names, "a {}."], ["{}"]),
    ]
    assert len(set(keys)) == len(keys)
    assert TextCache(tmp_path, "model", "weights").path(tuple(names), tuple(templates)) == keys[0]


def test_other_weights_and_activations_take_other_files(tiny_clip: Path, tmp_path: Path) -> None:
    """The same values under another name or place take the same file."""
    other = save_tiny_clip(tmp_path / "other", seed=1)
    moved = save_tiny_clip(tmp_path / "moved", seed=0)
    clips = [
        load_clip(f"local-dir:{tiny_clip}"),
        load_clip(f"local-dir:{other}"),
        load_clip(f"local-dir:{tiny_clip}", activation="gelu"),
        load_clip(f"local-dir:{moved}"),
    ]
    paths = [Segmenter(clip, cache_dir=tmp_path).cache.path(["cat"], ["{}"]) for clip in clips]
    assert len(set(paths[:3])) == 3
    assert paths[3] == paths[0]


def test_place_of_the_cache(monkeypatch: pytest.MonkeyPatch, text_cache: Path, tmp_path: Path) -> None:
    assert default_cache_dir() == text_cache
    monkeypatch.delenv("CLIPTRASE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "cliptrase"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "cliptrase"
