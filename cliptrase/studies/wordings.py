"""Other wordings of a vocabulary: plurals, articles, first names, synonyms; and names that are none of its classes."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cliptrase.vocabulary import Vocabulary, as_read

_IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "knife": "knives",
    "man": "men",
    "mouse": "mice",
    "ox": "oxen",
    "person": "people",
    "tooth": "teeth",
    "wife": "wives",
    "woman": "women",
    **{word: f"{word[:-1]}ves" for word in ("calf", "half", "leaf", "loaf", "shelf", "bookshelf", "wolf")},
    **{word: word for word in ("cattle", "fish", "people", "sheep", "deer", "aircraft")},
}
# The noun that is counted stands before these: "person in shirt", "chest of drawers".
_AFTER_NOUN = re.compile(r"^(.+?)( (?:in|of|on|with|for|to) .+)$")

Synonyms = Sequence[Sequence[str]]
"""Groups of names for one thing each."""


def plural(name: str) -> str:
    """The English plural, by rule; of a name with commas that of each part.

    >>> [plural(name) for name in ("cat", "bus", "sky", "shelf", "stairs", "chest of drawers", "building, edifice")]
    ['cats', 'buses', 'skies', 'shelves', 'stairs', 'chests of drawers', 'buildings, edifices']
    """
    return ", ".join(_plural(part) for part in name.split(", "))


def _plural(name: str) -> str:
    if match := _AFTER_NOUN.match(name):
        return _plural(match[1]) + match[2]
    before, space, noun = name.rpartition(" ")
    word = noun.lower()
    if word in _IRREGULAR:
        noun = _IRREGULAR[word]
    elif re.search(r"(ss|x|z|ch|sh|us)$", word):
        noun += "es"
    elif word.endswith("s"):  # is one already
        pass
    elif re.search(r"[^aeiou]y$", word):
        noun = f"{noun[:-1]}ies"
    else:
        noun += "s"
    return before + space + noun


def with_article(name: str) -> str:
    """The name after "the", which goes with things that are counted and with those that are not.

    >>> with_article("sky")
    'the sky'
    """
    return f"the {name}"


def first_of(name: str) -> str:
    """What stands before the first comma, which is where released lists put further names of a class.

    >>> first_of("building, edifice")
    'building'
    """
    return name.split(",")[0].strip() or name


def folded(name: str) -> str:
    """Equal for names that differ by capitals, spaces, hyphens or number only.

    >>> [folded(name) for name in ("Traffic lights", "trafficlight", "glass", "buses", "skies")]
    ['trafficlight', 'trafficlight', 'glass', 'bus', 'sky']
    """
    word = _joined(name)
    for end, one in (("ies", "y"), ("sses", "ss"), ("buses", "bus"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(end) and len(word) >= 5:
            return word.removesuffix(end) + one
    return word[:-1] if re.search(r"[^su]s$", word) and len(word) > 3 else word


def _joined(name: str) -> str:
    return re.sub(r"[\s\-_]", "", as_read(name))


def parts(name: str) -> list[str]:
    """The name, and the names between its commas.

    >>> parts("building, edifice")
    ['building, edifice', 'building', 'edifice']
    """
    pieces = [piece.strip() for piece in name.split(",") if piece.strip()]
    return [name, *(pieces if len(pieces) > 1 else ())]


def synonyms_of(
    vocabulary: Vocabulary, lists: Mapping[str, Vocabulary], groups: Synonyms
) -> tuple[tuple[str, ...], ...]:
    """For each class its first name, then every other name that is known for it and for no other class.

    Args:
        vocabulary: whose classes.
        lists: further vocabularies of the same classes.
        groups: names for one thing each; a name that stands in several is of the first.
    """
    by_name: dict[str, Sequence[str]] = {}
    for group in groups:
        for name in group:
            by_name.setdefault(_joined(name), group)
    found: list[list[str]] = []
    for number, names in enumerate(vocabulary.classes):
        own = [part for name in names for part in parts(name)]
        known = own + [part for other in lists.values() for name in other.classes[number] for part in parts(name)]
        known += [synonym for name in own for synonym in by_name.get(_joined(name), ())]
        different: dict[str, str] = {}
        for name in (names[0], *known):
            different.setdefault(folded(name), name)
        found.append(list(different.values()))
    owners = Counter(folded(name) for names in found for name in names)
    owners.update(folded(part) for name in vocabulary.background for part in parts(name))
    return tuple((names[0], *(name for name in names[1:] if owners[folded(name)] == 1)) for names in found)


def drawn(synonyms: Sequence[Sequence[str]], seed: int) -> tuple[tuple[str, ...], ...]:
    """One name a class, each of its names with equal probability."""
    draws = np.random.default_rng(seed)
    return tuple((names[int(draws.integers(len(names)))],) for names in synonyms)


def reworded(vocabulary: Vocabulary, form: Callable[[str], str]) -> Vocabulary:
    """All names of the classes in another form; the background's stay."""
    return with_classes(vocabulary, [tuple(form(name) for name in names) for names in vocabulary.classes])


def with_classes(vocabulary: Vocabulary, classes: Sequence[tuple[str, ...]]) -> Vocabulary:
    """The same labels by other names; a class whose new names stand for another label keeps its own."""
    owner = {as_read(name): label for name, label in zip(vocabulary.names, vocabulary.name_to_label, strict=True)}
    taken = dict(owner)
    chosen = []
    for label, own, names in zip(vocabulary.class_labels, vocabulary.classes, classes, strict=True):
        free = all(taken.setdefault(as_read(name), label) == label for name in names)
        chosen.append(tuple(names) if free else own)
    return replace(vocabulary, classes=tuple(chosen))


def absent_names(names: Sequence[str], vocabulary: Vocabulary, synonyms: Sequence[Sequence[str]]) -> list[str]:
    """Those of a list that are no name of the vocabulary, no synonym, and no kind of one by their last word.

    Args:
        names: to choose from; of those that are alike the first is taken.
        vocabulary: with its background prompts.
        synonyms: of each class, as `synonyms_of` gives them.
    """
    own = {folded(part) for name in (*vocabulary.names, *(n for of in synonyms for n in of)) for part in parts(name)}
    found = []
    for name in names:
        alike = {folded(part) for part in parts(name)}
        kinds = {folded(part.split(" ")[-1]) for part in parts(name)}
        if not (alike | kinds) & own:
            found.append(name)
            own |= alike
    return found
