"""Words as names of folders."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping

from cliptrase.vocabulary import Vocabulary

_BYTES = 120  # file systems take 255
_REFUSED = '/\\:*?"<>|'  # what some file system takes in no name


def folder_names(vocabulary: Vocabulary) -> Mapping[int, str]:
    """For each word's label a folder's name: the word, `_` for what some file system refuses; all names differ.

    Words that become one so, also where capitals are not told apart, have their label added.
    """
    names = {label: _accepted(vocabulary.label_names[label]) for label in sorted(vocabulary.class_labels)}
    owners = Counter(name.casefold() for name in names.values())
    taken = set(owners)
    for label, name in names.items():
        if owners[name.casefold()] > 1:
            named = f"{name}-{label}"
            while named.casefold() in taken:
                named += "_"
            taken.add(named.casefold())
            names[label] = named
    return names


def _accepted(name: str) -> str:
    kept = "".join(
        letter if letter.isprintable() and letter not in _REFUSED else "_"
        for letter in unicodedata.normalize("NFC", name)
    )
    # Names that begin with a dot are hidden, and some file systems drop one at the end.
    kept = kept.strip(". ")
    return os.fsencode(kept)[:_BYTES].decode("utf-8", errors="ignore").strip(". ") or "_"
