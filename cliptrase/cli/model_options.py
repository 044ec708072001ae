"""The options by which small commands name a model, as `test` names it."""

from cliptrase.common.options import Parser

ACTIVATIONS = ("auto", "gelu", "quick_gelu")


def add_model(parser: Parser, default: str | None, about: str, short: bool = False) -> None:
    """Adds `--model.clip`, `--model.pretrained` and `--model.activation`, of `weights.load_clip`.

    Args:
        parser: of a command.
        default: model where none is named.
        about: help of `--model.clip`.
        short: whether the options are also known without `model.`.
    """

    def names(option: str) -> tuple[str, ...]:
        return (f"--{option}", f"--model.{option}") if short else (f"--model.{option}",)

    parser.add_argument(*names("clip"), dest="clip", default=default, metavar="NAME", help=about)
    parser.add_argument(*names("pretrained"), dest="pretrained", metavar="TAG", help="a tag of open_clip, or a file")
    parser.add_argument(
        *names("activation"),
        dest="activation",
        default=ACTIVATIONS[0],
        choices=ACTIVATIONS,
        metavar="KIND",
        help=f"{', '.join(ACTIVATIONS[:-1])} or {ACTIVATIONS[-1]} (%(default)s)",
    )
