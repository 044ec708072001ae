"""Bad inputs as data: a name, what makes them, and how a command must end on them."""

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from tests.kit import MEAN, STD, label_map, scene
from tests.kit.fixture import MODEL_CONFIG, weights

NAMES = ("grass", "sky", "sand", "water")
SIZES = ((96, 96), (80, 100), (64, 96))
QUIET = ["--data.num_workers", "0", "--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]

ROOT_OF_CASE = "CLIPTRASE_TEST_ROOT"  # names the folder of a case to what runs before its command

# How a command must end. `refused`: one sentence, status 1 or 2, no figure. `right`: the figure of the plain inputs.
# `either`: one of both. `told`: status 0 and a sentence. `any`: with a sentence or without, but never with a traceback.
End = Literal["refused", "right", "either", "told", "any"]


@dataclass(frozen=True)
class Case:
    """One input.

    Attributes:
        name: for people.
        arguments: of the command line, made of a folder of the case's own that holds a copy of the plain inputs.
        end: how the command must end.
        says: part of what it prints.
        before: runs in the command's process before the command.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    end: End = "either"
    says: str = ""
    before: Callable[[], object] = field(default=lambda: None)


def write_plain_inputs(root: Path) -> None:
    """`image/`, `gt/` and `classes.txt` of three pictures, `photos/`, and the tiny CLIP in `clip/`."""
    for name in ("image", "gt", "photos"):
        (root / name).mkdir(parents=True)
    for number, (height, width) in enumerate(SIZES):
        image, index = scene(number, height, width)
        Image.fromarray(image).save(root / "image" / f"s{number}.png")
        save_map(root / "gt" / f"s{number}.png", label_map(number, index, len(NAMES), 255))
    Image.fromarray(scene(9, 60, 80)[0]).save(root / "photos" / "a.png")
    (root / "classes.txt").write_text("\n".join(NAMES) + "\n")
    (root / "no_sheets.yaml").write_text("trainer: {callbacks: []}\n")
    save_shallow_clip(root / "clip")


def save_shallow_clip(folder: Path) -> None:
    """The kit's tiny CLIP with three blocks for twelve."""
    config = {**MODEL_CONFIG, "vision_cfg": {**MODEL_CONFIG["vision_cfg"], "layers": 3}}
    folder.mkdir()
    document = {"model_cfg": config, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    state = {name: torch.from_numpy(np.array(value)) for name, value in weights(0, config).items()}
    save_file(state, folder / "open_clip_model.safetensors")


def save_map(path: Path, labels: NDArray[Any]) -> None:
    Image.fromarray(labels.astype(np.uint8)).save(path)


def scoring(root: Path) -> list[str]:
    """`test` on the plain inputs."""
    config = ["test", "--config", "configs/paper_224.yaml", "--config", str(root / "no_sheets.yaml"), *QUIET]
    config += ["--protocol.size", "64"]
    data = ["--data", "Folder", "--data.root", str(root), "--data.classes", str(root / "classes.txt")]
    model = ["--model.clip", f"local-dir:{root / 'clip'}", "--trainer.default_root_dir", str(root / "out")]
    return [*config, *data, *model]


def predicting(root: Path) -> list[str]:
    """`predict` on the plain photographs."""
    config = ["predict", "--config", "configs/photos.yaml", "--config", str(root / "no_sheets.yaml"), *QUIET]
    config += ["--protocol.size", "64"]
    data = ["--data.images", str(root / "photos"), "--data.words", "grass; sky"]
    return [
        *config,
        *data,
        "--model.clip",
        f"local-dir:{root / 'clip'}",
        "--trainer.default_root_dir",
        str(root / "out"),
    ]


def changed(
    name: str,
    change: Callable[[Path], object],
    *options: str,
    end: End = "either",
    says: str = "",
    before: Callable[[], object] = lambda: None,
    command: Callable[[Path], list[str]] = scoring,
) -> Case:
    """A case of the plain inputs after a change; `{root}` in options is the case's folder."""

    def arguments(root: Path) -> list[str]:
        made = change(root)
        more = made if isinstance(made, list) else []
        return [*command(root), *(option.replace("{root}", str(root)) for option in options), *more]

    return Case(name, arguments, end, says, before)


def with_options(name: str, *options: str, end: End = "either", says: str = "") -> Case:
    """A case of `test` with further options."""
    return changed(name, lambda root: None, *options, end=end, says=says)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int = 8, colour: int = 2, rows: bytes = b"\0") -> bytes:
    """A PNG file of any header around compressed rows."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def put(path: str, content: bytes | str) -> Callable[[Path], None]:
    """Writes a file below the case's folder."""

    def change(root: Path) -> None:
        target = root / path
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    return change


def edit(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Changes a file's bytes."""
    return lambda root: put(path, change((root / path).read_bytes()))(root)


def replaced(path: str, how: Callable[[Path], object]) -> Callable[[Path], None]:
    """Takes a file away and puts something else in its place."""

    def change(root: Path) -> None:
        (root / path).unlink()
        how(root / path)

    return change


def remap(path: str, how: Callable[[NDArray[Any]], Image.Image], **save: Any) -> Callable[[Path], None]:
    """Stores a picture or label map in another form, under the same name or the ending given as `end`."""
    end = save.pop("end", "")

    def change(root: Path) -> None:
        with Image.open(root / path) as file:
            values = np.array(file)
        (root / path).unlink()
        how(values).save((root / path).with_suffix(end) if end else root / path, **save)

    return change


def config_with(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Changes the tiny CLIP's open_clip_config.json."""

    def apply(root: Path) -> None:
        path = root / "clip" / "open_clip_config.json"
        document = json.loads(path.read_text())
        made = change(document)
        path.write_text(json.dumps(made if isinstance(made, (dict, list)) else document))

    return apply


def fifo(path: Path) -> None:
    os.mkfifo(path)
