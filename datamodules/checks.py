"""What can be known of pairs before the long work: sizes agree, label values are known."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_warn
from tqdm import tqdm

from datamodules.card import Card
from datamodules.errors import DataError
from datamodules.pairs import Pair
from datamodules.reading import read_labels
from datamodules.turns import Turn, check_size, say_turns


def check_pair(pair: Pair, card: Card, turns: list[Turn] | None = None) -> None:
    """Checks what can be known before the long work: sizes agree, label values are known.

    Args:
        pair: files.
        card: facts of the setting.
        turns: takes how the picture is read, where it has an EXIF orientation.

    Raises:
        DataError: naming the file and the value.
    """
    if pair.labels is None:
        return
    labels = read_labels(pair.labels, card.reader)
    turn = check_size(pair.image, pair.labels, labels.shape, card)
    if turn is not None and turns is not None:
        turns.append(turn)
    check_values(labels, pair.labels, card)


def check_values(labels: NDArray[np.int32], path: Path, card: Card) -> None:
    """Checks that a raw label map holds nothing but the setting's labels.

    Raises:
        DataError: naming the file and the value.
    """
    known = (labels == card.ignore_label) | (labels - card.label_offset < card.valid_labels)
    if not known.all():
        value = int(labels[~known].min())
        last = card.valid_labels + card.label_offset - 1
        raise DataError(
            f"{path} holds label {value}, but {card.name} has labels {card.label_offset}..{last}, and "
            f"{card.ignore_label} for unlabelled pixels; name all classes, or set the ignore label or label offset "
            "of these maps"
        )


def check_pairs(pairs: Sequence[Pair], card: Card, progress: bool = True) -> None:
    """Checks every pair, several at a time, and says how pictures with an EXIF orientation are read.

    Raises:
        DataError: for the first pair that is wrong.
    """
    turns: list[Turn] = []
    with (
        ThreadPoolExecutor() as pool,
        tqdm(
            total=len(pairs),
            desc=f"{card.name}: checking files",
            unit="pair",
            disable=None if progress else True,
            leave=False,
        ) as bar,
    ):
        try:
            for _ in pool.map(lambda pair: check_pair(pair, card, turns), pairs):
                bar.update()
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
    if said := say_turns(turns, card):
        rank_zero_warn(said)
