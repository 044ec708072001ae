"""Names to tell apart: classes, their synonyms and background prompts, and how names fold to labels."""

import hashlib
import html
import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from cliptrase.common.errors import InputError

# What data sets' class lists are called, and whose they are.
_LISTS = (
    ("released", "names and background prompts that CLIPtrase released"),
    ("plain", "a word a class"),
    ("sclip", "SCLIP's synonyms and background words"),
    ("clearclip", "ClearCLIP's names"),
    ("sfp", 'SCLIP\'s lists with "people" for "person" in VOC and Cityscapes'),
    ("proxyclip", "ClearCLIP's names with SCLIP's background words, fewer on COCO-Object"),
)
LISTS: Mapping[str, str] = MappingProxyType(dict(_LISTS))
"""Class lists by name, with what each is."""

MOST_LABELS = 1 << 16  # values of the 16-bit label maps that are written
BACKGROUND = "background"  # what tables and legends call the label of all background prompts
NONE = "none of these"  # and the label of pixels that no word is likely for
AUTO = "auto"  # the threshold that each picture's own neutral words choose
_JOINERS = "\u200c\u200d"  # in Persian and Indic words, and in emoji
_WIDE = str.maketrans({"\uff1b": ";", "\uff0c": ",", "\u3001": ","})  # as Chinese and Japanese keyboards write them


@dataclass(frozen=True)
class Vocabulary:
    """The names that a picture's pixels are told apart by.

    Attributes:
        classes: for each class its prompts' names; more than one where synonyms stand for a class.
        background: further names that all mean "none of the classes".
        background_label: label of the background: by default the number of classes, after them. 0 is PASCAL VOC's
            order, where the classes count from 1.
        as_released: whether the names are another's and stay as they are, also where one stands for a class and the
            background: then it is the background's, since the released codes put that first and take the first of
            equals (SCLIP's and ProxyCLIP's "bed" on COCO-Object).
        threshold: what makes a pixel none of the names, a label of its own and the last: the least probability of a
            name, or `auto`, by which a name must beat neutral words (`inference.neutral`); None for no such label.

    Raises:
        InputError: there is no class, a class without a name, more labels than label maps can hold, a name that
            stands for two labels or holds characters that nobody sees, or a threshold out of range.
    """

    classes: tuple[tuple[str, ...], ...]
    background: tuple[str, ...] = ()
    background_label: int | None = None
    as_released: bool = field(default=False, compare=False)
    threshold: float | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", checked_threshold(self.threshold))
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
        if self.num_labels > MOST_LABELS:
            raise InputError(
                f"the vocabulary has {self.num_labels} labels, but label maps hold at most {MOST_LABELS}; "
                "take fewer names"
            )
        if not self.as_released:
            self._check_names()

    def _check_names(self) -> None:
        """Every name can be read, and stands for one label: names that CLIP lower-cases to one are one."""
        owners: dict[str, tuple[int, str]] = {}
        if self.background_index is not None:
            owners[BACKGROUND] = (self.background_index, BACKGROUND)
        if self.none_index is not None:
            owners[NONE] = (self.none_index, NONE)
        for label, name in sorted(zip(self.name_to_label, self.names, strict=True), key=lambda pair: pair[0]):
            if not name.strip():
                raise InputError(f"the background has an empty prompt among {self.background!r}; take it away")
            if fault := unreadable(name):
                raise InputError(f"the name {shown(name)} holds {fault}; take it out")
            other, as_written = owners.setdefault(as_read(name), (label, name))
            if other != label:
                if self.none_index == other:
                    raise InputError(
                        f"{shown(name)} is what the threshold calls pixels without a likely word; take the word away"
                    )
                if self.background_index in (label, other):
                    raise InputError(
                        f"{shown(name)} names a class and the background too; a name can stand for one thing only, so "
                        "take one away"
                    )
                spelt = f" (as {shown(as_written)})" if as_written != name else ""
                raise InputError(
                    f"class names must differ, but {shown(name)} stands more than once{spelt}; CLIP tells names apart "
                    "by their letters, not by capitals or spaces"
                )

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
        """Number of labels: the classes, the background where there is one, and with a threshold "none of these"."""
        return len(self.classes) + bool(self.background) + (self.threshold is not None)

    @cached_property
    def none_index(self) -> int | None:
        """Label of pixels that are none of the names, the last; None without a threshold."""
        return None if self.threshold is None else len(self.classes) + bool(self.background)

    @cached_property
    def class_labels(self) -> tuple[int, ...]:
        """Label of each class."""
        skip = len(self.classes) if self.background_index is None else self.background_index
        return tuple(index + (index >= skip) for index in range(len(self.classes)))

    @cached_property
    def name_to_label(self) -> tuple[int, ...]:
        """Label of each name, in the order of `names`."""
        if self.background_index is None:
            return tuple(label for label, names in zip(self.class_labels, self.classes, strict=True) for _ in names)
        taken = {as_read(name) for name in self.background} if self.as_released else set()
        own = [
            self.background_index if as_read(name) in taken else label
            for label, synonyms in zip(self.class_labels, self.classes, strict=True)
            for name in synonyms
        ]
        return (*own, *[self.background_index] * len(self.background))

    @cached_property
    def label_names(self) -> tuple[str, ...]:
        """A readable name for each label; those of no class are called `background` and `none of these`."""
        named = dict(zip(self.class_labels, (synonyms[0] for synonyms in self.classes), strict=True))
        if self.none_index is not None:
            named[self.none_index] = NONE
        return tuple(named.get(label, "background") for label in range(self.num_labels))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything above, 16 hexadecimal digits: equal for equal vocabularies only."""
        held = [self.classes, self.background, self.background_index, self.threshold]
        content = json.dumps(held if self.threshold is not None else held[:3], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def as_read(name: str) -> str:
    """The name as CLIP's tokenizer reads it: composed, lower case, single spaces; equal where names are one."""
    return " ".join(unicodedata.normalize("NFC", html.unescape(html.unescape(name))).lower().split())


def shown(name: str) -> str:
    """A name or what was typed, in a sentence; of a long one both ends."""
    return repr(name if len(name) <= 80 else f"{name[:40]} ... {name[-36:]}")


def unreadable(name: str) -> str:
    """What a name holds that nobody sees, in words: control characters, line ends, marks of direction; or nothing."""
    for place, character in enumerate(name):
        category = unicodedata.category(character)
        if character == "\N{REPLACEMENT CHARACTER}":
            return "U+FFFD, which stands for bytes that are no text"
        if character in _JOINERS:
            around = name[max(0, place - 1) : place] + name[place + 1 : place + 2]
            if len(around) == 2 and not re.search(r"[\x00-\x7f]", around):
                continue
        if category in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            kind = {"Cc": "control", "Cs": "undecoded"}.get(category, "invisible")
            kind = "line or paragraph separator" if category in ("Zl", "Zp") else f"{kind} character"
            return f"the {kind} U+{ord(character):04X}"
    return ""


def checked_threshold(given: Any) -> float | str | None:
    """A threshold as people write it: a number in [0, 1], `auto`, or `none` or None for none.

    Raises:
        InputError: something else.
    """
    if given is None or (isinstance(given, str) and given in ("none", AUTO)):
        return AUTO if given == AUTO else None
    try:
        number = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise InputError(f"the threshold must be a number from 0 to 1, auto or none, not {given!r}")
    return number


def parse_words(
    words: str | Sequence[str], background: str | Sequence[str] = "", threshold: float | str | None = None
) -> Vocabulary:
    """A vocabulary as people type it: `;` or a line end between classes, `,` between synonyms and background prompts.

    Args:
        words: "cat, kitten; dog", or a list of such texts, as ["cat, kitten", "dog"].
        background: "wall, floor", or a list.
        threshold: see `Vocabulary`; also as text.

    Raises:
        InputError: no class, a class without a name, one class that would cover every pixel, a name twice, or a
            threshold out of range.
    """
    text = as_text(words, "words")
    lines = [line.split(";") for line in text.split("\n") if line.strip()]
    classes = [names_of(part) for line in lines for part in line]
    if not any(classes):
        raise InputError(f"the words {shown(text)} name no class; write them like 'cat, kitten; dog'")
    if not all(classes):
        raise InputError(f"the words {shown(text)} hold a class without a name; write them like 'cat, kitten; dog'")
    return word_vocabulary(classes, background, threshold)


def word_vocabulary(
    classes: Sequence[tuple[str, ...]], background: str | Sequence[str] = "", threshold: float | str | None = None
) -> Vocabulary:
    """A vocabulary of words for pictures without label maps; see `parse_words`."""
    prompts, threshold = parse_prompts(background), checked_threshold(threshold)
    if len(classes) == 1 and not prompts and threshold is None:
        (names,) = classes
        one = f"the words {shown(', '.join(names))} are one class and no background"
        raise InputError(
            f"{one}: everything becomes {shown(names[0])}; write ; between classes, name what else there is by the "
            "background, or take the threshold auto"
        )
    for name in (*(name for names in classes for name in names), *prompts):
        if quoted(name):
            raise InputError(
                f"the word {name} stands in quotation marks, which would become part of it; leave them out"
            )
    vocabulary = Vocabulary(tuple(classes), prompts, threshold=threshold)
    seen: set[str] = set()
    for name in vocabulary.names:
        if as_read(name) in seen:
            raise InputError(f"the words name {shown(name)} more than once; a word can stand for one thing only")
        seen.add(as_read(name))
    return vocabulary


def parse_prompts(background: str | Sequence[str]) -> tuple[str, ...]:
    """Background prompts of "wall, floor" or a list of such texts; `;` and line ends separate like `,`."""
    return names_of(",".join(re.split(r"[;\n]", as_text(background, "background"))))


def names_of(text: str) -> tuple[str, ...]:
    """Names between commas, without those that are empty."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def quoted(name: str) -> bool:
    """Whether a name stands in quotation marks."""
    return len(name) > 1 and name[0] + name[-1] in ("''", '""', "\u201c\u201d", "\u2018\u2019")


def as_text(given: str | Sequence[str], what: str) -> str:
    """Text as typed, a list's items one a line; line ends and separators of other keyboards become the usual ones.

    Raises:
        InputError: something else than text.
    """
    items = [given] if isinstance(given, str) else given
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise InputError(f"the {what} must be text like 'cat, kitten; dog' or a list of text, not {given!r}")
    text = re.sub(r"\r\n?", "\n", "\n".join(items)).translate(_WIDE)
    for line in text.split("\n"):
        if fault := unreadable(line.replace("\t", " ")):
            raise InputError(f"the {what} {shown(line.strip())} hold {fault}; take it out")
    return text.replace("\t", " ")


def single_names(names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """One prompt a class; commas are part of the name, as in ADE20K's "building, edifice"."""
    return tuple((name,) for name in names)
