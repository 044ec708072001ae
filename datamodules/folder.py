"""Anybody's images and label maps."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.base import SegmentationDataModule
from datamodules.errors import DataError
from datamodules.folder_spec import FolderOptions, with_given
from datamodules.pairs import Pair, find_pairs
from datamodules.spec import DatasetSpec
from datamodules.spec_file import read_options
from datamodules.transforms import Geometry

_ROOT = Path("datasets")


class Folder(SegmentationDataModule):
    """A folder of images and one of label maps, paired by file name.

    Args:
        classes: class names as a list, or a file of one class a line; a comma is part of a name. For further forms of
            files see `class_lists.read_class_list`.
        root: folder of `image/` and `gt/` (datasets); with `spec`, where the file's relative paths start instead of its
            own folder.
        images: folder of images, if it is not `image/` under root.
        labels: folder of label maps, if it is not `gt/` under root.
        ignore_label: value of pixels that are not scored; 255 where that is not a class's label.
        label_offset: 1 where maps count classes from 1 (0); smaller values are not scored.
        background_index: label value (after the offset) that is background, 0 in PASCAL VOC's style; the classes take
            the other values in order. The list may name it at that place.
        background: prompts for the background, as "wall, floor" or a list; "background" where only the index is given.
        image_end: what the names of images have before their ending and those of their label maps have not.
        label_end: the reverse, `_mask` for a.jpg and a_mask.png; images and label maps may then lie in one folder.
        max_pixels: images of more are refused; by default CLIPTRASE_MAX_PIXELS, or 178,956,970.
        name: name in tables, files and results (Folder).
        synonyms: whether `,` and `;` separate names of one class in `classes`.
        colors: for label maps in colours, which name each colour has: CamVid's `label_colors.txt`, CVAT's
            `labelmap.txt`, a table with columns name,r,g,b, or YAML or JSON of names and colours. A name may have
            several; one called ignore is not scored. Without `classes` its names are the classes.
        ignore: names of `colors` that are not scored, as "Void, Sky" or a list.
        list: text file of the images that count, one stem or name a line; by default all count.
        spec: YAML file with any of these, see `spec_file`; what is given beside it replaces what the file says.
        batch_size: images a step.
        num_workers: processes that decode and resize.
        geometry: set by the protocol.

    Raises:
        DataError: no class names, or an option that does not fit the others.
    """

    def __init__(
        self,
        classes: list[str] | Path | None = None,
        root: Path | None = None,
        images: Path | None = None,
        labels: Path | None = None,
        ignore_label: int | None = None,
        label_offset: int | None = None,
        background_index: int | None = None,
        background: list[str] | str | None = None,
        image_end: str | None = None,
        label_end: str | None = None,
        max_pixels: int | None = None,
        name: str | None = None,
        synonyms: bool | None = None,
        colors: dict[str, str | list[int] | list[str] | list[list[int]]] | Path | None = None,
        ignore: list[str] | str | None = None,
        list: Path | None = None,  # noqa: A002 (the option's name)
        spec: Path | None = None,
        batch_size: int = 4,
        num_workers: int = 2,
        geometry: Geometry | None = None,
    ) -> None:
        super().__init__(root or _ROOT, batch_size, num_workers, geometry)
        given = {
            "name": name,
            "images": images and Path(images).expanduser(),
            "labels": labels and Path(labels).expanduser(),
            "list": list and Path(list).expanduser(),
            "classes": classes,
            "synonyms": synonyms,
            "background": background,
            "background_index": background_index,
            "ignore_label": ignore_label,
            "label_offset": label_offset,
            "image_end": image_end,
            "label_end": label_end,
            "max_pixels": max_pixels,
            "colors": colors.expanduser() if isinstance(colors, Path) else colors,
            "ignore": ignore,
        }
        if spec is None:
            options = FolderOptions(images=self.root / "image", labels=self.root / "gt")
        else:
            options = read_options(Path(spec), self.root if root else None)
        self.options = with_given(options, given)
        self.spec = self.options.spec()

    @property
    def settings(self) -> list[DatasetSpec]:
        """The one spec, made of the options."""
        return [self.spec]

    def setup(self, stage: str) -> None:
        """Lists the files; label maps only for `test`."""
        super().setup(stage)
        self._numbers = {stem: number for number, stem in enumerate(self.datasets[0].stems)}

    def picture(self, stem: str) -> NDArray[np.uint8]:
        """The image of that name at its own size, (H, W, 3) uint8 RGB.

        Raises:
            DataError: it cannot be read.
        """
        return self.datasets[0].read(self._numbers[stem]).image

    def pairs(self, spec: DatasetSpec, with_labels: bool) -> list[Pair]:
        """Files of the two folders.

        Raises:
            DataError: a folder is not there, or 255 is a class's label and nobody said what is not scored.
        """
        images, labels = self.options.images, self.options.labels
        if with_labels:
            self.options.require_ignore_label(spec)
        for folder, option in ((images, "images"), *(((labels, "labels"),) if with_labels else ())):
            if not folder.is_dir():
                raise DataError(f"no folder {folder}; name another place by `{option}`")
        return find_pairs(images, labels if with_labels else None, spec)
