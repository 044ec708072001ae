"""`app`: a page on this machine for own pictures and words."""

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from cliptrase.cli import configs
from cliptrase.cli.model_options import add_model
from cliptrase.cli.protocol_option import parsed, with_protocol
from cliptrase.common.console import complain, remark
from cliptrase.common.errors import InputError
from cliptrase.common.options import Parser, answer
from cliptrase.protocols.table import DEFAULT_FOR_PHOTOS, get_protocol

if TYPE_CHECKING:
    from cliptrase.app.page import Example

_EMBEDDED = "embedded"
_LOCAL = ("127.0.0.1", "localhost", "::1")
_PORT = 7860
_OF_THE_DEMO = ("size", "eps", "min_samples")  # values that suit the embedded model, from its configuration
_SCENES = (12, 28, 31, 1)  # of the demo's test scenes, of four materials each


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves the page until a signal comes.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status; see `cliptrase.common.options.answer`.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not {"-h", "--help"} & set(words):
            words = with_protocol([*_usual_protocol(words), *words])
    except InputError as error:
        return complain(str(error), error.status)
    return answer(parser(), _serve, words)


def parser() -> Parser:
    """The command's options."""
    own = Parser("app", "A page on this machine for own pictures and words: methods side by side, and attention.")
    own.add_argument("--host", default=_LOCAL[0], metavar="ADDRESS", help="address to serve at (%(default)s)")
    own.add_argument("--port", type=int, default=_PORT, metavar="N", help="(%(default)s); 0 takes one that is free")
    shown = own.add_mutually_exclusive_group()
    shown.add_argument(
        "--open", action="store_true", default=None, help="show the page in a browser (where one has a screen)"
    )
    shown.add_argument("--no-browser", dest="open", action="store_false", default=None, help="print its address only")
    add_model(own, _EMBEDDED, "(%(default)s)")
    own.add_argument("--model.guest", dest="guest", metavar="NAME", help="second tower of methods that read one")
    own.add_argument(
        "--protocol",
        metavar="NAME",
        help=f"how pictures are shown and named ({DEFAULT_FOR_PHOTOS}); single values as --protocol.FIELD VALUE",
    )
    return own


def _usual_protocol(words: Sequence[str]) -> list[str]:
    """Options to stand before the user's: `photos`, for the embedded model with the values of its demo."""
    usual = ["--protocol", DEFAULT_FOR_PHOTOS]
    typed: dict[str, str] = {}
    for word, after in pairwise([*words, ""]):
        option, equals, value = word.partition("=")
        typed[option] = value if equals else after
    if "--protocol" not in typed and typed.get("--model.clip", _EMBEDDED) == _EMBEDDED:
        demo = get_protocol(configs.read(configs.shipped()["demo"])["protocol"])
        for field in _OF_THE_DEMO:
            usual += [f"--protocol.{field}", json.dumps(getattr(demo, field))]
    return usual


def _serve(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("gradio") is None:
        raise InputError("the page needs the package gradio, which is not installed; run: pip install 'cliptrase[app]'")
    from cliptrase.app.address import bound

    with bound(options.host, options.port) as server:  # before anything large is read
        if options.host not in _LOCAL:
            remark(
                f"--host {options.host} lets everybody who reaches this machine use the page, without a password",
                "warning",
            )
        from cliptrase.app.script import ModelChoice
        from cliptrase.app.studio import Studio
        from cliptrase.app.worker import Worker
        from cliptrase.clip.guest_weights import load_guest
        from cliptrase.clip.weights import default_tag, load_clip

        pretrained = options.pretrained or default_tag(options.clip)
        clip = load_clip(options.clip, pretrained, options.activation)
        guest = load_guest(options.guest) if options.guest else None
        worker = Worker()
        studio = Studio(clip, parsed(options.protocol), guest, stopping=worker.stopping)
        model = ModelChoice(options.clip, pretrained, options.activation, options.guest)

        from cliptrase.app.page import build
        from cliptrase.app.server import application, own_folder, serve

        with own_folder() as folder:
            page = build(studio, model, _examples(), folder, worker, _knows(options.clip))
            show = _has_screen() if options.open is None else options.open
            return serve(application(page, folder), server, show, worker.stop)


def _examples() -> "list[Example]":
    from cliptrase.app.page import Example
    from datamodules.shapes_scenes import scene

    examples = []
    for index in _SCENES:
        drawn = scene(index, "test")
        ground, *others = drawn.names
        examples.append(Example(f"scene_{index:04d}.png", drawn.image, "; ".join(others), ground))
    return examples


def _knows(clip: str) -> tuple[str, ...]:
    """All that the model knows, where that is the demo's materials."""
    from datamodules.shapes_scenes import NAMES

    return NAMES if clip == _EMBEDDED else ()


def _has_screen() -> bool:
    """Whether a browser can show a window; a terminal's browser would take the terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
