"""Documents for other tools: COCO's annotations of all pictures, and one picture's polygons as GeoJSON.

The background and "none of these" have no entry, for nobody asked for them, and neither has a word without a pixel.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cliptrase.drawing.overlay import hex_colour
from cliptrase.exports.outlines import Ring, polygons
from cliptrase.exports.run_lengths import Encoded, encode, find_runs
from cliptrase.vocabulary import Vocabulary


class CocoImage(NamedTuple):
    """What COCO's file says of one picture.

    Attributes:
        number: of the picture among all, from 0.
        file_name: of the picture.
        size: (H, W) in pixels.
        found: of each word that is there, by its label.
    """

    number: int
    file_name: str
    size: tuple[int, int]
    found: list[Encoded]


def coco_image(number: int, file_name: str, labels: NDArray[np.integer[Any]], vocabulary: Vocabulary) -> CocoImage:
    """Encodes a label map (H, W); in memory are a few columns of it, and its runs."""
    classes = set(vocabulary.class_labels)
    found = [one for one in encode(find_runs(labels)) if one.label in classes]
    return CocoImage(number, file_name, (labels.shape[0], labels.shape[1]), found)


def coco_json(images: Iterable[CocoImage], vocabulary: Vocabulary) -> str:
    """COCO's annotations: one for each word and picture, with compressed run lengths.

    Ids count from 1. A category's is its label and 1; both stand there. Ids of images are their places among all that
    were asked for, whether or not all could be read.
    """
    images = sorted(images)
    words = dict(zip(vocabulary.class_labels, vocabulary.classes, strict=True))
    rows = [(image, one) for image in images for one in image.found]
    document = {
        "info": {"description": "label maps by cliptrase: one annotation for each word and image"},
        "licenses": [],
        "categories": [
            {"id": label + 1, "name": names[0], "supercategory": "", "label": label, "words": list(names)}
            for label, names in sorted(words.items())
        ],
        "images": [
            {"id": image.number + 1, "file_name": image.file_name, "height": image.size[0], "width": image.size[1]}
            for image in images
        ],
        "annotations": [
            {
                "id": number,
                "image_id": image.number + 1,
                "category_id": one.label + 1,
                "segmentation": {"size": list(image.size), "counts": one.counts},
                "area": one.area,
                "bbox": list(one.bbox),
                "iscrowd": 0,
            }
            for number, (image, one) in enumerate(rows, 1)
        ],
    }
    return json.dumps(document, ensure_ascii=False) + "\n"


def polygons_json(labels: NDArray[np.integer[Any]], vocabulary: Vocabulary) -> str:
    """GeoJSON of a label map (H, W): for each word that is there the polygons of its areas, with their holes.

    Coordinates are [x, y] in the picture's own pixels from its top left corner, x to the right, y down, and lie on the
    pixels' borders; see `outlines`.
    """
    names = vocabulary.label_names
    features = [
        {
            "type": "Feature",
            "properties": {"name": names[one.label], "label": one.label, "colour": hex_colour(one.label)}
            | {"area": one.area},
            "geometry": {"type": "MultiPolygon", "coordinates": _moved(labels, one)},
        }
        for one in encode(find_runs(labels))
        if one.label in vocabulary.class_labels
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False) + "\n"


def _moved(labels: NDArray[np.integer[Any]], one: Encoded) -> list[list[Ring]]:
    """A label's polygons, looked for in the part of the label map that holds it."""
    left, top, width, height = one.bbox
    part = labels[top : top + height, left : left + width]
    return [[[[x + left, y + top] for x, y in ring] for ring in rings] for rings in polygons(part, one.label)]


def word_masks(labels: NDArray[np.integer[Any]], vocabulary: Vocabulary) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Each word's label and its mask (H, W) uint8, 255 where it is and 0 elsewhere; one is in memory at a time."""
    for label in sorted(vocabulary.class_labels):
        mask = (labels == label).view(np.uint8)
        mask *= 255
        yield label, mask
