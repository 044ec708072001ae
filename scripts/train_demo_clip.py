"""Train the small CLIP that ships with the demo: `python scripts/train_demo_clip.py --seed 0`.

The only teacher is CLIP's symmetric contrastive loss between pictures and captions. The pictures are windows of
scenes that `datamodules.shapes_scenes` draws (split `train`), 48 pixels a side up to the whole scene; a caption lists,
in one of CLIP's 80 sentence templates, the names that fill at least five percent of the window. That list comes from
the generator, so captions are never wrong, windows are chosen so that all names come up about equally often, and small
windows say more about a place than a photographer's caption would; which pixel shows what is never told. Half and
more of the patches of larger windows are dropped (Li et al., *Scaling Language-Image Pre-training via Masking*, CVPR
2023).

Writes a folder for `local-dir:` with `training.json`, the record of how it was made, and curves for TensorBoard.
"""

import argparse
import hashlib
import json
import math
import platform
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from demo_clip_data import GRID, WINDOWS, SceneBank, listed, patchify, set_number
from demo_clip_model import Trainee, save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from datamodules.shapes_scenes import NAMES

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (
    "datamodules/shapes_scenes.py",
    "datamodules/shapes_textures.py",
    "scripts/demo_clip_data.py",
    "scripts/demo_clip_model.py",
    "scripts/train_demo_clip.py",
)
TOKENS = 2048  # patches and class tokens a step: pictures a step follow from the window's size
LARGEST_BATCH = 256
WARM_UP = 100  # steps
EVERY = 25  # steps between two points of a curve
KEEP = 100  # steps between two copies of the model on disk
HELD_OUT = 500  # scenes of split `val` for the retrieval score


def contrastive_loss(pictures: Tensor, sentences: Tensor, scale: Tensor, sets: Tensor) -> Tensor:
    """Symmetric InfoNCE (Radford et al. 2021); captions that name the same set share the target equally.

    Args:
        pictures: (B, E) unit vectors.
        sentences: (B, E) unit vectors.
        scale: the factor on cosines.
        sets: (B,) equal numbers where two captions name the same materials.
    """
    same = (sets[:, None] == sets[None]).float()
    target = same / same.sum(dim=1, keepdim=True)  # symmetric before, and equal counts in rows: symmetric after
    logits = scale * pictures @ sentences.T
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def optimiser(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """AdamW that lets matrices decay, and leaves gains, biases and the temperature alone."""
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), eps=1e-6)


@torch.inference_mode()
def retrieval(model: Trainee, bank: SceneBank) -> dict[str, Any]:
    """Whole held-out scenes against one caption for each set of names among them.

    Returns:
        scenes and captions: how many; picture_to_caption: percent of scenes whose best caption is theirs;
        caption_to_picture: percent of captions whose best scene shows exactly their names.
    """
    places = np.arange(GRID * GRID)[None]
    pictures = torch.cat([model.pictures(patchify(image)[None], places) for image in bank.images])
    distinct = sorted(set(bank.named))
    captions = [f"a photo of {listed([NAMES[i] for i in names])}." for names in distinct]
    cosines = pictures @ model.sentences(captions).T  # (scenes, captions)
    truth = torch.tensor([set_number(names) for names in bank.named], device=cosines.device)
    asked = torch.tensor([set_number(names) for names in distinct], device=cosines.device)
    return {
        "scenes": len(bank.named),
        "captions": len(distinct),
        "picture_to_caption": round(100 * (asked[cosines.argmax(dim=1)] == truth).float().mean().item(), 1),
        "caption_to_picture": round(100 * (truth[cosines.argmax(dim=0)] == asked).float().mean().item(), 1),
    }


def train(options: argparse.Namespace, writer: SummaryWriter) -> tuple[Trainee, dict[str, Any]]:
    """Draw the scenes, train, and keep a copy in `options.out` every now and then. Returns model and scores."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    bank, held_out = SceneBank("train", options.scenes), SceneBank("val", HELD_OUT)
    model = Trainee().to(options.device)
    steps = optimiser(model, options.rate)
    curves: dict[str, list[float]] = {}
    for step in (bar := tqdm(range(options.steps), desc="training", unit="step")):
        rate = options.rate * min(1.0, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / options.steps)) / 2
        for group in steps.param_groups:
            group["lr"] = rate
        side = list(WINDOWS)[rng.integers(len(WINDOWS))]
        batch = bank.batch(rng, side, min(LARGEST_BATCH, TOKENS // (WINDOWS[side] + 1)))
        pictures = model.pictures(batch.patches, batch.places)
        sentences, sets = model.sentences(batch.captions), torch.from_numpy(batch.sets).to(options.device)
        loss = contrastive_loss(pictures, sentences, model.clip.logit_scale.exp(), sets)
        steps.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        steps.step()
        with torch.no_grad():
            model.clip.logit_scale.clamp_(0, math.log(100))
        found = sets[(pictures @ sentences.T).argmax(dim=1)] == sets
        curves.setdefault(f"loss/window_{side * 16}", []).append(loss.item())
        curves.setdefault(f"retrieval_in_batch/window_{side * 16}", []).append(found.float().mean().item())
        if (step + 1) % EVERY == 0:
            for tag, values in curves.items():
                writer.add_scalar(tag, sum(values) / len(values), step + 1)
            writer.add_scalar("schedule/rate", rate, step + 1)
            writer.add_scalar("schedule/logit_scale", model.clip.logit_scale.exp().item(), step + 1)
            bar.set_postfix(loss=f"{loss.item():.2f}")
            curves.clear()
        if (step + 1) % KEEP == 0:
            save(model, options.out)
            writer.add_scalar("retrieval/held_out", retrieval(model, held_out)["picture_to_caption"], step + 1)
    return model, retrieval(model, held_out)


def processor() -> str:
    """The name of this machine's processor, as far as the system tells."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def commit() -> str:
    """The commit of the working tree, with `+` where it has changes, or `unknown` outside git."""
    try:
        git = ["git", "-C", str(ROOT)]
        head = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True, stderr=subprocess.DEVNULL).strip()
        changes = subprocess.check_output([*git, "status", "--porcelain", "--", *SOURCES], text=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changes else "")


def record(options: argparse.Namespace) -> dict[str, Any]:
    """How the model is made: all that somebody needs to make it again, taken down before anything can change."""
    graphics = torch.cuda.get_device_name() if options.device.startswith("cuda") else None
    return {
        "command": shlex.join(["python", "scripts/train_demo_clip.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit(),
        "sources_sha256": {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in SOURCES},
        "hardware": {"processor": processor(), "threads": torch.get_num_threads(), "graphics": graphics},
        "seed": options.seed,
        "data": {
            "train": f"shapes_scenes split train, scenes 0 to {options.scenes - 1}",
            "held_out": f"shapes_scenes split val, scenes 0 to {HELD_OUT - 1}",
            "windows": {str(side): shown for side, shown in WINDOWS.items()},
        },
        "steps": options.steps,
        "rate": options.rate,
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "open_clip": open_clip.__version__,
        },
    }


def main() -> None:
    """Read the options, train, write model and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="weights, windows, captions and their order")
    parser.add_argument(
        "--steps", type=int, default=320, help="optimiser steps, the learning rate falling to 0 over them"
    )
    parser.add_argument("--scenes", type=int, default=10000, help="training scenes, 200 KB of memory each")
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="processor threads, torch's choice unless given")
    parser.add_argument("--out", type=Path, default=ROOT / "cliptrase" / "demo", help="folder of the model")
    parser.add_argument("--logs", type=Path, default=ROOT / "outputs" / "demo_clip", help="folder for TensorBoard")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    made, start = record(options), time.perf_counter()
    with SummaryWriter(str(options.logs)) as writer:
        model, scores = train(options, writer)
    save(model, options.out)
    made |= {"hours": round((time.perf_counter() - start) / 3600, 2), "retrieval": scores}
    (options.out / "training.json").write_text(json.dumps(made, indent=2) + "\n")
    print(json.dumps(scores))


if __name__ == "__main__":
    main()
