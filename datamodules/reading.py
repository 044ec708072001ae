"""Pictures and label maps decoded."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.errors import DataError, one_line


def read_image(path: Path) -> NDArray[np.uint8]:
    """An RGB picture, (H, W, 3) uint8.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with Image.open(path) as file:
            return np.array(file.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as a picture ({one_line(error)}); replace it or take it away"
        ) from error


def read_labels(path: Path) -> NDArray[np.int32]:
    """A raw label map as numbers to reckon with, (H, W) int32; see `read_index_map`."""
    return read_index_map(path).astype(np.int32)


def read_index_map(path: Path) -> NDArray[np.integer]:
    """A raw label map of 8-bit, palette or 16-bit values, (H, W) uint8, uint16 or int32 as in the file.

    Raises:
        DataError: the file cannot be read or holds colours.
    """
    try:
        with Image.open(path) as file:
            if len(file.getbands()) != 1 or file.mode == "F":
                raise DataError(
                    f"{path} holds {file.mode} colours where label indices were expected; convert it to an index map"
                )
            labels = np.array(file)
            return labels.astype(np.uint8 if labels.itemsize == 1 else labels.dtype.newbyteorder("="))
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as a label map ({one_line(error)}); replace it or take it away"
        ) from error
