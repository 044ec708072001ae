"""Mask files: every label comes back, at the width that the labels need."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image

from cliptrase.drawing.files import mask_png
from cliptrase.drawing.legend import legend_json
from cliptrase.drawing.overlay import palette
from cliptrase.runs.batches import LabelMaps
from cliptrase.runs.callbacks.base import Step
from cliptrase.runs.callbacks.photo_writer import PhotoWriter, failure_sentence, shares_csv
from cliptrase.runs.callbacks.writers import MaskWriter
from cliptrase.runs.printing import say_written
from cliptrase.vocabulary import Vocabulary


@pytest.mark.parametrize(("num_labels", "kind"), [(1, np.uint8), (255, np.uint8), (256, np.uint16), (847, np.uint16)])
def test_masks_hold_every_label(num_labels: int, kind: type[np.generic]) -> None:
    labels = np.arange(num_labels).repeat(2).reshape(2, -1)
    page = Image.open(io.BytesIO(mask_png(labels, num_labels)))
    found = np.array(page)
    assert found.dtype == kind
    assert np.array_equal(found, labels)
    if kind is np.uint8:  # a viewer shows the legend's colours
        assert page.mode == "P"
        assert np.array_equal(np.array(page.convert("RGB")), palette()[labels])


def test_masks_are_the_first_methods(tmp_path: Path) -> None:
    """Every picture of every group gets a file by its name and its setting's."""
    run: Any = SimpleNamespace(folder=tmp_path, main_method="b")
    setting: Any = SimpleNamespace(name="PC59", vocabulary=Vocabulary((("a",), ("b",), ("c",))))
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
    none = json.loads(legend_json(Vocabulary((("cat",), ("dog",)), ("wall",), threshold=0.5)))
    assert [(entry["words"], entry["colour"] == "#000000") for entry in none] == [
        (["cat"], False),
        (["dog"], False),
        (["wall"], False),
        ([], True),
    ]
    assert shares_csv([("a, b", [0.5, 0.25, 0.25])], vocabulary).splitlines() == [
        "picture,background,cat,dog",
        '"a, b",0.500000,0.250000,0.250000',
    ]


def test_several_settings_have_legends_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Published data sets: no overlays, and a line of the terminal for all of them."""
    settings: list[Any] = [
        SimpleNamespace(name="A", vocabulary=Vocabulary((("cat",), ("dog",)))),
        SimpleNamespace(name="B", vocabulary=Vocabulary(tuple((f"thing {number}",) for number in range(300)))),
    ]
    run: Any = SimpleNamespace(folder=tmp_path, main_method="m", settings=settings)
    module: Any = SimpleNamespace(run=run, data=object(), trainer=SimpleNamespace(is_global_zero=True))
    writer = PhotoWriter()
    writer.begin(module)
    for setting, stem in zip(settings, ("x", "deep/y"), strict=True):
        maps = LabelMaps([stem], torch.zeros(1, 3, 4, 5).byte(), {"m": torch.ones(1, 2, 3).long()}, None, {})
        writer.predicted(module, Step(setting, [], [maps]))
    writer.end_predicting(module)
    assert not (tmp_path / "overlays").exists()
    assert len(json.loads((tmp_path / "legend_B.json").read_text())) == 300
    assert (tmp_path / "predictions_A.csv").read_text() == "picture,cat,dog\nx,0.000000,1.000000\n"
    say_written(tmp_path, writer.written)
    assert capsys.readouterr().out.splitlines() == [
        f"written to {tmp_path}:",
        "  masks/             2 label maps (16-bit grey or palette PNG, numbers as in the",
        "                     legend)",
        "  legend_*.json      label, name, words and colour",
        "  predictions_*.csv  share of each name in each picture",
    ]
