"""Options, configurations, models."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.bad_inputs.cases import Case, changed, config_with, edit, fifo, put, replaced, with_options
from tests.bad_inputs.files import PAGE, POINTER

OPTIONS = (
    "--trainer.accelerator gpu",
    "--trainer.accelerator cuda",
    "--trainer.accelerator tpu",
    "--trainer.accelerator nonsense",
    "--trainer.devices 0",
    "--trainer.devices -5",
    "--trainer.devices x",
    "--trainer.num_nodes 0",
    "--trainer.strategy foo",
    "--trainer.strategy fsdp",
    "--trainer.strategy deepspeed",
    "--trainer.precision 16-true",
    "--trainer.precision 8",
    "--trainer.precision int8",
    "--trainer.precision int8x3 --trainer.accelerator gpu",
    "--trainer.limit_test_batches -1",
    "--trainer.limit_test_batches 1.5",
    "--trainer.limit_test_batches x",
    "--trainer.barebones true",
    "--trainer.profiler x",
    "--trainer.logger 5",
    "--trainer.plugins x",
    "--trainer.callbacks x",
    "--trainer.nonsense 1",
    "--stress",
    "--stress wording",
    "--stress 5",
    "--audit --model.method gem",
    "--audit --model.method nonsense",
    "--audit --model.compare 5",
    "--audit yes",
    "--seed_everything -1",
    "--seed_everything 99999999999999",
    "--protocol.size 0",
    "--protocol.size -16",
    "--protocol.size 65",
    "--protocol.size 2147483648",
    "--protocol.size 64.5",
    "--protocol.size big",
    "--protocol.eps nan",
    "--protocol.eps .nan",
    "--protocol.eps inf",
    "--protocol.eps 0",
    "--protocol.eps -1",
    "--protocol.min_samples 0",
    "--protocol.min_samples -3",
    "--protocol.min_samples 1.5",
    "--protocol nonsense",
    "--protocol.templates nonsense",
    "--protocol.vocabulary nonsense",
    "--protocol.window 96",
    "--protocol.logit_scale 3",
    "--protocol.overrides {Folder: {size: 3}}",
    "--protocol.nonsense 1",
    "--model.method nonsense",
    "--model.method cliptrase+nonsense",
    "--model.method +regions",
    "--model.method cliptrase+regions+regions",
    "--model.method sclip-denoise",
    "--model.method sclip+parm",
    "--model.method sclip-pamr",
    "--model.method sclip+tlp+tlp",
    "--model.method sclip+tlp+tlp_grid=0",
    "--model.method ",
    "--model.compare [nonsense]",
    "--model.compare vanilla,nonsense",
    "--model.compare 5",
    "--model.activation relu",
    "--model.clip ViT-X",
    "--model.clip ",
    "--model.clip /",
    "--model.clip local-dir:",
    "--model.clip local-dir:/nowhere",
    "--model.clip hf-hub:",
    "--model.clip hf-hub:a/b/c",
    "--model.clip hf-hub:nobody/nothing",
    "--model.clip RN50",
    "--model.clip ViT-B-16-SigLIP",
    "--model.clip EVA02-B-16",
    "--model.clip ViT-B-16",
    "--model.clip embedded --model.pretrained openai",
    "--model.clip ViT-B-32 --model.pretrained nonsense",
    "--model.clip ViT-B-32 --model.pretrained opanai",
    "--model.clip ViT-B-32 --model.pretrained openai",
    "--model.clip ViT-B-32 --model.pretrained /nowhere/x.safetensors",
    "--model.clip ViT-B-32 --model.pretrained ~nobodyofthisname/x.pt",
    "--model.clip ViT-B-32 --model.pretrained /dev/null",
    "--model.clip ViT-B-32 --model.pretrained /",
    "--data.batch_size 0",
    "--data.batch_size -1",
    "--data.batch_size x",
    "--data.num_workers -1",
    "--data.num_workers x",
    "--data.ignore_label x",
    "--data.ignore_label 0",
    "--data.label_offset 3000000000",
    "--data.label_offset -1",
    "--data.label_offset 1",
    "--data.background_index 9",
    "--data.background_index -1",
    "--data.root /nowhere",
    "--data.images /nowhere",
    "--data.labels /nowhere",
    "--data.images /dev/null",
    "--data.nonsense 1",
    "--data Nonsense",
    "--data os.system",
    "--data VOC20 --data.root /nowhere",
    "--data Benchmark",
    "--data Benchmark --data.settings [VOC9]",
    "--data Benchmark --data.settings []",
    "--data Photos",
    "--data Shapes --data.scenes 0",
    "--nonsense",
    "--config /nowhere.yaml",
    "--config nonsense",
    "--config /",
    "--config /dev/null",
    "--resume nonsense",
    "nonsense",
)
# Not refused as such: a crop without a cluster, an ignore value that is a label.
ANY = (
    "--trainer.devices x",
    "--data.ignore_label 0",
    "--data.label_offset 1",
    "--config /dev/null",
    "--trainer.logger 5",
)


def option_cases() -> Iterator[Case]:
    """Options of every group, each alone with a value that cannot be."""
    for text in OPTIONS:
        first, *more = text.split(" --")
        words = [word for part in (first, *(f"--{one}" for one in more)) for word in part.split(" ", 1)]
        yield with_options(text, *words, end="any" if text in ANY else "refused")
    for command in (
        [],
        ["fit"],
        ["validate"],
        ["tset"],
        ["test", "--data"],
        ["predict", "--data"],
        ["--"],
        ["test", "--config"],
        ["-x"],
    ):
        yield Case(f"command {command}", lambda root, command=command: list(command), "refused")  # type: ignore[misc]
    slurm = {
        "SLURM_NTASKS": "2",
        "SLURM_JOB_NAME": "job",
        "SLURM_JOB_ID": "1",
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
    }
    yield changed(
        "an interactive job of SLURM",
        lambda root: None,
        end="refused",
        says="SLURM",
        before=lambda: os.environ.update(slurm, SLURM_NODEID="0"),
    )


CONFIGS: dict[str, str | bytes] = {
    "broken YAML": "protocol: [",
    "a tab": "protocol:\n\tname: paper\n",
    "an empty file": "",
    "a list": "- a\n- b\n",
    "a number": "5",
    "binary": b"\x00\x01\x02\xff",
    "a picture": b"\x89PNG\r\n\x1a\n\0\0",
    "an unknown key": "protokoll: {name: paper}\n",
    "an unknown key of the protocol": "protocol: {naem: paper}\n",
    "a protocol that is a list": "protocol: [paper]\n",
    "a protocol that is a number": "protocol: 5\n",
    "a data class that is none": "data: {class_path: os.system}\n",
    "a data class without a path": "data: {init_args: {scenes: 4}}\n",
    "a callback of no module": "trainer: {callbacks: [{class_path: nowhere.Thing}]}\n",
    "a callback that is a process": "trainer:\n  callbacks:\n    - class_path: subprocess.Popen\n"
    "      init_args: {args: [touch, touched]}\n",
    "a YAML tag": "protocol: !!python/object/apply:os.system ['touch touched']\n",
    "a sheet patch below zero": "trainer:\n  callbacks:\n"
    "    - class_path: cliptrase.runs.callbacks.TensorBoardMasks\n      init_args: {patch: [-1, 0]}\n",
    "laughs by the billion": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{n}: &{n} [{','.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefg", "bcdefgh", strict=True)),
    "an alias to itself": "protocol: &p {name: *p}\n",
    "two documents": "protocol: {name: paper}\n---\nmodel: {method: sclip}\n",
    "a key twice": "model: {method: sclip, method: nonsense}\n",
    "null everywhere": "protocol: null\nmodel: null\ndata: null\ntrainer: null\n",
    "numbers for words": "model: {method: 5, clip: 6}\n",
}


def config_cases() -> Iterator[Case]:
    """`--config FILE` beside the usual one."""
    for name, content in CONFIGS.items():
        yield changed(f"configuration: {name}", put("c.yaml", content), "--config", "{root}/c.yaml", end="any")
    yield changed(
        "configuration: a pipe", lambda root: os.mkfifo(root / "c.yaml"), "--config", "{root}/c.yaml", end="refused"
    )
    yield changed(
        "configuration: a link to itself",
        lambda root: (root / "c.yaml").symlink_to("c.yaml"),
        "--config",
        "{root}/c.yaml",
        end="refused",
    )


WEIGHTS: dict[str, str | bytes] = {
    "empty": b"",
    "text": "weights\n",
    "a web page": PAGE,
    "a pointer of Git LFS": POINTER,
    "a header too large": b"\xff" * 16,
    "a header that is no JSON": (8).to_bytes(8, "little") + b"nonsense",
    "no tensors": (2).to_bytes(8, "little") + b"{}",
    "a zip archive": b"PK\x03\x04" + b"\0" * 100,
    "a pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x02os\x94\x8c\x06system\x94\x93\x94.",
}


# Of the page, which none of these may serve; its port 0 is any that is free.
PAGE_OPTIONS = {
    "--port 70000": "--port 70000 is no port",
    "--port -1": "--port -1 is no port",
    "--port x": "--port: invalid int value",
    "--host nowhere.invalid": "--host 'nowhere.invalid' is no address of this machine",
    "--protocol paper": "--protocol 'paper' crops",
    "--protocol nonsense": "nonsense",
    "--protocol.size 0": "size",
    "--model.clip ViT-B-61": "--model.clip 'ViT-B-61' is not an architecture",
    "--model.guest vit_nonsense": "vit_nonsense",
    "--open --no-browser": "not allowed with",
    "--model.method gem": "app has no option --model.method",
    "--theme dark": "app has no option --theme",
}


def page_cases() -> Iterator[Case]:
    """Options of the page for own pictures."""
    for options, says in PAGE_OPTIONS.items():
        words = ["app", "--port", "0", "--no-browser", *options.split()]
        yield Case(f"app {options}", lambda root, words=words: words, "refused", says)  # type: ignore[misc]


def model_cases() -> Iterator[Case]:
    """Model folders and weights files."""
    weights = "clip/open_clip_model.safetensors"
    for name, content in WEIGHTS.items():
        yield changed(f"weights: {name}", put(weights, content), end="refused")
    yield changed("weights cut short", edit(weights, lambda raw: raw[:-1000]), end="refused")
    yield changed("weights missing", lambda root: (root / weights).unlink(), end="refused")
    yield changed("weights: a folder", replaced(weights, lambda path: path.mkdir()), end="refused")
    yield changed("weights: a pipe", replaced(weights, fifo), end="refused")
    numbers: dict[str, tuple[str, float]] = {
        "NaN in the patches": ("visual.conv1.weight", float("nan")),
        "infinite patches": ("visual.conv1.weight", float("inf")),
        "NaN in the position embedding": ("visual.positional_embedding", float("nan")),
        "NaN in a block": ("visual.transformer.resblocks.1.mlp.c_fc.weight", float("nan")),
        "infinite projection": ("visual.proj", float("inf")),
        "huge projection": ("visual.proj", 1e38),
        "NaN in the text": ("token_embedding.weight", float("nan")),
        "infinite text projection": ("text_projection", float("inf")),
        "no text": ("text_projection", 0.0),
        "no picture": ("visual.proj", 0.0),
        "NaN for a scale": ("logit_scale", float("nan")),
        "an infinite scale": ("logit_scale", float("inf")),
        "a huge scale": ("logit_scale", 1e9),
    }
    for name, (key, value) in numbers.items():
        yield changed(f"weights with {name}", spoilt(key, value), end="refused")
    yield changed("weights without a parameter", rewritten(lambda state: state.pop("visual.proj")), end="refused")
    yield changed(
        "weights with a parameter more", rewritten(lambda state: state.update(more=torch.zeros(3))), end="any"
    )
    yield changed(
        "weights of another shape",
        rewritten(lambda state: state.update({"visual.proj": torch.zeros(128, 32)})),
        end="refused",
    )
    for name, change in MODEL_CONFIGS.items():
        yield changed(f"model configuration: {name}", config_with(change), end="any")
    for name, content in {"empty": "", "broken": "{", "a list": "[]", "a number": "5", "binary": b"\xff\xfe\0"}.items():
        yield changed(f"model configuration: {name}", put("clip/open_clip_config.json", content), end="refused")
    config = "clip/open_clip_config.json"
    yield changed("model configuration: a pipe", replaced(config, fifo), end="refused")
    yield changed("model configuration: a folder", replaced(config, lambda path: path.mkdir()), end="refused")
    for form in ("nested", "prefixed", "module", "transformers", "whole model", "list of tensors", "no tensors"):
        yield changed(
            f"weights file: {form}",
            lambda root, form=form: torch_file(root, form),
            "--model.clip",
            "ViT-S-32-alt",
            "--model.pretrained",
            "{root}/w.pt",
            end="any" if form in ("nested", "prefixed", "module") else "refused",
        )
    for name, content in {"page": PAGE, "pointer": POINTER, "empty": b"", "picture": b"\x89PNG\r\n\x1a\n"}.items():
        yield changed(
            f"weights file: {name}",
            put("w.pt", content),
            "--model.clip",
            "ViT-S-32-alt",
            "--model.pretrained",
            "{root}/w.pt",
            end="refused",
        )


def rewritten(change: Any) -> Any:
    """Changes the state dict of the tiny CLIP."""

    def apply(root: Path) -> None:
        path = root / "clip" / "open_clip_model.safetensors"
        state = load_file(path)
        change(state)
        save_file(state, path)

    return apply


def spoilt(key: str, value: float) -> Any:
    """Sets a parameter: one of its numbers where that is enough, all of them for 0 and for what must overflow."""

    def change(state: dict[str, torch.Tensor]) -> None:
        if value == 0 or 1e37 < value < float("inf"):
            state[key].fill_(value)
        else:
            state[key].view(-1)[0] = value

    return rewritten(change)


def torch_file(root: Path, form: str) -> None:
    """A file of PyTorch's of a small open_clip architecture, or of what people take for one."""
    import open_clip

    model = open_clip.create_model("ViT-S-32-alt", load_weights=False) if form != "no tensors" else None
    state = model.state_dict() if model is not None else {}
    forms: dict[str, Any] = {
        "nested": {"model_state_dict": state},
        "prefixed": {f"clip.{key}": value for key, value in state.items()},
        "module": {f"module.{key}": value for key, value in state.items()},
        "transformers": {
            f"{'vision' if key.startswith('visual.') else 'text'}_model.{key.removeprefix('visual.')}": value
            for key, value in state.items()
        },
        "whole model": model,
        "list of tensors": list(state.values())[:3],
        "no tensors": {"epoch": 3},
    }
    torch.save(forms[form], root / "w.pt")


def _vision(**values: Any) -> Any:
    return lambda document: document["model_cfg"]["vision_cfg"].update(values)


def _text(**values: Any) -> Any:
    return lambda document: document["model_cfg"]["text_cfg"].update(values)


def _preprocess(**values: Any) -> Any:
    return lambda document: document["preprocess_cfg"].update(values)


MODEL_CONFIGS: dict[str, Any] = {
    "no model_cfg": lambda document: document.pop("model_cfg"),
    "model_cfg a list": lambda document: document.update(model_cfg=[]),
    "no vision_cfg": lambda document: document["model_cfg"].pop("vision_cfg"),
    "vision_cfg null": lambda document: document["model_cfg"].update(vision_cfg=None),
    "vision_cfg a string": lambda document: document["model_cfg"].update(vision_cfg="x"),
    "embed_dim a string": lambda document: document["model_cfg"].update(embed_dim="x"),
    "embed_dim -1": lambda document: document["model_cfg"].update(embed_dim=-1),
    "layers 0": _vision(layers=0),
    "layers a list": _vision(layers=[3, 4, 6, 3]),
    "layers 10**9": _vision(layers=10**9),
    "width 10**9": _vision(width=10**9),
    "patch 0": _vision(patch_size=0),
    "patch 17": _vision(patch_size=17),
    "image 0": _vision(image_size=0),
    "a timm tower": _vision(timm_model_name="hf-hub:nobody/nothing"),
    "an unknown key of the tower": _vision(nonsense=1),
    "pooling by average": _vision(pool_type="avg"),
    "attention pooling": _vision(attentional_pool=True),
    "heads 0": _text(heads=0),
    "vocabulary 3": _text(vocab_size=3),
    "context 4": _text(context_length=4),
    "a tokenizer of others": _text(hf_tokenizer_name="nobody/nothing"),
    "a tokenizer with remote code": _text(hf_tokenizer_name="a/b", tokenizer_kwargs={"trust_remote_code": True}),
    "a text tower of others": _text(hf_model_name="nobody/nothing"),
    "mean of one number": _preprocess(mean=[0.5]),
    "mean a word": _preprocess(mean="abc"),
    "mean NaN": _preprocess(mean=[float("nan")] * 3),
    "std 0": _preprocess(std=[0, 0, 0]),
    "std words": _preprocess(std=["a", "b", "c"]),
    "std infinite": _preprocess(std=[float("inf")] * 3),
    "std negative": _preprocess(std=[-1, -1, -1]),
    "preprocess a list": lambda document: document.update(preprocess_cfg=[]),
}
