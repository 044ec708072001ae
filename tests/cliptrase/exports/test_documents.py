"""What other tools get: only words, their ids, their folders."""

import json
import os

import numpy as np
import pytest

from cliptrase.exports.documents import coco_image, coco_json, polygons_json, word_masks
from cliptrase.exports.file_names import folder_names
from cliptrase.vocabulary import Vocabulary
from datamodules.errors import DataError
from datamodules.photo_exports import EXPORTS, chosen_exports

# The background is the first label here, as in PASCAL VOC's order.
WORDS = Vocabulary((("cat", "kitten"), ("dog",), ("bird",)), ("wall",), background_label=0)
LABELS = np.array([[0, 0, 1, 1], [2, 0, 1, 2], [2, 2, 0, 0]])


def test_coco_counts_from_one_and_leaves_the_background_out() -> None:
    images = [coco_image(4, "b.png", LABELS, WORDS), coco_image(1, "deep/a.png", np.zeros((2, 3), dtype=int), WORDS)]
    document = json.loads(coco_json(images, WORDS))
    assert [(one["id"], one["label"], one["name"], one["words"]) for one in document["categories"]] == [
        (2, 1, "cat", ["cat", "kitten"]),
        (3, 2, "dog", ["dog"]),
        (4, 3, "bird", ["bird"]),
    ]
    assert document["images"] == [
        {"id": 2, "file_name": "deep/a.png", "height": 2, "width": 3},
        {"id": 5, "file_name": "b.png", "height": 3, "width": 4},
    ]
    kept = ("id", "image_id", "category_id", "area", "bbox", "iscrowd")
    assert [tuple(one[name] for name in kept) for one in document["annotations"]] == [
        (1, 5, 2, 3, [2, 0, 2, 2], 0),
        (2, 5, 3, 4, [0, 1, 4, 2], 0),
    ]


def test_polygons_lie_in_the_whole_picture() -> None:
    features = {one["properties"]["name"]: one for one in json.loads(polygons_json(LABELS, WORDS))["features"]}
    assert set(features) == {"cat", "dog"}
    assert features["cat"]["properties"] == {"name": "cat", "label": 1, "colour": "#ff5511", "area": 3}
    assert features["cat"]["geometry"]["coordinates"] == [
        [[[2, 0], [4, 0], [4, 1], [3, 1], [3, 2], [2, 2], [2, 0]]],
    ]
    assert [len(rings) for rings in features["dog"]["geometry"]["coordinates"]] == [1, 1]


def test_a_mask_for_each_word_also_where_it_is_not() -> None:
    masks = dict(word_masks(LABELS, WORDS))
    assert list(masks) == [1, 2, 3]
    assert not masks[3].any()
    assert all(mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255} for mask in masks.values())


def test_folders_differ_on_any_file_system() -> None:
    words = ["a/b", "a:b", "../..", "x" * 400, "猫" * 100, ".hidden", "Straße", "STRASSE", "con ", "..", "\u732b?"]
    names = folder_names(Vocabulary(tuple((word,) for word in words)))
    assert names[0] == "a_b-0"
    assert names[1] == "a_b-1"
    assert len({name.casefold() for name in names.values()}) == len(words)
    for name in names.values():
        assert "/" not in name
        assert not name.startswith(".")
        assert name == name.strip(" .") != ""
        assert len(os.fsencode(name)) < 140
    # A name that looks as if a label had been added, beside one that had.
    twins = folder_names(Vocabulary((("a/b",), ("a:b",), ("a_b-0",))))
    assert len(set(twins.values())) == 3


def test_choices() -> None:
    assert chosen_exports("polygons, COCO,coco") == ("coco", "polygons")
    assert chosen_exports(["words", "coco"]) == ("coco", "words")
    assert chosen_exports("") == chosen_exports(None) == chosen_exports([]) == ()
    assert chosen_exports(EXPORTS) == EXPORTS
    with pytest.raises(DataError, match="'voc' is no form of label maps; take one or several of coco, words, polygons"):
        chosen_exports("coco,voc")
