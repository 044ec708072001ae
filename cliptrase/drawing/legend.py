"""What each label means and looks like, for scripts."""

import json
from collections.abc import Mapping, Sequence

from cliptrase.drawing.overlay import hex_colour
from cliptrase.vocabulary import Vocabulary

_NONE = "#000000"  # of pixels that are none of the names


def legend_json(vocabulary: Vocabulary) -> str:
    """Label, name, words and colour; "none of these" has no words, and is black in masks."""
    words: dict[int, Sequence[str]] = dict(zip(vocabulary.class_labels, vocabulary.classes, strict=True))
    if vocabulary.background_index is not None:
        words[vocabulary.background_index] = vocabulary.background
    return names_json(vocabulary.label_names, vocabulary.none_index, words)


def names_json(names: Sequence[str], none: int | None = None, words: Mapping[int, Sequence[str]] | None = None) -> str:
    """The same of names alone, without words where none are given.

    Args:
        names: of all labels.
        none: label of pixels that are none of the names.
        words: of each label that has some.
    """
    legend = [
        {"label": label, "name": name}
        | ({} if words is None else {"words": list(words.get(label, ()))})
        | {"colour": _NONE if label == none else hex_colour(label)}
        for label, name in enumerate(names)
    ]
    return json.dumps(legend, indent=2, ensure_ascii=False) + "\n"
