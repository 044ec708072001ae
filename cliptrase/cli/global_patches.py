"""`global-patches PICTURE --patch 7,3 --out figure.png`: where attention goes, block by block, as a figure.

The picture is shown whole, as under the protocol `photos`. `cliptrase.global_patches.analysis` says what a global patch
is, and gives the same as numbers.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from cliptrase.cli.model_options import add_model
from cliptrase.common.errors import InputError
from cliptrase.common.options import Parser, answer


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the figure.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status; see `cliptrase.common.options.answer`.
    """
    return answer(parser(), _draw, arguments)


def parser() -> Parser:
    """The command's options."""
    own = Parser("global-patches", "A figure of one picture's global patches: where attention goes in each block.")
    own.add_argument("picture", type=Path, metavar="PICTURE", help="any picture file")
    own.add_argument(
        "--patch",
        action="append",
        required=True,
        metavar="ROW,COLUMN",
        help="from 0,0 at the top left; may be repeated",
    )
    own.add_argument("--out", type=Path, required=True, metavar="FILE", help="PNG to write")
    own.add_argument(
        "--size", type=int, metavar="N", help="shorter side in pixels (the side that the tower was made for)"
    )
    add_model(own, "embedded", "(%(default)s)", short=True)
    return own


def parse_patch(text: str) -> tuple[int, int]:
    """(row, column) from "7,3".

    Raises:
        InputError: the text is of another form.
    """
    match = re.fullmatch(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*", text)
    if not match:
        raise InputError(f"`patch` {text!r} is not a row and a column; write them as in --patch 7,3")
    return int(match[1]), int(match[2])


def _draw(options: argparse.Namespace) -> int:
    from cliptrase.common.io import OutputError, require_other, write_bytes

    try:
        require_other(options.out, [options.picture])
        patches = [parse_patch(text) for text in options.patch]
        write_bytes(options.out, _png(options, patches))
    except OutputError as error:
        raise InputError(f"`out` {error}") from error
    print(f"figure: {options.out}")
    return 0


def _png(options: argparse.Namespace, patches: list[tuple[int, int]]) -> bytes:
    """The figure; what draws it loads here, so that help and wrong usage are answered without torch."""
    from cliptrase.clip.encoder import VisualEncoder
    from cliptrase.clip.weights import load_clip
    from cliptrase.common.images import to_rgb
    from cliptrase.drawing.canvas import png_bytes
    from cliptrase.global_patches.analysis import analyse
    from cliptrase.global_patches.figure import figure
    from cliptrase.global_patches.view import show

    picture = to_rgb(options.picture)
    clip = load_clip(options.clip, options.pretrained, options.activation)
    encoder = VisualEncoder(clip.model.visual)
    image, pixels = show(picture, clip, encoder, options.size)
    return png_bytes(figure(image, analyse(encoder, pixels, patches), f"{options.picture.name}, {clip.name}"))
