"""EXIF orientations of pictures that have label maps: which way they are read, and what is said of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cliptrase.common.errors import counted
from cliptrase.common.images import Header, Size
from datamodules.errors import DataError
from datamodules.reading import read_header
from datamodules.spec import DatasetSpec


class Turn(NamedTuple):
    """How a picture with an orientation is read."""

    path: Path
    upright: bool  # else as stored
    chosen: bool  # whether the label map fits one way only


def check_size(image: Path, labels: Path, size: Size, spec: DatasetSpec) -> Turn | None:
    """Checks that a picture has the size of its label map, (height, width), upright or as stored.

    Returns:
        how it is read, where it has an orientation.

    Raises:
        DataError: naming the files and their sizes, and the orientation where there is one.
    """
    header = read_header(image, spec.reader)
    if size not in (header.stored, header.upright):
        raise DataError(
            f"{labels} has {size[1]} x {size[0]} pixels, its picture {image.name} {_sizes(header)}; "
            "both must be of one size"
        )
    if header.orientation == 1:
        return None
    return Turn(image, header.is_turned(spec.reader.decoding, size), header.stored != header.upright)


def _sizes(header: Header) -> str:
    (height, width), (rows, columns) = header.stored, header.upright
    if header.orientation == 1:
        return f"{width} x {height}"
    return f"{width} x {height} as stored and {columns} x {rows} turned by its EXIF orientation {header.orientation}"


def say_turns(turns: Sequence[Turn], spec: DatasetSpec) -> str:
    """How many pictures carry an orientation and how they are read, in one sentence, or nothing."""
    if spec.reader.decoding == "released":
        turned = [turn for turn in turns if turn.upright]
        if not turned:
            return ""  # as the released codes read them, which turn nothing
        return (
            f"{spec.name}: {counted(len(turned), 'picture')} {'is' if len(turned) == 1 else 'are'} turned by the EXIF "
            f"orientation, for the label maps have that size only; {turned[0].path} is one"
        )
    if not turns:
        return ""
    upright, stored = ([turn for turn in turns if turn.upright is way] for way in (True, False))
    parts = [f"{len(upright)} read upright"] if upright else []
    parts += [f"{len(stored)} as stored, for the label maps have that size only"] if stored else []
    unsure = sum(not turn.chosen for turn in turns)
    check = f"; where both sizes fit ({unsure}), label maps must be drawn on the upright picture" if unsure else ""
    return f"{spec.name}: {counted(len(turns), 'picture')} with an EXIF orientation: {', '.join(parts)}{check}"
