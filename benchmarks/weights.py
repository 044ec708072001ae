"""What reading weights costs a start: seconds and memory of `load_clip` by form of file, each in its own process.

python -m benchmarks.weights --model ViT-B-16
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from benchmarks import measure, record, subjects
from cliptrase.clip.weights import load_clip

_KINDS = ("RssAnon:", "RssFile:", "VmHWM:")
FORMS: Mapping[str, Callable[..., Any]] = {"safetensors": save_file, "pt": torch.save}


def loaded(model: str, file: Path) -> dict[str, float]:
    """Seconds of a load, and MiB that it adds: `own_mib` of this process alone, `pages_mib` that others share."""
    before, begin = _memory(), time.perf_counter()
    clip = load_clip(model, str(file), "quick_gelu")
    seconds, after = time.perf_counter() - begin, _memory()
    clip.hold_text()
    held = _memory()
    return {
        "seconds": seconds,
        "own_mib": after["RssAnon"] - before["RssAnon"],
        "pages_mib": after["RssFile"] - before["RssFile"],
        "own_mib_with_text": held["RssAnon"] - before["RssAnon"],
        "peak_mib": after["VmHWM"],
    }


def _memory() -> dict[str, float]:
    """MiB of this process by kind, as Linux counts them."""
    lines = (line.split() for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[0] in _KINDS}


def main(arguments: list[str] | None = None) -> None:
    """Writes a model of random values in every form, loads each several times, prints and stores the fastest as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.weights", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="ViT-B-16", help="open_clip architecture; weights are random")
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest is taken")
    parser.add_argument("--file", type=Path, help="this file in this process, its figures alone printed")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    if options.file:
        print(json.dumps(loaded(options.model, options.file)))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        state = subjects.random_tower(options.model).state_dict()
        for form, save in FORMS.items():
            save(state, file := Path(folder, f"weights.{form}"))
            command = [sys.executable, "-m", "benchmarks.weights", "--model", options.model, "--file", str(file)]
            runs = [measure.result_of_own_process(command) for _ in range(options.rounds)]
            fastest: dict[str, float] = min(runs, key=lambda run: run["seconds"])
            rows.append({"form": form, "file_mib": file.stat().st_size / 2**20} | fastest)
            print(record.line(rows[-1]), flush=True)
    about = record.facts(torch.device("cpu"), model=options.model)
    print(f"written to {record.store('weights', rows, about, options.out)}")


if __name__ == "__main__":
    main()
