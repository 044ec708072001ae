"""Names to tell apart: classes, their synonyms and background prompts, and how names fold to labels."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from cliptrase.errors import InputError


@dataclass(frozen=True)
class Vocabulary:
    """The names that a picture's pixels are told apart by.

    Attributes:
        classes: for each class its prompts' names; more than one where synonyms stand for a class.
        background: further names that all mean "none of the classes".
        background_label: label of the background: by default the number of classes, after them. 0 is PASCAL VOC's
            order, where the classes count from 1.

    Raises:
        InputError: there is no class, or a class without a name.
    """

    classes: tuple[tuple[str, ...], ...]
    background: tuple[str, ...] = ()
    background_label: int | None = None

    def __post_init__(self) -> None:
        if not self.classes:
            raise InputError("the vocabulary holds no class: give at least one name")
        for index, synonyms in enumerate(self.classes):
            if not synonyms or not all(name.strip() for name in synonyms):
                raise InputError(f"class {index} of the vocabulary has an empty name: {synonyms!r}")
        if self.background_label is not None and not 0 <= self.background_label <= len(self.classes):
            raise InputError(
                f"background label {self.background_label} is not in 0..{len(self.classes)}, "
                f"the labels of {len(self.classes)} classes and a background"
            )
        if self.background_label is not None and not self.background:
            raise InputError("a background label needs background prompts, for instance 'background'")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name in the order of the text classifier's rows: classes with their synonyms, then background."""
        return (*(name for synonyms in self.classes for name in synonyms), *self.background)

    @cached_property
    def background_index(self) -> int | None:
        """Label of the background, None without one."""
        if not self.background:
            return None
        return len(self.classes) if self.background_label is None else self.background_label

    @cached_property
    def num_labels(self) -> int:
        """Number of labels: the classes, and the background where there is one."""
        return len(self.classes) + bool(self.background)

    @cached_property
    def class_labels(self) -> tuple[int, ...]:
        """Label of each class."""
        skip = len(self.classes) if self.background_index is None else self.background_index
        return tuple(index + (index >= skip) for index in range(len(self.classes)))

    @cached_property
    def fold(self) -> tuple[int, ...]:
        """Label of each name, in the order of `names`."""
        own = [label for label, synonyms in zip(self.class_labels, self.classes, strict=True) for _ in synonyms]
        return (*own, *([self.background_index] * len(self.background) if self.background_index is not None else ()))

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """A readable name for each label; a background label is called `background`."""
        named = dict(zip(self.class_labels, (synonyms[0] for synonyms in self.classes), strict=True))
        return tuple(named.get(label, "background") for label in range(self.num_labels))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything above, 16 hexadecimal digits: equal for equal vocabularies only."""
        content = json.dumps([self.classes, self.background, self.background_index], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def parse_words(words: str, background: str = "") -> Vocabulary:
    """A vocabulary as people type it: `;` between classes, `,` between synonyms and between background prompts.

    Raises:
        InputError: no class, or a class without a name.
    """
    classes = [tuple(name.strip() for name in part.split(",") if name.strip()) for part in words.split(";")]
    prompts = tuple(name.strip() for name in background.split(",") if name.strip())
    if not all(classes):
        raise InputError(f"the words {words!r} hold a class without a name; write them like 'cat, kitten; dog'")
    return Vocabulary(tuple(classes), prompts)


def single_names(names: list[str] | tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """One prompt a class; commas are part of the name, as in ADE20K's "building, edifice".

    Raises:
        InputError: a name stands twice.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise InputError(f"class names must differ, but these stand more than once: {', '.join(map(repr, twice))}")
    return tuple((name,) for name in names)
