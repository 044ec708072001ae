"""Confusion matrices of a run's folder, as far as a page can trust them."""

import hashlib
import io
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.errors import one_line
from cliptrase.report.foreign import MIB, ShapeError, path_inside, read_regular, sentence_of

_LARGEST = 1024 * MIB  # of a file of counts, which holds those of each picture too
_LARGEST_MATRIX = 64 * MIB  # unpacked


def confusions(folder: Path, document: Mapping[str, Any]) -> dict[str, dict[str, NDArray[np.int64]]]:
    """By setting and method the (C, C) matrices of a run; a setting whose file is not there, or not whole, is left out.

    A file that is there and cannot be trusted is warned of.

    Args:
        folder: the run's.
        document: content of `results.json`.
    """
    hashes = document["provenance"].get("counts")
    found = {}
    for name, result in document["settings"].items():
        told = hashes.get(name) if isinstance(hashes, Mapping) else None
        try:
            path = path_inside(folder, f"confusion/{name}.npz")
            if not isinstance(told, str) or not path.exists():
                continue
            content = read_regular(path, _LARGEST)
            if hashlib.sha256(content).hexdigest() != told:
                raise ShapeError("it is not the file that was written with results.json")
            truth = [row["pixels"] for row in result["per_class"]]
            found[name] = {method: _matrix(content, method, truth) for method in document["methods"]}
        except (OSError, ValueError, RuntimeError, ShapeError) as fault:
            reason = sentence_of(fault)
            warnings.warn(
                f"the page shows no confusion of {name}, for its counts cannot be used: {reason}", stacklevel=2
            )
    return found


def _matrix(content: bytes, method: str, truth: list[int]) -> NDArray[np.int64]:
    """One method's matrix.

    Raises:
        ShapeError: it is not there, or its rows do not add up to the ground truth's pixels.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            entry = packed.getinfo(f"{method}/confusion.npy")
            if entry.file_size > _LARGEST_MATRIX:
                raise ValueError("a matrix is too large")
            matrix = np.load(io.BytesIO(packed.read(entry)), allow_pickle=False)
    except Exception as error:  # numpy and zipfile raise whatever they meet in a damaged file
        raise ShapeError(one_line(error)) from error
    if matrix.dtype != np.int64 or matrix.shape != (len(truth), len(truth)) or matrix.min(initial=0) < 0:
        raise ShapeError("a matrix is of another form")
    if matrix.sum(1).tolist() != truth:
        raise ShapeError("a matrix does not add up to the pixels of the classes")
    return np.asarray(matrix, dtype=np.int64)
