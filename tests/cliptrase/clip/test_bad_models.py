"""Models that end in a sentence and never in a score: damaged values, foreign files, folders that reach for code."""

import contextlib
import io
import json
import math
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip.factory import _MODEL_CONFIGS
from safetensors.torch import save, save_file
from torch import Tensor, nn

from cliptrase.clip import towers
from cliptrase.clip.checkpoint import read_state_dict
from cliptrase.clip.model_config import check_model, read_config
from cliptrase.clip.templates import TEMPLATES
from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.common.errors import InputError
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import get_protocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests.cliptrase.clip.test_weights import Script, save_script
from tests.kit import MEAN, MODEL_CONFIG, STD, save_tiny_clip, scene_batch, tiny_state

SMALL = get_protocol(size=96, eps=0.7, min_samples=3, templates="vild")
WINDOWS = get_protocol("sclip", window=96, stride=48, size=96, logit_scale=40.0, templates="vild")
NAMES = Vocabulary(single_names(["cat", "dog", "sky"]))


@pytest.fixture(autouse=True)
def small_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_MODEL_CONFIGS, "tiny", MODEL_CONFIG)
    monkeypatch.setitem(_MODEL_CONFIGS, "ViT-B-16", MODEL_CONFIG)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return tiny_state()


def refused(message: str, *arguments: Any) -> str:
    with pytest.raises(InputError, match=message) as error:
        load_clip(*arguments)
    text = str(error.value)
    assert "\n" not in text
    assert "\x1b" not in text
    assert "weights_only" not in text
    return text


# ---------------------------------------------------------------------------------------------- values

PARAMETERS = (
    "visual.conv1.weight",
    "token_embedding.weight",
    "visual.transformer.resblocks.5.ln_1.bias",
    "logit_scale",
)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", PARAMETERS)
def test_one_value_that_is_not_finite(name: str, bad: float, state: dict[str, Tensor], tmp_path: Path) -> None:
    save_tiny_clip(tmp_path)
    damaged = state | {name: state[name].clone()}
    damaged[name].view(-1)[-1] = bad
    save_file(damaged, tmp_path / "open_clip_model.safetensors")
    refused(rf"1 of the \d+ values of {name} are not finite", f"local-dir:{tmp_path}")
    refused(rf"1 of the \d+ values of {name} are not finite", "tiny", str(tmp_path / "open_clip_model.safetensors"))


@pytest.mark.parametrize("scale", [100.0, -50.0])
def test_a_scale_that_is_none(scale: float, state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state | {"logit_scale": torch.tensor(scale)}, tmp_path / "weights.pt")
    refused(rf"logit_scale is \[{scale}\], the logarithm of a factor", "tiny", str(tmp_path / "weights.pt"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"std": [0, 0, 0]}, "std is 0, not a number from 1e-06 to 1"),
        ({"std": [0.2, math.nan, 0.2]}, "std is nan, not a number"),
        ({"std": [0.2, -0.2, 0.2]}, "std is -0.2, not a number"),
        ({"std": ["a", "b", "c"]}, "std is 'a', not a number"),
        ({"std": [True, True, True]}, "std is True, not a number"),
        ({"mean": [0.5]}, r"mean is \[0.5\], not three numbers"),
        ({"mean": "abc"}, "mean is 'abc', not three numbers"),
        ({"mean": 0.5}, "mean is 0.5, not three numbers"),
        ({"mean": [123.7, 116.3, 103.5]}, "mean is 123.7, not a number from 0 to 1"),
        ({"mean": [0.5, 0.5, math.inf]}, "mean is inf, not a number"),
        ({"mode": "BGR"}, "mode is 'BGR'; pictures are shown as RGB"),
    ],
)
def test_normalisation_that_cannot_be(entry: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_tiny_clip(tmp_path)
    write_config(tmp_path, MODEL_CONFIG, {"mean": MEAN, "std": STD} | entry)
    refused(f"open_clip_config.json: {message}", f"local-dir:{tmp_path}")


def write_config(folder: Path, model: Any, preprocess: Any = None) -> None:
    content = json.dumps({"model_cfg": model, "preprocess_cfg": preprocess or {}})
    (folder / "open_clip_config.json").write_text(content)


def changed(clip: LoadedClip, tmp_path: Path, **parameters: Callable[[Tensor], Tensor]) -> LoadedClip:
    """The model with parameters changed after loading, so that nothing but what it computes can tell."""
    model = load_clip(f"local-dir:{save_tiny_clip(tmp_path / 'clip')}").model
    for name, change in parameters.items():
        owner, _, own = name.replace("__", ".").rpartition(".")
        parameter = getattr(model.get_submodule(owner), own)
        parameter.data = change(parameter.data)
    return replace(clip, model=model, weights_hash=str(sorted(parameters)))


@pytest.mark.parametrize("factor", [math.nan, 1e30, 0.0])
@pytest.mark.parametrize("protocol", [SMALL, WINDOWS], ids=["whole", "windows"])
def test_features_without_a_direction(
    factor: float, protocol: EvaluationProtocol, loaded_clip: LoadedClip, tmp_path: Path
) -> None:
    good = Segmenter(loaded_clip, protocol, ["vanilla", "sclip"])
    classifier, images = good.classifier(NAMES, progress=False), scene_batch([1], 96, 96)
    assert good(images, classifier).labels
    segmenter = Segmenter(
        changed(loaded_clip, tmp_path, visual__proj=lambda p: p * factor), protocol, ["vanilla", "sclip"]
    )
    with pytest.raises(InputError, match=r"method vanilla: image features are zero or not finite .*undamaged weights"):
        segmenter(images, classifier)


def test_features_beyond_half_precision(loaded_clip: LoadedClip, tmp_path: Path) -> None:
    """What float32 holds and half precision does not: an error there, and no score."""
    clip = changed(loaded_clip, tmp_path, visual__proj=lambda p: p * 1e5)
    segmenter = Segmenter(clip, SMALL, "vanilla")
    classifier, images = segmenter.classifier(NAMES, progress=False), scene_batch([1], 96, 96)
    assert segmenter(images, classifier).labels
    with (
        torch.autocast("cpu", torch.float16),
        pytest.raises(InputError, match=r"method vanilla: image features .* take `trainer.precision` 32-true"),
    ):
        segmenter(images, classifier)


@pytest.mark.parametrize("factor", [math.nan, math.inf, 1e30, 0.0])
def test_text_without_a_direction(factor: float, loaded_clip: LoadedClip, tmp_path: Path) -> None:
    clip = changed(loaded_clip, tmp_path, text_projection=lambda p: p * factor)
    segmenter = Segmenter(clip, SMALL, cache_dir=tmp_path)
    with pytest.raises(InputError, match="text embedding of 'cat' is zero or not finite"):
        segmenter.classifier(NAMES, progress=False)
    assert not list(tmp_path.glob("*.safetensors"))


def test_text_that_tells_no_names_apart(loaded_clip: LoadedClip, tmp_path: Path) -> None:
    clip = changed(loaded_clip, tmp_path, token_embedding__weight=torch.zeros_like)
    segmenter = Segmenter(clip, SMALL, cache_dir=tmp_path)
    with pytest.raises(InputError, match="gives all 3 names the same text embedding"):
        segmenter.classifier(NAMES, progress=False)
    assert segmenter.classifier(Vocabulary(single_names(["cat"])), progress=False).num_labels == 1


def test_a_stored_classifier_that_is_not_finite_is_made_anew(loaded_clip: LoadedClip, tmp_path: Path) -> None:
    segmenter = Segmenter(loaded_clip, SMALL, cache_dir=tmp_path)
    good = segmenter.classifier(NAMES, progress=False).embeddings
    segmenter.cache.save(NAMES.names, TEMPLATES["vild"], torch.full_like(good, math.nan))
    with pytest.warns(UserWarning, match="it is made anew"):
        assert torch.equal(segmenter.classifier(NAMES, progress=False).embeddings, good)
    stored = segmenter.cache.load(NAMES.names, TEMPLATES["vild"])
    assert stored is not None
    assert torch.equal(stored, good)


# ---------------------------------------------------------------------------------------------- files


def pointer(_: dict[str, Tensor]) -> bytes:
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 598641023\n"


def page(_: dict[str, Tensor]) -> bytes:
    return b"\n<!DOCTYPE html>\n<html><head><title>Sign in\n to the hub</title></head><body></body></html>"


def plain(state: dict[str, Tensor]) -> bytes:
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


def packed(state: dict[str, Tensor]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("weights.pt")
        entry.size = len(content := plain(state))
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def zipped(_: dict[str, Tensor]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("ViT-B-16/readme.txt", "hello")
    return out.getvalue()


FILES: dict[str, tuple[Callable[[dict[str, Tensor]], bytes], str]] = {
    "empty": (lambda _: b"", "it is empty; download or copy it again"),
    "pointer": (pointer, "it is a Git LFS pointer.*git lfs pull"),
    "page": (page, r"it is a web page \(Sign in to the hub\), as a failed download leaves"),
    "xml": (lambda _: b"<?xml version='1.0'?><Error>AccessDenied</Error>", "it is a web page, as a failed"),
    "JSON": (lambda _: b'{"error": "Repository not found"}', 'it is JSON that begins with \'{"error": "Repository'),
    "text": (lambda _: b"Access to this model is restricted, ask for it", "it is text that begins with 'Access to"),
    "text with letters cut": (lambda _: ("é" * 600).encode()[:1025], "it is text that begins with"),
    "half a zip": (lambda state: plain(state)[:200_000], "it is a zip archive, .*that is cut short: 200000 bytes"),
    "half of safetensors": (lambda state: save(state)[:200_000], "it is cut short: 200000 of .* bytes"),
    "header of safetensors": (lambda state: save(state)[:300], "it is cut short: 300 bytes"),
    "tar": (packed, "it is a tar archive; unpack it first"),
    "zeros": (lambda _: bytes(5000), "it begins with zeros, as a download that has made room"),
    "gzip": (lambda _: b"\x1f\x8b\x08\x00" + bytes(50), "it is gzip-compressed: unpack it first"),
    "zip": (zipped, r"it is a zip archive of other files \(ViT-B-16/readme.txt\)"),
    "HDF5": (lambda _: b"\x89HDF\r\n\x1a\n" + bytes(50), "it is an HDF5 file"),
    "noise": (lambda _: bytes(range(128, 256)) * 4, "it is no checkpoint of tensors"),
}


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "weights.bin"])
@pytest.mark.parametrize("kind", FILES)
def test_files_that_are_something_else(kind: str, name: str, state: dict[str, Tensor], tmp_path: Path) -> None:
    content, message = FILES[kind]
    (tmp_path / name).write_bytes(content(state))
    refused(f"{name} is not a weights file that can be read safely: {message}", "tiny", str(tmp_path / name))


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode), st.sampled_from(["w.pt", "w.safetensors"]))
def test_any_bytes_are_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_state_dict(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("write", [plain, save], ids=["PyTorch", "safetensors"])
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "weights"])
def test_the_content_decides_and_not_the_suffix(
    write: Callable[[dict[str, Tensor]], bytes], name: str, state: dict[str, Tensor], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(write(state))
    found, *_ = read_state_dict(tmp_path / name)
    assert all(torch.equal(found[key], value) for key, value in state.items())


@pytest.mark.parametrize("prefix", ["module.", "model.", "clip.", "_orig_mod.", "module._orig_mod.", "net.clip.model."])
@pytest.mark.parametrize("nested", ["", "state_dict", "model_state_dict", "model", "model.state_dict"])
def test_what_wraps_a_state_dict_is_taken_off(
    prefix: str, nested: str, state: dict[str, Tensor], tmp_path: Path, loaded_clip: LoadedClip
) -> None:
    content: Any = {prefix + key: value for key, value in state.items()}
    for part in reversed(nested.split(".") if nested else []):
        content = {"epoch": 3, part: content, "optimizer": {"state": {0: torch.ones(2)}, "lr": 0.1}}
    torch.save(content, tmp_path / "weights.pt")
    loaded = load_clip("tiny", str(tmp_path / "weights.pt"), "quick_gelu")
    assert loaded.weights_hash == loaded_clip.weights_hash


def test_several_state_dicts(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"model": state, "model_ema": state}, tmp_path / "weights.pt")
    refused(r"holds several sets of weights \(model, model_ema\)", "tiny", str(tmp_path / "weights.pt"))


def test_a_model_among_other_weights(state: dict[str, Tensor], tmp_path: Path) -> None:
    content = {f"backbone.clip.{key}": value for key, value in state.items()} | {"head.weight": torch.ones(2)}
    torch.save(content, tmp_path / "weights.pt")
    refused(
        r"begin with 'backbone.clip.' there, and other entries .*\(head.weight\)", "tiny", str(tmp_path / "weights.pt")
    )


@pytest.mark.parametrize("prefix", ["", "clip.", "module."])
def test_names_of_transformers(prefix: str, tmp_path: Path) -> None:
    names = ("text_model.embeddings.token_embedding.weight", "vision_model.post_layernorm.bias", "logit_scale")
    save_file({prefix + name: torch.ones(2) for name in names}, tmp_path / "model.safetensors")
    message = refused("names of Hugging Face's transformers", "tiny", str(tmp_path / "model.safetensors"))
    assert "open_clip's file of the same weights" in message


def test_whole_numbers_are_no_weights(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state | {"visual.proj": (state["visual.proj"] * 100).to(torch.int8)}, tmp_path / "weights.pt")
    refused("visual.proj holds torch.int8 values", "tiny", str(tmp_path / "weights.pt"))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_pickled_model(legacy: bool, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt", _use_new_zipfile_serialization=not legacy)
    refused(
        r"holds a Python object \(torch.nn.modules.linear.Linear\), .* save the model's state_dict\(\) alone",
        "tiny",
        str(tmp_path / "model.pt"),
    )


class Listed(nn.Module):
    """A scripted module with what OpenAI's archives do not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.sizes = [1, 2]

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight * self.sizes[0]


def test_scripts_other_than_openais(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = str(save_script(Listed(), tmp_path / "model.pt"))
    refused(r"TorchScript other than OpenAI's \(it names .*\); save the model's state_dict\(\)", "tiny", path)
    # One that can be read says nothing of its activation, unlike OpenAI's.
    found, is_openai, _ = read_state_dict(save_script(Script(state), tmp_path / "own.pt"))
    assert found.keys() == state.keys()
    assert not is_openai


# ---------------------------------------------------------------------------------------------- names and places


def test_usual_spellings(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pt")
    for spelling in ("ViT-B/16", "vit-b-16", "VIT-B/16", "ViT-B16", "ViT_B_16", "openai/clip-vit-base-patch16"):
        assert load_clip(spelling, str(tmp_path / "weights.pt"), "gelu").name == "ViT-B-16"
    assert towers.find_name("ViT-L/14@336px") == "ViT-L-14-336"
    refused("`clip` 'ViT-B-61' is not an architecture .* did you mean ViT-B-16\\? Else take", "ViT-B-61", "openai")


def test_no_two_architectures_are_spelt_alike() -> None:
    assert set(towers.names()) <= set(open_clip.list_models())
    assert [towers.find_name(name) for name in towers.names()] == towers.names()
    assert len({towers._plain(name) for name in towers.names()}) == len(towers.names())


@pytest.mark.parametrize("layers", [1, 3])
def test_a_shallow_tower_is_refused_before_its_weights(
    layers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_tiny_clip(tmp_path)
    vision: Any = MODEL_CONFIG["vision_cfg"]
    write_config(tmp_path, MODEL_CONFIG | {"vision_cfg": vision | {"layers": layers}})
    monkeypatch.setattr("cliptrase.clip.weights.read_state_dict", lambda _: pytest.fail("weights were read"))
    expected = "has 1 block, and 2 are needed" if layers == 1 else "method gem governs the last 6 blocks, but .* has 3"
    with pytest.raises(InputError, match=expected):
        Segmenter.from_pretrained(f"local-dir:{tmp_path}", methods="vanilla" if layers == 1 else "gem")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("RN50", "is a ResNet"),
        ("EVA02-B-16", "is timm's 'eva02_base_patch16_clip_224'"),
        ("ViT-B-16-SigLIP", "is timm's"),
        ("ViT-B-16-SigLIP2-256", "is timm's"),
        ("coca_ViT-B-32", "pools by attention"),
        ("ViT-H-14-CLIPA", "pools by 'avg'"),
    ],
)
def test_towers_are_refused_before_a_download(name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: Any, **__: Any) -> str:
        raise AssertionError("asked the network")

    monkeypatch.setattr("open_clip.factory.download_pretrained", download)
    monkeypatch.setattr("cliptrase.clip.hub.require", download)
    for pretrained in ("openai", None, "x.pt"):
        refused(f"`clip` {name}: its visual tower {kind}.*supported are", name, pretrained)


def test_folders_that_are_named_wrongly(tiny_clip: Path, tmp_path: Path) -> None:
    for arguments in ((str(tiny_clip), "openai"), (str(tiny_clip), None), ("tiny", str(tiny_clip))):
        message = refused("is a folder: give `clip` local-dir:", *arguments)
        assert f"local-dir:{tiny_clip} and leave out `pretrained`" in message
    refused("is a folder: it has no open_clip_config.json", "tiny", str(tmp_path))
    refused("cannot be looked up", "tiny", "~nobodyofthisname/x.pt")
    refused("cannot be looked up", "local-dir:~nobodyofthisname/x")
    refused("cannot be looked up", "tiny", "x" * 5000)
    refused("names a file that does not exist", "tiny", "x\0.pt")
    for place in ("a/b/c", "", "a//b", "../x", "a b/c"):
        refused("a repository is OWNER/NAME", f"hf-hub:{place}")


def test_the_embedded_model_in_one_line() -> None:
    assert Segmenter.from_pretrained("embedded").clip.name == "embedded"


# ---------------------------------------------------------------------------------------------- configurations

CODE = [
    ("text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}, "tokenizer_kwargs has trust_remote_code True"),
    ("text_cfg", {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "tokenizer_kwargs has bpe_path"),
    ("text_cfg", {"tokenizer_kwargs": {"clean": ["lower"]}}, "tokenizer_kwargs has clean"),
    ("text_cfg", {"tokenizer_kwargs": [1]}, "tokenizer_kwargs is"),
    ("text_cfg", {"hf_tokenizer_name": "a/b"}, "hf_tokenizer_name 'a/b' would have transformers load"),
    ("text_cfg", {"hf_model_name": "roberta-base"}, "hf_model_name 'roberta-base' would have transformers"),
    ("vision_cfg", {"timm_model_name": "hf-hub:a/b"}, "its visual tower is timm's 'hf-hub:a/b'"),
    ("vision_cfg", {"layers": [1, 1, 1, 1]}, "its visual tower is a ResNet"),
    ("vision_cfg", {"qk_norm": True}, "blocks with other attention"),
    ("vision_cfg", {"width": 10**9}, "vision_cfg width is 1000000000, not a whole number from 1 to 16384"),
    ("vision_cfg", {"layers": "12"}, "vision_cfg layers is '12'"),
    ("vision_cfg", {"layers": None}, "vision_cfg layers is None"),
    ("vision_cfg", {"layers": True}, "vision_cfg layers is True"),
    ("vision_cfg", {"width": 16384, "layers": 512}, "describes a model of .* parameters"),
    ("vision_cfg", {"image_size": [224]}, r"vision_cfg image_size is \[224\]"),
    ("vision_cfg", {"image_size": 1e9}, "vision_cfg image_size is"),
    ("vision_cfg", {"foo": 1}, "vision_cfg has an entry 'foo' that open_clip does not know"),
    ("vision_cfg", {"no_ln_pre": "false"}, "no_ln_pre is 'false', not true or false"),
    ("vision_cfg", {"norm_kwargs": {"eps": "x"}}, "norm_kwargs eps is 'x'"),
    ("vision_cfg", {"act_kwargs": {"inplace": True}}, "act_kwargs is"),
    ("text_cfg", {"vocab_size": 10**10}, "text_cfg vocab_size is"),
    ("text_cfg", {"mlp_ratio": math.inf}, "text_cfg mlp_ratio is inf"),
    ("", {"text_cfg": 3}, "has no entry text_cfg"),
    ("", {"vision_cfg": None}, "has no entry vision_cfg"),
    ("", {"quick_gelu": "false"}, "quick_gelu is 'false', not true or false"),
    ("", {"multimodal_cfg": {}}, "model_cfg has an entry 'multimodal_cfg'"),
    ("", {"embed_dim": None}, "embed_dim is None"),
]


@pytest.mark.parametrize("place", ["folder", "hub"])
@pytest.mark.parametrize(("part", "entry", "message"), CODE)
def test_a_folder_reaches_no_code_and_no_network(
    place: str, part: str, entry: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def see(*_: Any, **__: Any) -> None:
        raise AssertionError("open_clip saw it")

    save_tiny_clip(tmp_path)
    model = dict(MODEL_CONFIG)
    write_config(tmp_path, model | ({part: model[part] | entry} if part else entry))  # type: ignore[operator]
    monkeypatch.setattr(open_clip, "create_model", see)
    monkeypatch.setattr(open_clip, "get_tokenizer", see)
    monkeypatch.setattr("cliptrase.clip.hub.require", lambda *_: None)
    files = {None: "open_clip_model.safetensors", "open_clip_config.json": "open_clip_config.json"}
    monkeypatch.setattr(
        "cliptrase.clip.hub.download_pretrained_from_hf", lambda _, filename=None: str(tmp_path / files[filename])
    )
    clip = f"local-dir:{tmp_path}" if place == "folder" else "hf-hub:somebody/clip"
    refused(f"`clip` {clip}: .*{message}", clip)


def test_a_config_of_a_larger_model_allocates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny_clip(tmp_path)
    vision: Any = MODEL_CONFIG["vision_cfg"]
    write_config(tmp_path, MODEL_CONFIG | {"vision_cfg": vision | {"width": 4096, "layers": 48}})
    monkeypatch.setattr(open_clip, "create_model", lambda *_, **__: pytest.fail("it was allocated"))
    refused(
        "describes a model of at least .*holds .*; take the two files that belong together", f"local-dir:{tmp_path}"
    )


def test_a_config_of_another_model(tmp_path: Path) -> None:
    save_tiny_clip(tmp_path)
    write_config(tmp_path, MODEL_CONFIG | {"embed_dim": 32})
    refused("does not hold weights of the model that .*of another shape", f"local-dir:{tmp_path}")
    vision: Any = MODEL_CONFIG["vision_cfg"]
    write_config(tmp_path, MODEL_CONFIG | {"vision_cfg": vision | {"head_width": 4096}})
    refused("cannot be loaded", f"local-dir:{tmp_path}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(part=st.sampled_from(["vision_cfg", "text_cfg", ""]), entry=st.data(), value=JSON)
def test_any_value_of_any_entry_is_let_through_or_a_sentence(part: str, entry: st.DataObject, value: Any) -> None:
    model: dict[str, Any] = json.loads(json.dumps(MODEL_CONFIG))
    group = model[part] if part else model
    names = [*group, "norm_kwargs", "tokenizer_kwargs", "pool_type", "mlp_ratio", "quick_gelu", "patch_size", "x"]
    group[entry.draw(st.sampled_from(names))] = value
    with contextlib.suppress(InputError):
        check_model(model, "here")


def test_published_configurations_are_let_through() -> None:
    """All of open_clip's own architectures whose tower and tokenizer are open_clip's."""
    foreign = {"timm_model_name", "hf_model_name", "hf_tokenizer_name", "multimodal_cfg"}
    usual = 0
    for name, config in _MODEL_CONFIGS.items():
        vision, text = config["vision_cfg"], config["text_cfg"]
        if not (foreign & {*config, *vision, *text} or isinstance(vision["layers"], list) or "pool_type" in vision):
            check_model(config, name)
            usual += 1
    assert usual > 25


def test_the_hash_of_a_configuration(tmp_path: Path) -> None:
    hashes = []
    for number, model in enumerate((MODEL_CONFIG, MODEL_CONFIG | {"quick_gelu": False})):
        folder = save_tiny_clip(tmp_path / str(number))
        write_config(folder, model, {"mean": MEAN, "std": STD})
        hashes.append(load_clip(f"local-dir:{folder}").config_hash)
    assert hashes[0] != hashes[1]
    assert load_clip(f"local-dir:{save_tiny_clip(tmp_path / 'again')}").config_hash == hashes[0]


def test_what_a_config_says_is_read(tmp_path: Path) -> None:
    write_config(tmp_path, MODEL_CONFIG, {"mean": list(MEAN)})
    found = read_config(tmp_path / "open_clip_config.json", "x")
    assert found == {"model_cfg": MODEL_CONFIG, "preprocess_cfg": {"mean": list(MEAN)}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_model(MODEL_CONFIG, "x")
