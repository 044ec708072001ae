"""Pictures and label maps of data sets: `cliptrase.common.images` with the errors of data sets."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.errors import InputError, counted
from cliptrase.common.georeference import is_georeferenced, is_installed
from cliptrase.common.images import (
    RELEASED,
    UNSTRETCHED,
    ColoursError,
    Header,
    Reader,
    Size,
    max_pixels,
    parse_bands,
    parse_stretch,
)
from cliptrase.common.images.bands import whole_pages
from cliptrase.common.images.decoding import opened
from datamodules.colour_table import cure_of, say_colours
from datamodules.errors import DataError
from datamodules.spec import DatasetSpec

Found = TypeVar("Found")
_TIFF = frozenset({".tif", ".tiff"})
_COLOURS = 3  # bands of a usual picture


@contextmanager
def _errors_of_data() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise DataError(str(error)) from error


def checked_max_pixels(number: int | None) -> int | None:
    """The option, or where it is not given what the environment says is checked.

    Raises:
        DataError: it is less than 1, or the environment's value is no number.
    """
    if number is not None and number < 1:
        raise DataError(f"--data.max_pixels must be at least 1, not {number}")
    with _errors_of_data():
        max_pixels()
    return number


def chosen_reader(pixels: int | None, bands: str, stretch: str) -> Reader:
    """How own pictures are read, as the options of `Photos` say.

    Raises:
        DataError: an option that says nothing.
    """
    with _errors_of_data():
        return Reader("upright", checked_max_pixels(pixels), parse_bands(bands), parse_stretch(stretch))


def say_bands(files: Iterable[Path], reader: Reader) -> str:
    """Which bands of which pictures are shown, and how they are stretched, in one sentence, or nothing.

    Pictures of usual files are named only where something was chosen: their colours are then bands 1 to 3. So are those
    that lack a band which was chosen, which nothing is made of.
    """
    files = list(files)
    found: Counter[tuple[int, str]] = Counter()
    for _, bands in _of_tiffs(files, reader.bands_of):
        if bands is not None:
            found[bands.number, str(bands.dtype)] += 1
    wanted = max(reader.bands, default=1)
    kinds: list[str] = []
    lacking: list[str] = []
    for (number, dtype), count in sorted(found.items()):
        kind = f"{counted(count, 'picture')} of {counted(number, 'band')} ({dtype})"
        (kinds if number >= wanted else lacking).append(kind)
    if reader.bands or reader.stretch != UNSTRETCHED:
        if usual := len(files) - found.total():
            of_colours = f"{counted(usual, 'other picture' if found else 'picture')} (colours are bands 1 to 3)"
            (kinds if wanted <= _COLOURS else lacking).append(of_colours)
        shown = f"bands {', '.join(map(str, reader.bands))}" if reader.bands else "the first bands"
        of = f" of {'; '.join(kinds)}" if kinds else ""
        said = f"{shown}{of} are shown, stretch {reader.stretch}" if kinds else f"no picture has band {wanted}"
        return f"{said}; passed over for want of band {wanted}: {'; '.join(lacking)}" if lacking else said
    if not found:
        return ""
    return (
        f"{'; '.join(kinds)}: the first three are shown as red, green and blue, or the first alone as grey, "
        "unstretched; --data.bands and --data.stretch choose"
    )


def say_pages(files: Iterable[Path]) -> str:
    """Which TIFF files have several pages, of which only the first is shown, in one sentence, or nothing."""
    found = [(path, pages) for path, pages in _of_tiffs(files, _whole_pages) if pages > 1]
    if not found:
        return ""
    path, pages = found[0]
    of = f"{counted(len(found), 'TIFF file')} {'has' if len(found) == 1 else 'have'} several pages"
    return (
        f"{of} ({path} has {pages}), of which the first alone is shown; where pages are bands, write them into one page"
    )


def say_lost_georeference(files: Iterable[Path]) -> str:
    """How many pictures say where on earth they lie, where nothing can carry that over, in one sentence, or nothing."""
    if is_installed():
        return ""
    placed = sum(found for _, found in _of_tiffs(files, is_georeferenced))
    if not placed:
        return ""
    return (
        f"{counted(placed, 'picture')} with a georeference: the label maps lose it, for rasterio is not installed; "
        "`pip install 'cliptrase[geo]'` keeps it"
    )


def _of_tiffs(files: Iterable[Path], look: Callable[[Path], Found]) -> Iterator[tuple[Path, Found]]:
    """What `look` finds in each TIFF file; one that cannot be opened is passed over, as it is when it is read."""
    for path in files:
        if path.suffix.lower() in _TIFF:
            with suppress(InputError):
                yield path, look(path)


def _whole_pages(path: Path) -> int:
    with opened(path, "picture") as stream:
        return whole_pages(stream)


def read_image(path: Path, reader: Reader = RELEASED, size: Size | None = None) -> NDArray[np.uint8]:
    """An RGB picture, (H, W, 3) uint8; `size` is (height, width) of its label map, see `Reader.picture`.

    Raises:
        DataError: the file cannot be read.
    """
    with _errors_of_data():
        return reader.picture(path, size)


def read_header(path: Path, reader: Reader = RELEASED) -> Header:
    """A picture's size and orientation.

    Raises:
        DataError: the file cannot be read.
    """
    with _errors_of_data():
        return reader.header(path)


def read_labels(path: Path, reader: Reader = RELEASED) -> NDArray[np.int32]:
    """A raw label map as numbers to reckon with, (H, W) int32; see `read_index_map`."""
    return read_index_map(path, reader).astype(np.int32)


def read_label_map(path: Path, spec: DatasetSpec) -> NDArray[np.integer[Any]]:
    """A raw label map of a data set, (H, W) of any integer type, whether it holds indices or colours.

    Raises:
        DataError: the file cannot be read, holds colours where the data set has none, or colours that it does not name.
    """
    if spec.colours is None:
        try:
            return read_index_map(path, spec.reader)
        except DataError as error:
            if isinstance(error.__cause__, ColoursError) and not spec.folder:
                cure = ", or say by `colors` which class each colour is"
                raise DataError(f"{error}{cure}") from error.__cause__
            raise
    with _errors_of_data():
        values, unknown = spec.colours.decode(spec.reader.colour_map(path))
    if unknown:
        raise DataError(
            f"{path} holds {counted(len(unknown), 'colour')} that `colors` does not name: {say_colours(unknown)}; "
            f"{cure_of(unknown)}"
        )
    return values


def read_index_map(path: Path, reader: Reader = RELEASED) -> NDArray[np.integer[Any]]:
    """A raw label map, (H, W) uint8, uint16 or int32 as in the file; see `Reader.index_map`.

    Raises:
        DataError: the file cannot be read or holds colours.
    """
    with _errors_of_data():
        return reader.index_map(path)
