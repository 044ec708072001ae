"""Mask files: every label comes back, at the width that the labels need."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from cliptrase.runs.batches import LabelMaps
from cliptrase.runs.callbacks.base import Step
from cliptrase.runs.callbacks.photo_writer import failure_sentence, legend_json, shares_csv
from cliptrase.runs.callbacks.writers import MaskWriter, mask_png
from cliptrase.vocabulary import Vocabulary


@pytest.mark.parametrize(("num_labels", "kind"), [(1, np.uint8), (255, np.uint8), (256, np.uint16), (847, np.uint16)])
def test_masks_hold_every_label(num_labels: int, kind: type[np.generic]) -> None:
    labels = np.arange(num_labels).repeat(2).reshape(2, -1)
    found = np.array(Image.open(io.BytesIO(mask_png(labels, num_labels))))
    assert found.dtype == kind
    assert np.array_equal(found, labels)


def test_masks_are_the_first_methods(tmp_path: Path) -> None:
    """Every picture of every group gets a file by its name and its setting's."""
    run: Any = SimpleNamespace(folder=tmp_path, main_method="b")
    setting: Any = SimpleNamespace(name="PC59", vocabulary=SimpleNamespace(num_labels=3))
    maps = [
        LabelMaps(
            stems,
            torch.zeros(len(stems), 3, 4, 5, dtype=torch.uint8),
            {"a": torch.zeros(len(stems), 2, 3).long(), "b": torch.full((len(stems), 2, 3), 2)},
            None,
            {},
        )
        for stems in (["1", "2"], ["deep/3"])
    ]
    MaskWriter().predicted(cast(Any, SimpleNamespace(run=run)), Step(setting, [], maps))
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert files == ["masks/PC59/1.png", "masks/PC59/2.png", "masks/PC59/deep/3.png"]
    assert np.array_equal(np.array(Image.open(tmp_path / files[2])), np.full((2, 3), 2))


def test_failures_are_one_sentence() -> None:
    assert failure_sentence(["a is bad"]) == "1 picture was passed over, the others are done: a is bad"
    twice = failure_sentence(["a is bad", "b is bad", "a is bad"])
    assert twice == "2 pictures were passed over, the others are done: a is bad; b is bad"


def test_legend_and_shares_of_a_vocabulary_whose_background_is_first() -> None:
    vocabulary = Vocabulary((("cat", "kitten"), ("dog",)), ("wall",), background_label=0)
    assert [word in legend_json(vocabulary) for word in ("kitten", "wall")] == [True, True]
    assert shares_csv([("a, b", [0.5, 0.25, 0.25])], vocabulary).splitlines() == [
        "picture,background,cat,dog",
        '"a, b",0.500000,0.250000,0.250000',
    ]
