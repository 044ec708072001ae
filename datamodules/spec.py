"""What is known of a data set: where its files lie, what its labels mean and by which names, how it is prepared.

Nothing here needs torch, so that `list`, the doctor and the preparations start at once.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

from cliptrase.common.images import RELEASED, Reader
from cliptrase.common.options import program
from cliptrase.protocols.domains import DomainBenchmark
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.vocabulary import Vocabulary
from datamodules.colour_table import ColourTable

# What does not decide how the values of a label map are read: names, and places whose files have digests themselves.
_NOT_READING = frozenset(
    {"name", "description", "folder", "images", "labels", "void", "preparation", "raw", "images_expected"}
    | {"vocabulary", "vocabularies", "list_file", "labelled_only", "preparation_elsewhere", "benchmark", "interest"}
    | {"layout", "layouts", "edition", "nearly_everywhere", "nowhere"}
)

# Values below `label_offset`: as the ignore label; background, a label like others; background that is whatever nobody
# labelled, so that a crop of nothing else has nothing to score.
Below = Literal["ignored", "background", "rest"]

DETECTRON2 = "detectron2"
MMSEG = "mmseg"
LAYOUTS = (DETECTRON2, MMSEG)  # where the data sets of `specs` may lie; what a spec's own fields say is the first
AUTO = "auto"


@dataclass(frozen=True)
class LabelScheme:
    """What a protocol asks of a data set besides geometry.

    Attributes:
        vocabulary: whose names: `released` (CLIPtrase), or one of the spec's `vocabularies`.
        void: whether void is told from background and left out, as mmseg scores PASCAL VOC.
    """

    vocabulary: str = "released"
    void: bool = False

    @classmethod
    def of(cls, protocol: EvaluationProtocol) -> "LabelScheme":
        """What a protocol asks for."""
        return cls(protocol.vocabulary, void=protocol.void == "ignored")


class RawMaps(NamedTuple):
    """Values of the publisher's label maps before they are prepared, where classes count from 1.

    The doctor recognises maps by them that were not prepared.

    Attributes:
        background: value of what is none of the classes, in nearly every map; None where there is no such value.
        unlabelled: value of pixels that nobody labelled.
    """

    background: int | None = None
    unlabelled: int | None = None


class VoidMaps(NamedTuple):
    """Label maps of the same images in which background is told from void.

    Attributes:
        labels: their folder under the data set's.
        preparation: as `DatasetSpec.preparation`.
        below: as `DatasetSpec.below`: where background comes first; it comes after the classes by default.
        edition: as `DatasetSpec.edition`.
    """

    labels: str
    preparation: str
    below: Below = "ignored"
    edition: str = ""


@dataclass(frozen=True)
class Layout:
    """Another place where people hold a data set, and what values mean in the label maps there.

    Attributes:
        folders: the data set's folder under the root, usual places first; empty for the root itself.
        images: as in `DatasetSpec`, as all that follow.
        labels: folder of label maps.
        image_suffix: end of an image's stem that its label map's does not have.
        label_suffix: the reverse.
        list_file: text file of the images that count, under the data set's folder.
        images_expected: images of the published split.
        label_offset: subtracted from values.
        below: what values below the offset are.
        ignored_is_background: whether ignored pixels are scored as background.
        void: label maps that tell background from void.
        edition: whose labels they are.
        nearly_everywhere: a value that nearly every label map holds.
        nowhere: a value that no label map holds.
    """

    folders: tuple[str, ...]
    images: tuple[str, ...]
    labels: str
    images_expected: Mapping[int, str]
    image_suffix: str = ""
    label_suffix: str = ""
    list_file: str = ""
    label_offset: int = 0
    below: Below = "ignored"
    ignored_is_background: bool = False
    void: VoidMaps | None = None
    edition: str = ""
    nearly_everywhere: int | None = None
    nowhere: int | None = None


@dataclass(frozen=True)
class DatasetSpec:
    """Everything about a data set.

    Attributes:
        name: name in tables and files.
        folder: data set's folder under the root; empty for the root itself.
        images: image folders under `folder`; the first that exists is read.
        labels: label-map folder under `folder`.
        vocabulary: names and background prompts, those that CLIPtrase released.
        description: a sentence for lists and help.
        vocabularies: further ones by name, for the same labels: `plain` (a word a class, "background"), `sclip`
            (synonyms, background words), `clearclip`, `sfp`, `proxyclip`; with `released` once a label scheme is
            chosen.
        ignore_label: value of pixels that are not scored.
        ignored_is_background: whether such pixels are scored as background, as the released code does.
        raw_labels: values 0..raw_labels-1 may occur; more than the vocabulary's where the rest is left out.
        label_offset: subtracted from values, for maps that count from 1.
        below: what smaller values are: ignored as the ignore label is, or background.
        class_token_weighting: whether logits are multiplied by the class token's.
        images_expected: images of the published split, each number with the list that has so many.
        image_suffix: end of an image's stem that its label map's does not have.
        label_suffix: the reverse.
        list_file: text file of the stems or names of the images that count, one a line; empty where all count. A
            layout's lies under `folder`.
        labelled_only: whether images without a label map are left out, for a folder that holds other splits too.
        preparation: arguments of `datamodules.prepare` that make the label maps: `voc`.
        preparation_elsewhere: script of another project that makes them, where this one has none.
        raw: the publisher's label maps, where those differ from the prepared ones by a shift.
        void: label maps that tell background from void, where there are such.
        edition: whose labels they are, where more than one edition is in use; empty where there is one, or where it is
            not known.
        layout: name of the layout that the fields describe.
        layouts: further ones by name, see `in_layout`.
        nearly_everywhere: a value that nearly every label map holds, None where there is none.
        nowhere: a value that no label map holds, None where there is none.
        reader: how images and label maps are decoded, as the released codes do unless told otherwise.
        colours: value of each colour of label maps that hold colours; None for index maps. No other colour may occur.
        benchmark: the benchmark with means by domain that the data set is of, None without one.
        interest: labels of its classes of interest, empty without such a benchmark.
    """

    name: str
    folder: str
    images: tuple[str, ...]
    labels: str
    vocabulary: Vocabulary
    description: str = ""
    vocabularies: Mapping[str, Vocabulary] = field(default_factory=dict)
    ignore_label: int = 255
    ignored_is_background: bool = False
    raw_labels: int = 0
    label_offset: int = 0
    below: Below = "ignored"
    class_token_weighting: bool = False
    images_expected: Mapping[int, str] = field(default_factory=dict)
    image_suffix: str = ""
    label_suffix: str = ""
    list_file: str = ""
    labelled_only: bool = False
    preparation: str = ""
    preparation_elsewhere: str = ""
    raw: RawMaps | None = None
    void: VoidMaps | None = None
    edition: str = ""
    layout: str = DETECTRON2
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    nearly_everywhere: int | None = None
    nowhere: int | None = None
    reader: Reader = RELEASED
    colours: ColourTable | None = None
    benchmark: DomainBenchmark | None = None
    interest: tuple[int, ...] = ()

    def with_labels(self, label_scheme: LabelScheme) -> "DatasetSpec":
        """The spec as a protocol asks for it; a vocabulary that the data set does not have leaves the released one."""
        known = {"released": self.vocabulary, **self.vocabularies}
        spec = replace(self, vocabulary=known.get(label_scheme.vocabulary, self.vocabulary), vocabularies=known)
        if label_scheme.void and self.void:
            return replace(spec, **self.void._asdict(), ignored_is_background=False)
        return spec

    def in_layout(self, name: str) -> list["DatasetSpec"]:
        """The data set as it lies in another layout, once for each place that is usual there; itself in its own."""
        if name == self.layout:
            return [self]
        if name not in self.layouts:
            return []
        layout = self.layouts[name]
        same = {row.name: getattr(layout, row.name) for row in fields(layout) if row.name != "folders"}
        return [
            replace(self, **same, folder=folder, layout=name, layouts={}, preparation="", raw=None)
            for folder in layout.folders
        ]

    @property
    def edition_text(self) -> str:
        """Whose labels are scored, and how void is, where that differs between editions; empty where there is one."""
        void = "void scored as background" if self.ignored_is_background else "void not scored"
        return ", ".join(filter(None, (self.edition, void if self.void else "")))

    @property
    def prepare_command(self) -> str:
        """The command that makes the label maps, without its folders; empty where none does."""
        if self.preparation:
            return f"{program()} prepare {self.preparation}"
        return f"python {self.preparation_elsewhere}" if self.preparation_elsewhere else ""

    def prepare_in(self, root: Path) -> str:
        """The same command for a folder of data sets; empty where none makes the label maps."""
        if self.preparation:
            return f"{self.prepare_command} --source DIR --root {root}"
        return f"DETECTRON2_DATASETS={root} {self.prepare_command}" if self.prepare_command else ""

    @property
    def expected_counts(self) -> tuple[int, ...]:
        """Numbers of images that a whole data set may have; empty where no number is published."""
        return tuple(self.images_expected)

    @property
    def expected_text(self) -> str:
        """The same in words: `5105 (by one list) or 5104 (by another)`."""
        return " or ".join(f"{number} (by {by})" if by else f"{number}" for number, by in self.images_expected.items())

    @property
    def reading_digest(self) -> str:
        """SHA-256, 16 hexadecimal digits, of what decides how label maps are read; names of classes are not part of it.

        New fields are part of it unless `_NOT_READING` names them.
        """
        content = {row.name: getattr(self, row.name) for row in fields(self) if row.name not in _NOT_READING}
        return hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()[:16]

    @property
    def valid_labels(self) -> int:
        """Number of label values, after the offset, that may occur besides the ignore label."""
        apart = self.ignored_is_background or self.below != "ignored"  # background has no value among the classes'
        return self.raw_labels or self.vocabulary.num_labels - apart

    @property
    def first_value(self) -> int:
        """The least value that is scored in its own right."""
        return 0 if self.below != "ignored" else self.label_offset

    def label_of(self, value: int, ignore: bool = True) -> int | None:
        """Label that a value is scored as, or None where it is not scored; `ignore=False` knows no ignore label."""
        ignored = ignore and value == self.ignore_label
        if ignored or value < self.label_offset:
            background = self.ignored_is_background or (self.below != "ignored" and not ignored)
            return self.vocabulary.background_index if background else None
        label = value - self.label_offset
        return label if label < self.vocabulary.num_labels else None


def names_in(path: Path) -> tuple[str, ...]:
    """Names of a text file in UTF-8, one a line."""
    return tuple(path.read_text(encoding="utf-8").splitlines())


def shipped_names(name: str) -> tuple[str, ...]:
    """Names of `vocabularies/<name>.txt`, one a line."""
    with resources.as_file(resources.files("datamodules").joinpath("vocabularies", f"{name}.txt")) as path:
        return names_in(path)


def shipped_synonyms(name: str) -> tuple[tuple[str, ...], ...]:
    """Names and synonyms of `vocabularies/<name>.txt`: a class a line, `, ` between its names."""
    return tuple(tuple(line.split(", ")) for line in shipped_names(name))


def joined(names: Sequence[str]) -> tuple[tuple[str], ...]:
    """One name a class, without spaces, as SCLIP's lists have "trafficlight"."""
    return tuple((name.replace(" ", ""),) for name in names)


def renamed(classes: Sequence[tuple[str, ...]], name: str, other: str) -> tuple[tuple[str, ...], ...]:
    """Classes in which a name is another; synonyms that only hold it stay.

    >>> renamed((("person", "person in shirt"), ("dog",)), "person", "people")
    (('people', 'person in shirt'), ('dog',))
    """
    return tuple(tuple(other if synonym == name else synonym for synonym in synonyms) for synonyms in classes)
