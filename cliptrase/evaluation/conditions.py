"""Under which conditions a score was made, and what of them differs from those of published scores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

STAND_IN = "embedded model"
STAND_IN_TITLE = "embedded stand-in model, not CLIP ViT-B/16"
_VIT_B_16 = ("ViT-B-16", "ViT-B/16", "ViT-B-16-quickgelu")


class Guest(NamedTuple):
    """The second tower, as it was asked for."""

    name: str  # timm's, or a place
    architecture: str  # timm's name with the tag of the weights

    def remark(self, published: str) -> str:
        """What it is instead of the guest of published scores, a timm name; empty where it is that tower."""
        if self.architecture != published:
            return f"other guest: {self.architecture}"
        return "" if self.name == published else f"guest with weights of its own: {PurePath(self.name).name}"


class Model(NamedTuple):
    """The CLIP model, as it was asked for."""

    clip: str  # architecture or place
    pretrained: str | None  # tag or file
    activation: str

    @property
    def remark(self) -> str:
        """What it is instead of CLIP ViT-B/16 with OpenAI's weights; empty where it is that model."""
        if self.clip == "embedded":
            return STAND_IN
        if ":" in self.clip:  # a folder or repository brings its own weights
            place = PurePath(self.clip.partition(":")[2]).name
            return f"weights of its own: {self.clip.partition(':')[0]} {place}"
        if self.clip not in _VIT_B_16 or self.pretrained != "openai":
            return f"other weights: {self.clip} {PurePath(self.pretrained or '-').name}"
        return "" if self.activation == "quick_gelu" else f"{self.activation}, not quick_gelu"


class Extent(NamedTuple):
    """How much of a setting a run looks at."""

    pictures: int  # in the data set
    cut: str = ""  # what is looked at where that is not all: `first 8 batches only`


@dataclass(frozen=True)
class Conditions:
    """Conditions of all scores of a run.

    Attributes:
        model: the CLIP model.
        extents: by setting; one without an entry is taken for whole.
        guest: the second tower, None without one.
    """

    model: Model
    extents: Mapping[str, Extent] = field(default_factory=dict)
    guest: Guest | None = None

    def remarks(
        self,
        setting: str,
        images: int,
        expected: Sequence[int],
        beside: bool,
        own_names: bool,
        guest: str = "",
        editions: tuple[str, str] = ("", ""),
    ) -> tuple[str, ...]:
        """What a row of a table has to say of itself.

        Args:
            setting: name.
            images: pictures scored.
            expected: pictures of the published set, several where lists differ; empty where there is no such set.
            beside: whether published scores stand beside: they are of one model, and of the protocol's names.
            own_names: whether the names are those that the protocol asks for.
            guest: timm's name of the second tower of the published scores; empty where they are of CLIP alone.
            editions: of the labels here and of those of the published scores; empty where it is not known.
        """
        extent = self.extents.get(setting, Extent(images))
        stand_in = self.model.remark == STAND_IN
        own, published = editions
        remarks = [
            self.model.remark if beside or stand_in else "",
            self.guest.remark(guest) if beside and guest and self.guest else "",
            count_remark(images, extent.pictures, expected),
            extent.cut,
            "other names" if beside and not own_names else "",
            f"labels: {own}, not {published}" if beside and own and published and own != published else "",
        ]
        return tuple(remark for remark in remarks if remark)


def extent(pictures: int, batch_size: int, processes: int, limit: int | float) -> Extent:
    """How much of a data set a run looks at.

    Args:
        pictures: in the data set.
        batch_size: pictures a step and process.
        processes: among which the pictures are dealt out.
        limit: Lightning's `limit_test_batches`: a number of batches, or a share of them as a float.
    """
    batches = math.ceil(math.ceil(pictures / processes) / batch_size)
    allowed = limit if isinstance(limit, int) else int(batches * limit)
    if allowed >= batches:
        return Extent(pictures)
    each = " of each process" if processes > 1 else ""
    return Extent(pictures, f"first batch{each} only" if allowed == 1 else f"first {allowed} batches{each} only")


def count_remark(images: int, pictures: int, expected: Sequence[int]) -> str:
    """`2 of 5000 images` where a data set is not the published one; empty where it is.

    Pictures without a label to score count as there.

    Args:
        images: scored.
        pictures: in the data set.
        expected: of the published set.
    """
    if not expected or pictures in expected:
        return ""
    return (
        f"{pictures} images, not {max(expected)}" if pictures > max(expected) else f"{images} of {expected[0]} images"
    )


def images_text(images: int, pictures: int, expected: Sequence[int], cut: bool) -> str:
    """What stands under `images`: `2 of 5000` where not all of a set was looked at."""
    if not cut and (not expected or pictures in expected):
        return str(images)
    if expected and pictures > max(expected):
        return f"{images}, not {max(expected)}"
    return f"{images} of {expected[0] if expected else pictures}"
