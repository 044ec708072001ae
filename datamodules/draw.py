"""`python cli.py draw --root DIR` writes the demo's scenes as files: real input for every other command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from cliptrase.common.console import run
from cliptrase.common.errors import UsageError
from cliptrase.common.options import Parser, answer
from datamodules.errors import DataError
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the folder and says how to run on it.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status; see `cliptrase.common.options.answer`.
    """
    parser = Parser("draw", "Writes the demo's test scenes as a folder of pictures and label maps.")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--scenes", type=int, default=200, metavar="N", help="how many (%(default)s)")
    return answer(parser, _draw, arguments, "the scenes are not all there; start again by the same command")


def _draw(options: argparse.Namespace) -> int:
    if options.scenes < 1:
        raise UsageError(f"`scenes` must be at least 1, not {options.scenes}")
    try:
        write_folder(options.root, options.scenes)
    except OSError as error:
        raise DataError(
            f"`root` {options.root} cannot be written ({error.strerror or error}); name another place"
        ) from error
    print(
        f"{options.scenes} scenes: --data Folder --data.root {options.root} --data.classes {options.root}/classes.txt"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
