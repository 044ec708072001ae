"""`python -m datamodules.draw --root DIR` writes the demo's scenes as files: real input for every other command."""

import argparse
import sys
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from cliptrase.console import complain, run, stopped
from datamodules.shapes_scenes import NAMES, scene


def write_folder(root: Path, scenes: int, progress: bool = True) -> None:
    """Writes test scenes as `image/`, `gt/` and `classes.txt` under `root`, for `--data Folder`.

    Args:
        root: made where it is missing; files of an earlier call are written anew.
        scenes: how many.
        progress: whether to show a progress bar.
    """
    for name in ("image", "gt"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    for index in tqdm(range(scenes), desc="scenes", unit="picture", disable=None if progress else True, leave=False):
        drawn = scene(index, "test")
        Image.fromarray(drawn.image).save(root / "image" / f"scene_{index:04d}.png")
        Image.fromarray(drawn.labels).save(root / "gt" / f"scene_{index:04d}.png")


def main(arguments: list[str] | None = None) -> int:
    """Writes the folder and says how to run on it."""
    parser = argparse.ArgumentParser(prog="python -m datamodules.draw", description="Writes the demo's test scenes.")
    parser.add_argument("--root", type=Path, required=True, help="folder to write to")
    parser.add_argument("--scenes", type=int, default=200, help="how many")
    options = parser.parse_args(arguments)
    if options.scenes < 1:
        parser.error(f"--scenes must be at least 1, not {options.scenes}")
    try:
        write_folder(options.root, options.scenes)
    except OSError as error:
        return complain(f"--root {options.root} cannot be written ({error.strerror or error}); name another place")
    except KeyboardInterrupt as stop:
        return stopped(stop, "the scenes are not all there; start again by the same command")
    print(
        f"{options.scenes} scenes: --data Folder --data.root {options.root} --data.classes {options.root}/classes.txt"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
