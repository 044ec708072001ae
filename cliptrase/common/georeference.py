"""Where on earth a picture lies, carried over to its label map; needs rasterio, the extra `geo`."""

import importlib.util
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cliptrase.common.images.bands import find_bands
from cliptrase.common.images.decoding import opened
from cliptrase.common.io import OutputError, beside

_ROWS = 256  # of a tile, and written at a time
_SIDES = (".tfw", ".tifw", ".jgw", ".jpgw", ".pgw", ".pngw", ".wld", ".aux.xml")  # files that hold it for a picture


class Georeference(NamedTuple):
    """What places a picture's pixels.

    Attributes:
        crs: rasterio's coordinate reference system, None where the file says none.
        transform: rasterio's affine transform from (column, row) to coordinates.
        size: (height, width) of the picture that it is of.
    """

    crs: Any
    transform: Any
    size: tuple[int, int]


def is_installed() -> bool:
    """Whether rasterio is there."""
    return importlib.util.find_spec("rasterio") is not None


def is_georeferenced(path: Path) -> bool:
    """Whether a TIFF file says where it lies; False for other files.

    Raises:
        InputError: the file cannot be opened.
    """
    with opened(path, "picture") as stream:
        found = find_bands(stream)
        return found is not None and found.georeferenced


def find_georeference(path: Path) -> Georeference | None:
    """Where a picture lies; None where its file does not say, where it is stored turned, or without rasterio.

    TIFF and JPEG 2000 files say it themselves; a world file beside a picture may.
    """
    # A name with such an end may be longer than the file system takes: then there is no such file.
    sides = (path.with_suffix(end) for end in _SIDES)
    likely = path.suffix.lower() in (".tif", ".tiff", ".jp2") or any(map(os.path.isfile, sides))
    if not likely or not is_installed():
        return None
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files without one
        try:
            with opened(path, "picture") as stream:
                found = find_bands(stream)
            if found is not None and found.orientation != 1:
                return None
            with rasterio.open(path) as file:
                if file.crs is None and file.transform.is_identity:
                    return None
                return Georeference(file.crs, file.transform, (file.height, file.width))
        except (OSError, ValueError):  # GDAL reads fewer formats of pictures than Pillow
            return None


def write_geotiff(
    path: Path,
    labels: NDArray[np.unsignedinteger[Any]],
    place: Georeference,
    colours: Mapping[int, tuple[int, ...]],
) -> None:
    """Writes a label map as GeoTIFF, in compressed tiles, beside its place and renamed.

    Args:
        path: of the file.
        labels: (H, W) uint8 or uint16, of the size of `place`.
        place: of its picture.
        colours: red, green and blue of each label, told where labels have 8 bits.

    Raises:
        OutputError: it cannot be written.
    """
    import rasterio
    from rasterio.windows import Window

    height, width = labels.shape
    form = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": labels.dtype.name}
    tiles = {"tiled": True, "blockxsize": _ROWS, "blockysize": _ROWS, "compress": "deflate", "BIGTIFF": "IF_SAFER"}
    try:
        with (
            beside(path) as aside,
            rasterio.open(aside, "w", crs=place.crs, transform=place.transform, **form, **tiles) as file,
        ):
            if labels.dtype == np.uint8:
                file.write_colormap(1, {label: (*colour, 255) for label, colour in colours.items()})
            for top in range(0, height, _ROWS):
                rows = np.ascontiguousarray(labels[top : top + _ROWS])
                file.write(rows, 1, window=Window(0, top, width, len(rows)))
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); make room or name another place. What was written "
            "before is kept"
        ) from error
