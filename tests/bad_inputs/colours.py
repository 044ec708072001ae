"""Label maps in colours and the tables that say what the colours mean."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.bad_inputs.cases import NAMES, Case, changed, put

PALETTE = {name: [40 * number + 10, 250 - number, 99] for number, name in enumerate(NAMES)}
PAIRS = {**PALETTE, "ignore": [0, 0, 0]}
TABLE = "".join(f"{red} {green} {blue}\t{name}\n" for name, (red, green, blue) in PAIRS.items())
OPTION = ("--data.colors", "{root}/colors.txt")

SAME = {
    "CamVid's form, Windows line ends": TABLE.replace("\n", "\r\n"),
    "CVAT's form": "# label:color_rgb:parts:actions\n"
    + "".join(f"{name}:{','.join(map(str, colour))}::\n" for name, colour in PAIRS.items()),
    "JSON in another order": json.dumps(dict(reversed(PAIRS.items()))),
}
REFUSED = {
    "an empty file": "",
    "a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
    "one colour for two names": TABLE.replace("50 249 99", "10 250 99"),
    "a name that is no class": TABLE.replace("grass", "gras"),
    "a colour left out": TABLE.partition("\n")[2],
}


def _colour(root: Path, names: str = "*.png") -> None:
    """Writes the plain label maps in colours."""
    lookup = np.zeros((256, 3), np.uint8)
    lookup[: len(NAMES)] = [*PALETTE.values()]
    for path in (root / "gt").glob(names):
        with Image.open(path) as file:
            index = np.array(file)
        Image.fromarray(lookup[index]).save(path)


def _with_table(content: bytes | str, spoil: Callable[[Path], object] = lambda root: None) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        _colour(root)
        put("colors.txt", content)(root)
        spoil(root)

    return change


def _repaint(root: Path) -> None:
    """A pixel of another colour."""
    with Image.open(root / "gt/s0.png") as file:
        image = file.copy()
    image.putpixel((3, 4), (1, 2, 3))
    image.save(root / "gt/s0.png")


def _smooth(root: Path) -> None:
    """A map that was resized with smoothing."""
    with Image.open(root / "gt/s0.png") as file:
        size, small = file.size, file.resize((file.width // 3, file.height // 3), Image.Resampling.BICUBIC)
    small.resize(size, Image.Resampling.BICUBIC).save(root / "gt/s0.png")


def colour_cases() -> Iterator[Case]:
    """`--data.colors FILE`."""
    for name, content in SAME.items():
        yield changed(f"colour table: {name}", _with_table(content), *OPTION, end="right")
    for name, content in REFUSED.items():
        yield changed(f"colour table: {name}", _with_table(content), *OPTION, end="refused", says="--data.c")
    yield changed(
        "colours without a table", lambda root: _colour(root, "s1.png"), end="refused", says="--data.colors which class"
    )
    yield changed("index maps with a table", put("colors.txt", TABLE), *OPTION, end="refused", says="index maps")
    painted = changed("a pixel of no known colour", _with_table(TABLE, _repaint), *OPTION, end="refused")
    yield painted
    yield changed(
        "colours that were smoothed", _with_table(TABLE, _smooth), *OPTION, end="refused", says="s0.png holds"
    )
    ignored = ("--data.ignore", "gras")
    yield changed(
        "a name to ignore that is none", _with_table(TABLE), *OPTION, *ignored, end="refused", says="mean grass?"
    )
    for value in ("nowhere.txt", "{}", "{grass: 7}", "[1, 2]", "7"):
        yield changed(f"--data.colors {value!r}", _with_table(TABLE), "--data.colors", value, end="refused")
