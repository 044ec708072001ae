"""Anybody's pictures and label maps."""

from pathlib import Path

from cliptrase.images import Reader
from cliptrase.vocabulary import Vocabulary, single_names
from datamodules.base import SegmentationDataModule
from datamodules.card import Card
from datamodules.errors import DataError
from datamodules.pairs import Pair, find_pairs
from datamodules.reading import checked_max_pixels
from datamodules.transforms import Geometry


class Folder(SegmentationDataModule):
    """A folder of pictures and one of label maps, paired by file name.

    Args:
        classes: class names as a list, or a text file of one class a line; a comma is part of a name.
        root: folder of `image/` and `gt/`.
        images: folder of pictures, if it is not `image/` under root.
        labels: folder of label maps, if it is not `gt/` under root.
        ignore_label: value of pixels that are not scored.
        label_offset: 1 where maps count classes from 1; smaller values are not scored.
        background_index: label value (after the offset) that is background, 0 in PASCAL VOC's style; the classes take
            the other values in order.
        background: prompts for the background; "background" where only the index is given.
        image_end: what the names of pictures have before their ending and those of their label maps have not.
        label_end: the reverse, `_mask` for a.jpg and a_mask.png; pictures and label maps may then lie in one folder.
        max_pixels: pictures of more are refused; by default CLIPTRASE_MAX_PIXELS, or 178,956,970.
        batch_size: pictures a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.

    Raises:
        DataError: no class names, or an option that does not fit the others.
    """

    def __init__(
        self,
        classes: list[str] | Path | None = None,
        root: Path = Path("datasets"),
        images: Path | None = None,
        labels: Path | None = None,
        ignore_label: int = 255,
        label_offset: int = 0,
        background_index: int | None = None,
        background: list[str] | str | None = None,
        image_end: str = "",
        label_end: str = "",
        max_pixels: int | None = None,
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, geometry)
        self.images = Path(images).expanduser() if images else self.root / "image"
        self.labels = Path(labels).expanduser() if labels else self.root / "gt"
        if classes is None:
            raise DataError("Folder needs --data.classes: a text file of one class a line, or a list like '[cat, dog]'")
        names = read_classes(classes)
        prompts = tuple(background.split(",") if isinstance(background, str) else background or ())
        prompts = tuple(prompt.strip() for prompt in prompts)
        if background_index is not None and not prompts:
            prompts = ("background",)
        if background_index is not None and not 0 <= background_index <= len(names):
            raise DataError(f"--data.background_index {background_index} is not among the labels 0..{len(names)}")
        vocabulary = Vocabulary(single_names(names), prompts, background_index)
        self.card = Card(
            name="Folder",
            folder="",
            images=("image",),
            labels="gt",
            vocabulary=vocabulary,
            ignore_label=ignore_label,
            label_offset=label_offset,
            image_suffix=image_end,
            label_suffix=label_end,
            reader=Reader("upright", checked_max_pixels(max_pixels)),
        )

    @property
    def settings(self) -> list[Card]:
        """The one card, made of the options."""
        return [self.card]

    def pairs(self, card: Card, with_labels: bool) -> list[Pair]:
        """Files of the two folders.

        Raises:
            DataError: a folder is not there.
        """
        for folder, option in ((self.images, "images"), *(((self.labels, "labels"),) if with_labels else ())):
            if not folder.is_dir():
                raise DataError(f"no folder {folder}; name another place by --data.{option}")
        return find_pairs(self.images, self.labels if with_labels else None, card)


def read_classes(classes: list[str] | Path) -> list[str]:
    """Class names from a list or a text file of one a line; blank lines are passed over.

    Raises:
        DataError: the file is missing, is not text or names nothing.
    """
    if isinstance(classes, list):
        names = [str(name).strip() for name in classes]
    else:
        try:
            names = [line.strip() for line in Path(classes).expanduser().read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"--data.classes {str(classes)!r} is not a text file that can be read ({error}); "
                "give a file of one class a line, or a list like '[cat, dog]'"
            ) from error
    names = [name for name in names if name]
    if not names:
        raise DataError(f"--data.classes {str(classes)!r} names no class; give at least one")
    return names
