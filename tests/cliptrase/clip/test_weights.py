"""Loading CLIP from every place, with the activation that its weights were trained with, and every refusal."""

import json
import pickle
import shutil
import socket
import warnings
import zipfile
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.factory import _MODEL_CONFIGS
from open_clip.pretrained import _PRETRAINED
from safetensors.torch import save_file
from torch import Tensor, nn

from cliptrase.clip.checkpoint import read_state_dict
from cliptrase.clip.weights import Activation, LoadedClip, load_clip
from cliptrase.common.errors import InputError
from tests.kit import MEAN, MODEL_CONFIG, STD, save_tiny_clip, tiny_state

# Tests name architectures and tags of open_clip's own, of which only the sizes are made small.
PLAIN = MODEL_CONFIG | {"quick_gelu": False}
WAYS = "get them in one of three ways: run once with network access"


@pytest.fixture(autouse=True)
def small_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    """ViT-B-16 and its twin as tiny ones; `tiny` has no twin."""
    for name, config in (("ViT-B-16", PLAIN), ("ViT-B-16-quickgelu", MODEL_CONFIG), ("tiny", PLAIN)):
        monkeypatch.setitem(_MODEL_CONFIGS, name, config)


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return tiny_state()


def activation_of(loaded: LoadedClip) -> str:
    """What the blocks really run with, in both towers."""
    kinds = {
        type(block.mlp.gelu)
        for transformer in (loaded.model.visual.transformer, loaded.model.transformer)
        for block in transformer.resblocks
    }
    (kind,) = kinds
    found = {nn.GELU: "gelu", open_clip.transformer.QuickGELU: "quick_gelu"}[kind]
    assert found == loaded.activation
    return found


def check_values(loaded: LoadedClip, state: dict[str, Tensor]) -> None:
    own = loaded.model.state_dict()
    assert own.keys() == state.keys()
    for name, value in own.items():
        assert torch.equal(value, state[name].float()), name
        assert value.dtype == torch.float32
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert not loaded.model.training


def openai_rounded(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices in float16, norms in float32, as OpenAI published them."""
    return {
        name: value.half() if value.ndim > 1 or ("bias" in name and ".ln_" not in name) else value
        for name, value in state.items()
    }


class Script(nn.Module):
    """Modules and parameters nested by name, as a TorchScript archive keeps them; OpenAI adds three numbers."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        groups: dict[str, dict[str, Tensor]] = {}
        for name, value in state.items():
            first, _, rest = name.partition(".")
            if rest:
                groups.setdefault(first, {})[rest] = value
            elif name in ("input_resolution", "context_length", "vocab_size"):
                self.register_buffer(name, value)
            else:
                self.register_parameter(name, nn.Parameter(value, requires_grad=False))
        for first, group in groups.items():
            self.add_module(first, Script(group))

    def forward(self, x: Tensor) -> Tensor:
        return x


def save_script(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecation of TorchScript
        torch.jit.script(module).save(str(path))
    return path


def openai_script(state: dict[str, Tensor], path: Path) -> Path:
    sizes = {"input_resolution": 224, "context_length": 77, "vocab_size": 49408}
    return save_script(Script(state | {name: torch.tensor(size) for name, size in sizes.items()}), path)


# ---------------------------------------------------------------------------------------------- places and files


def test_local_folder(tiny_clip: Path, state: dict[str, Tensor]) -> None:
    loaded = load_clip(f"local-dir:{tiny_clip}")
    check_values(loaded, state)
    assert activation_of(loaded) == "quick_gelu"
    assert loaded.pretrained is None
    assert (loaded.mean, loaded.std) == (MEAN, STD)
    assert loaded.tokenizer(["a cat"]).shape == (1, 77)


def test_local_folder_under_the_home_folder(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(tiny_clip, tmp_path / "clip")
    check_values(load_clip("local-dir:~/clip"), state)


def save_safetensors(state: dict[str, Tensor], path: Path) -> Path:
    save_file(state, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


def save_plain(state: dict[str, Tensor], path: Path) -> Path:
    torch.save(state, path)
    return path


def save_parallel(state: dict[str, Tensor], path: Path) -> Path:
    torch.save({f"module.{name}": value for name, value in state.items()}, path)
    return path


def save_checkpoint(state: dict[str, Tensor], path: Path) -> Path:
    """As open_clip's own training writes it."""
    prefixed = {f"module.{name}": value for name, value in state.items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": prefixed, "optimizer": {"state": {}}}, path)
    return path


def save_legacy(state: dict[str, Tensor], path: Path) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


@pytest.mark.parametrize(
    "save", [save_safetensors, save_plain, save_parallel, save_checkpoint, save_legacy, openai_script]
)
def test_weights_files(save: Any, state: dict[str, Tensor], tmp_path: Path) -> None:
    path = save(state, tmp_path / "weights.pt")
    loaded = load_clip("tiny", str(path))
    check_values(loaded, state)
    assert activation_of(loaded) == ("quick_gelu" if save is openai_script else "gelu")
    assert loaded.pretrained == str(path)
    assert loaded.name == "tiny"


def test_a_script_is_read_as_torch_itself_reads_it(state: dict[str, Tensor], tmp_path: Path) -> None:
    """Half and single precision, views and shared storages."""
    odd = openai_rounded(state) | {"visual.proj": state["visual.proj"].T.contiguous().T}
    path = openai_script(odd, tmp_path / "ViT.pt")
    found, is_openai, _ = read_state_dict(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = torch.jit.load(str(path)).state_dict()
    assert is_openai
    assert found.keys() == expected.keys() - {"input_resolution", "context_length", "vocab_size"}
    assert all(torch.equal(value, expected[name].float()) for name, value in found.items())


def test_equal_values_have_equal_hashes_whatever_the_file(
    tiny_clip: Path, state: dict[str, Tensor], tmp_path: Path
) -> None:
    folder = load_clip(f"local-dir:{tiny_clip}").weights_hash
    assert load_clip("tiny", str(save_plain(state, tmp_path / "a.pt"))).weights_hash == folder
    assert load_clip("tiny", str(openai_script(state, tmp_path / "b.pt"))).weights_hash == folder
    changed = dict(state)
    changed["visual.proj"] = state["visual.proj"].clone()
    changed["visual.proj"][3, 5] += 1e-3
    assert load_clip("tiny", str(save_plain(changed, tmp_path / "c.pt"))).weights_hash != folder


# ---------------------------------------------------------------------------------------------- activation


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Downloads answered with the tiny weights; the list tells which specs were asked for."""
    asked: list[dict[str, Any]] = []
    path = save_safetensors(state, tmp_path / "downloaded")

    def download(spec: dict[str, Any], **options: Any) -> str:
        asked.append(spec)
        return str(path)

    monkeypatch.setattr("cliptrase.clip.weights.download_pretrained", download)
    monkeypatch.setattr("cliptrase.clip.hub.require", lambda file, wanted: None)
    return asked


@pytest.mark.parametrize("clip", ["ViT-B-16", "ViT-B-16-quickgelu"])
@pytest.mark.parametrize(
    ("tag", "activation"),
    [
        ("openai", "quick_gelu"),
        ("metaclip_400m", "quick_gelu"),
        ("dfn2b", "quick_gelu"),
        ("laion2b_s34b_b88k", "gelu"),
        ("datacomp_xl_s13b_b90k", "gelu"),
    ],
)
def test_the_tag_decides_and_not_the_architecture(
    clip: str, tag: str, activation: str, downloads: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ViT-B-16` with `openai` must not run with plain GELU, nor the twin with LAION's weights with the quick one."""
    monkeypatch.setitem(_PRETRAINED, clip, _PRETRAINED["ViT-B-16"])
    loaded = load_clip(clip, tag)
    assert activation_of(loaded) == activation
    assert loaded.pretrained == tag
    assert len(downloads) == 1


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_the_option_decides_above_all(
    activation: Activation, downloads: list[dict[str, Any]], tiny_clip: Path, state: dict[str, Tensor], tmp_path: Path
) -> None:
    assert activation_of(load_clip("ViT-B-16", "openai", activation)) == activation
    assert activation_of(load_clip(f"local-dir:{tiny_clip}", activation=activation)) == activation
    path = str(save_plain(openai_rounded(state), tmp_path / "weights.pt"))
    assert activation_of(load_clip("ViT-B-16", path, activation)) == activation


@pytest.mark.parametrize(("quick_gelu", "activation"), [(True, "quick_gelu"), (False, "gelu"), (None, "gelu")])
def test_the_folders_config_decides(quick_gelu: bool | None, activation: str, tiny_clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(tiny_clip, folder)
    config = {key: value for key, value in MODEL_CONFIG.items() if key != "quick_gelu"}
    if quick_gelu is not None:
        config["quick_gelu"] = quick_gelu
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    assert activation_of(load_clip(f"local-dir:{folder}")) == activation


@pytest.mark.parametrize("save", [save_plain, save_safetensors])
def test_a_file_with_openais_rounding_is_openais(save: Any, state: dict[str, Tensor], tmp_path: Path) -> None:
    """Whether it was stored in half precision or converted to single."""
    rounded = openai_rounded(state)
    for name, content in (("half", rounded), ("single", {key: value.float() for key, value in rounded.items()})):
        path = save(content, tmp_path / f"{name}.pt")
        loaded = load_clip("ViT-B-16", str(path))
        assert activation_of(loaded) == "quick_gelu"
        check_values(loaded, rounded)


def test_a_file_rounded_as_a_whole_is_nobodys(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = save_plain({name: value.half() for name, value in state.items()}, tmp_path / "half.pt")
    with pytest.warns(UserWarning, match="does not say which activation"):
        assert activation_of(load_clip("ViT-B-16", str(path))) == "gelu"


def test_a_file_that_does_not_say_warns_and_can_be_told(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = str(save_plain(state, tmp_path / "weights.pt"))
    with pytest.warns(UserWarning, match="plain GELU is taken") as seen:
        assert activation_of(load_clip("ViT-B-16", path)) == "gelu"
    assert path in str(seen[0].message)
    assert "`activation` quick_gelu" in str(seen[0].message)
    assert activation_of(load_clip("ViT-B-16", path, "gelu")) == "gelu"  # no warning: those are errors here
    assert activation_of(load_clip("ViT-B-16-quickgelu", path)) == "quick_gelu"
    assert activation_of(load_clip("tiny", path)) == "gelu"  # has no twin to be mistaken for


# ---------------------------------------------------------------------------------------------- refusals


def refused(message: str, *arguments: Any) -> str:
    """Loads and gives the error's text, which is one line."""
    with pytest.raises(InputError, match=message) as error:
        load_clip(*arguments)
    text = str(error.value)
    assert "\n" not in text
    return text


class Payload:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(legacy: bool, state: dict[str, Tensor], tmp_path: Path) -> None:
    path, proof = tmp_path / "weights.pt", tmp_path / "was_run"
    torch.save(state | {"payload": Payload(proof)}, path, _use_new_zipfile_serialization=not legacy)
    assert "give .safetensors" in refused("is not a weights file that can be read safely", "tiny", str(path))
    assert not proof.exists()
    path.write_bytes(pickle.dumps(Payload(proof)))
    refused("is not a weights file that can be read safely", "tiny", str(path))
    assert not proof.exists()
    pickle.loads(path.read_bytes())  # the payload does what it is feared for
    assert proof.exists()


def test_a_malicious_pickle_in_a_folder_is_refused_and_not_run(tiny_clip: Path, tmp_path: Path) -> None:
    folder, proof = tmp_path / "clip", tmp_path / "was_run"
    shutil.copytree(tiny_clip, folder)
    (folder / "open_clip_model.safetensors").unlink()
    torch.save(tiny_state() | {"payload": Payload(proof)}, folder / "open_clip_pytorch_model.bin")
    refused("is not a weights file that can be read safely: besides tensors it holds a Python", f"local-dir:{folder}")
    assert not proof.exists()


class WritesOnLoad(nn.Module):
    """A TorchScript module whose own code, run by `torch.jit.load`, writes a file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.path = path
        self.training = False

    @torch.jit.export
    def __getstate__(self) -> tuple[Tensor, str, bool]:
        return (self.weight, self.path, self.training)

    @torch.jit.export
    def __setstate__(self, state: tuple[Tensor, str, bool]) -> None:
        self.weight = state[0]
        self.path = state[1]
        self.training = state[2]
        torch.save(state[0], state[1])

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_code_in_a_script_is_not_run(tmp_path: Path) -> None:
    proof = tmp_path / "was_run"
    path = save_script(WritesOnLoad(str(proof)), tmp_path / "weights.pt")
    proof.unlink(missing_ok=True)
    refused("holds no state dict of tensors|read safely", "tiny", str(path))
    assert not proof.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(str(path))
    assert proof.exists()  # which it does where it is run


def test_a_malicious_pickle_in_a_script_is_refused_and_not_run(tmp_path: Path) -> None:
    path, proof = tmp_path / "weights.pt", tmp_path / "was_run"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/constants.pkl", b"")
        archive.writestr("weights/data.pkl", pickle.dumps(Payload(proof), protocol=2))
    refused("is not a weights file that can be read safely", "tiny", str(path))
    assert not proof.exists()


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04 nor a zip"])
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors", "weights.bin"])
def test_files_of_something_else(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = refused("is not a weights file that can be read safely", "tiny", str(path))
    assert str(path) in message


@pytest.mark.parametrize("content", [{}, [1, 2], {"state_dict": {}}, {"epoch": 3}, torch.ones(2)])
def test_pickles_of_something_else(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    refused("holds no state dict of tensors; give .safetensors", "tiny", str(tmp_path / "weights.pt"))


def test_weights_of_another_architecture(state: dict[str, Tensor], tmp_path: Path) -> None:
    missing = {name: value for name, value in state.items() if "resblocks.11." not in name}
    path = str(save_plain(missing, tmp_path / "missing.pt"))
    message = refused("does not hold weights of tiny", "tiny", path)
    assert "12 parameters missing, 0 unknown, 0 of another shape" in message
    assert "(first: visual.transformer.resblocks.11.attn.in_proj_bias)" in message
    assert "by `clip`" in message
    path = str(save_plain(state | {"visual.extra": torch.ones(2)}, tmp_path / "extra.pt"))
    assert "0 parameters missing, 1 unknown" in refused("does not hold weights of tiny", "tiny", path)
    path = str(save_plain(state | {"visual.proj": torch.ones(128, 32)}, tmp_path / "shape.pt"))
    assert "1 of another shape (first: visual.proj)" in refused("does not hold weights of tiny", "tiny", path)


def test_unknown_names(tmp_path: Path) -> None:
    assert "take one such as ViT-B-16" in refused(
        "'ViT-B-17' is not an architecture of open_clip", "ViT-B-17", "openai"
    )
    message = refused("'opennai' is neither a file nor a tag of ViT-B-16", "ViT-B-16", "opennai")
    assert "openai, laion400m_e31" in message
    assert "did you mean openai?" in message
    assert "its tags: none" in refused("'absent' is neither a file nor a tag of tiny", "tiny", "absent")
    for absent in (tmp_path / "absent.pt", tmp_path / "absent", "absent.safetensors"):
        message = refused("names a file that does not exist; give the path of a weights file", "tiny", str(absent))
        assert repr(str(absent)) in message
        assert "tags" not in message


def test_no_weights_named() -> None:
    message = refused(f"ViT-B-16 needs weights: {WAYS}", "ViT-B-16")
    assert "`pretrained`" in message
    assert "`clip` local-dir:DIR" in message


def test_a_place_and_weights(tiny_clip: Path) -> None:
    message = refused("brings its own weights", f"local-dir:{tiny_clip}", "openai")
    assert "leave out `pretrained` 'openai'" in message
    refused("brings its own weights", "hf-hub:somebody/clip", "openai")


def test_folders_without_what_they_need(tiny_clip: Path, tmp_path: Path) -> None:
    refused("no open_clip_config.json in .*; name a folder that holds one", f"local-dir:{tmp_path / 'absent'}")
    folder = tmp_path / "clip"
    shutil.copytree(tiny_clip, folder)
    (folder / "open_clip_model.safetensors").write_bytes(b"cut off")
    refused("open_clip_model.safetensors is not a weights file .* begins with 'cut off'", f"local-dir:{folder}")
    (folder / "open_clip_model.safetensors").unlink()
    refused("no weights in .*; put open_clip_model.safetensors beside", f"local-dir:{folder}")
    for content in ("{}", "[]", "3", '{"model_cfg": null}'):
        (folder / "open_clip_config.json").write_text(content)
        refused("open_clip_config.json has no entry model_cfg; take the file that came", f"local-dir:{folder}")
    for content in ("not JSON", "", "[" * 100_000):
        (folder / "open_clip_config.json").write_text(content)
        refused(r"open_clip_config.json (is no JSON|cannot be read) \(.*\); take the file", f"local-dir:{folder}")
    (folder / "open_clip_config.json").write_bytes(b"\xff\xfe{}")
    refused("open_clip_config.json is no JSON", f"local-dir:{folder}")


@pytest.fixture
def empty_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing cached, no proxy, and a network that refuses whatever is asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for variable in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "create_connection", refuse)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [(("ViT-B-16", "openai"), "ViT-B-16 openai"), (("hf-hub:somebody/clip",), "hf-hub:somebody/clip")],
)
@pytest.mark.usefixtures("empty_hub")
def test_offline(arguments: tuple[str, ...], wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = refused(f"the weights of {wanted} are not cached and the network does not reach", *arguments)
    assert "network is unreachable" in message
    assert WAYS in message
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert WAYS in refused(f"the weights of {wanted} are not cached and HF_HUB_OFFLINE is set", *arguments)


@pytest.mark.usefixtures("empty_hub")
def test_a_download_that_fails_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy the hub cannot be tried beforehand: the client's own error becomes the sentence."""

    def download(spec: dict[str, Any], **options: Any) -> str:
        raise OSError("the proxy\nsays no")

    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:1")
    monkeypatch.setattr("cliptrase.clip.weights.download_pretrained", download)
    message = refused("the weights 'openai' of ViT-B-16 cannot be had", "ViT-B-16", "openai")
    assert "the proxy says no" in message
    assert WAYS in message


def test_weights_in_the_hubs_cache_need_no_network(
    empty_hub: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: dict[str, Tensor]
) -> None:
    """A repository as the hub's client keeps it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--somebody--clip"
    snapshot = save_tiny_clip(repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(snapshot.name)
    loaded = load_clip("hf-hub:somebody/clip")
    check_values(loaded, state)
    assert activation_of(loaded) == "quick_gelu"
