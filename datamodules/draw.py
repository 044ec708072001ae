"""`python cli.py draw --root DIR` writes the demo's scenes as files: real input for every other command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from cliptrase.common.console import run
from cliptrase.common.errors import UsageError, counted
from cliptrase.common.options import Parser, answer
from datamodules.colours import Colour
from datamodules.errors import DataError
from datamodules.shapes_scenes import NAMES, scene

# A colour for each name; an odd factor keeps all of them different.
COLOURS: dict[str, Colour] = {
    name: (67 * place % 256, 131 * place % 256, 211 * place % 256) for place, name in enumerate(NAMES, 1)
}


def write_folder(root: Path, scenes: int, progress: bool = True, colours: bool = False) -> None:
    """Writes test scenes as `image/`, `gt/` and `classes.txt` under `root`, for `--data Folder`.

    Args:
        root: made where it is missing; files of an earlier call are written anew.
        scenes: how many.
        progress: whether to show a progress bar.
        colours: whether the label maps are also written in colours, as `gt_colors/` with their table `colors.txt`.
    """
    for name in ("image", "gt", *(["gt_colors"] if colours else [])):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    if colours:
        lines = (f"{' '.join(map(str, colour))}\t{name}\n" for name, colour in COLOURS.items())
        (root / "colors.txt").write_text("".join(lines), encoding="utf-8")
    palette = np.array([*COLOURS.values()], np.uint8)
    for index in tqdm(range(scenes), desc="scenes", unit="picture", disable=None if progress else True, leave=False):
        drawn = scene(index, "test")
        Image.fromarray(drawn.image).save(root / "image" / f"scene_{index:04d}.png")
        Image.fromarray(drawn.labels).save(root / "gt" / f"scene_{index:04d}.png")
        if colours:
            Image.fromarray(palette[drawn.labels]).save(root / "gt_colors" / f"scene_{index:04d}.png")


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the folder and says how to run on it.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status; see `cliptrase.common.options.answer`.
    """
    return answer(parser(), _draw, arguments, "the scenes are not all there; start again by the same command")


def parser() -> Parser:
    """The command's options."""
    own = Parser("draw", "Writes the demo's test scenes as a folder of pictures and label maps.")
    own.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder to write to")
    own.add_argument("--scenes", type=int, default=200, metavar="N", help="how many (%(default)s)")
    own.add_argument("--colors", action="store_true", help="also write the label maps in colours, with their table")
    return own


def _draw(options: argparse.Namespace) -> int:
    if options.scenes < 1:
        raise UsageError(f"`scenes` must be at least 1, not {options.scenes}")
    try:
        write_folder(options.root, options.scenes, colours=options.colors)
    except OSError as error:
        raise DataError(
            f"`root` {options.root} cannot be written ({error.strerror or error}); name another place"
        ) from error
    root = options.root
    print(f"{counted(options.scenes, 'scene')}: --data Folder --data.root {root} --data.classes {root}/classes.txt")
    if options.colors:
        maps = f"--data.labels {root}/gt_colors --data.colors {root}/colors.txt"
        print(f"in colours: --data Folder --data.root {root} {maps}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
