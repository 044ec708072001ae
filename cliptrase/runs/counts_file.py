"""A finished setting's counts as a file, and whether what was read back can be believed."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from cliptrase.common.errors import InputError, one_line
from cliptrase.common.io import read_regular, write_bytes
from cliptrase.evaluation.counts import Counts

_MOST_BYTES = 16 << 30  # of a file of counts, unpacked: twenty methods of 20,000 pictures and 847 labels take 4 GiB


def counts_path(folder: Path, name: str, study: str = "") -> Path:
    """Where a setting's counts are in a run's folder: the run's own, or those of a study's variants."""
    return (folder / "studies" / study if study else folder / "confusion") / f"{name}.npz"


def write_counts(folder: Path, name: str, counts: Mapping[str, Counts], study: str = "") -> str:
    """Keeps a setting's counts, from which every score and interval can be computed again; see `counts_path`.

    For each method `<method>/confusion` (C, C) int64, `<method>/images` and `<method>/pictures` (P, 3, C) int32: hits,
    truth and predicted pixels of each picture; `stems` (P,) names the pictures.

    Returns:
        SHA-256 of the file.
    """
    arrays = {"stems": np.array(next(iter(counts.values())).stems, dtype=np.str_)}
    for method, own in counts.items():
        arrays[f"{method}/confusion"] = own.confusion.numpy()
        arrays[f"{method}/images"] = np.array(own.images, dtype=np.int64)
        arrays[f"{method}/pictures"] = own.pictures.numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # names hold arrays only
    write_bytes(counts_path(folder, name, study), buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def read_counts(
    folder: Path, name: str, methods: Sequence[str], num_labels: int, told: str, study: str = ""
) -> dict[str, Counts]:
    """What `write_counts` kept.

    Args:
        folder: the run's.
        name: of the setting.
        methods: whose counts there must be; a study's variants.
        num_labels: C.
        told: SHA-256 of the file as the run's results tell it.
        study: whose counts, empty for the run's own.

    Raises:
        InputError: the file is not the one that was written, or does not hold a setting's counts.
    """
    path = counts_path(folder, name, study)
    try:
        content = read_regular(path)
        if hashlib.sha256(content).hexdigest() != told:
            raise ValueError("it is not the file that was written with results.json")
        return parse_counts(content, methods, num_labels)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be used ({one_line(error)})") from error


def parse_counts(content: bytes, methods: Sequence[str], num_labels: int) -> dict[str, Counts]:
    """The counts in a file's content; see `read_counts`.

    Raises:
        ValueError: it is no file of counts, or counts that do not agree with themselves.
    """
    try:
        with np.load(io.BytesIO(content)) as stored:
            if sum(entry.file_size for entry in stored.zip.infolist()) > _MOST_BYTES:
                raise ValueError(f"it unpacks to more than {_MOST_BYTES >> 30} GiB")
            stems = stored["stems"].tolist()
            found = {
                method: Counts(
                    torch.from_numpy(stored[f"{method}/confusion"]),
                    int(stored[f"{method}/images"]),
                    torch.from_numpy(stored[f"{method}/pictures"]),
                    stems,
                )
                for method in methods
            }
        for counts in found.values():
            _check(counts, num_labels)
    except Exception as error:  # numpy and zipfile raise whatever they meet in a damaged file
        raise ValueError(one_line(error)) from error
    return found


def _check(counts: Counts, num_labels: int) -> None:
    """Whether counts of one method agree with themselves."""
    shape = (len(counts.stems), 3, num_labels)
    if counts.confusion.shape != (num_labels, num_labels) or counts.pictures.shape != shape:
        raise ValueError(f"it is not of {len(counts.stems)} pictures and {num_labels} labels")
    if counts.confusion.dtype != torch.int64 or counts.pictures.dtype != torch.int32:
        raise ValueError("its numbers are of another kind")
    if counts.images != len(counts.stems) or counts.stems != sorted(set(counts.stems)):
        raise ValueError("its pictures are not each there once")
    margins = torch.stack([counts.confusion.diagonal(), counts.confusion.sum(1), counts.confusion.sum(0)])
    if min(int(counts.confusion.min()), int(counts.pictures.min()) if counts.stems else 0) < 0:
        raise ValueError("it counts less than nothing")
    hits, truth, predicted = counts.pictures.unbind(1)
    if bool((hits > truth).any()) or bool((hits > predicted).any()) or not torch.equal(truth.sum(1), predicted.sum(1)):
        raise ValueError("a picture has more hits than pixels, or not as many pixels predicted as in its ground truth")
    if not torch.equal(counts.pictures.long().sum(0), margins):
        raise ValueError("its pictures do not add up to its sums")
