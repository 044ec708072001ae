"""Files of probabilities: what they hold, and that a run writes them where it is asked to."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliptrase import Segmenter, get_protocol
from cliptrase.runs.callbacks.probability_writer import npz
from tests.command import run
from tests.kit import scene

WORDS = "cat, kitten; dog"


def test_what_the_files_hold() -> None:
    found = np.random.default_rng(0).dirichlet((1, 1, 1), (5, 7)).transpose(2, 0, 1).astype(np.float32)
    with np.load(io.BytesIO(npz(found, ("cat", "\u732b", "none of these")))) as stored:
        assert stored["names"].tolist() == ["cat", "\u732b", "none of these"]
        assert stored["probabilities"].dtype == np.float16
        np.testing.assert_allclose(stored["probabilities"], found, atol=5e-4)


@pytest.mark.parametrize(("kind", "threshold"), [("png", "0.3"), ("npz", "none")])
def test_predict_writes_them(kind: str, threshold: str, tiny_clip: Path, tmp_path: Path) -> None:
    """Those that `segment` gives, beside the label map that it gives; and the legend knows the label."""
    pictures = {name: scene(number, 60, 90)[0] for number, name in enumerate(("a", "b"))}
    (tmp_path / "album").mkdir()
    for name, picture in pictures.items():
        Image.fromarray(picture).save(tmp_path / "album" / f"{name}.png")
    options = ["--config", "configs/photos.yaml", "--protocol.size", "64", "--protocol.templates", "vild"]
    options += ["--model.clip", f"local-dir:{tiny_clip}", "--data.images", str(tmp_path / "album")]
    options += ["--data.words", WORDS, "--data.background", "wall", "--model.compare", "vanilla"]
    options += ["--data.threshold", threshold, "--data.probabilities", kind, "--data.batch_size", "2"]
    finished = run("predict", tmp_path / "out", *options)
    protocol = get_protocol("photos", size=64, templates="vild")
    segmenter = Segmenter.from_pretrained(f"local-dir:{tiny_clip}", None, protocol)
    folder = finished.folder / "probabilities" / "Photos"
    ends = [f"_{label}.png" for label in range(4)] if kind == "png" else [".npz"]
    assert {path.name for path in folder.iterdir()} == {name + end for name in pictures for end in ends}
    for name, picture in pictures.items():
        expected = segmenter.segment(picture, WORDS, "wall", threshold=threshold, probabilities=True)
        assert expected.probabilities is not None
        np.testing.assert_array_equal(finished.mask("Photos", name), expected.labels)
        if kind == "png":
            pages = [Image.open(folder / f"{name}_{label}.png") for label in range(4)]
            assert {page.mode for page in pages} == {"L"}
            found = np.stack([np.array(page) for page in pages]) / 255
        else:
            with np.load(folder / f"{name}.npz") as stored:
                found = stored["probabilities"].astype(float)
        np.testing.assert_allclose(found, expected.probabilities, atol=0.5 / 255 + 1e-4)
    legend = json.loads((finished.folder / "legend.json").read_text())
    assert [entry["words"] for entry in legend[:3]] == [["cat", "kitten"], ["dog"], ["wall"]]
    header = (finished.folder / "predictions.csv").read_text().splitlines()[0]
    if kind == "png":
        assert (legend[3]["label"], legend[3]["name"], legend[3]["words"]) == (3, "none of these", [])
        assert header == "picture,cat,dog,background,none of these"
    else:
        assert len(legend) == 3
        assert header == "picture,cat,dog,background"
