"""How soon the command answers: help, lists and first errors beside `python -c "import torch"`; the demo's first batch.

Each is a new process. The demo's text was encoded before.

python -m benchmarks.startup --rounds 9
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from benchmarks import record

ROOT = Path(__file__).resolve().parents[1]
TORCH = "import torch"
# Words of the command, and the most that they may take of the time of `import torch`.
COMMANDS: Mapping[str, tuple[Sequence[str], float]] = {
    "--help": (["--help"], 0.6),
    "--version": (["--version"], 0.6),
    "test --help": (["test", "--help"], 0.6),
    "doctor --help": (["doctor", "--help"], 0.6),
    "list": (["list"], 0.6),
    "test --dta VOC20": (["test", "--dta", "VOC20"], 1.2),
    "test --data VOC20 --model.method slip": (["test", "--data", "VOC20", "--model.method", "slip"], 1.2),
    "test --data VOC20 --model.clip ViT-B-61": (["test", "--data", "VOC20", "--model.clip", "ViT-B-61"], 1.2),
}
FIRST_BATCH = 6.0  # seconds from the demo's command to the end of its first batch, at most, on two quiet cores


def seconds(command: Sequence[str]) -> tuple[float, float]:
    """Wall-clock and processor seconds of a new process."""
    before, begin = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, check=False)
    taken, after = time.perf_counter() - begin, os.times()
    return taken, after.children_user + after.children_system - before.children_user - before.children_system


def measure(rounds: int) -> list[dict[str, float | str | bool]]:
    """Medians of all commands, taken in turns; one more round warms up."""
    works = {TORCH: ["-c", TORCH]} | {name: ["cli.py", *words] for name, (words, _) in COMMANDS.items()}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, command in works.items():
            pair = seconds(command)
            if number:
                taken[name].append(pair)
    medians = {
        name: [statistics.median(column) for column in zip(*pairs, strict=True)] for name, pairs in taken.items()
    }
    return [
        {
            "words": name,
            "seconds": wall,
            "cpu_seconds": cpu,
            "ratio": wall / medians[TORCH][0],
            "cpu_ratio": cpu / medians[TORCH][1],
            "bar": COMMANDS[name][1] if name in COMMANDS else 1.0,
        }
        for name, (wall, cpu) in medians.items()
    ]


def first_batch(rounds: int) -> dict[str, float | str | bool]:
    """Seconds from the demo's command to beginning and end of its first batch, medians; one more round warms up."""
    taken: list[tuple[float, float]] = []
    for _ in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            clock = f"{{class_path: benchmarks.first_batch.FirstBatch, init_args: {{file: {folder}/times}}}}"
            command = [sys.executable, "cli.py", "test", "--trainer.limit_test_batches", "1"]
            command += ["--trainer.callbacks", f"[{clock}]", "--trainer.default_root_dir", folder]
            begin = time.time()
            subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
            times = Path(folder, "times").read_text(encoding="utf-8").split()
            taken.append((float(times[0]) - begin, float(times[1]) - begin))
    begins, ends = (statistics.median(column) for column in zip(*taken[1:], strict=True))
    return {"words": "test, its first batch", "begins": begins, "ends": ends, "bar_seconds": FIRST_BATCH}


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints and stores as CSV.

    Returns:
        exit status: 1 where a command, or the demo's first batch, takes more than its bar.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="of which the median is taken")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    rows = measure(options.rounds)
    demo = first_batch(options.rounds)
    for row in (*rows, demo):
        print(record.line(row))
    print(f"written to {record.store('startup', [*rows, demo], record.facts(torch.device('cpu')), options.out)}")
    slow = [row["words"] for row in rows if float(row["ratio"]) > float(row["bar"])]
    return int(bool(slow) or float(demo["ends"]) > FIRST_BATCH)


if __name__ == "__main__":
    sys.exit(main())
