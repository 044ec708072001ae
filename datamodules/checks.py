"""What can be known of pairs before the long work: sizes agree, label values are known."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from datamodules.census import Census, count_values
from datamodules.errors import DataError
from datamodules.notices import warn
from datamodules.pairs import Pair
from datamodules.reading import read_label_map
from datamodules.spec import DatasetSpec
from datamodules.turns import Turn, check_size, say_turns


def check_pair(pair: Pair, spec: DatasetSpec, turns: list[Turn] | None = None) -> dict[int, int]:
    """Checks what can be known before the long work: sizes agree, label values are known.

    Args:
        pair: files.
        spec: facts of the setting.
        turns: takes how the picture is read, where it has an EXIF orientation.

    Returns:
        pixels of each raw value of the label map.

    Raises:
        DataError: naming the file and the value.
    """
    if pair.labels is None:
        return {}
    labels = read_label_map(pair.labels, spec)
    turn = check_size(pair.image, pair.labels, labels.shape, spec)
    if turn is not None and turns is not None:
        turns.append(turn)
    counts = count_values(labels)
    check_values(counts, pair.labels, spec)
    return counts


def check_values(values: Iterable[int], path: Path, spec: DatasetSpec) -> None:
    """Checks that a label map's raw values are the setting's.

    Raises:
        DataError: naming the file and the value.
    """
    unknown = [
        value
        for value in values
        if value != spec.ignore_label and (value < 0 or value - spec.label_offset >= spec.valid_labels)
    ]
    if unknown:
        last = spec.valid_labels + spec.label_offset - 1
        raise DataError(
            f"{path} holds label {min(unknown)}, but {spec.name} has labels {spec.first_value}..{last}, and "
            f"{spec.ignore_label} for unlabelled pixels; name all classes, or set the ignore label or label offset "
            "of these maps"
        )


def check_pairs(pairs: Sequence[Pair], spec: DatasetSpec, progress: bool = True) -> Census:
    """Checks every pair, several at a time, counts what the label maps hold, and says how turned pictures are read.

    Raises:
        DataError: for the first pair that is wrong.
    """
    census = Census(spec)
    turns: list[Turn] = []
    with (
        ThreadPoolExecutor() as pool,
        tqdm(
            total=len(pairs),
            desc=f"{spec.name}: checking files",
            unit="pair",
            disable=None if progress else True,
            leave=False,
        ) as bar,
    ):
        try:
            for counts in pool.map(lambda pair: check_pair(pair, spec, turns), pairs):
                census.add(counts)
                bar.update()
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
    if said := say_turns(turns, spec):
        warn(said)
    return census
