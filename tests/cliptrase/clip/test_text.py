"""Text classifiers against open_clip's own encoder, and the cache that keeps them."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from cliptrase.clip.templates import TEMPLATES
from cliptrase.clip.text import TextCache, default_cache_dir, encode_names, encode_prompts, tokenizer_hash
from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary
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
    monkeypatch.setattr("cliptrase.clip.text._BATCH", batch)
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
    monkeypatch.setattr("cliptrase.clip.text._BATCH", 2)
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
    again = Segmenter(fresh.clip, cache_dir=fresh.cache.directory)
    monkeypatch.setattr("cliptrase.inference.batches.encode_names", None)
    second = again.classifier(VOCABULARY, progress=False)
    assert torch.equal(first.embeddings, second.embeddings)
    assert first.name_to_label.tolist() == second.name_to_label.tolist() == [0, 1, 1, 2]


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


def damage_half_precision(path: Path) -> None:
    with safe_open(path, "pt") as file:
        metadata, classifier = file.metadata(), file.get_tensor("classifier").bfloat16()
    save_file({"classifier": classifier}, path, metadata=metadata)


def damage_not_finite(path: Path) -> None:
    with safe_open(path, "pt") as file:
        metadata, classifier = file.metadata(), file.get_tensor("classifier")
    classifier[0, 0] = float("nan")
    metadata["content"] = hashlib.sha256(classifier.numpy().tobytes()).hexdigest()
    save_file({"classifier": classifier}, path, metadata=metadata)


def damage_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    "damage",
    [
        damage_half_precision,
        damage_not_finite,
        damage_pipe,
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
    monkeypatch.setattr("cliptrase.inference.batches.encode_names", None)
    assert torch.equal(first.embeddings, fresh.classifier(VOCABULARY, progress=False).embeddings)


def test_a_folder_in_place_of_a_file_is_left_alone(fresh: Segmenter) -> None:
    first = fresh.classifier(VOCABULARY, progress=False)
    path = only_file(fresh)
    path.unlink()
    path.mkdir()
    with pytest.warns(UserWarning, match="cannot be") as told:
        second = fresh.classifier(VOCABULARY, progress=False)
    assert [str(warning.message).partition(" cannot be ")[2].split()[0] for warning in told] == ["read", "written"]
    assert torch.equal(first.embeddings, second.embeddings)
    assert only_file(fresh) == path


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


def tokens(texts: list[str]) -> torch.Tensor:
    """A tokenizer: the first eight code points."""
    return torch.tensor([[ord(letter) for letter in text[:8].ljust(8)] for text in texts])


def kept(directory: Path, model: str = "model", weights: str = "weights", tokenizer: Any = tokens) -> TextCache:
    return TextCache(directory, model, weights, tokenizer)


def test_a_save_that_fails_leaves_nothing_but_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.warns(
        UserWarning, match=r"not kept for the next run: .* \(No space left on device\); name another folder"
    ):
        kept(tmp_path).save(["cat"], ["{}"], torch.ones(1, 4))
    assert list(tmp_path.iterdir()) == []
    assert kept(tmp_path).load(["cat"], ["{}"]) is None


@pytest.mark.parametrize("place", ["file", "file/below", "/dev/null/cliptrase", "/proc/none"])
def test_a_folder_that_cannot_be_written_costs_a_warning(
    loaded_clip: LoadedClip, place: str, tmp_path: Path, segmenter: Segmenter
) -> None:
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="not kept for the next run: .* cannot be written .* by CLIPTRASE_CACHE"):
        found = Segmenter(loaded_clip, cache_dir=tmp_path / place).classifier(VOCABULARY, progress=False)
    assert torch.equal(found.embeddings, segmenter.classifier(VOCABULARY, progress=False).embeddings)


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("CLIPTRASE_CACHE")
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.warns(UserWarning, match="not kept for the next run"):
        kept(default_cache_dir()).save(["cat"], ["{}"], torch.ones(1, 4))


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, seen, replace = kept(tmp_path), [], os.replace

    def watch(aside: Path, path: Path) -> None:
        seen.append((aside.parent, path.exists(), aside.suffix == ".safetensors"))
        replace(aside, path)

    monkeypatch.setattr("os.replace", watch)
    cache.save(["cat"], ["{}"], torch.ones(1, 4))
    assert seen == [(tmp_path, False, False)]
    assert [path.name for path in tmp_path.iterdir()] == [cache.path(["cat"], ["{}"]).name]
    assert torch.equal(cache.load(["cat"], ["{}"]), torch.ones(1, 4))


def test_whatever_decides_an_embedding_is_in_the_key(tmp_path: Path) -> None:
    names, templates = ["cat", "dog"], ["a {}.", "{}"]
    keys = [
        kept(tmp_path).path(names, templates),
        kept(tmp_path, model="model 2").path(names, templates),
        kept(tmp_path, weights="weights 2").path(names, templates),
        kept(tmp_path, tokenizer=lambda texts: tokens(texts) + 1).path(names, templates),
        kept(tmp_path, tokenizer=lambda texts: tokens(texts)[:, :6]).path(names, templates),
        kept(tmp_path).path(["dog", "cat"], templates),
        kept(tmp_path).path(["cat", "dog", "dog"], templates),
        kept(tmp_path).path(["catdog"], templates),
        kept(tmp_path).path(names, ["{}", "a {}."]),
        kept(tmp_path).path(names, ["{}"]),
        kept(tmp_path).path([*names, "a {}."], ["{}"]),
    ]
    assert len(set(keys)) == len(keys)
    assert kept(tmp_path).path(tuple(names), tuple(templates)) == keys[0]


def test_clips_own_tokenizer_is_known_by_its_tables_and_rules() -> None:
    """One that reads the names asked for alike, but other words otherwise, is another."""
    names, templates = ["cat"], ["{}"]
    own, used = open_clip.SimpleTokenizer(), open_clip.SimpleTokenizer()
    used(["words that it had not met"])
    assert tokenizer_hash(own, names, templates) == tokenizer_hash(used, names, templates)
    others = [
        open_clip.SimpleTokenizer(**{key: value}) for key, value in (("context_length", 60), ("clean", "canonicalize"))
    ]
    others.append(open_clip.SimpleTokenizer())
    others[-1].bpe_ranks[("z", "z")] = 5
    hashes = {tokenizer_hash(tokenizer, names, templates) for tokenizer in [own, *others]}
    assert len(hashes) == 4


def test_a_mended_configuration_takes_another_file(tiny_clip: Path, tmp_path: Path) -> None:
    """The weights do not say how many heads there are."""
    folder = shutil.copytree(tiny_clip, tmp_path / "clip")
    config = json.loads((folder / "open_clip_config.json").read_text())
    right = Segmenter(load_clip(f"local-dir:{folder}"), cache_dir=tmp_path / "cache")
    config["model_cfg"]["text_cfg"]["heads"] *= 2
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    wrong = Segmenter(load_clip(f"local-dir:{folder}"), cache_dir=tmp_path / "cache")
    assert right.clip.weights_hash == wrong.clip.weights_hash
    first = wrong.classifier(VOCABULARY, progress=False)
    assert not torch.equal(first.embeddings, right.classifier(VOCABULARY, progress=False).embeddings)
    assert len(list((tmp_path / "cache").iterdir())) == 2


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


def test_text_towers_that_change_get_other_embeddings(tmp_path: Path) -> None:
    """Kept under the loaded weights' hash, they would be another run's, too."""
    first, second = (Segmenter(load_clip("embedded"), cache_dir=tmp_path) for _ in range(2))
    loaded = first.embeddings(["sky"])
    with torch.no_grad():
        first.model.text_projection.mul_(torch.linspace(0.1, 2, first.model.text_projection.shape[1]))
    changed = first.embeddings(["sky"])
    assert not torch.equal(changed, loaded)
    assert torch.equal(first.embeddings(["sky"]), changed)
    assert torch.equal(second.embeddings(["sky"]), loaded)
