"""The null of "none of these": which neutral words a picture's patches are compared with, and how many a name beats.

Were the asked words as foreign to a picture as the neutral ones, each order of all words at a patch would be equally
likely. The rank below makes a permutation test of that: under it some asked word is named at a patch by chance alone
in at most `CHANCE` of all orders, however many words are asked for, and whatever the model and its scale.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cliptrase.common.errors import InputError
from cliptrase.inference.neutral_words import NEUTRAL_WORDS
from cliptrase.ops.classification import NoneOfThese
from cliptrase.vocabulary import AUTO, Vocabulary, as_read

CHANCE = 0.1
"""Share of a picture without any asked word that may be named all the same.

Chosen among 0.05, 0.1, 0.15 and 0.2 on scenes of the demo's split `val`; `benchmarks/none_of_these.py` scores others.
"""

_CLOSE = 0.99  # quantile of the similarities of neutral words: what is more alike counts as the same thing
_FEWEST = 50  # neutral words


def none_of_these(
    vocabulary: Vocabulary,
    text: Tensor,
    embed: Callable[[Sequence[str]], Tensor],
    scale: float,
    neutral: Sequence[str] = NEUTRAL_WORDS,
) -> NoneOfThese | None:
    """What decides that a pixel is none of a vocabulary's words; None where the vocabulary has no threshold.

    Neutral words that an asked name, synonym or background prompt shares a word with are left out, and those whose
    text embedding is closer to one of them than 99 of 100 pairs of neutral words are to one another.

    Args:
        vocabulary: the words that are asked for.
        text: (C, E) their embeddings.
        embed: from words to (K, E) unit embeddings, by the same model and templates.
        scale: of cosines in the softmax.
        neutral: the words to choose from.

    Raises:
        InputError: too few neutral words are left.
    """
    if vocabulary.threshold is None:
        return None
    every = embed(neutral)
    foreign = torch.tensor([not shares_word(word, vocabulary.names) for word in neutral], device=every.device)
    kept = every[foreign & ~close_to(text, every)]
    if len(kept) < _FEWEST:
        raise InputError(
            f"the words leave {len(kept)} of {len(neutral)} neutral words that the threshold compares them with, "
            f"and it needs {_FEWEST}; ask for fewer words, or leave the threshold out"
        )
    least = None if vocabulary.threshold == AUTO else float(vocabulary.threshold)
    return NoneOfThese(kept, null_rank(len(text), len(kept)), scale, least)


def shares_word(name: str, others: Sequence[str]) -> bool:
    """Whether a name has a word in common with another, capitals and plurals apart: "apples" and "red apple".

    >>> shares_word("apple", ["red Apples", "sky"]), shares_word("ice", ["rice"])
    (True, False)
    """
    own = _words(name)
    return any(own & _words(other) for other in others)


def _words(name: str) -> set[str]:
    words = as_read(name).split()
    return {form for word in words for form in (word, word.removesuffix("s"), word.removesuffix("es")) if form}


def close_to(text: Tensor, neutral: Tensor) -> Tensor:
    """Which neutral words mean nearly what an asked name means, as the model sees it.

    Args:
        text: (C, E) unit embeddings of asked names.
        neutral: (K, E) of neutral words.

    Returns:
        (K,) bool.
    """
    above, across = torch.triu_indices(len(neutral), len(neutral), 1, device=neutral.device)
    pairs = (neutral @ neutral.T)[above, across].sort().values
    bound = pairs[int(_CLOSE * (len(pairs) - 1))]
    close: Tensor = (neutral @ text.T).amax(1) > bound
    return close


def null_rank(asked: int, neutral: int, chance: float = CHANCE) -> int:
    """Which of the neutral words, counted from the highest, an asked name must reach at a patch.

    Of all orders of `asked` and `neutral` words, those whose highest m are all neutral are a share of
    prod (neutral - j) / (neutral + asked - j) over j < m. The rank is the largest m that leaves it at 1 - `chance` or
    more; at least 1, where the names are so many that even the highest neutral word is beaten more often.

    >>> null_rank(1, 459), null_rank(3, 457), null_rank(60, 400)
    (46, 15, 1)
    """
    share, rank = 1.0, 0
    while rank < neutral:
        share *= (neutral - rank) / (neutral + asked - rank)
        if share < 1 - chance:
            break
        rank += 1
    return max(rank, 1)
