"""A large aerial picture through `predict`, in a process of its own: peak memory, seconds, windows a second.

python -m benchmarks.large_picture
python -m benchmarks.large_picture --side 5000 --methods sclip cliptrase
"""

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch

from benchmarks import measure, record
from cliptrase.cli import main as cliptrase
from cliptrase.inference.window_maps import window_starts
from cliptrase.protocols.table import get_protocol

_FIELD = 160  # pixels of a side; a tile of the file
_WORDS = "grass; sky; sand, beach; water; brick; wood; snow; asphalt"


def write_picture(path: Path, side: int, bands: int, seed: int = 0) -> None:
    """A TIFF file of side x side pixels of 16 bits: fields of 160 pixels, each of a tone and a grain of its own."""
    generator = np.random.default_rng(seed)
    cells = -(-side // _FIELD)

    def fields() -> Iterator[np.ndarray[Any, Any]]:
        for _ in range(cells**2):
            tone, rough = generator.integers(200, 3500, bands), generator.integers(1, 400)
            grain = generator.standard_normal((_FIELD, _FIELD, 1), dtype=np.float32) * rough
            yield (tone + grain).clip(0, 4095).astype(np.uint16)

    tifffile.imwrite(
        path,
        fields(),
        shape=(side, side, bands),
        dtype=np.uint16,
        photometric="minisblack",
        planarconfig="contig",
        tile=(_FIELD, _FIELD),
        compression="zlib",
        compressionargs={"level": 1},
    )


def predicted(picture: Path, out: Path, method: str, options: argparse.Namespace) -> dict[str, float]:
    """Peak memory and seconds of `predict` in this process; on CUDA also the most that the allocator held."""
    arguments = ["predict", "--config", "tiles", "--model.clip", options.model, "--model.method", method]
    arguments += ["--data.images", str(picture), "--data.words", _WORDS, "--data.bands", "4,3,2"]
    arguments += [
        "--data.stretch",
        "percentile 2 98",
        "--data.num_workers",
        "0",
        "--trainer.default_root_dir",
        str(out),
    ]
    arguments += ["--trainer.accelerator", options.device, "--trainer.devices", "1"]
    arguments += ["--trainer.enable_progress_bar", "false"]
    begin = time.perf_counter()
    status = cliptrase(arguments)
    seconds = time.perf_counter() - begin
    if status:
        raise SystemExit(status)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    cuda = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0.0
    return {"peak_mib": peak, "cuda_mib": cuda, "seconds": seconds}


def in_own_process(picture: Path, method: str, options: argparse.Namespace) -> dict[str, float]:
    """`predicted` where nothing ran before, and what it wrote thrown away."""
    out = picture.parent / "out"
    command = [sys.executable, "-m", "benchmarks.large_picture", "--one", str(picture), "--methods", method]
    command += ["--model", options.model, "--device", options.device, "--threads", str(options.threads)]
    found = measure.result_of_own_process(command)
    shutil.rmtree(out)
    return dict(found)


def main(arguments: list[str] | None = None) -> None:
    """Makes the picture, predicts it by each method, prints the figures and stores them as CSV."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.large_picture", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--side", type=int, default=10_000, help="pixels of a side")
    parser.add_argument("--bands", type=int, default=5)
    parser.add_argument("--methods", nargs="+", default=["sclip"])
    parser.add_argument("--model", default="embedded", help="as `--model.clip`")
    parser.add_argument("--device", default="gpu" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--one", type=Path, help="this picture in this process, its figures alone printed")
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.one:
        (method,) = options.methods
        print(json.dumps(predicted(options.one, options.one.parent / "out", method, options)))
        return
    protocol = get_protocol("tiles")
    assert isinstance(protocol.window, int)
    windows = len(window_starts(options.side, protocol.window, protocol.stride)) ** 2
    device = torch.device("cuda" if options.device == "gpu" else "cpu")
    about = record.facts(device, model=options.model, side=options.side, bands=options.bands, threads=options.threads)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "aerial.tif"
        write_picture(picture, options.side, options.bands)
        for method in options.methods:
            found = in_own_process(picture, method, options)
            rows.append({"method": method, **found, "windows": windows, "windows_a_second": windows / found["seconds"]})
            print(record.line(rows[-1]), flush=True)
    print(f"written to {record.store('large_picture', rows, about, options.out)}")


if __name__ == "__main__":
    main()
