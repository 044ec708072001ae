"""`list [methods | options | protocols | datasets | vocabularies | configs]`: what there is, a line each."""

import argparse
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from cliptrase.cli import configs
from cliptrase.common.options import WIDTH, Parser, answer

_SHORT = 24  # characters of an option's values beside its meaning

Rows = Iterator[tuple[str, str, str]]
"""Name, what it is, where it comes from."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what there is.

    Args:
        arguments: after the command's name; the process's own by default.

    Returns:
        exit status; see `cliptrase.common.options.answer`.
    """
    return answer(parser(), _print, arguments)


def parser() -> Parser:
    """The command's options."""
    own = Parser("list", "Shows what there is, a line or two each; without KIND all of them.")
    own.add_argument("kind", nargs="?", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    return own


def _print(options: argparse.Namespace) -> int:
    kinds = [options.kind] if options.kind else list(KINDS)
    for kind in kinds:
        if len(kinds) > 1:
            print(f"{kind}:")
        rows = list(KINDS[kind]())
        width = max(len(name) for name, _, _ in rows)
        for name, what, source in rows:
            print("\n".join(_lines(f"  {name:{width}}  ", what, source)))
        if kind != kinds[-1]:
            print()
    return 0


def _lines(head: str, what: str, source: str) -> list[str]:
    """Lines of at most `WIDTH` columns, what does not fit below its beginning."""
    text = f"{what} ({source})" if source else what
    below = " " * len(head)
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=below, break_on_hyphens=False)


def _methods() -> Rows:
    from cliptrase.common.extensions import installed
    from cliptrase.methods import ENTRY_POINTS, METHODS

    for name, method in METHODS.items():
        yield name, method.source, ""
    for name, point in installed(ENTRY_POINTS).items():
        yield name, "a method of another package", point.value


def _protocols() -> Rows:
    from cliptrase.protocols.protocol import OWN_PIXELS
    from cliptrase.protocols.table import PROTOCOLS

    for name, protocol in PROTOCOLS.items():
        view = {"centre_crop": "middle square", "whole_image": "whole images"}.get(protocol.view, protocol.view)
        if protocol.windowed:
            view = "windows"
        side = "own pixels" if protocol.size == OWN_PIXELS else f"shorter side {protocol.size}"
        yield name, f"{view}, {side}, scores of {protocol.scoring}", ""


def _datasets() -> Rows:
    from datamodules.specs import DATASETS

    for name, spec in DATASETS.items():
        also = "".join(f", also {layout}" for layout in spec.layouts)
        images = " or ".join(str(number) for number in spec.images_expected)
        yield name, spec.description.partition(". ")[0].rstrip("."), f"{images} images{also}" if images else ""
    for name, what in (
        ("Benchmark", "several of these in one run"),
        ("Folder", "your own images and label maps"),
        ("Photos", "your own images and words, without label maps"),
        ("Shapes", "the demo's drawn scenes"),
    ):
        yield name, what, ""


def _vocabularies() -> Rows:
    from cliptrase.vocabulary import LISTS
    from datamodules.specs import DATASETS

    named: dict[str, list[str]] = {"released": list(DATASETS)}
    for dataset, spec in DATASETS.items():
        for name in spec.vocabularies:
            named.setdefault(name, []).append(dataset)
    for name, datasets in named.items():
        yield name, LISTS.get(name, ", ".join(datasets)), f"{len(datasets)} data sets"


def _published() -> Rows:
    from cliptrase.evaluation.published import published_systems

    for system in published_systems():
        sets = f"{len(system.mIoU)} data set{'s' if len(system.mIoU) > 1 else ''}"
        yield system.system, f"mIoU {system.mean:.1f} on {sets}", system.source
        adds = f"adds {system.adds}" if system.adds else ""
        here = f"here: {system.here}" if system.here else "does not run here"
        yield "", "; ".join(filter(None, [adds, here])), ""


def _configs() -> Rows:
    for name, path in configs.shipped().items():
        comment = [line[1:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]
        yield name, " ".join(" ".join(comment).split()).partition(". ")[0].rstrip("."), ""


def _options() -> Rows:
    from cliptrase.methods import METHODS, SWITCH_OPTIONS

    for switch, option in SWITCH_OPTIONS.items():
        yield from _option(f"{switch}+{option.name}", option.meaning, option.summary)
    for name, method in METHODS.items():
        for option in method.options:
            yield from _option(f"{name}+{option.name}", option.meaning, option.summary)
        for part in method.parts:
            yield f"{name}-{part.name}", f"without {part.meaning}", ""


def _option(name: str, meaning: str, values: str) -> Rows:
    """Values that would leave little of the meaning stand below it."""
    if len(values) <= _SHORT:
        yield name, meaning, values
        return
    yield name, meaning, ""
    for line in textwrap.wrap(values, 2 * _SHORT):
        yield "", line, ""


KINDS: Mapping[str, Callable[[], Rows]] = {
    "methods": _methods,
    "options": _options,
    "protocols": _protocols,
    "datasets": _datasets,
    "vocabularies": _vocabularies,
    "configs": _configs,
    "published": _published,
}
