"""Facts of a setting: where its files lie, what its labels mean, under which names, what was published."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from typing import NamedTuple

from cliptrase.images import RELEASED, Reader
from cliptrase.vocabulary import Vocabulary


class Published(NamedTuple):
    """Scores in percent as published by the paper, in the released definitions."""

    pAcc: float
    mAcc: float
    fwIoU: float
    mIoU: float


@dataclass(frozen=True)
class LabelScheme:
    """What a protocol asks of a setting besides geometry.

    Attributes:
        vocabulary: whose names: `released` (CLIPtrase), or one of the spec's `vocabularies`.
        void: whether void is told from background and left out, as mmseg scores PASCAL VOC.
    """

    vocabulary: str = "released"
    void: bool = False


@dataclass(frozen=True)
class DatasetSpec:
    """A setting: folders, labels, names, published figures.

    Attributes:
        name: name in tables and files.
        folder: data set's folder under the root.
        images: picture folders under `folder`; the first that exists is read.
        labels: label-map folder under `folder`.
        vocabulary: names and background prompts, those that CLIPtrase released.
        vocabularies: further ones by name, for the same labels: `plain` (a word a class, "background"), `sclip`
            (synonyms, background words), `clearclip`; with `released` once an label_scheme is chosen.
        ignore_label: raw value of unlabelled pixels.
        ignored_is_background: whether unlabelled pixels are scored as background, as the released code does.
        raw_labels: raw values 0..raw_labels-1 may occur; more than the vocabulary's where the rest is left out.
        label_offset: subtracted from raw values, for maps that count from 1; smaller raw values are unlabelled.
        class_token_weighting: whether logits are multiplied by the class token's.
        published: figures of the paper by protocol label.
        images_expected: pictures of the published split, in words where lists differ.
        image_suffix: end of a picture's stem that its label map's does not have.
        label_suffix: the reverse.
        void_labels: label-map folder in which background is told from void, where there is such a thing.
        prepare_command: command that makes the label maps, where the publisher's are others.
        reader: how pictures and label maps are decoded, as the released codes do unless told otherwise.
    """

    name: str
    folder: str
    images: tuple[str, ...]
    labels: str
    vocabulary: Vocabulary
    ignore_label: int = 255
    ignored_is_background: bool = False
    raw_labels: int = 0
    label_offset: int = 0
    class_token_weighting: bool = False
    published: Mapping[str, Published] = field(default_factory=dict)
    vocabularies: Mapping[str, Vocabulary] = field(default_factory=dict)
    images_expected: str = ""
    image_suffix: str = ""
    label_suffix: str = ""
    void_labels: str = ""
    prepare_command: str = ""
    reader: Reader = RELEASED

    def with_labels(self, label_scheme: LabelScheme) -> "DatasetSpec":
        """The spec as a protocol asks for it; a vocabulary that the setting does not have leaves the released one."""
        known = {"released": self.vocabulary, **self.vocabularies}
        spec = replace(self, vocabulary=known.get(label_scheme.vocabulary, self.vocabulary), vocabularies=known)
        if label_scheme.void and self.void_labels:
            # Background has a value of its own there, after the classes.
            prepare_command = "python -m datamodules.prepare voc --keep-void"
            return replace(spec, labels=self.void_labels, ignored_is_background=False, prepare_command=prepare_command)
        return spec

    @property
    def expected_counts(self) -> tuple[int, ...]:
        """The numbers in `images_expected`."""
        return tuple(int(number) for number in re.findall(r"\b\d+\b", self.images_expected))

    @property
    def labelling(self) -> str:
        """A hash, 16 hexadecimal digits, of what decides how label maps are read; names of classes are not part of it.

        New fields are part of it unless they are named here as telling something else.
        """
        others = {
            "name",
            "folder",
            "images",
            "labels",
            "void_labels",
            "prepare_command",
        }  # what lies there is hashed itself
        others |= {"vocabulary", "vocabularies", "published", "images_expected"}
        content = {row.name: getattr(self, row.name) for row in fields(self) if row.name not in others}
        return hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()[:16]

    @property
    def valid_labels(self) -> int:
        """Number of label values, after the offset, that may occur besides the ignore label."""
        return self.raw_labels or self.vocabulary.num_labels - self.ignored_is_background

    def label_of(self, value: int, ignore: bool = True) -> int | None:
        """Label that a raw value is scored as, or None where it is not scored; `ignore=False` knows no ignore label."""
        if (ignore and value == self.ignore_label) or value < self.label_offset:
            return self.vocabulary.background_index if self.ignored_is_background else None
        label = value - self.label_offset
        return label if label < self.vocabulary.num_labels else None


def shipped_names(name: str) -> tuple[str, ...]:
    """Names of `vocabularies/<name>.txt`, one a line."""
    text = resources.files("datamodules").joinpath("vocabularies", f"{name}.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def shipped_synonyms(name: str) -> tuple[tuple[str, ...], ...]:
    """Names and synonyms of `vocabularies/<name>.txt`: a class a line, `, ` between its names."""
    return tuple(tuple(line.split(", ")) for line in shipped_names(name))


def joined(names: Sequence[str]) -> tuple[tuple[str], ...]:
    """One name a class, without spaces, as SCLIP's lists have "trafficlight"."""
    return tuple((name.replace(" ", ""),) for name in names)
