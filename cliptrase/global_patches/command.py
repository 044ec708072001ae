"""Global patches of one picture as a figure: where attention goes, block by block, and what it does to correlations.

    python -m cliptrase.global_patches.command PICTURE --patch 7,3 --out figure.png

The picture is shown whole, as under the protocol `photos`. `global_patch_analysis` says what a global patch is, and
gives the same as numbers.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.weights import LoadedClip, load_clip
from cliptrase.console import complain, run
from cliptrase.drawing.canvas import png_bytes
from cliptrase.drawing.overlay import Picture
from cliptrase.drawing.picture import fit
from cliptrase.errors import InputError
from cliptrase.global_patches.analysis import analyse
from cliptrase.global_patches.figure import figure
from cliptrase.images import PictureLike, to_rgb
from cliptrase.inference.pixels import to_whole_patches
from cliptrase.io import OutputError, require_other, write_bytes

_LONGEST = 4  # times the shorter side


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the figure.

    Returns:
        exit status: 0 where the figure is written, 1 with a sentence where something given cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cliptrase.global_patches.command", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("picture", type=Path, help="any picture file")
    parser.add_argument(
        "--patch",
        action="append",
        required=True,
        metavar="ROW,COLUMN",
        help="from 0,0 at the top left; may be repeated",
    )
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument(
        "--size", type=int, help="shorter side in pixels; default: the side that the tower was made for"
    )
    parser.add_argument("--clip", "--model.clip", dest="clip", default="embedded", help="as --model.clip of cli.py")
    parser.add_argument("--pretrained", "--model.pretrained", dest="pretrained", help="as --model.pretrained of cli.py")
    parser.add_argument(
        "--activation",
        "--model.activation",
        dest="activation",
        default="auto",
        choices=("auto", "gelu", "quick_gelu"),
        help="as --model.activation of cli.py",
    )
    options = parser.parse_args(arguments)
    try:
        require_other(options.out, [options.picture])
        chosen = [parse_patch(text) for text in options.patch]
        picture = to_rgb(options.picture)
        clip = load_clip(options.clip, options.pretrained, options.activation)
        encoder = VisualEncoder(clip.model.visual)
        image, pixels = show(picture, clip, encoder, options.size)
        drawn = figure(image, analyse(encoder, pixels, chosen), f"{options.picture.name}, {clip.name}")
        write_bytes(options.out, png_bytes(drawn))
    except OutputError as error:
        return complain(f"--out {error}")
    except InputError as error:
        return complain(str(error))
    print(f"figure: {options.out}")
    return 0


def parse_patch(text: str) -> tuple[int, int]:
    """(row, column) from "7,3".

    Raises:
        InputError: the text is of another form.
    """
    found = re.fullmatch(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*", text)
    if not found:
        raise InputError(f"--patch {text!r} is not a row and a column; write them as in --patch 7,3")
    return int(found[1]), int(found[2])


def show(
    picture: PictureLike, clip: LoadedClip, encoder: VisualEncoder, size: int | None = None
) -> tuple[Picture, Tensor]:
    """A picture as the tower sees it: whole, its last row and column repeated up to whole patches.

    Args:
        picture: a path, a PIL image of any mode, or an array; see `images.to_rgb`.
        clip: for mean and deviation of its pictures.
        encoder: of that model.
        size: pixels of the shorter side; None takes the tower's own. The longer one is cut down to four times that.

    Returns:
        (H, W, 3) uint8, and the same normalised (1, 3, H, W); H and W are multiples of the patch.

    Raises:
        InputError: a size below 1, or a picture that cannot be read.
    """
    patch = (int(encoder.tower.patch_size[0]), int(encoder.tower.patch_size[1]))
    side = (
        min(cells * pixels for cells, pixels in zip(encoder.tower.grid_size, patch, strict=True))
        if size is None
        else size
    )
    if side < 1:
        raise InputError(f"--size must be at least 1 pixel, not {side}")
    whole = to_whole_patches(fit(to_rgb(picture), side, _LONGEST * side).float(), patch)  # (1, 3, H, W), 0..255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (clip.mean, clip.std))
    return whole[0].permute(1, 2, 0).numpy().astype(np.uint8), (whole / 255 - mean) / std


if __name__ == "__main__":
    sys.exit(run(main))
