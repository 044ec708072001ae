"""Pictures a second with 1, 2, 4 processes: the command line on a folder of generated pictures, as a user runs it.

python -m benchmarks.scaling --processes 1 2 --pictures 200
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks import record, subjects

NAMES = ("sky", "tree", "road", "house", "person")


def save_pictures(root: Path, count: int) -> Path:
    """`count` JPEG files of 500 x 375 pixels with their label maps, as `--data Folder` reads them."""
    for name in ("image", "gt"):
        (root / name).mkdir(parents=True)
    for seed in range(count):
        pixels = subjects.picture(seed, 375, 500)
        Image.fromarray(pixels).save(root / "image" / f"{seed:05}.jpg", quality=92)
        Image.fromarray(pixels[..., 0] % len(NAMES)).save(root / "gt" / f"{seed:05}.png")
    return root


def save_clip(folder: Path, architecture: str) -> Path:
    """CLIP with random weights as a folder for `--model.clip local-dir:`."""
    folder.mkdir()
    config = {"model_cfg": open_clip.get_model_config(architecture) | {"quick_gelu": True}, "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    state = subjects.random_tower(architecture).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "open_clip_model.safetensors")
    return folder


def wall_seconds(root: Path, clip: Path, processes: int, options: argparse.Namespace) -> float:
    """Seconds of one run of the command line, one thread a process on a CPU."""
    command = [sys.executable, "cli.py", "test", "--config", f"configs/paper_{options.size}.yaml"]
    command += ["--data", "Folder", "--data.root", str(root), "--data.classes", json.dumps(NAMES)]
    command += ["--data.batch_size", str(options.batch_size), "--data.num_workers", str(options.workers)]
    command += ["--model.clip", f"local-dir:{clip}"]
    command += ["--trainer.default_root_dir", str(clip.parent / "out"), "--trainer.callbacks", "null"]
    command += ["--trainer.accelerator", options.accelerator, "--trainer.devices", str(processes)]
    command += ["--trainer.strategy", "ddp" if processes > 1 else "auto", "--trainer.enable_progress_bar", "false"]
    environment = os.environ | {"CLIPTRASE_CACHE": str(clip.parent / "cache")}
    if options.accelerator == "cpu":
        environment["OMP_NUM_THREADS"] = "1"
    begin = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - begin


def main(arguments: list[str] | None = None) -> None:
    """Measures every number of processes, prints a table and stores it as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--processes", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--model", default="ViT-B-16", help="open_clip architecture; weights are random")
    parser.add_argument("--size", type=int, choices=[224, 336], default=224)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0, help="decoding processes of each process")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    about = record.facts(
        torch.device("cuda" if options.accelerator == "gpu" else "cpu"),
        cores=os.cpu_count(),
        model=options.model,
        size=options.size,
        batch=options.batch_size,
        workers=options.workers,
    )
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clip = save_clip(folder / "clip", options.model)
        few = options.batch_size * max(options.processes)
        start, whole = save_pictures(folder / "start", few), save_pictures(folder / "whole", few + options.pictures)
        wall_seconds(start, clip, 1, options)  # encodes the names
        for processes in options.processes:
            # Starting up is left out: what is timed are the pictures beyond those of the short run.
            brief = wall_seconds(start, clip, processes, options)
            taken = wall_seconds(whole, clip, processes, options) - brief
            row = {"processes": processes, "pictures": options.pictures, "start_s": brief, "seconds": taken}
            row["pictures_per_s"] = options.pictures / taken
            row["speed_up"] = row["pictures_per_s"] / (rows[0]["pictures_per_s"] if rows else row["pictures_per_s"])
            rows.append(row)
            print(record.line(row), flush=True)
    print(f"written to {record.store('scaling', rows, about, options.out)}")


if __name__ == "__main__":
    main()
