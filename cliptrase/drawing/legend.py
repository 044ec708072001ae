"""What each label of a vocabulary means and looks like, for scripts."""

import json

from cliptrase.drawing.overlay import hex_colour
from cliptrase.vocabulary import Vocabulary


def legend_json(vocabulary: Vocabulary) -> str:
    """What each label means and looks like."""
    words = dict(zip(vocabulary.class_labels, vocabulary.classes, strict=True))
    if vocabulary.none_index is not None:
        words[vocabulary.none_index] = ()
    legend = [
        {
            "label": label,
            "name": name,
            "words": list(words.get(label, vocabulary.background)),
            "colour": hex_colour(label),
        }
        for label, name in enumerate(vocabulary.label_names)
    ]
    return json.dumps(legend, indent=2, ensure_ascii=False) + "\n"
