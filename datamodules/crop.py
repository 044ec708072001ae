"""What a protocol that crops leaves out, said before the work."""

from collections.abc import Iterable
from pathlib import Path

from cliptrase.common.errors import counted
from cliptrase.common.images import Reader
from cliptrase.common.resizing import shorter_side_size
from datamodules.errors import DataError
from datamodules.reading import read_header


def share_seen(sizes: Iterable[tuple[int, int]], crop: int) -> float:
    """The share in (0, 1] of the pixels of pictures, (height, width) each, that lie in the crop; 1 for no pictures."""
    seen = total = 0.0
    for height, width in sizes:
        shown = shorter_side_size(height, width, crop)
        seen += height * width * (crop * crop) / (shown[0] * shown[1])
        total += height * width
    return seen / total if total else 1.0


def sizes_of(images: Iterable[Path], reader: Reader) -> list[tuple[int, int]]:
    """(height, width) of pictures as stored, by their headers; what cannot be read is complained of elsewhere."""
    found = []
    for path in images:
        try:
            found.append(read_header(path, reader).stored)
        except DataError:
            continue
    return found


def crop_sentence(name: str, sizes: list[tuple[int, int]], crop: int, masks: bool) -> str:
    """What a reader of figures, or of masks, has to know; empty where the crop is the picture.

    Args:
        name: of the setting.
        sizes: (height, width) of its pictures.
        crop: pixels of the middle square's side, after resizing the shorter side to it.
        masks: whether label maps are written, not scored.
    """
    other = sum(size != (crop, crop) for size in sizes)
    if masks:
        if not other:
            return ""
        return (
            f"{name}: masks are of the middle square, {crop} x {crop}, and not of the pictures; "
            "--config whole gives masks of the pictures' own sizes"
        )
    share = share_seen(sizes, crop)
    if not other or share == 1:
        return ""
    return (
        f"{name}: the protocol crops the middle square: it sees and scores {100 * share:.1f} percent of the pixels of "
        f"{counted(len(sizes), 'picture')}"
    )
